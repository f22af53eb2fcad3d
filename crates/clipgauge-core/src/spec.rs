//! What one model wants: read from the model's own files, it drives preprocessing, tokenizing and encoding.
//!
//! No stage has a constant of any one model; what differs between models is a field here.

mod preprocessor_config;

use crate::family::ModelFamily;
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
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSpec {
    /// The most tokens the text tower takes, special tokens included. Longer texts are cut so that the end token stays.
    pub context_length: usize,
    /// `Some(id)` where padding up to `context_length` counts (SigLIP): every text is then filled up with that id.
    /// `None` where padding is masked, and texts are therefore packed without any.
    pub pad_token: Option<u32>,
}
