//! The models that are known, and those in the cache.

use std::collections::BTreeMap;

use clipgauge_core::family;
use clipgauge_core::model_files::ModelFiles;
use serde::Serialize;

use super::known::{KnownModel, known};
use crate::hub::{HubOptions, cached_models};

/// What there is to choose from.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Listed {
    /// The model that is part of the program, if it is.
    pub bundled: Option<&'static str>,
    /// The well-known models, and what of them is in the cache.
    pub models: Vec<ListedModel>,
    /// Other models in the cache of a family that is known.
    pub others: Vec<OtherModel>,
}

/// A well-known model.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ListedModel {
    /// What is known of it.
    #[serde(flatten)]
    pub known: KnownModel,
    /// What of it is in the cache.
    pub cached: Option<Cached>,
}

/// A model in the cache that is not well known.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct OtherModel {
    /// Its id.
    pub id: String,
    /// The name of its family.
    pub family: &'static str,
    /// What of it is in the cache.
    pub cached: Cached,
}

/// What of a model is in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cached {
    /// Bytes on disk, of all its commits.
    pub bytes: u64,
    /// The commits whose configuration and weights are there; none where only a part is.
    pub revisions: Vec<String>,
}

/// The models that are known, and those of the cache that can be read. Asks nobody.
pub fn list(options: &HubOptions) -> Listed {
    let mut cached: BTreeMap<String, _> =
        cached_models(&options.cache).into_iter().map(|model| (model.id.clone(), model)).collect();
    let models = known()
        .iter()
        .map(|known| {
            let cached = cached.remove(&known.id).map(|found| Cached { bytes: found.bytes, revisions: found.usable });
            ListedModel { known: known.clone(), cached }
        })
        .collect();
    let others = cached.into_values().filter_map(|found| {
        // The cache holds all sorts of models; most are not for us.
        let family = found.snapshots.iter().find_map(|folder| family::of(&ModelFiles::Folder(folder.clone())).ok())?;
        let cached = Cached { bytes: found.bytes, revisions: found.usable };
        Some(OtherModel { id: found.id, family: family.name(), cached })
    });
    Listed {
        bundled: cfg!(feature = "pictoclip").then_some(crate::hub::BUNDLED_MODEL),
        models,
        others: others.collect(),
    }
}
