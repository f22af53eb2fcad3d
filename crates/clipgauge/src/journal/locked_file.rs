//! The file of a journal: locked for one process, read and written at places of one's own.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::JournalError;
use crate::stretch::{self, Stretch};

/// How often the file is opened anew because another process removed it in between.
const ATTEMPTS: usize = 100;

/// A file that no other process has locked. Clones share it and the lock.
#[derive(Debug, Clone)]
pub(super) struct LockedFile {
    pub(super) path: PathBuf,
    file: Arc<File>,
}

impl LockedFile {
    /// Opens the file, creates it if need be, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let fails = |source| JournalError::Write { path: path.to_owned(), source };
        for _ in 0..ATTEMPTS {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(fails)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(JournalError::Busy { path: path.to_owned() }),
                // Some network file systems have no locks. A user who starts two runs at once is on their own there.
                Err(TryLockError::Error(error)) => {
                    tracing::warn!(%error, path = %path.display(), "the journal cannot be locked");
                }
            }
            if is_at(&file, path) {
                return Ok(Self { path: path.to_owned(), file: Arc::new(file) });
            }
        }
        Err(JournalError::Busy { path: path.to_owned() })
    }

    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Forgets what lies behind the first `size` bytes.
    pub(super) fn cut(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    /// What lies from `start` to `end`, to be read on.
    pub(super) fn stretch(&self, start: u64, end: u64) -> Stretch {
        Stretch::new(Arc::clone(&self.file), start, end)
    }

    pub(super) fn write_all_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        stretch::write_all_at(&self.file, bytes, place)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Removes the file; the lock stays until the last clone is dropped.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Whether the path still stands for the file that was opened: the process that had it locked may have removed it.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |metadata: io::Result<fs::Metadata>| metadata.map(|metadata| (metadata.dev(), metadata.ino())).ok();
    number(file.metadata()).is_some_and(|opened| number(fs::metadata(path)) == Some(opened))
}

/// Elsewhere a file that is open is not removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}
