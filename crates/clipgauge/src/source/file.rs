//! Images that are files. Reading is blocking work and done on the runtime's threads for it, in as many files at once
//! as fetches are allowed.
//!
//! A path that goes on behind the name of a tar names a file in it.

mod archives;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::address::Address;
use crate::row::{RowError, RowErrorKind};
use crate::source::{ImageBytes, Source, endless, too_large};
use archives::{Archives, Place};

/// The source of files.
#[derive(Debug)]
pub struct FileSource {
    max_bytes: u64,
    turns: Arc<Semaphore>,
    archives: Arc<Archives>,
}

impl FileSource {
    /// A source of files of at most `max_bytes` bytes, of which each takes one of the `turns` while it is read.
    pub fn new(max_bytes: u64, turns: Arc<Semaphore>) -> Self {
        Self { max_bytes, turns, archives: Arc::new(Archives::new()) }
    }

    /// The same source, with nothing known of any tar.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.max_bytes, Arc::clone(&self.turns))
    }
}

impl Source for FileSource {
    type Place = Path;

    async fn fetch(&self, path: &Path) -> Result<ImageBytes, RowError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("the semaphore is never closed");
        let (path, max_bytes, archives) = (path.to_owned(), self.max_bytes, Arc::clone(&self.archives));
        let reading = tokio::task::spawn_blocking(move || {
            // Part of the work, so that it is kept while the file is read even if nobody waits for it any more.
            read(&path, max_bytes, &archives).map(|bytes| ImageBytes::new(bytes, Some(turn)))
        });
        match reading.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(RowError::new(RowErrorKind::Network, "the run ended before the file was read")),
            },
        }
    }
}

fn read(path: &Path, max_bytes: u64, archives: &Archives) -> Result<Vec<u8>, RowError> {
    let failed = |error: io::Error| failure(path, &error);
    // Looked at before it is opened: opening a FIFO waits for somebody to write to it.
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            return match Place::of(path) {
                Some(place) => archives.read(&place, max_bytes),
                None => Err(failed(error)),
            };
        }
    };
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a folder" } else { "a device, a pipe or a socket" };
        return Err(RowError::new(RowErrorKind::BadAddress, format!("{} is {what}, not a file", shown(path))));
    }
    if metadata.len() > max_bytes {
        return Err(too_large(metadata.len(), max_bytes));
    }
    let file = File::open(path).map_err(failed)?;
    // Exact, as the bytes may be kept; with one more for the read that finds the end.
    let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
    // One more than allowed: the file may have grown since, and some (in /proc) give no size.
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(endless(max_bytes));
    }
    Ok(bytes)
}

fn failure(path: &Path, error: &io::Error) -> RowError {
    let (kind, message) = match error.kind() {
        // `a.jpg/b.jpg`, with a file where a folder would have to be, is no file either.
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            (RowErrorKind::NotFound, format!("there is no file {}", shown(path)))
        }
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput => {
            (RowErrorKind::BadAddress, format!("{} cannot be a file's name: {error}", shown(path)))
        }
        _ => (RowErrorKind::Network, format!("{} cannot be read: {error}", shown(path))),
    };
    RowError::new(kind, message)
}

fn shown(path: &Path) -> String {
    format!("`{}`", Address::File(path.to_owned()))
}
