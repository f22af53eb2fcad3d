//! MetaCLIP 2: CLIP's architecture over a multilingual vocabulary.
//!
//! Chuang et al. 2025; transformers' `models/metaclip_2/modeling_metaclip_2.py`, which reads a text at its end token
//! whatever its id, where CLIP's takes the id 2 for a mistake.

use crate::backend::Backend;
use crate::error::LoadError;
use crate::family::towers::TwoTowers;
use crate::family::towers::text::Reading;
use crate::family::{ModelFamily, clip};
use crate::model_files::ModelFiles;

/// Loads a MetaCLIP 2.
pub(super) fn load<B: Backend>(files: &ModelFiles, backend: B) -> Result<TwoTowers<B>, LoadError> {
    clip::load_as(ModelFamily::MetaClip2, files, backend, Reading::UpToToken)
}
