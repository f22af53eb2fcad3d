//! The contract between the layers: what turns images and texts into vectors.
//!
//! Everything above it (scoring, tables, the command) speaks to this trait, and everything below it (families,
//! backends) is reached through it. A backend's own needs, such as padding, stay behind it.

use crate::embeddings::Embeddings;
use crate::pixels::PixelBatch;
use crate::spec::ModelSpec;
use crate::tokenize::TokenBatch;

/// Turns images and texts into vectors of one space.
///
/// An implementation must give the same vector for the same item whatever else is in the batch.
pub trait Encoder: Send + Sync {
    /// What the model wants its images and texts to look like, and what its vectors are.
    fn spec(&self) -> &ModelSpec;

    /// One vector of [`ModelSpec::embedding_width`] per picture, not normalised.
    fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError>;

    /// One vector of [`ModelSpec::embedding_width`] per text, not normalised.
    fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError>;
}

/// Why a batch cannot be encoded: the batch and the model do not fit each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The pictures are not of the shape that the model takes.
    #[error("the model takes pictures of {expected}, the batch holds {found}")]
    PictureShape {
        /// What the model takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A token id lies outside the model's vocabulary: tokenizer and model do not belong together.
    #[error("token id {id} is outside the model's vocabulary of {vocabulary}: is the tokenizer another model's?")]
    TokenOutOfRange {
        /// The id.
        id: u32,
        /// How many ids the model knows.
        vocabulary: usize,
    },
    /// A text has no token, or more than the model has positions for.
    #[error("a text of {length} tokens: the model takes from 1 to {context_length}")]
    TextLength {
        /// How many tokens the text has.
        length: usize,
        /// How many the model takes.
        context_length: usize,
    },
    /// The encoder is not one of this crate's and failed for a reason of its own.
    #[error("the encoder failed")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}
