//! From an address to bytes, over every kind of source. Each kind is a file below this one; what they share is the
//! limit of fetches under way, and that equal addresses are fetched once.

mod at_once;
mod body;
mod failure;
pub mod file;
mod health;
pub mod http;
pub mod hub;
pub mod inline;
mod limits;
#[cfg(feature = "object-store")]
pub mod object;
mod room;
mod shared;
mod tries;

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::address::Address;
use crate::objects::ObjectOptions;
use crate::row::{RowError, RowErrorKind};
pub use at_once::{FetchError, fetch_all};
use file::FileSource;
use http::HttpSource;
use hub::HubSource;
use inline::InlineSource;
#[cfg(feature = "object-store")]
use object::ObjectSource;
use room::Room;
use shared::Shared;

macro_rules! source_kinds {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $schemes:expr;)*) => {
        /// The kinds of sources that images come from.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum SourceKind {
            $($(#[doc = $doc])* $variant,)*
        }

        impl SourceKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in summaries and documents.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The schemes of its addresses, in lower case.
            pub fn schemes(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &$schemes),* }
            }
        }
    };
}

source_kinds! {
    /// Files of this machine: paths, `file:` URLs, and files in tars.
    File = "file", ["file", "tar"];
    /// Web servers.
    Http = "http", ["http", "https"];
    /// Files on the Hugging Face hub.
    Hub = "hub", ["hf"];
    /// Objects in buckets.
    Object = "object", ["s3", "s3a", "gs", "az", "abfs", "abfss"];
    /// The bytes are in the cell itself.
    Inline = "inline", ["data"];
}

impl SourceKind {
    /// The kind that a scheme (in lower case, without the colon) belongs to.
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.schemes().contains(&scheme))
    }
}

/// A kind of place that images come from.
pub trait Source {
    /// What names an image of this source.
    type Place: ?Sized;

    /// The bytes of the image at `place`. What goes wrong is the row's error.
    fn fetch(&self, place: &Self::Place) -> impl Future<Output = Result<ImageBytes, RowError>> + Send;
}

/// The bytes of a picture file, as fetched.
///
/// They hold the turn with which they were fetched, and the room that a large one takes, until [`ImageBytes::release`],
/// so that no more images are in memory than fetches are allowed, however slowly they are taken.
#[derive(Debug)]
pub struct ImageBytes {
    bytes: Bytes,
    permits: Vec<OwnedSemaphorePermit>,
}

impl ImageBytes {
    /// Bytes that were fetched with these permits, if any were needed.
    pub fn new(bytes: impl Into<Bytes>, permits: impl IntoIterator<Item = OwnedSemaphorePermit>) -> Self {
        Self { bytes: bytes.into(), permits: permits.into_iter().collect() }
    }

    /// The bytes alone. The permits go to the next fetch.
    pub fn release(self) -> Bytes {
        drop(self.permits);
        self.bytes
    }

    fn into_parts(self) -> (Bytes, Vec<OwnedSemaphorePermit>) {
        (self.bytes, self.permits)
    }
}

impl Deref for ImageBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Limits and manners of fetching.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// The most fetches under way at once.
    pub concurrency: usize,
    /// The most requests under way at once to one host.
    pub per_host: usize,
    /// The least time between the beginnings of two requests to one host.
    pub per_host_interval: Duration,
    /// After how many requests in a row without an answer (no name, no connection, no answer in time) a host is taken to
    /// be down; 0 for never. Its rows then fail at once, but for one now and then that tries whether it is back.
    pub host_failures: u32,
    /// The longest a whole fetch may take, retries and the waits between them included. Waiting for its turn is not.
    pub timeout: Duration,
    /// The longest a connection may take to be made.
    pub connect_timeout: Duration,
    /// How often a fetch that failed for a transient reason is tried again.
    pub retries: u32,
    /// The longest wait before the first retry. It doubles with each one, and the wait itself is drawn at random from
    /// nothing up to it, so that many fetches do not come back at the same moment.
    pub retry_delay: Duration,
    /// The most bytes a picture may have. Bodies under way take together no more than 256 MiB, or than one of these if
    /// that is more, and 2 MiB for each fetch.
    pub max_bytes: u64,
    /// Header lines sent with every request.
    pub headers: Vec<(String, String)>,
    /// The `User-Agent`; `None` for the one that names this tool.
    pub user_agent: Option<String>,
    /// Whether pictures are used even if their server asks not to, with `noai`, `noimageai`, `noindex` or
    /// `noimageindex` in an `X-Robots-Tag` header.
    pub ignore_opt_outs: bool,
    /// How object stores are asked.
    pub objects: ObjectOptions,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_host: 16,
            per_host_interval: Duration::ZERO,
            host_failures: 10,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            retries: 3,
            retry_delay: Duration::from_millis(500),
            max_bytes: 50_000_000,
            headers: Vec::new(),
            user_agent: None,
            ignore_opt_outs: false,
            objects: ObjectOptions::default(),
        }
    }
}

