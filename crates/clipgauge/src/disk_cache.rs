//! Vectors that outlive a run: a folder with one small file for each, named by the hash of all that decides it.
//!
//! A file appears whole by a rename and ends with a checksum over its name and its content, so that a run that is killed,
//! several at once and a damaged disk come to a vector that is there or one that is not, never to another. The files are
//! spread over 256 folders, each with its share of the size; where one is full, those that were used longest ago go.

mod identity;

use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::Builder;

use crate::atomic::is_object;

pub(crate) use identity::Identity;

/// The least that a cache may have, in bytes: 16 vectors for each of its folders.
pub const MIN_CACHE_BYTES: u64 = 16 << 20;

/// What a cache may have unless it is told, in bytes.
pub const DEFAULT_CACHE_BYTES: u64 = 10_000_000_000;

/// The folders that files are spread over.
const FOLDERS: usize = 256;

/// The layout of the folder and its files. Another layout gets another folder.
const VERSION: &str = "v1";

/// What a file begins with.
const MAGIC: &[u8; 8] = b"clipvec1";

/// The bytes behind it that say how wide and high a picture is.
const SIZE: usize = 2 * size_of::<u32>();

/// The bytes of a file's checksum.
const CHECKSUM: usize = 16;

/// The most numbers that a vector may have; more than that is damage.
const MAX_WIDTH: usize = 1 << 16;

/// What a file takes on most disks at the least, in bytes.
const DISK_BLOCK: u64 = 4096;

/// How exactly it is known when a file was used last.
const USE_GRAIN: Duration = Duration::from_secs(3600);

/// What begins the names of files that are being written.
const UNFINISHED: &str = ".tmp-";

/// A size that is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// The mark by which backups leave a folder out (bford.info/cachedir).
const TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# Vectors that clipgauge has computed. May be removed.\n";

/// Where vectors are kept from one run to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// The folder. It is made if it is not there, and may be shared by runs at once.
    pub folder: PathBuf,
    /// About how many bytes it may have.
    pub max_bytes: u64,
}

/// Why a cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It would hold next to nothing.
    #[error("a cache of {bytes} bytes is too small to be of use; give --cache-size at least 16 MiB")]
    TooSmall {
        /// The size.
        bytes: u64,
    },
    /// It would be in a bucket.
    #[error("the cache {} cannot be used: vectors are kept on a disk; name a folder there", folder.display())]
    Objects {
        /// The folder.
        folder: PathBuf,
    },
    /// Its folder cannot be made or written to.
    #[error("the cache {} cannot be used", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What the model is made of cannot be read.
    #[error("the model's files cannot be read to name its vectors in the cache")]
    Model(#[source] io::Error),
}

impl CacheError {
    /// Whether another command line would mend it.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::TooSmall { .. } | Self::Objects { .. })
    }
}

/// A cache in use.
#[derive(Debug)]
pub(crate) struct DiskCache {
    folder: PathBuf,
    /// The share of each folder.
    max_bytes: u64,
    /// About what each folder has; others may write there, too.
    sizes: Vec<AtomicU64>,
}

/// What is kept under a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) vector: Vec<f32>,
    /// The width and height of the picture that it is of; `None` for a text.
    pub(crate) size: Option<[u32; 2]>,
}

/// What names a vector: a hash of all that decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Which of the folders it is in, and its name there.
    fn place(&self) -> (usize, String) {
        let name = self.0[1..].iter().map(|byte| format!("{byte:02x}")).collect();
        (usize::from(self.0[0]), name)
    }
}

impl DiskCache {
    /// Opens a cache, and makes it if it is not there.
    pub(crate) fn open(options: &CacheOptions) -> Result<Self, CacheError> {
        if options.max_bytes < MIN_CACHE_BYTES {
            return Err(CacheError::TooSmall { bytes: options.max_bytes });
        }
        if is_object(&options.folder) {
            return Err(CacheError::Objects { folder: options.folder.clone() });
        }
        let fails = |source| CacheError::Folder { folder: options.folder.clone(), source };
        let folder = options.folder.join(VERSION);
        fs::create_dir_all(&folder).map_err(fails)?;
        let tag = options.folder.join("CACHEDIR.TAG");
        if !tag.exists() {
            // Two runs that begin at once write the same.
            fs::write(tag, TAG).map_err(fails)?;
        }
        // Known now rather than with the first vector.
        Builder::new().prefix(UNFINISHED).tempfile_in(&folder).map_err(fails)?;
        let sizes = (0..FOLDERS).map(|_| AtomicU64::new(UNKNOWN)).collect();
        Ok(Self { folder, max_bytes: options.max_bytes / FOLDERS as u64, sizes })
    }

