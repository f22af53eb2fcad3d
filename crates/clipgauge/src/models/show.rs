//! What one model is, from its small files and the headers of its weights.

use clipgauge_core::family::{self, Description};
use serde::Serialize;

use super::ModelError;
use crate::cancel::Cancel;
use crate::hub::{self, HubOptions};
use crate::loading::LoadingError;
use crate::progress::Progress;

/// A model, described.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Shown {
    /// The name as the user gave it.
    pub name: String,
    /// Its id, for a model from the hub.
    pub id: Option<String>,
    /// Its commit, for a model from the hub.
    pub revision: Option<String>,
    /// Where its files are, for a person.
    pub place: String,
    /// What its files say.
    #[serde(flatten)]
    pub description: Description,
    /// What may surprise.
    pub remarks: Vec<String>,
}

/// Describes a model. Of one from the hub the configuration and the tokenizer are fetched where they are not in the
/// cache, and never the weights.
///
/// ```
/// use clipgauge::{cancel::Cancel, hub::HubOptions, models, progress::Silent};
///
/// let shown = models::show("pictoclip", &HubOptions::from_env(), &Silent, &Cancel::new())?;
/// assert_eq!((shown.description.family, shown.description.embedding_width), ("CLIP", 128));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The model cannot be found, or its files are not those of a model that can be used.
pub fn show(name: &str, options: &HubOptions, progress: &dyn Progress, cancel: &Cancel) -> Result<Shown, ModelError> {
    let model = hub::resolve_text_files(name, options, progress, cancel)?;
    let load = |source| LoadingError::Load { model: name.to_owned(), source };
    let description = family::describe(&model.files).map_err(load)?;
    Ok(Shown {
        place: model.files.place(),
        name: model.name,
        id: model.id,
        revision: model.revision,
        remarks: description.remarks(),
        description,
    })
}
