//! What one model wants: read from the model's own files, it drives preprocessing, tokenizing and encoding.
//!
//! No stage has a constant of any one model; what differs between models is a field here.

mod open_clip;
mod preprocessor_config;

use serde::Serialize;

use crate::error::LoadError;
use crate::family::ModelFamily;
use crate::model_files::ModelFiles;
use crate::tokenize::Tokenizer;

/// A model as its files describe it.
#[derive(Debug, Clone)]
pub struct ModelSpec {
    /// Which family of towers it has; `None` for an encoder that a caller brings.
    pub family: Option<ModelFamily>,
    /// How a picture becomes the image tower's input.
    pub image: ImageSpec,
    /// How a text becomes the text tower's input.
    pub text: TextSpec,
    /// The model's tokenizer; `None` where its folder has none (then only token ids can be encoded).
    pub tokenizer: Option<Tokenizer>,
    /// Numbers in an embedding.
    pub embedding_width: usize,
    /// The factor of the model's logits, already exponentiated: `logit = scale · cosine + bias`.
    pub logit_scale: Option<f32>,
    /// The addend of the model's logits. Only families trained with a sigmoid loss have one.
    pub logit_bias: Option<f32>,
}

/// How a picture is made fit for the image tower, in the order resize, crop, rescale, normalise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageSpec {
    /// The size before the crop.
    pub resize: Resize,
    /// Rows and columns of the centre crop; zeros are put round a picture that is smaller.
    pub crop: Option<[u32; 2]>,
    /// The resampling filter.
    pub filter: Filter,
    /// What a byte is multiplied with, almost always 1/255.
    pub rescale_factor: f32,
    /// Subtracted from each channel after rescaling.
    pub mean: [f32; 3],
    /// Divides each channel after that.
    pub std: [f32; 3],
}

/// The size a picture is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side gets this length, the longer keeps the aspect ratio, rounded down.
    ShortestEdge(u32),
    /// Rows and columns, whatever the aspect ratio was.
    Exact([u32; 2]),
    /// As many patches of `patch_size`² as fit in `max_patches` with the aspect ratio kept (SigLIP 2 NaFlex).
    Patches {
        /// Side of a patch in pixels.
        patch_size: u32,
        /// The most patches a picture may have.
        max_patches: u32,
    },
    /// Left as it is.
    Keep,
}

/// Pillow's resampling filters, by the number that `preprocessor_config.json` has in `resample`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// 0
    Nearest,
    /// 1
    Lanczos,
    /// 2
    Bilinear,
    /// 3
    Bicubic,
    /// 4
    Box,
    /// 5
    Hamming,
}

/// How a text is made fit for the text tower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextSpec {
    /// The most tokens the text tower takes, special tokens included. Longer texts are cut so that the end token stays.
    pub context_length: usize,
    /// `Some(id)` where padding up to `context_length` counts (SigLIP): every text is then filled up with that id.
    /// `None` where padding is masked, and texts are therefore packed without any.
    pub pad_token: Option<u32>,
}

impl ImageSpec {
    /// Reads how a model in Hugging Face's form wants its pictures: from `preprocessor_config.json`, or from the
    /// `processor_config.json` in which transformers 5 may keep it.
    ///
    /// # Errors
    /// Neither file is there, or what is there makes no sense.
    pub fn read(files: &ModelFiles) -> Result<Self, LoadError> {
        const NEWER: &str = "processor_config.json";
        const USUAL: &str = "preprocessor_config.json";
        let name = if files.contains(USUAL) || !files.contains(NEWER) { USUAL } else { NEWER };
        Self::from_preprocessor_config(&files.require(name)?, &files.display(name))
    }

    /// Rows and columns of the pictures that come out; `None` where they have no one size.
    pub fn picture_size(&self) -> Option<[u32; 2]> {
        match (self.crop, self.resize) {
            (Some(size), _) | (None, Resize::Exact(size)) => Some(size),
            (None, Resize::ShortestEdge(_) | Resize::Patches { .. } | Resize::Keep) => None,
        }
    }

    /// Checks that the pictures that come out are those that the image tower takes, `side` pixels square: better now
    /// than with the first row.
    pub(crate) fn check_size(&self, files: &ModelFiles, config: &str, side: usize) -> Result<(), LoadError> {
        let side = side as u32;
        match self.picture_size() {
            Some([rows, columns]) if [rows, columns] == [side, side] => Ok(()),
            other => {
                let found = other.map_or("no one size".to_owned(), |[rows, columns]| format!("{rows}×{columns}"));
                Err(LoadError::Field {
                    file: files.display(config),
                    field: "image_size".to_owned(),
                    problem: format!("is {side}, but its pictures are preprocessed to {found}").into(),
                })
            }
        }
    }
}