    /// The vector of a key, if it is there and whole.
    pub(crate) fn get(&self, key: &Key) -> Option<Kept> {
        let (folder, name) = key.place();
        let mut file = File::open(self.folder_path(folder).join(name)).ok()?;
        let limit = (MAGIC.len() + SIZE + MAX_WIDTH * size_of::<f32>() + CHECKSUM) as u64;
        let mut bytes = Vec::new();
        (&mut file).take(limit + 1).read_to_end(&mut bytes).ok()?;
        let kept = parse(&bytes, key)?;
        note_use(&file);
        Some(kept)
    }

    /// Keeps the vector of a key, with the width and height of the picture that it is of. One that cannot be written is
    /// computed again another time.
    pub(crate) fn put(&self, key: &Key, vector: &[f32], size: Option<[u32; 2]>) {
        if vector.len() > MAX_WIDTH {
            return;
        }
        if let Err(error) = self.try_put(key, vector, size) {
            tracing::debug!(%error, "a vector could not be kept in the cache");
        }
    }

    fn try_put(&self, key: &Key, vector: &[f32], size: Option<[u32; 2]>) -> io::Result<()> {
        let (index, name) = key.place();
        let folder = self.folder_path(index);
        fs::create_dir_all(&folder)?;
        let bytes = format(key, vector, size);
        let mut file = Builder::new().prefix(UNFINISHED).tempfile_in(&folder)?;
        file.write_all(&bytes)?;
        // Not synced: what a power cut leaves of it is told from a whole one by its checksum.
        file.persist(folder.join(name)).map_err(|error| error.error)?;
        self.make_room(index, &folder, on_disk(bytes.len() as u64))
    }

    /// Removes what was used longest ago where a folder has more than its share.
    fn make_room(&self, index: usize, folder: &Path, added: u64) -> io::Result<()> {
        let known = &self.sizes[index];
        let size = match known.load(Ordering::Relaxed) {
            UNKNOWN => entries(folder)?.iter().map(|entry| entry.size).sum(),
            size => size + added,
        };
        known.store(size, Ordering::Relaxed);
        if size <= self.max_bytes {
            return Ok(());
        }
        let mut entries = entries(folder)?;
        entries.sort_by_key(|entry| entry.used);
        let mut size: u64 = entries.iter().map(|entry| entry.size).sum();
        // Somewhat more than needed, so that not every vector from now on looks through the folder.
        let enough = self.max_bytes - self.max_bytes / 5;
        for entry in entries {
            if size <= enough {
                break;
            }
            // Another run may have done it already.
            let _ = fs::remove_file(entry.path);
            size -= entry.size;
        }
        known.store(size, Ordering::Relaxed);
        Ok(())
    }

    fn folder_path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:02x}"))
    }
}

/// A file of a folder.
struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// The files of a folder. What runs that were killed have left unfinished is removed when it is old.
fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Another run may have removed it meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let is_old = || used.elapsed().is_ok_and(|age| age > USE_GRAIN);
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) && is_old() {
            let _ = fs::remove_file(entry.path());
            continue;
        }
        entries.push(Entry { path: entry.path(), size: on_disk(metadata.len()), used });
    }
    Ok(entries)
}

fn on_disk(bytes: u64) -> u64 {
    bytes.next_multiple_of(DISK_BLOCK)
}

/// Writes down that a file was used, if that is news. A cache that can only be read does without.
fn note_use(file: &File) {
    let is_known = file.metadata().and_then(|metadata| metadata.modified());
    if is_known.is_ok_and(|used| used.elapsed().is_ok_and(|age| age > USE_GRAIN)) {
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
    }
}

fn format(key: &Key, vector: &[f32], size: Option<[u32; 2]>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    // No picture has a side of 0.
    bytes.extend(size.unwrap_or_default().iter().flat_map(|side| side.to_le_bytes()));
    bytes.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
    let checksum = checksum(key, &bytes);
    bytes.extend(checksum);
    bytes
}

fn parse(bytes: &[u8], key: &Key) -> Option<Kept> {
    let (content, told) = bytes.split_last_chunk::<CHECKSUM>()?;
    let (sides, numbers) = content.strip_prefix(MAGIC)?.split_first_chunk::<SIZE>()?;
    if checksum(key, content) != *told || numbers.is_empty() {
        return None;
    }
    let (numbers, []) = numbers.as_chunks::<4>() else { return None };
    let vector = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let (sides, _) = sides.as_chunks::<4>();
    let size = [u32::from_le_bytes(sides[0]), u32::from_le_bytes(sides[1])];
    Some(Kept { vector, size: (size != [0; 2]).then_some(size) })
}

/// The checksum of a file: with its name, so that one that lies in another's place is not taken for it.
fn checksum(key: &Key, content: &[u8]) -> [u8; CHECKSUM] {
    let hash = blake3::Hasher::new().update(&key.0).update(content).finalize();
    let mut checksum = [0; CHECKSUM];
    checksum.copy_from_slice(&hash.as_bytes()[..CHECKSUM]);
    checksum
}

#[cfg(test)]
mod tests;
