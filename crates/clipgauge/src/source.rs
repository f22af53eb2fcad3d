//! From an address to bytes, over every kind of source.

use std::time::Duration;

use crate::address::Address;
use crate::row::RowError;

/// Limits and manners of fetching.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// The most fetches under way at once.
    pub concurrency: usize,
    /// The most requests under way at once to one host.
    pub per_host: usize,
    /// The longest a whole fetch may take, retries included.
    pub timeout: Duration,
    /// The longest a connection may take to be made.
    pub connect_timeout: Duration,
    /// How often a fetch that failed for a transient reason is tried again.
    pub retries: u32,
    /// The most bytes a picture may have.
    pub max_bytes: u64,
    /// Header lines sent with every request.
    pub headers: Vec<(String, String)>,
    /// The `User-Agent`; `None` for the one that names this tool.
    pub user_agent: Option<String>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_host: 16,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            retries: 3,
            max_bytes: 50_000_000,
            headers: Vec::new(),
            user_agent: None,
        }
    }
}

/// Every source of images, with the connections and limits they share.
#[derive(Debug)]
pub struct Sources;

impl Sources {
    /// Sets up the sources. Fails when an option cannot be used (a header that is none, say).
    pub fn new(options: FetchOptions) -> Result<Self, SourceError> {
        let _ = options;
        Ok(Self)
    }

    /// The bytes at an address.
    pub async fn fetch(&self, address: &Address) -> Result<Vec<u8>, RowError> {
        let _ = address;
        Ok(Vec::new())
    }
}

/// Options that no fetch can be made with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}
