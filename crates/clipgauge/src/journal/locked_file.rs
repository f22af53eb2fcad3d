//! The file of a journal: locked for one process, read and written at places of one's own.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::JournalError;

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
        Stretch { file: Arc::clone(&self.file), at: start, end }
    }

    #[cfg(unix)]
    pub(super) fn write_all_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&*self.file, bytes, place)
    }

    #[cfg(windows)]
    pub(super) fn write_all_at(&self, mut bytes: &[u8], mut place: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(&*self.file, bytes, place)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            place += written as u64;
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Removes the file; the lock stays until the last clone is dropped.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// A part of the file.
#[derive(Debug)]
pub(super) struct Stretch {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Stretch {
    /// The same for a file that is only looked at.
    pub(super) fn of(file: File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), at: 0, end })
    }
}

impl Read for Stretch {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = into.len().min(left);
        let into = &mut into[..count];
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&*self.file, into, self.at)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&*self.file, into, self.at)?;
        self.at += read as u64;
        Ok(read)
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
