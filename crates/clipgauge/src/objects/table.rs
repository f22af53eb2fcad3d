//! Tables in buckets: read from the beginning to the end, or in ranges. Reading blocks, as that of files does.

use std::io::{self, Read};
#[cfg(feature = "parquet")]
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::{Builder, Runtime};

use super::stores::{AskError, StoreSettings, Stores};
use super::url::ObjectUrl;
use crate::source::FetchOptions;

/// The longest that a store may say nothing. Longer than for a picture: a part of a table is larger, and a table that
/// fails ends the run.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);

/// What tables in buckets are reached by at the moment.
static IN_USE: Mutex<Vec<InUse>> = Mutex::new(Vec::new());

struct InUse {
    settings: StoreSettings,
    runtime: Weak<Runtime>,
    stores: Weak<Stores>,
}

/// What tables in buckets are reached by. Those that are used at once, the same way, share their connections.
#[derive(Debug, Clone)]
pub(crate) struct TableStores {
    /// One thread is enough: it hardly does more than wait.
    pub(super) runtime: Arc<Runtime>,
    pub(super) stores: Arc<Stores>,
}

impl TableStores {
    pub(crate) fn new(options: &FetchOptions) -> io::Result<Self> {
        let settings = StoreSettings {
            options: options.objects,
            connect_timeout: options.connect_timeout,
            stall_timeout: Some(STALL_TIMEOUT),
            retries: options.retries,
            user_agent: options.user_agent.clone(),
        };
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|used| used.stores.strong_count() > 0);
        if let Some(used) = in_use.iter().find(|used| used.settings == settings)
            && let (Some(runtime), Some(stores)) = (used.runtime.upgrade(), used.stores.upgrade())
        {
            return Ok(Self { runtime, stores });
        }
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("clipgauge-object").enable_all().build()?;
        let stores = Stores::new(&settings).map_err(io::Error::other)?;
        let new = Self { runtime: Arc::new(runtime), stores: Arc::new(stores) };
        let (runtime, stores) = (Arc::downgrade(&new.runtime), Arc::downgrade(&new.stores));
        in_use.push(InUse { settings, runtime, stores });
        Ok(new)
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask<T, F>(
        &self,
        url: &ObjectUrl,
        ask: impl Fn(Arc<dyn ObjectStore>, object_store::path::Path) -> F,
    ) -> io::Result<T>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        self.runtime.block_on(self.stores.ask(url, ask)).map_err(io_error)
    }
}

/// A table in a bucket.
#[derive(Debug, Clone)]
pub(crate) struct ObjectTable {
    stores: TableStores,
    url: ObjectUrl,
    size: u64,
    /// What names its content, by which another that takes its place is noticed.
    etag: Option<String>,
    /// The same for people and for later runs; where the store names no content, the time of its last change.
    version: String,
}

impl ObjectTable {
    /// Finds the table. Asks for nothing of its content.
    pub(crate) fn find(url: &ObjectUrl, options: &FetchOptions) -> io::Result<Self> {
        let stores = TableStores::new(options)?;
        let head = |client: Arc<dyn ObjectStore>, path| async move { client.head(&path).await };
        let ObjectMeta { size, e_tag, last_modified, .. } = stores.ask(url, head)?;
        let version = e_tag.clone().unwrap_or_else(|| last_modified.to_string());
        Ok(Self { stores, url: url.clone(), size, etag: e_tag, version })
    }

    /// What tells its content from what stood or will stand at its place.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Reads it from its beginning. A transfer that breaks off is gone on with where it was.
    pub(crate) fn read(&self) -> io::Result<impl Read + Send + 'static> {
        let options = self.same();
        let get = |client: Arc<dyn ObjectStore>, path| {
            let options = options.clone();
            async move { client.get_opts(&path, options).await }
        };
        let chunks = self.stores.ask(&self.url, get)?.into_stream();
        Ok(ObjectReader { stores: self.stores.clone(), chunks, chunk: Bytes::new() })
    }

    /// The bytes of a range that is in it.
    #[cfg(feature = "parquet")]
    pub(crate) fn range(&self, range: Range<u64>) -> io::Result<Bytes> {
        let options = GetOptions { range: Some(range.into()), ..self.same() };
        let get = |client: Arc<dyn ObjectStore>, path| {
            let options = options.clone();
            async move { client.get_opts(&path, options).await?.bytes().await }
        };
        self.stores.ask(&self.url, get)
    }

    /// What asks for the content that was there at first.
    fn same(&self) -> GetOptions {
        GetOptions { if_match: self.etag.clone(), ..GetOptions::default() }
    }
}

struct ObjectReader {
    stores: TableStores,
    chunks: BoxStream<'static, object_store::Result<Bytes>>,
    chunk: Bytes,
}

impl Read for ObjectReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.stores.runtime.block_on(self.chunks.next()) {
                Some(chunk) => self.chunk = chunk.map_err(|error| io_error(AskError::Unasked(error)))?,
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.chunk.len());
        into[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

/// For those who know files only.
pub(super) fn io_error(error: AskError) -> io::Error {
    use reqwest::StatusCode;
    let kind = match &error {
        AskError::Refused { answer, .. } => match answer.status {
            StatusCode::NOT_FOUND => io::ErrorKind::NotFound,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        },
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, Told(error.to_string()))
}

/// What is to be told, whole: its causes are in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(String);
