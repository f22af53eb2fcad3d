//! Reading and writing at places of a file, which several do at once: its cursor is nobody's.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// Writes all bytes at a place.
#[cfg(unix)]
pub(crate) fn write_all_at(file: &File, bytes: &[u8], place: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, place)
}

/// Writes all bytes at a place.
#[cfg(windows)]
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut place: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, place)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        place += written as u64;
    }
    Ok(())
}

/// A part of a file, to be read on.
#[derive(Debug)]
pub(crate) struct Stretch {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Stretch {
    /// What lies from `start` to `end`.
    pub(crate) fn new(file: Arc<File>, start: u64, end: u64) -> Self {
        Self { file, at: start, end }
    }

    /// All of a file.
    pub(crate) fn of(file: File) -> io::Result<Self> {
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
