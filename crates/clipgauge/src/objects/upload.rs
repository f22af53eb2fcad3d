//! An object under way to its bucket, in parts. It appears when the last is there and the whole is finished; until then,
//! what had its name stays.

use std::io::{self, Write};
use std::time::Duration;

use object_store::{ObjectStoreExt, WriteMultipart};
use std::sync::Arc;

use super::stores::AskError;
use super::table::{TableStores, io_error};
use super::url::ObjectUrl;
use crate::source::FetchOptions;

/// The size of a part, in bytes. All have the same, which some stores ask for, and a store takes 10,000 of them.
const PART: usize = 16 << 20;

/// The most parts of one object: what stores take.
const MAX_PARTS: u64 = 10_000;

/// How many parts are sent at once.
const AT_ONCE: usize = 4;

/// The longest that taking back an upload may take. Else its parts are left to the store's own rules.
const ABORT_PATIENCE: Duration = Duration::from_secs(10);

/// An object that is written.
#[derive(Debug)]
pub(crate) struct Upload {
    stores: TableStores,
    /// Until it is finished.
    parts: Option<WriteMultipart>,
    written: u64,
}

impl Upload {
    /// Begins an object, which shows whether it may be written. Set up by the environment alone.
    pub(crate) fn begin(url: &ObjectUrl) -> io::Result<Self> {
        let stores = TableStores::new(&FetchOptions::default())?;
        let begin = |client: Arc<dyn object_store::ObjectStore>, path| async move { client.put_multipart(&path).await };
        let upload = stores.ask(url, begin)?;
        Ok(Self { stores, parts: Some(WriteMultipart::new_with_chunk_size(upload, PART)), written: 0 })
    }

    /// Sends the rest, and makes the object appear.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let Some(parts) = self.parts.take() else { return Ok(()) };
        // What failed is taken back by this, too.
        self.stores.runtime.block_on(parts.finish()).map_err(failed)?;
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(parts) = &mut self.parts else { return Err(io::Error::other("the object is finished")) };
        self.written += bytes.len() as u64;
        if self.written > MAX_PARTS * PART as u64 {
            return Err(io::Error::other(
                "a store takes no more than 10,000 parts of 16 MiB; write the table in shards",
            ));
        }
        self.stores
            .runtime
            .block_on(async {
                parts.wait_for_capacity(AT_ONCE).await?;
                parts.write(bytes);
                Ok(bytes.len())
            })
            .map_err(failed)
    }

    /// A part has to be whole before it is sent.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            let aborted =
                self.stores.runtime.block_on(async { tokio::time::timeout(ABORT_PATIENCE, parts.abort()).await });
            if !matches!(aborted, Ok(Ok(()))) {
                tracing::warn!("the parts of an unfinished object could not be removed from its bucket");
            }
        }
    }
}

fn failed(error: object_store::Error) -> io::Error {
    io_error(AskError::Unasked(error))
}
