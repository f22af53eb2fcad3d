//! Models by name: a bundled one, a folder, or an id of the Hugging Face hub with its standard cache. Tables of data sets
//! come into that cache, too.
//!
//! The rules of names, the cache and the hub's answers are those of the Python package `huggingface_hub`, so that what
//! either has downloaded serves both.

mod api;
mod cache;
mod choice;
mod download;
mod error;
mod file;
mod files;
mod lock;
mod name;
mod options;
mod repo;
mod verify;

use clipgauge_core::model_files::ModelFiles;
use tokio::runtime::{Builder, Runtime};

use crate::cancel::Cancel;
use crate::progress::Progress;
use api::Api;
use cache::RepoCache;
use choice::Part;
use download::Downloads;
use name::ModelName;

pub(crate) use cache::cached_models;
pub use error::{HubError, Unreachable};
pub(crate) use file::HubPath;
pub use file::{HubFile, HubFileError};
pub(crate) use files::{RepoFiles, cached, fetch, list};
pub use options::{HubOptions, Token};
pub(crate) use repo::Repo;
pub use repo::{RepoId, RepoKind};

/// The name of the model that is part of the program.
pub const BUNDLED_MODEL: &str = "pictoclip";

/// A model found, with all its files at hand.
#[derive(Debug, Clone)]
pub struct ResolvedModel {
    /// The name as the user gave it.
    pub name: String,
    /// The id that it stands for, for a model from the hub.
    pub id: Option<String>,
    /// The commit, for a model from the hub.
    pub revision: Option<String>,
    /// Its files.
    pub files: ModelFiles,
}

/// Finds a model, and downloads what of it is not at hand yet.
///
/// A name is, in this order, that of the bundled model, one that another tool has for a model (`ViT-B/32`,
/// `open_clip:ViT-B-32/laion2b_s34b_b79k`, `hf-hub:org/name`), a folder that exists, or an id of the hub (`org/name` or
/// `name`), with `@revision` behind it for a branch, tag or commit. A whole model of a commit in the cache takes no
/// request; one of a branch takes one, to see where the branch is, and goes without where the hub does not answer.
///
/// Blocks, and must not be called from within an asynchronous runtime.
pub fn resolve(
    name: &str,
    options: &HubOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<ResolvedModel, HubError> {
    resolve_part(name, Part::All, options, progress, cancel)
}

/// The same without the weights: they are there only if they were in the cache already.
pub fn resolve_text_files(
    name: &str,
    options: &HubOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<ResolvedModel, HubError> {
    resolve_part(name, Part::TextFiles, options, progress, cancel)
}

fn resolve_part(
    name: &str,
    part: Part,
    options: &HubOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<ResolvedModel, HubError> {
    let found = |files| ResolvedModel { name: name.to_owned(), id: None, revision: None, files };
    match name::parse(name)? {
        ModelName::Bundled => Ok(found(bundled()?)),
        ModelName::Folder(folder) => Ok(found(ModelFiles::Folder(folder))),
        ModelName::Hub(model) => {
            let cache = RepoCache::new(&options.cache, &model.id);
            let commit = find_model(&model, &cache, part, options, progress, cancel)?;
            let files = ModelFiles::Folder(cache.snapshot(&commit));
            Ok(ResolvedModel { id: Some(model.id.name), revision: Some(commit), ..found(files) })
        }
    }
}

/// Single-threaded: files come one after the other, which is enough for any connection.
fn runtime() -> Result<Runtime, HubError> {
    Builder::new_current_thread().enable_all().build().map_err(HubError::Runtime)
}

#[cfg(feature = "pictoclip")]
fn bundled() -> Result<ModelFiles, HubError> {
    Ok(ModelFiles::Bundled(clipgauge_pictoclip::FILES))
}

#[cfg(not(feature = "pictoclip"))]
fn bundled() -> Result<ModelFiles, HubError> {
    Err(HubError::NotBundled)
}

/// The commit of a model whose files are in the cache when this returns.
fn find_model(
    model: &Repo,
    cache: &RepoCache,
    part: Part,
    options: &HubOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<String, HubError> {
    let cached = cache.commit(&model.revision).filter(|commit| choice::is_usable(cache, commit, part));
    match cached {
        Some(commit) if commit == model.revision && choice::is_whole(cache, &commit, part) => return Ok(commit),
        Some(commit) if options.offline => return Ok(commit),
        None if options.offline => return Err(HubError::unavailable(&model.id, options, Unreachable::Offline)),
        _ => {}
    }
    let fetched = runtime()?.block_on(async {
        let api = Api::new(model, options)?;
        let downloads = Downloads { api: &api, cache, options, progress };
        tokio::select! {
            fetched = downloads.model(part, cached.is_some()) => fetched,
            () = cancel.requested() => Err(HubError::Interrupted { kind: RepoKind::Model }),
        }
    });
    match (fetched, cached) {
        (Err(error), Some(commit)) if error.is_the_hubs() => {
            tracing::warn!(model = model.id.name, %commit, %error, "using the model as it is in the cache");
            Ok(commit)
        }
        (fetched, _) => fetched,
    }
}
