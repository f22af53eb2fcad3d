//! MetaCLIP 2: CLIP's architecture over a multilingual vocabulary.
//!
//! Chuang et al. 2025; transformers' `models/metaclip_2/modeling_metaclip_2.py`, which reads a text at its end token
//! whatever its id, where CLIP's takes the id 2 for a mistake.

use crate::backend::Backend;
use crate::error::LoadError;
use crate::family::clip::ClipVision;
use crate::family::design::Design;
use crate::family::towers::TwoTowers;
use crate::family::towers::text::{Reading, TextShape};
use crate::family::{ModelFamily, clip};
use crate::model_files::ModelFiles;

/// What a configuration of MetaCLIP 2 says.
pub(super) fn read(files: &ModelFiles) -> Result<Design<ClipVision, TextShape>, LoadError> {
    clip::read_as(files, Reading::UpToToken)
}

/// Loads a MetaCLIP 2.
pub(super) fn load<B: Backend>(files: &ModelFiles, backend: B) -> Result<TwoTowers<B>, LoadError> {
    clip::load_as(ModelFamily::MetaClip2, files, read(files)?, backend)
}
