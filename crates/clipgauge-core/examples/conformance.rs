//! Prints, for each golden model, how far its embeddings and similarities are from the reference's: the table in
//! `docs/conformance.md`.
//!
//! `make conformance`, or `cargo run --release --example conformance -- FOLDER…` with folders that hold golden models.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use clipgauge_core::backend::cpu::vector_lanes;
use clipgauge_core::family;
use clipgauge_core::metric::{Compare, Metric};
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::pixels::PixelBatch;
use clipgauge_core::tokenize::TokenBatch;
use safetensors::{Dtype, SafeTensors};

/// A golden tensor: its shape, and its numbers.
type Tensor = (Vec<usize>, Vec<f64>);

fn main() -> Result<(), Box<dyn Error>> {
    let mut folders = BTreeMap::new();
    for parent in std::env::args_os().skip(1) {
        // A folder that is not there has no models.
        for entry in std::fs::read_dir(parent).into_iter().flatten() {
            let folder = entry?.path();
            if folder.join("golden.safetensors").is_file() {
                folders.entry(folder.file_name().unwrap_or_default().to_owned()).or_insert(folder);
            }
        }
    }
    println!("Numbers in a vector: {}\n", vector_lanes());
    println!("| golden model | family | images: 1 − cosine | texts: 1 − cosine | similarity | logit, relative |");
    println!("|---|---|---|---|---|---|");
    folders.into_values().try_for_each(|folder| compare(&folder))
}

fn compare(folder: &Path) -> Result<(), Box<dyn Error>> {
    let encoder = family::load(&ModelFiles::Folder(PathBuf::from(folder)))?;
    let golden = read(&folder.join("golden.safetensors"))?;
    let images = encoder.encode_images(&pictures(&golden))?;
    let texts = encoder.encode_texts(&texts(&golden))?;

    let spec = encoder.spec();
    let cosine = Metric::Cosine.comparer(spec)?;
    let logit = Metric::Logit.comparer(spec)?;
    let similarity = largest(&*cosine, &images, &texts, &golden["similarity"].1, |_| 1.0);
    let logits = largest(&*logit, &images, &texts, &golden["logits_per_image"].1, |expected| expected.abs().max(1.0));
    println!(
        "| `{}` | {} | {:.1e} | {:.1e} | {similarity:.1e} | {logits:.1e} |",
        folder.file_name().unwrap_or_default().display(),
        spec.family.map_or("", |family| family.name()),
        farthest(images.rows(), &golden["image_embeds"].1),
        farthest(texts.rows(), &golden["text_embeds"].1),
    );
    Ok(())
}

/// The largest `1 − cosine` between our vectors and the reference's.
fn farthest<'a>(ours: impl Iterator<Item = &'a [f32]>, reference: &[f64]) -> f64 {
    let distance = |(ours, reference): (&[f32], &[f64])| {
        let [mut product, mut of_ours, mut of_reference] = [0.0; 3];
        for (ours, reference) in ours.iter().map(|&number| f64::from(number)).zip(reference) {
            product += ours * reference;
            of_ours += ours * ours;
            of_reference += reference * reference;
        }
        1.0 - product / (of_ours * of_reference).sqrt()
    };
    let mut rest = reference;
    let pairs = ours.map(|row| {
        let (reference, after) = rest.split_at(row.len());
        rest = after;
        (row, reference)
    });
    pairs.map(distance).fold(0.0, f64::max)
}

/// The largest difference of a metric over all pairs of images and texts, in units of `scale`.
fn largest(
    metric: &dyn Compare,
    images: &clipgauge_core::embeddings::Embeddings,
    texts: &clipgauge_core::embeddings::Embeddings,
    expected: &[f64],
    scale: impl Fn(f64) -> f64,
) -> f64 {
    let ours = images.rows().flat_map(|image| texts.rows().map(move |text| f64::from(metric.compare(image, text))));
    ours.zip(expected).map(|(ours, &expected)| (ours - expected).abs() / scale(expected)).fold(0.0, f64::max)
}

fn read(file: &Path) -> Result<BTreeMap<String, Tensor>, Box<dyn Error>> {
    let bytes = std::fs::read(file)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let numbers = |view: &safetensors::tensor::TensorView<'_>| match view.dtype() {
        Dtype::I64 => view.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f64).collect(),
        _ => view.data().as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(),
    };
    Ok(tensors.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), numbers(&view)))).collect())
}

fn pictures(golden: &BTreeMap<String, Tensor>) -> PixelBatch {
    let (shape, numbers) = &golden["pixel_values"];
    let values = numbers.iter().map(|&number| number as f32).collect();
    match (shape.as_slice(), golden.get("spatial_shapes")) {
        (&[_, max_patches, patch_width], Some((_, sizes))) => {
            let grids = sizes.chunks_exact(2).map(|size| [size[0] as u32, size[1] as u32]).collect();
            PixelBatch::Patches { values, max_patches, patch_width, grids }
        }
        (shape, _) => PixelBatch::Pictures { values, height: shape[shape.len() - 2], width: shape[shape.len() - 1] },
    }
}

/// The texts without padding, where it is masked.
fn texts(golden: &BTreeMap<String, Tensor>) -> TokenBatch {
    let (shape, ids) = &golden["input_ids"];
    let all = vec![1.0; ids.len()];
    let mask = golden.get("attention_mask").map_or(&all, |(_, mask)| mask);
    let mut batch = TokenBatch::new();
    for (ids, mask) in ids.chunks_exact(shape[1]).zip(mask.chunks_exact(shape[1])) {
        let kept = ids.iter().zip(mask).filter(|(_, mask)| **mask > 0.0).map(|(id, _)| *id as u32);
        batch.push(&kept.collect::<Vec<_>>());
    }
    batch
}
