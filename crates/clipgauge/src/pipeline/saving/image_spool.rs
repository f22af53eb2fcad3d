//! Samples on the disk until it is their turn, in files that have no name and are gone with the process.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::stretch::{Stretch, write_all_at};
use crate::table::TableError;

/// How many bytes a file takes before another one is begun. The disk has the room of one again when all its samples are
/// gone.
const FILE_BYTES: u64 = 64 << 20;

/// Takes samples from several threads.
pub(super) struct ImageSpool {
    folder: PathBuf,
    file_bytes: u64,
    current: Mutex<Option<(Arc<File>, u64)>>,
}

/// A sample that waits.
#[derive(Debug, Clone)]
pub(in crate::pipeline) struct Spooled {
    pub(in crate::pipeline) file: Arc<File>,
    pub(in crate::pipeline) at: SpooledAt,
}

/// Where a sample is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in crate::pipeline) struct SpooledAt {
    start: u64,
    length: u64,
}

impl ImageSpool {
    /// A spool in this folder; in one file, if it is kept whole.
    pub(super) fn new(folder: &Path, is_kept_whole: bool) -> Self {
        let file_bytes = if is_kept_whole { u64::MAX } else { FILE_BYTES };
        Self { folder: folder.to_owned(), file_bytes, current: Mutex::new(None) }
    }

    /// Lays a sample aside.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub(super) fn put(&self, sample: &[u8]) -> Result<Spooled, TableError> {
        let fails = |source| TableError::ImageSpool { folder: self.folder.clone(), source };
        let spooled = self.reserve(sample.len() as u64).map_err(fails)?;
        write_all_at(&spooled.file, sample, spooled.at.start).map_err(fails)?;
        Ok(spooled)
    }

    /// A place for so many bytes.
    fn reserve(&self, length: u64) -> io::Result<Spooled> {
        // A thread that panicked has at most left a place without a sample.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, start) = match current.take() {
            Some((file, end)) if end < self.file_bytes => (file, end),
            _ => (Arc::new(tempfile::tempfile_in(&self.folder)?), 0),
        };
        *current = Some((Arc::clone(&file), start + length));
        Ok(Spooled { file, at: SpooledAt { start, length } })
    }
}

impl Spooled {
    /// Its bytes.
    pub(super) fn bytes(&self) -> Stretch {
        Stretch::new(Arc::clone(&self.file), self.at.start, self.at.start + self.at.length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn samples_come_back_from_whichever_file_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = ImageSpool { folder: folder.path().to_owned(), file_bytes: 100, current: Mutex::new(None) };
        let samples: Vec<Vec<u8>> = (0..60_u8).map(|byte| vec![byte; usize::from(byte)]).collect();
        let spooled: Vec<Spooled> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                samples.iter().map(|sample| scope.spawn(|| spool.put(sample).expect("room"))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        for (sample, spooled) in samples.iter().zip(&spooled) {
            let mut read = Vec::new();
            spooled.bytes().read_to_end(&mut read).expect("readable");
            assert_eq!(read, *sample);
        }
        let first = Arc::downgrade(&spooled[0].file);
        drop((spooled, spool));
        assert_eq!(first.strong_count(), 0, "the disk has its room again");
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
    }
}
