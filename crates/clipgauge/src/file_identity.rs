//! By what a file is known again without reading it as a whole: its size, and a hash of how it begins and ends.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// How much of its beginning and of its end is hashed, in bytes. A Parquet file's footer, with the statistics of its
/// columns, is nearly always in it.
const SAMPLE: u64 = 64 << 10;

/// What tells a file from another. Two that differ in their middle alone have one identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Its size in bytes.
    pub size: u64,
    /// The BLAKE3 hash of its first and last 64 KiB, in hexadecimal.
    pub sample: String,
}

impl FileIdentity {
    /// Looks at a regular file. Where it is read next is then anywhere.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn of(mut file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut hasher = blake3::Hasher::new();
        let mut sample = Vec::new();
        for start in [0, size.saturating_sub(SAMPLE).max(SAMPLE)] {
            file.seek(SeekFrom::Start(start))?;
            file.take(SAMPLE).read_to_end(&mut sample)?;
        }
        hasher.update(&sample);
        Ok(Self { size, sample: hasher.finalize().to_hex().to_string() })
    }

    /// The same for the file at a path.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be read.
    pub fn at(path: &Path) -> io::Result<Self> {
        Self::of(&File::open(path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_at_either_end_or_of_the_size_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = |bytes: &[u8]| {
            let path = folder.path().join("file");
            std::fs::write(&path, bytes).expect("writable");
            FileIdentity::at(&path).expect("readable")
        };
        for size in [1, 100, SAMPLE as usize, SAMPLE as usize + 1, 3 * SAMPLE as usize] {
            let bytes = vec![7; size];
            let before = identity(&bytes);
            assert_eq!(before, identity(&bytes), "{size}");
            for place in [0, size - 1] {
                let mut changed = bytes.clone();
                changed[place] = 8;
                assert_ne!(before, identity(&changed), "{place} of {size}");
            }
            assert_ne!(before, identity(&[bytes, vec![7]].concat()), "{size}");
        }
        assert_eq!(identity(b"").size, 0);
    }
}
