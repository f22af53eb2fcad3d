//! Images by themselves, outside of any run: for those who want to look at them.

use std::panic;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{FetchOptions, SourceError, Sources};
use crate::address::Address;
use crate::cancel::Cancel;
use crate::row::RowError;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Images cannot be fetched with these options.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The user asked to end.
    #[error("interrupted while images were being fetched")]
    Interrupted,
    /// The system gives no runtime.
    #[error("the fetches cannot be driven")]
    Runtime(#[source] std::io::Error),
}

/// Fetches images, all at once as far as the options allow, and gives their files' bytes in the order of the addresses.
/// All of them are in memory at the end. Relative paths start at the working folder.
///
/// Blocks, and must not be called from within an asynchronous runtime.
///
/// ```
/// use clipgauge::cancel::Cancel;
/// use clipgauge::source::{FetchOptions, fetch_all};
///
/// let images = ["data:,cat".to_owned()];
/// let fetched = fetch_all(&images, FetchOptions::default(), &Cancel::new())?;
/// assert_eq!(fetched[0].as_deref(), Ok(&b"cat"[..]));
/// # Ok::<(), clipgauge::source::FetchError>(())
/// ```
///
/// # Errors
///
/// Nothing can be fetched at all. An image that cannot be had is its own place's error.
pub fn fetch_all(
    addresses: &[String],
    options: FetchOptions,
    cancel: &Cancel,
) -> Result<Vec<Result<Bytes, RowError>>, FetchError> {
    let sources = Arc::new(Sources::new(options)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(FetchError::Runtime)?;
    let fetched = runtime.block_on(async {
        let tasks: Vec<_> = addresses
            .iter()
            .map(|address| {
                let (address, sources) = (Address::parse(address, Path::new("")), Arc::clone(&sources));
                tokio::spawn(async move { Ok(sources.fetch(&address?).await?.release()) })
            })
            .collect();
        let all = async {
            let mut fetched = Vec::with_capacity(tasks.len());
            for task in tasks {
                fetched.push(task.await.unwrap_or_else(|error| panic::resume_unwind(error.into_panic())));
            }
            fetched
        };
        tokio::select! {
            fetched = all => Ok(fetched),
            () = cancel.requested() => Err(FetchError::Interrupted),
        }
    });
    // A file system that hangs must not keep the process from ending.
    runtime.shutdown_background();
    fetched
}
