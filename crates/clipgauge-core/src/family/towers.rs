//! Two towers make a model: what every family gives when it is loaded.

use crate::backend::{Backend, Rows};
use crate::embeddings::Embeddings;
use crate::encoder::{EncodeError, Encoder};
use crate::error::LoadError;
use crate::family::parameters::Parameters;
use crate::pixels::PixelBatch;
use crate::spec::ModelSpec;
use crate::tokenize::TokenBatch;

pub(crate) mod attention_pool;
pub(crate) mod bert;
pub(crate) mod patches;
pub(crate) mod text;
pub(crate) mod transformer;
pub(crate) mod vision;

/// One half of a model.
pub(crate) trait Tower<B, Batch>: Send + Sync {
    /// `[items of the batch, embedding_width]`, not normalised.
    fn forward(&self, backend: &B, batch: &Batch) -> Result<Rows, EncodeError>;
}

/// A model of two towers, ready to encode.
pub(crate) struct TwoTowers<B: Backend> {
    pub(crate) spec: ModelSpec,
    pub(crate) image: Box<dyn Tower<B, PixelBatch>>,
    pub(crate) text: Box<dyn Tower<B, TokenBatch>>,
    pub(crate) backend: B,
}

impl<B: Backend> Encoder for TwoTowers<B> {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError> {
        let rows = self.image.forward(&self.backend, batch)?;
        Ok(Embeddings::new(rows.into_values(), self.spec.embedding_width))
    }

    fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError> {
        let rows = self.text.forward(&self.backend, batch)?;
        Ok(Embeddings::new(rows.into_values(), self.spec.embedding_width))
    }
}

/// The factor of a model's logits, of which the logarithm is stored.
pub(crate) fn logit_scale<B: Backend>(parameters: &Parameters<'_, B>, name: &str) -> Result<f32, LoadError> {
    Ok(parameters.number(name)?.exp())
}

/// The ids of a text, if it is one that a text tower takes.
pub(crate) fn checked(ids: &[u32], vocabulary: usize, context_length: usize) -> Result<&[u32], EncodeError> {
    if ids.is_empty() || ids.len() > context_length {
        return Err(EncodeError::TextLength { length: ids.len(), context_length });
    }
    match ids.iter().find(|&&id| id as usize >= vocabulary) {
        Some(&id) => Err(EncodeError::TokenOutOfRange { id, vocabulary }),
        None => Ok(ids),
    }
}

/// Adds a vector to another.
pub(crate) fn add(sum: &mut [f32], addend: &[f32]) {
    sum.iter_mut().zip(addend).for_each(|(sum, addend)| *sum += addend);
}
