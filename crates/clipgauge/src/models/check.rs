//! Whether a model works here: loaded, and given a picture and a text.

use std::time::Instant;

use clipgauge_core::family;
use clipgauge_core::metric::Metric;
use clipgauge_core::pixels::Pixels;
use clipgauge_core::precision::Precision;
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::tokenize::TokenBatch;
use serde::Serialize;

use super::ModelError;
use crate::cancel::Cancel;
use crate::hub::{self, HubOptions};
use crate::loading::{self, LoadingError};
use crate::progress::Progress;

/// The text that is encoded.
const TEXT: &str = "a photo of a cat";

/// Columns and rows of the picture that is encoded.
const SIDES: [u32; 2] = [320, 240];

/// What came of checking a model.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// The name as the user gave it.
    pub name: String,
    /// Its id, for a model from the hub.
    pub id: Option<String>,
    /// Its commit, for a model from the hub.
    pub revision: Option<String>,
    /// Its family.
    pub family: &'static str,
    /// Rows and columns of the picture that the model sees, or rows and columns of patches and numbers of each.
    pub picture_shape: Vec<usize>,
    /// Tokens of the text that the model sees.
    pub text_tokens: Option<usize>,
    /// Numbers in an embedding.
    pub embedding_width: usize,
    /// The cosine of the two embeddings.
    pub cosine: Option<f32>,
    /// How long it took.
    pub seconds: Took,
    /// The most memory that this process had, where the system tells.
    pub peak_bytes: Option<u64>,
    /// What may surprise, and is dealt with.
    pub remarks: Vec<String>,
    /// What keeps the model from scoring.
    pub problems: Vec<String>,
}

/// How long each part took, in seconds.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Took {
    /// Loading the model.
    pub load: f64,
    /// Preprocessing and encoding one picture.
    pub image: f64,
    /// Tokenizing and encoding one text.
    pub text: Option<f64>,
}

/// Loads a model, fetching it if need be, and has it encode a picture and a text that are part of the program.
///
/// # Errors
/// The model cannot be found or loaded, or takes nothing of what its own files make.
pub fn check(
    name: &str,
    options: &HubOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Checked, ModelError> {
    let model = hub::resolve(name, options, progress, cancel)?;
    let load = |source| LoadingError::Load { model: name.to_owned(), source };
    let encode = |source| ModelError::Encode { model: name.to_owned(), source };
    let description = family::describe(&model.files).map_err(load)?;
    let (loaded, load_seconds) = timed(|| loading::encoder(&model, name, Precision::F32, cancel));
    let encoder = loaded?;
    let spec = encoder.spec();

    let mut problems = Vec::new();
    let picture = picture();
    let (encoded, image_seconds) = timed(|| {
        let pixels = preprocess([&picture], &spec.image);
        let shape = shape(&pixels);
        encoder.encode_images(&pixels).map(|image| (image, shape))
    });
    let (image, picture_shape) = encoded.map_err(encode)?;
    problems.extend(broken("the picture", image.row(0)));

    let (mut text_tokens, mut text_seconds, mut cosine) = (None, None, None);
    match &spec.tokenizer {
        None => problems.push("there is no tokenizer, so captions cannot be scored".to_owned()),
        Some(tokenizer) => {
            let (encoded, seconds) = timed(|| {
                let ids = tokenizer.tokenize(TEXT)?.ids;
                let text = encoder.encode_texts(&TokenBatch::from_iter([ids.as_slice()])).map_err(encode)?;
                Ok::<_, ModelError>((text, ids.len()))
            });
            let (text, tokens) = encoded?;
            (text_tokens, text_seconds) = (Some(tokens), Some(seconds));
            problems.extend(broken("the text", text.row(0)));
            if problems.is_empty() {
                let comparer = Metric::Cosine.comparer(spec).ok();
                cosine = comparer.map(|comparer| comparer.compare(image.row(0), text.row(0)));
            }
        }
    }
    Ok(Checked {
        name: model.name,
        id: model.id,
        revision: model.revision,
        family: description.family,
        picture_shape,
        text_tokens,
        embedding_width: spec.embedding_width,
        cosine,
        seconds: Took { load: load_seconds, image: image_seconds, text: text_seconds },
        peak_bytes: peak_bytes(),
        remarks: description.remarks(),
        problems,
    })
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

/// A picture with something in every channel: two slopes and a checkerboard.
fn picture() -> Pixels {
    let [width, height] = SIDES;
    let rgb = (0..height).flat_map(|row| {
        (0..width).flat_map(move |column| {
            let is_light = (row / 16 + column / 16) % 2 == 0;
            [(column * 255 / width) as u8, (row * 255 / height) as u8, if is_light { 200 } else { 50 }]
        })
    });
    Pixels::new(width, height, rgb.collect())
}

fn shape(pixels: &clipgauge_core::pixels::PixelBatch) -> Vec<usize> {
    use clipgauge_core::pixels::PixelBatch;
    match pixels {
        PixelBatch::Pictures { height, width, .. } => vec![*height, *width],
        PixelBatch::Patches { patch_width, grids, .. } => {
            grids.iter().flatten().map(|side| *side as usize).chain([*patch_width]).collect()
        }
    }
}

/// What is wrong with an embedding, if something is.
fn broken(of: &str, embedding: &[f32]) -> Option<String> {
    if embedding.iter().any(|value| !value.is_finite()) {
        return Some(format!(
            "the embedding of {of} has numbers that are none (NaN or infinite): are the weights damaged?"
        ));
    }
    let is_zero = embedding.iter().all(|value| *value == 0.0);
    is_zero.then(|| format!("the embedding of {of} is all zeros: are the weights damaged?"))
}

/// The most memory that this process had, as Linux tells it.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
