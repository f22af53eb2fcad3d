//! The model families: each one file from configuration to embedding.

use crate::encoder::Encoder;
use crate::error::LoadError;
use crate::model_files::ModelFiles;

/// The families that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelFamily {
    /// OpenAI's CLIP and all that has its architecture in Hugging Face's form.
    Clip,
}

/// Reads a model and makes it ready to encode.
pub fn load(files: &ModelFiles) -> Result<Box<dyn Encoder>, LoadError> {
    files.require("config.json")?;
    unreachable!("comes with the first family")
}