/// Every source of images, with the connections and limits they share.
#[derive(Debug)]
pub struct Sources {
    max_bytes: u64,
    file: FileSource,
    http: Arc<HttpSource>,
    hub: Arc<HubSource>,
    #[cfg(feature = "object-store")]
    object: Arc<ObjectSource>,
    inline: InlineSource,
    shared: Shared,
}

impl Sources {
    /// Sets up the sources. Fails when an option cannot be used (a header that is none, say).
    pub fn new(options: FetchOptions) -> Result<Self, SourceError> {
        for (option, limit) in [("concurrency", options.concurrency), ("per_host", options.per_host)] {
            if limit == 0 {
                return Err(SourceError::NothingAllowed { option });
            }
        }
        let turns = Arc::new(Semaphore::new(options.concurrency.min(Semaphore::MAX_PERMITS)));
        let room = Arc::new(Room::new(options.max_bytes));
        Ok(Self {
            max_bytes: options.max_bytes,
            file: FileSource::new(options.max_bytes, Arc::clone(&turns)),
            hub: Arc::new(HubSource::from_env()),
            inline: InlineSource::new(options.max_bytes),
            #[cfg(feature = "object-store")]
            object: Arc::new(ObjectSource::new(&options, Arc::clone(&turns), Arc::clone(&room))?),
            http: Arc::new(HttpSource::new(&options, turns, room)?),
            shared: Shared::new(),
        })
    }

    /// The same sources, with their connections and limits, but nothing kept of what was fetched: for another run, since a
    /// picture may have changed.
    pub(crate) fn anew(&self) -> Self {
        Self {
            max_bytes: self.max_bytes,
            file: self.file.anew(),
            http: Arc::clone(&self.http),
            hub: Arc::clone(&self.hub),
            #[cfg(feature = "object-store")]
            object: Arc::clone(&self.object),
            inline: InlineSource::new(self.max_bytes),
            shared: Shared::new(),
        }
    }

    /// Refuses an image that came with its row if a fetched one of its size would be refused.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), RowError> {
        if bytes as u64 > self.max_bytes { Err(too_large(bytes as u64, self.max_bytes)) } else { Ok(()) }
    }

    /// The bytes at an address. Must be called within a Tokio runtime.
    ///
    /// Equal addresses are fetched once at a time, and what was fetched lately is kept, up to 32 MiB.
    pub async fn fetch(&self, address: &Address) -> Result<ImageBytes, RowError> {
        match address {
            Address::File(path) => self.shared.fetch(address, self.file.fetch(path)).await,
            Address::Http(url) => self.shared.fetch(address, Box::pin(self.http.fetch(url))).await,
            Address::Hub(file) => self.shared.fetch(address, Box::pin(self.hub.fetch(file, &self.http))).await,
            #[cfg(feature = "object-store")]
            Address::Object(url) => self.shared.fetch(address, Box::pin(self.object.fetch(url))).await,
            #[cfg(not(feature = "object-store"))]
            Address::Object(_) => Err(RowError::new(
                RowErrorKind::BadAddress,
                "this build of clipgauge has no object stores; build it with the feature `object-store`",
            )),
            Address::Inline(image) => self.inline.fetch(image).await,
        }
    }
}

/// The error of an image that has, or says it has, more bytes than allowed.
fn too_large(size: u64, limit: u64) -> RowError {
    RowError::new(RowErrorKind::TooLarge, format!("the image has {size} bytes, more than the {limit} that are allowed"))
}

/// The error of an image that turns out to have more bytes than allowed, nobody knows how many.
fn endless(limit: u64) -> RowError {
    RowError::new(RowErrorKind::TooLarge, format!("the image has more than the {limit} bytes that are allowed"))
}

/// Options that no fetch can be made with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// A limit of nothing.
    #[error("`{option}` is 0, so that nothing could ever be fetched")]
    NothingAllowed {
        /// The field of [`FetchOptions`].
        option: &'static str,
    },
    /// A header line that HTTP does not allow. Its value is not repeated: it may be a secret.
    #[error("the header `{name}` has a name or a value that HTTP does not allow")]
    Header {
        /// The header's name.
        name: String,
    },
}

impl SourceError {
    /// Whether another command line would mend it.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Header { .. } | Self::NothingAllowed { .. })
    }
}
