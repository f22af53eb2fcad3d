//! Models by name: a bundled one, a folder, or an id of the Hugging Face hub with its standard cache.

use clipgauge_core::model_files::ModelFiles;

/// A model found, with all its files at hand.
#[derive(Debug, Clone)]
pub struct ResolvedModel {
    /// The name as the user gave it.
    pub name: String,
    /// The commit, for a model from the hub.
    pub revision: Option<String>,
    /// Its files.
    pub files: ModelFiles,
}
