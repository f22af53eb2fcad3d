//! Files of a repository by their paths: which ones there are, and bringing them into the cache.

use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use crate::cancel::Cancel;
use crate::hub::api::Api;
use crate::hub::cache::RepoCache;
use crate::hub::download::Downloads;
use crate::hub::error::{HubError, Unreachable};
use crate::hub::file::HubFile;
use crate::hub::options::HubOptions;
use crate::hub::repo::Repo;
use crate::hub::runtime;
use crate::progress::{Progress, Silent};

/// What a repository has at a commit.
#[derive(Debug)]
pub(crate) struct RepoFiles {
    pub(crate) commit: String,
    /// The paths of its files, sorted by name folder by folder.
    pub(crate) paths: Vec<String>,
    /// Whether the hub could not be asked, so that only those in the cache are known.
    pub(crate) is_only_cached: bool,
}

impl RepoFiles {
    fn new(commit: String, paths: impl Iterator<Item = String>, is_only_cached: bool) -> Self {
        let mut paths: Vec<_> = paths.collect();
        paths.sort_by(|a, b| a.split('/').cmp(b.split('/')));
        Self { commit, paths, is_only_cached }
    }

    /// What of a revision is in the cache, if anything.
    fn in_cache(cache: &RepoCache, revision: &str) -> Option<Self> {
        let commit = cache.commit(revision)?;
        let snapshot = cache.snapshot(&commit);
        let files = WalkDir::new(&snapshot).follow_links(true).into_iter().flatten();
        let files = files.filter(|entry| entry.file_type().is_file());
        let path = |path: &Path| {
            let parts = path.strip_prefix(&snapshot).ok()?.components();
            Some(parts.map(|part| part.as_os_str().to_str()).collect::<Option<Vec<_>>>()?.join("/"))
        };
        let found = Self::new(commit, files.filter_map(|entry| path(entry.path())), true);
        (!found.paths.is_empty()).then_some(found)
    }
}

/// Asks which files a repository has. Where the hub does not answer or is to be left alone, they are those in the cache.
///
/// # Errors
///
/// There is no such repository or revision, or it may not be seen; or the hub cannot be asked and nothing is in the cache.
///
/// Blocks, and must not be called from within an asynchronous runtime.
pub(crate) fn list(repo: &Repo, options: &HubOptions) -> Result<RepoFiles, HubError> {
    let cache = RepoCache::new(&options.cache, &repo.id);
    let cached = RepoFiles::in_cache(&cache, &repo.revision);
    if options.offline {
        return cached.ok_or_else(|| HubError::unavailable(&repo.id, options, Unreachable::Offline));
    }
    let listed: Result<_, HubError> = runtime()?.block_on(async {
        let api = Api::new(repo, options)?;
        let downloads = Downloads { api: &api, cache: &cache, options, progress: &Silent };
        let listing = downloads.listing(cached.is_some()).await?;
        downloads.remember(&listing.commit);
        Ok(listing)
    });
    match (listed, cached) {
        (Ok(listing), _) => {
            let paths = listing.files().filter(|path| is_local(path)).map(str::to_owned);
            Ok(RepoFiles::new(listing.commit.clone(), paths, false))
        }
        (Err(error), Some(cached)) if error.is_the_hubs() => {
            tracing::warn!(repository = %repo.id, commit = %cached.commit, %error, "using what is in the cache");
            Ok(cached)
        }
        (Err(error), _) => Err(error),
    }
}

/// Where a file lies in the cache; `None` if it is not there.
pub(crate) fn cached(file: &HubFile, options: &HubOptions) -> Option<PathBuf> {
    let cache = RepoCache::new(&options.cache, &file.repo.id);
    let commit = cache.commit(&file.repo.revision)?;
    Some(cache.pointer(&commit, &file.path)).filter(|path| is_local(&file.path) && path.is_file())
}

/// Brings files into the cache, as far as they are not there, one after the other.
///
/// # Errors
///
/// One of them cannot be had, or the run was to end first. What has arrived of it is kept, and is gone on with next time.
///
/// Blocks, and must not be called from within an asynchronous runtime.
pub(crate) fn fetch(
    files: &[HubFile],
    options: &HubOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), HubError> {
    let missing: Vec<_> = files.iter().filter(|file| cached(file, options).is_none()).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    if options.offline {
        return Err(HubError::unavailable(&first.repo.id, options, Unreachable::Offline));
    }
    runtime()?.block_on(async {
        tokio::select! {
            fetched = fetch_all(&missing, options, progress) => fetched,
            () = cancel.requested() => Err(HubError::Interrupted { kind: first.repo.id.kind }),
        }
    })
}

async fn fetch_all(files: &[&HubFile], options: &HubOptions, progress: &dyn Progress) -> Result<(), HubError> {
    for of_one in files.chunk_by(|a, b| a.repo == b.repo) {
        let repo = &of_one[0].repo;
        let cache = RepoCache::new(&options.cache, &repo.id);
        let api = Api::new(repo, options)?;
        let downloads = Downloads { api: &api, cache: &cache, options, progress };
        let commit = match cache.commit(&repo.revision) {
            Some(commit) => commit,
            None => {
                let listing = downloads.listing(false).await?;
                downloads.remember(&listing.commit);
                listing.commit
            }
        };
        for file in of_one {
            if !is_local(&file.path) {
                return Err(HubError::Path { file: file.to_string() });
            }
            downloads.file(&commit, &file.path).await?;
        }
    }
    Ok(())
}

/// Whether a path goes nowhere but down from the folder that it is put in, on this system.
fn is_local(path: &str) -> bool {
    let is_clean = !path.chars().any(|character| character.is_ascii_control());
    let parts = Path::new(path).components();
    is_clean
        && parts.clone().all(|part| matches!(part, Component::Normal(_)))
        && parts.count() == path.split('/').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_folder() {
        for path in ["0.parquet", "data/a b (1).parquet", "模型/x.csv", "a..b/x"] {
            assert!(is_local(path), "{path}");
        }
        for path in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a/./b", "a\0b", "a\nb"] {
            assert!(!is_local(path), "{path}");
        }
    }
}
