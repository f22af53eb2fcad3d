//! What a model is, without loading it: its shape from the configuration, its size from the headers of its weights.

use serde::Serialize;

use crate::backend::Activation;
use crate::error::LoadError;
use crate::family::towers::transformer::TransformerShape;
use crate::spec::{ImageSpec, TextSpec};
use crate::weights::Weights;

/// A model as its files describe it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// The family's name.
    pub family: &'static str,
    /// Numbers in an embedding.
    pub embedding_width: usize,
    /// What turns pictures into vectors.
    pub image_tower: ImageTower,
    /// What turns texts into vectors.
    pub text_tower: TextTower,
    /// How pictures are preprocessed.
    pub image: ImageSpec,
    /// How texts are cut and filled up.
    pub text: TextSpec,
    /// Whether captions can be tokenized with what is there.
    pub has_tokenizer: bool,
    /// The weights, as far as their headers tell; `None` where they are not at hand.
    pub weights: Option<StoredWeights>,
    /// The factor of the model's logits; `None` where the weights are not at hand.
    pub logit_scale: Option<f32>,
    /// The addend of the model's logits, in families that have one.
    pub logit_bias: Option<f32>,
    /// The fields that the configuration leaves to the family's defaults.
    pub defaulted: Vec<String>,
}

/// An image tower.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageTower {
    /// The stack of blocks.
    #[serde(flatten)]
    pub blocks: Blocks,
    /// Rows and columns of a picture, in pixels; `None` where a picture keeps its aspect ratio.
    pub image_size: Option<usize>,
    /// Rows and columns of a patch, in pixels.
    pub patch_size: usize,
    /// Tokens of a picture, of the largest where they differ.
    pub tokens: usize,
    /// Floating-point operations for such a picture: two for each multiplication with its addition.
    pub flops: u64,
}

/// A text tower.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextTower {
    /// The stack of blocks.
    #[serde(flatten)]
    pub blocks: Blocks,
    /// Ids that have an embedding.
    pub vocabulary: usize,
    /// Positions that a token can have.
    pub positions: usize,
    /// Where a text is read.
    pub reads: String,
    /// Tokens of the longest text.
    pub tokens: usize,
    /// Floating-point operations for such a text.
    pub flops: u64,
}

/// The stack of blocks of a tower.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Blocks {
    /// Numbers per token.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads of a block.
    pub heads: usize,
    /// Numbers per token between the two linear layers of a block.
    pub inner_width: usize,
    /// What lies between these, as `hidden_act` names it.
    pub activation: &'static str,
}

/// Weights, as far as their headers tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredWeights {
    /// Numbers that were learnt: those of all tensors that hold floating-point numbers.
    pub parameters: u64,
    /// How these are stored, by how many there are.
    pub number_types: Vec<NumberTypeCount>,
    /// Bytes of the files.
    pub bytes: u64,
}

/// How many numbers are stored in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberTypeCount {
    /// `F32`, `F16`, `BF16` or `F64`.
    pub name: &'static str,
    /// How many.
    pub count: u64,
}

impl Description {
    /// Adds what the weights say, if they are there.
    pub(super) fn with_weights(mut self, weights: &Weights) -> Result<Self, LoadError> {
        (self.logit_scale, self.logit_bias) = logits(weights)?;
        self.weights = Some(weights.summary());
        Ok(self)
    }

    /// What may surprise: all of it is dealt with as the reference does.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.family == super::ModelFamily::Clip.name() && self.text_tower.reads == HIGHEST_ID {
            remarks.push(
                "`eos_token_id` is 2, as in old files by mistake: a text is read at its highest id, as the reference does"
                    .to_owned(),
            );
        }
        if !self.has_tokenizer {
            remarks.push("there is no tokenizer: captions cannot be scored, only token ids encoded".to_owned());
        }
        if self.text.context_length < self.text_tower.positions {
            remarks.push(format!(
                "texts are cut at {} tokens (`model_max_length`), where the model has {} positions",
                self.text.context_length, self.text_tower.positions
            ));
        }
        let (told, others) = self.defaulted.split_at(self.defaulted.len().min(TOLD));
        match others.len() {
            _ if told.is_empty() => {}
            0 => remarks.push(format!("left to the family's defaults: {}", told.join(", "))),
            count => remarks.push(format!("left to the family's defaults: {} and {count} more", told.join(", "))),
        }
        remarks
    }
}

/// The factor, already exponentiated, and the addend of a model's logits, as far as its weights have them.
pub(super) fn logits(weights: &Weights) -> Result<(Option<f32>, Option<f32>), LoadError> {
    let number = |name: &str| {
        weights.shape(name).map(|shape| Ok(weights.f32(name, &vec![1; shape.len().min(1)])?[0])).transpose()
    };
    Ok((number("logit_scale")?.map(f32::exp), number("logit_bias")?))
}

/// How many of the fields with their defaults a remark names.
const TOLD: usize = 3;

/// How [`TextTower::reads`] tells of the place with the highest id.
pub(super) const HIGHEST_ID: &str = "at the highest id";

impl Blocks {
    pub(super) fn of(shape: TransformerShape) -> Self {
        let TransformerShape { width, inner_width, layers, heads, activation, .. } = shape;
        Self { width, layers, heads, inner_width, activation: activation_name(activation) }
    }
}

fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::QuickGelu => "quick_gelu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
    }
}

/// Operations of a stack of blocks over one item, and of linear layers with so many weights that its tokens, or its
/// one vector, go through.
pub(super) fn flops(shape: TransformerShape, tokens: usize, per_token: usize, once: usize) -> u64 {
    let [width, inner, layers, tokens, per_token, once] =
        [shape.width, shape.inner_width, shape.layers, tokens, per_token, once].map(|number| number as u128);
    let linear = 4 * width * width + 2 * width * inner;
    // Queries with keys, weights with values.
    let attention = 2 * tokens * width;
    let multiplications = layers * tokens * (linear + attention) + tokens * per_token + once;
    u64::try_from(2 * multiplications).unwrap_or(u64::MAX)
}
