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

/// temporary
#[derive(Debug, thiserror::Error)]
#[error("hub")]
pub struct HubError;
/// temporary
pub struct HubOptions;
impl HubOptions {
    /// temporary
    pub fn from_env() -> Self {
        Self
    }
}
/// temporary
pub fn resolve(
    name: &str,
    _: &HubOptions,
    _: &dyn crate::progress::Progress,
    _: &crate::cancel::Cancel,
) -> Result<ResolvedModel, HubError> {
    let files = if name == "pictoclip" {
        ModelFiles::Bundled(clipgauge_pictoclip::FILES)
    } else {
        ModelFiles::Folder(name.into())
    };
    Ok(ResolvedModel { name: name.into(), revision: None, files })
}
