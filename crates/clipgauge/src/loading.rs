//! The one place where a model is found by its name and made ready to encode, for whatever is done with it.

use std::io;
use std::sync::Arc;

use clipgauge_core::encoder::Encoder;
use clipgauge_core::error::LoadError;
use clipgauge_core::family::{self, LoadOptions};
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::spec::ModelSpec;

use crate::cancel::Cancel;
use crate::fingerprint;
use crate::hub::{self, HubError, HubOptions, ResolvedModel};
use crate::progress::Progress;
use crate::waiting::{Unfinished, unless_cancelled};

/// A model, ready to encode.
pub(crate) struct LoadedModel {
    pub(crate) encoder: Arc<dyn Encoder>,
    /// Its id, if it came from the hub.
    pub(crate) id: Option<String>,
    /// Its commit.
    pub(crate) revision: Option<String>,
    /// Which model it is, whatever it was called.
    pub(crate) identity: String,
    /// What it was made of.
    pub(crate) files: ModelFiles,
}

/// Why a model cannot be had or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadingError {
    /// It cannot be found or fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// It was found but cannot be used.
    #[error("the model `{model}` cannot be used")]
    Load {
        /// The model's name.
        model: String,
        /// What is wrong with it.
        #[source]
        source: LoadError,
    },
    /// Its files hold no tokenizer.
    #[error(
        "the model `{model}` has no tokenizer: its folder needs tokenizer.json, vocab.json with merges.txt, or vocab.txt"
    )]
    NoTokenizer {
        /// The model's name.
        model: String,
    },
    /// Its files cannot be looked at.
    #[error("the files of the model `{model}` cannot be read")]
    Identity {
        /// The model's name.
        model: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The user asked to end before it was ready.
    #[error("interrupted while the model was being loaded")]
    Interrupted,
    /// The system gives no thread to load it on.
    #[error("no thread can be started")]
    Thread(#[source] io::Error),
}

impl LoadingError {
    /// Whether it is that the user asked to end.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Interrupted | Self::Hub(HubError::Interrupted { .. }))
    }
}

impl From<Unfinished> for LoadingError {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Cancelled => Self::Interrupted,
            Unfinished::NoThread(error) => Self::Thread(error),
        }
    }
}

/// Finds a model, fetching it if need be, and loads it.
pub(crate) fn load(
    name: &str,
    options: LoadOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<LoadedModel, LoadingError> {
    let model = hub::resolve(name, &HubOptions::from_env(), progress, cancel)?;
    let encoder = encoder(&model, name, options, cancel)?;
    let identity =
        fingerprint::of_model(&model).map_err(|source| LoadingError::Identity { model: name.to_owned(), source })?;
    Ok(LoadedModel { encoder, id: model.id, revision: model.revision, identity, files: model.files })
}

/// The same for a model that is to read captions.
pub(crate) fn load_with_tokenizer(
    name: &str,
    options: LoadOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<LoadedModel, LoadingError> {
    let model = load(name, options, progress, cancel)?;
    match model.encoder.spec().tokenizer {
        Some(_) => Ok(model),
        None => Err(LoadingError::NoTokenizer { model: name.to_owned() }),
    }
}

/// Finds what a model wants its images and texts to look like, fetching its small files if need be, for an encoder of the
/// caller's own.
pub(crate) fn spec(name: &str, progress: &dyn Progress, cancel: &Cancel) -> Result<ModelSpec, LoadingError> {
    let model = hub::resolve_text_files(name, &HubOptions::from_env(), progress, cancel)?;
    let read = unless_cancelled(cancel, move || family::spec(&model.files))?;
    let spec = read.map_err(|source| LoadingError::Load { model: name.to_owned(), source })?;
    match spec.tokenizer {
        Some(_) => Ok(spec),
        None => Err(LoadingError::NoTokenizer { model: name.to_owned() }),
    }
}

/// Loads a model that was found under this name, unless the user asks to end first.
pub(crate) fn encoder(
    model: &ResolvedModel,
    name: &str,
    options: LoadOptions,
    cancel: &Cancel,
) -> Result<Arc<dyn Encoder>, LoadingError> {
    tracing::info!(model = name, revision = model.revision, "loading the model");
    let files = model.files.clone();
    let loaded = unless_cancelled(cancel, move || family::load_with(&files, &options))?;
    loaded.map(Arc::from).map_err(|source| LoadingError::Load { model: name.to_owned(), source })
}
