//! Scores a table with candle's CLIP, as its own example does it: pictures by the `image` crate, resized to fill the
//! square with a triangle filter. A batch is decoded on all threads while the one before it is encoded.
//!
//! `candle-peer TABLE OUT MODEL TOKENIZER BATCH`; the number of threads is `RAYON_NUM_THREADS`. Captions are padded to the longest
//! of their batch.

use std::error::Error;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::{ClipConfig, ClipModel, div_l2_norm};
use image::imageops::FilterType;
use rayon::prelude::*;
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

type Failure = Box<dyn Error + Send + Sync>;

const SIDE: usize = 224;
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
const END: u32 = 49_407;

/// A picture as the model takes it: `[3, 224, 224]`.
fn picture(path: &Path) -> Result<Tensor, Failure> {
    let side = SIDE as u32;
    let pixels = image::ImageReader::open(path)?.decode()?.resize_to_fill(side, side, FilterType::Triangle).to_rgb8();
    let planes = (0..3).flat_map(|channel| {
        pixels.pixels().map(move |pixel| (f32::from(pixel[channel]) / 255.0 - MEAN[channel]) / DEVIATION[channel])
    });
    Ok(Tensor::from_vec(planes.collect(), (3, SIDE, SIDE), &Device::Cpu)?)
}

fn batch_of_pictures(folder: &Path, rows: &[(String, String)]) -> Result<Tensor, Failure> {
    let pictures = rows.par_iter().map(|(url, _)| picture(&folder.join(url))).collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::stack(&pictures, 0)?)
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, out, model, tokenizer, batch] = arguments.as_slice() else {
        return Err("usage: candle-peer TABLE OUT MODEL TOKENIZER BATCH".into());
    };
    let rows: Vec<(String, String)> = csv::Reader::from_path(table)?.deserialize().collect::<Result<_, _>>()?;
    let folder = Path::new(table).parent().ok_or("the table has no folder")?.to_owned();
    let batch: usize = batch.parse()?;

    let mut tokenizer = Tokenizer::from_file(tokenizer)?;
    tokenizer.with_truncation(Some(TruncationParams { max_length: 77, ..Default::default() }))?;
    tokenizer.with_padding(Some(PaddingParams { pad_id: END, ..Default::default() }));

    let weights = Path::new(model).join("model.safetensors");
    // SAFETY: nobody writes to the weights during the run.
    let weights = unsafe { VarBuilder::from_mmaped_safetensors(&[weights], DType::F32, &Device::Cpu)? };
    let clip = ClipModel::new(weights, &ClipConfig::vit_base_patch32())?;

    let (send, pictures) = sync_channel(1);
    let ahead = rows.clone();
    std::thread::spawn(move || {
        for rows in ahead.chunks(batch) {
            if send.send(batch_of_pictures(&folder, rows)).is_err() {
                return;
            }
        }
    });
    let mut writer = csv::Writer::from_path(out)?;
    writer.write_record(["url", "caption", "similarity"])?;
    for rows in rows.chunks(batch) {
        let images = div_l2_norm(&clip.get_image_features(&pictures.recv()??)?)?;
        let captions: Vec<&str> = rows.iter().map(|(_, caption)| caption.as_str()).collect();
        let encodings = tokenizer.encode_batch_fast(captions, true)?;
        let ids: Vec<&[u32]> = encodings.iter().map(|encoding| encoding.get_ids()).collect();
        let texts = div_l2_norm(&clip.get_text_features(&Tensor::new(ids, &Device::Cpu)?)?)?;
        let scores = (images * texts)?.sum(1)?.to_vec1::<f32>()?;
        for ((url, caption), score) in rows.iter().zip(scores) {
            writer.write_record([url, caption, &score.to_string()])?;
        }
    }
    writer.flush()?;
    Ok(())
}
