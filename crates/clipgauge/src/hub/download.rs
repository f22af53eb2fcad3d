//! From the hub into the cache: the files of a repository that are not there yet. What arrives is written beside its place,
//! gone on with where it broke off, checked against its hash, and only then given its name.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode, Url};

use crate::client::retry::Backoff;
use crate::hub::api::{Api, Listing, Metadata};
use crate::hub::cache::RepoCache;
use crate::hub::choice::{self, Part};
use crate::hub::error::{HubError, Unreachable};
use crate::hub::name::is_safe_path;
use crate::hub::options::HubOptions;
use crate::hub::{lock, verify};
use crate::progress::Progress;

/// The longest the hub may ask to wait before a retry.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How often the first request is tried again. Less than others: a machine without a network shall hear of it soon.
const FIRST_RETRIES: u32 = 2;

/// The downloads of one repository.
pub(super) struct Downloads<'a> {
    pub(super) api: &'a Api<'a>,
    pub(super) cache: &'a RepoCache,
    pub(super) options: &'a HubOptions,
    pub(super) progress: &'a dyn Progress,
}

impl Downloads<'_> {
    /// The commit and its files. With a fallback this request, the first, which shows whether the hub can be reached, is
    /// not tried again.
    pub(super) async fn listing(&self, has_fallback: bool) -> Result<Listing, HubError> {
        let retries = if has_fallback { 0 } else { self.options.retries.min(FIRST_RETRIES) };
        self.with_retries(retries, || self.api.listing()).await
    }

    /// Brings what is chosen of the model into the cache, and says at which commit.
    pub(super) async fn model(&self, part: Part, has_fallback: bool) -> Result<String, HubError> {
        let listing = self.listing(has_fallback).await?;
        let commit = listing.commit.as_str();
        for file in choice::SMALL_FILES.iter().filter(|file| listing.has(file)) {
            self.file(commit, file).await?;
        }
        if part == Part::All {
            self.weights(commit, &listing).await?;
        }

        // Only saves requests next time: a cache that can only be read is fine up to here, if all was there.
        let absent = choice::SMALL_FILES.iter().filter(|file| !listing.has(file));
        for file in absent.filter(|file| !self.cache.is_absent(commit, file)) {
            if let Err(error) = self.cache.remember_absent(commit, file) {
                tracing::debug!(%error, file, "cannot remember that the model has no such file");
            }
        }
        self.remember(commit);
        Ok(listing.commit)
    }

    /// Remembers what the revision stands for.
    pub(super) fn remember(&self, commit: &str) {
        if let Err(error) = self.cache.remember(&self.api.repo.revision, commit) {
            tracing::warn!(%error, "cannot remember the commit of the revision");
        }
    }

    /// One set of weights, if there is none yet.
    async fn weights(&self, commit: &str, listing: &Listing) -> Result<(), HubError> {
        if choice::cached_weights(self.cache, commit).is_some() {
            return Ok(());
        }
        let model = || self.api.repo.id.name.clone();
        let Some(weights) = choice::weights(|file| listing.has(file)) else {
            return Err(HubError::NoWeights { model: model(), looked_for: choice::WEIGHTS });
        };
        self.file(commit, weights).await?;
        if !choice::is_index(weights) {
            return Ok(());
        }
        let path = self.cache.pointer(commit, weights);
        let index = fs::read(&path).map_err(|source| HubError::cache(&path, source))?;
        let shards = choice::shards(&index).map_err(|error| HubError::Answer {
            url: path.display().to_string(),
            problem: "this is no index of weights",
            source: Some(error),
        })?;
        for shard in shards {
            let problem = if !is_safe_path(&shard) {
                "would lie outside of its folder"
            } else if !listing.has(&shard) {
                "it does not have"
            } else {
                self.file(commit, &shard).await?;
                continue;
            };
            return Err(HubError::Index { model: model(), index: weights, file: shard, problem });
        }
        Ok(())
    }

    /// One file, if it is not there yet.
    pub(super) async fn file(&self, commit: &str, file: &str) -> Result<(), HubError> {
        let pointer = self.cache.pointer(commit, file);
        if pointer.is_file() {
            return Ok(());
        }
        let metadata = self.with_retries(self.options.retries, || self.api.metadata(commit, file)).await?;
        let _lock = lock::acquire(&self.cache.lock(&metadata.etag), self.progress).await?;
        // While this waited, somebody else may have done it.
        if pointer.is_file() {
            return Ok(());
        }
        let blob = self.cache.blob(&metadata.etag);
        let is_new = !blob.is_file();
        if is_new {
            self.download(commit, file, &metadata, &blob).await?;
        }
        self.cache.link(&metadata.etag, commit, file, is_new)
    }

    /// Downloads contents to their place, over as many tries as get any further.
    async fn download(&self, commit: &str, file: &str, metadata: &Metadata, blob: &Path) -> Result<(), HubError> {
        let partial = self.cache.partial(&metadata.etag);
        let cache_error = |source| HubError::cache(&partial, source);
        if let Some(folder) = partial.parent() {
            fs::create_dir_all(folder).map_err(cache_error)?;
        }
        let mut location = Some(metadata.location.clone());
        let (mut retry, mut was_wrong) = (0, false);
        loop {
            let before = length(&partial);
            let error = match self.attempt(commit, file, metadata, location.take(), &partial).await {
                Ok(()) if self.is_genuine(metadata, &partial)? => break,
                Ok(()) => {
                    fs::remove_file(&partial).map_err(cache_error)?;
                    if was_wrong {
                        let (repo, etag) = (self.api.repo.id.clone(), metadata.etag.clone());
                        return Err(HubError::Corrupt { repo, file: file.to_owned(), etag });
                    }
                    was_wrong = true;
                    tracing::warn!(file, "arrived with other contents than the hub says: once more");
                    continue;
                }
                Err(error) => error,
            };
            if length(&partial) > before {
                retry = 0;
            }
            self.wait(self.options.retries, retry, error).await?;
            retry += 1;
        }
        fs::rename(&partial, blob).map_err(|source| HubError::cache(blob, source))
    }

    /// Goes on with a download as far as it gets.
    async fn attempt(
        &self,
        commit: &str,
        file: &str,
        metadata: &Metadata,
        location: Option<Url>,
        partial: &Path,
    ) -> Result<(), HubError> {
        let location = match location {
            Some(location) => location,
            // A location is good for a while only, so it is asked for again after a failure.
            None => self.api.metadata(commit, file).await?.location,
        };
        let cache_error = |source| HubError::cache(partial, source);
        let total = metadata.size;
        let mut out = OpenOptions::new().create(true).append(true).open(partial).map_err(cache_error)?;
        let mut done = out.metadata().map_err(cache_error)?.len();
        if total.is_some_and(|total| done > total) {
            restart(&out, &mut done).map_err(cache_error)?;
        }
        if total == Some(done) {
            return Ok(());
        }
        let broken_off = |done, error: Option<reqwest::Error>| {
            let error = error.map(reqwest::Error::without_url);
            self.api.unreachable(Unreachable::BrokenOff { file: file.to_owned(), done, total, error })
        };
        let mut response = self.api.contents(&location, done).await?;
        if done > 0 && start(&response) != Some(done) {
            restart(&out, &mut done).map_err(cache_error)?;
            // With 200, the server does not do parts and sends the whole. Else, it sends another part or none.
            if response.status() != StatusCode::OK {
                return Err(broken_off(0, None));
            }
        }
        self.progress.download(file, done, total);
        while let Some(chunk) = response.chunk().await.map_err(|error| broken_off(done, Some(error)))? {
            out.write_all(&chunk).map_err(cache_error)?;
            done += chunk.len() as u64;
            if total.is_some_and(|total| done > total) {
                // Not what was announced, which the check will say.
                break;
            }
            self.progress.download(file, done, total);
        }
        out.sync_all().map_err(cache_error)?;
        if total.is_some_and(|total| done < total) {
            return Err(broken_off(done, None));
        }
        self.progress.download(file, done, Some(done));
        Ok(())
    }

    fn is_genuine(&self, metadata: &Metadata, partial: &Path) -> Result<bool, HubError> {
        let has_size = metadata.size.is_none_or(|size| size == length(partial));
        let has_hash = || verify::is_genuine(partial, &metadata.etag);
        Ok(has_size && has_hash().map_err(|source| HubError::cache(partial, source))?)
    }

    async fn with_retries<T>(
        &self,
        retries: u32,
        request: impl AsyncFn() -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut retry = 0;
        loop {
            match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.wait(retries, retry, error).await?,
            }
            retry += 1;
        }
    }

    /// Waits until it is time for retry number `retry`; gives the error back if there is none.
    async fn wait(&self, retries: u32, retry: u32, error: HubError) -> Result<(), HubError> {
        let backoff = Backoff { retries, delay: self.options.retry_delay };
        let Some(wait) = backoff.wait(retry, error.retry(), MAX_WAIT) else {
            return Err(error);
        };
        tracing::info!(%error, ?wait, "trying again");
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Where the part of a file that a server sends begins; `None` if it sends the whole, or nothing.
fn start(response: &Response) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    start.trim().parse().ok()
}

fn restart(out: &File, done: &mut u64) -> std::io::Result<()> {
    *done = 0;
    out.set_len(0)
}

/// The length of a file; of one that is not there, none.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
