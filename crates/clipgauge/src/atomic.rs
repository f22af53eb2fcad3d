//! Files that appear whole or not at all: written beside, synced, renamed. Objects in buckets have that by nature.
//!
//! A file that is not committed leaves no trace, whatever ends the run short of a power cut or `kill -9`: those may
//! leave `NAME.XXXXXX.partial`, which the next run with the same output removes. What the name stood for before stays as
//! it was until the new file takes its place.

pub mod folder;

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

#[cfg(feature = "object-store")]
use crate::objects::Upload;
use crate::objects::{ObjectUrl, ObjectUrlError};

/// How much is gathered before it goes to the file, in bytes.
const WRITE_BUFFER: usize = 256 << 10;

/// The most symbolic links that are followed, as Linux does.
const MAX_LINKS: usize = 40;

/// What the names of unfinished files end in.
const PARTIAL: &str = ".partial";

/// How many random characters come before that.
const RANDOM: usize = 6;

/// A file under way.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    out: Out,
}

#[derive(Debug)]
enum Out {
    Beside(BufWriter<NamedTempFile>),
    /// For what is no regular file (`/dev/null`, a named pipe), which must not be replaced by one.
    Straight(BufWriter<File>),
    /// For what is an object in a bucket.
    #[cfg(feature = "object-store")]
    Object(BufWriter<Upload>),
}

impl AtomicFile {
    /// Begins the file that is to stand at `target`.
    ///
    /// A symbolic link is followed: what it points to is replaced, and the link stays. What is no regular file is
    /// written into as the bytes come. An object's address (`s3://bucket/key`) makes that object.
    ///
    /// # Errors
    ///
    /// The folder is not there or not writable, or `target` is a folder.
    pub fn create(target: &Path) -> Result<Self, AtomicError> {
        let fails = |source| AtomicError::Write { path: target.to_owned(), source };
        if let Some(url) = ObjectUrl::of_path(target) {
            return Self::object(
                target,
                &url.map_err(|source| AtomicError::Object { path: target.to_owned(), source })?,
            );
        }
        if is_special(target) {
            let file = File::options().write(true).open(target).map_err(fails)?;
            let out = Out::Straight(BufWriter::with_capacity(WRITE_BUFFER, file));
            return Ok(Self { target: target.to_owned(), out });
        }
        let target = follow(target).map_err(fails)?;
        let replaced = match fs::metadata(&target) {
            Ok(metadata) if metadata.is_dir() => return Err(AtomicError::IsFolder { path: target }),
            Ok(metadata) => Some(metadata.permissions()),
            Err(_) => None,
        };
        let folder = folder_of(&target);
        if !folder.is_dir() {
            return Err(AtomicError::NoFolder { folder: folder.to_owned(), path: target });
        }
        let file = create_beside(&target, replaced).map_err(|source| AtomicError::Create {
            path: target.clone(),
            folder: folder.to_owned(),
            source: without_path(source),
        })?;
        Ok(Self { target, out: Out::Beside(BufWriter::with_capacity(WRITE_BUFFER, file)) })
    }

    #[cfg(feature = "object-store")]
    fn object(target: &Path, url: &ObjectUrl) -> Result<Self, AtomicError> {
        let upload = Upload::begin(url).map_err(|source| AtomicError::Write { path: target.to_owned(), source })?;
        let out = Out::Object(BufWriter::with_capacity(WRITE_BUFFER, upload));
        Ok(Self { target: target.to_owned(), out })
    }

    #[cfg(not(feature = "object-store"))]
    fn object(target: &Path, _: &ObjectUrl) -> Result<Self, AtomicError> {
        Err(AtomicError::NoObjects { path: target.to_owned() })
    }

    /// Whether a file could be created at `target`, so that a run need not find out at its end. Leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As [`AtomicFile::create`].
    pub fn check(target: &Path) -> Result<(), AtomicError> {
        // Opening a named pipe would wait for its reader.
        if is_special(target) {
            return Ok(());
        }
        Self::create(target).map(drop)
    }

    /// Where the file of this name would stand, behind symbolic links; `None` for what is no regular file.
    pub(crate) fn place_of(target: &Path) -> Option<PathBuf> {
        if is_object(target) || is_special(target) { None } else { follow(target).ok() }
    }

    /// The bytes so far, to be looked at once all are written; `None` for what is no regular file.
    pub(crate) fn written(&mut self) -> io::Result<Option<&File>> {
        self.flush()?;
        Ok(match &self.out {
            Out::Beside(out) => Some(out.get_ref().as_file()),
            Out::Straight(_) => None,
            #[cfg(feature = "object-store")]
            Out::Object(_) => None,
        })
    }

    /// Where the file will stand.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts the file in its place, whole and on the disk.
    ///
    /// # Errors
    ///
    /// The disk is full, or the folder was taken away. The place is then as it was before.
    pub fn commit(self) -> Result<(), AtomicError> {
        let target = self.target.clone();
        self.settle(&target)
    }

    /// Puts the unfinished file at `TARGET.partial`, whole up to here and on the disk, and returns that path; the
    /// target stays as it was. For what is no regular file, the bytes have gone there, and its own path is returned. An
    /// unfinished object cannot be kept: `None`.
    ///
    /// # Errors
    ///
    /// As [`AtomicFile::commit`].
    pub fn keep_partial(self) -> Result<Option<PathBuf>, AtomicError> {
        let place = match &self.out {
            Out::Beside(_) => partial_path(&self.target),
            Out::Straight(_) => self.target.clone(),
            #[cfg(feature = "object-store")]
            Out::Object(_) => return Ok(None),
        };
        self.settle(&place)?;
        Ok(Some(place))
    }

    fn settle(self, place: &Path) -> Result<(), AtomicError> {
        let fails = |source| AtomicError::Write { path: place.to_owned(), source };
        match self.out {
            Out::Straight(mut out) => out.flush().map_err(fails),
            #[cfg(feature = "object-store")]
            Out::Object(out) => {
                let upload = out.into_inner().map_err(|error| fails(error.into_error()))?;
                upload.finish().map_err(fails)
            }
            Out::Beside(out) => {
                let file = out.into_inner().map_err(|error| fails(error.into_error()))?;
                file.as_file().sync_all().map_err(fails)?;
                file.persist(place).map_err(|error| fails(error.error))?;
                sync_folder(folder_of(place)).map_err(fails)
            }
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Out::Beside(out) => out.write(bytes),
            Out::Straight(out) => out.write(bytes),
            #[cfg(feature = "object-store")]
            Out::Object(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Beside(out) => out.flush(),
            Out::Straight(out) => out.flush(),
            #[cfg(feature = "object-store")]
            Out::Object(out) => out.flush(),
        }
    }
}

/// Where the finished rows of a run that was interrupted are kept: `NAME.partial` beside the output.
pub fn partial_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(PARTIAL);
    PathBuf::from(name)
}

/// Whether a path stands for no regular file, but for a device or a pipe (`/dev/null`, `/dev/stdout`).
pub(crate) fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_dir() && !metadata.is_file())
}

/// Whether a path stands for an object in a bucket.
pub(crate) fn is_object(path: &Path) -> bool {
    path.to_str().is_some_and(ObjectUrl::is_meant)
}

/// Makes a folder if it is not there; the one that it is to be in has to be. Several runs may make it at once.
pub(crate) fn make_folder(path: &Path) -> Result<(), AtomicError> {
    match fs::create_dir(path) {
        Err(_) if path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(AtomicError::NoFolder { folder: path.parent().unwrap_or(path).to_owned(), path: path.to_owned() })
        }
        made => made.map_err(|source| AtomicError::Write { path: path.to_owned(), source }),
    }
}

/// Removes what processes that were killed left of files that were to stand at `target`. Nobody may be writing one.
pub(crate) fn remove_leftovers(target: &Path) {
    let (Ok(target), Some(name)) = (follow(target), target.file_name()) else { return };
    let prefix = format!("{}.", target.file_name().unwrap_or(name).to_string_lossy());
    let is_leftover = |name: &str| {
        let random = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(PARTIAL));
        random.is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    for entry in fs::read_dir(folder_of(&target)).into_iter().flatten().flatten() {
        if is_leftover(&entry.file_name().to_string_lossy()) {
            // One that stays takes room, and does no other harm.
            let removed = fs::remove_file(entry.path());
            tracing::info!(path = %entry.path().display(), ?removed, "removing what a process that was killed has left");
        }
    }
}

/// Whether two paths stand for one file that is there.
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The path behind a chain of symbolic links, whether or not there is a file.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&path) {
            // A relative link starts at its own folder; an absolute one replaces it when joined.
            Ok(metadata) if metadata.is_symlink() => path = folder_of(&path).join(fs::read_link(&path)?),
            _ => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// A new file in the folder of `target`, with the permissions of the one that it replaces.
fn create_beside(target: &Path, replaced: Option<Permissions>) -> io::Result<NamedTempFile> {
    let mut prefix = target.file_name().map_or_else(OsString::new, |name| name.to_owned());
    prefix.push(".");
    let mut builder = Builder::new();
    builder.prefix(&prefix).rand_bytes(RANDOM).suffix(PARTIAL);
    #[cfg(unix)]
    {
        // Less the umask, as every new file; `tempfile` alone would make it unreadable for others.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder_of(target))?;
    if let Some(permissions) = replaced {
        file.as_file().set_permissions(permissions)?;
    }
    Ok(file)
}

/// The error without the name that `tempfile` adds to it, which is of no use to anybody.
fn without_path(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotFound
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::InvalidFilename => error.kind().into(),
        // Of others, the kind alone says too little.
        _ => error,
    }
}

/// Makes a rename last through a power cut.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot, and a folder may be writable but not readable; the file itself is safe by then.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied) => Ok(()),
        done => done,
    }
}

/// Elsewhere a folder cannot be opened, and the rename is as lasting as the system makes it.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Why a file cannot be put in its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AtomicError {
    /// The folder that it would stand in is not there.
    #[error("{} cannot be written: there is no folder {}; create it first", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// A folder stands there.
    #[error("{} cannot be written: it is a folder; name a file in it", path.display())]
    IsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Something stands where a folder is to be.
    #[error("{} is there already, and folders are not written over; name another, or remove it first", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// It looks like an object's address and is none.
    #[error("{} cannot be written", path.display())]
    Object {
        /// The address.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ObjectUrlError,
    },
    /// A folder is to be made in a bucket.
    #[error("{} cannot be written: folders can be made on disks only; name one there, or use --format parquet", path.display())]
    FolderOfObjects {
        /// The address.
        path: PathBuf,
    },
    /// This build does without object stores.
    #[error("{} cannot be written: this build of clipgauge has no object stores; build it with the feature `object-store`", path.display())]
    NoObjects {
        /// The address.
        path: PathBuf,
    },
    /// It cannot be begun.
    #[error("{} cannot be written: no file can be created in the folder {}", path.display(), folder.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Its folder, in which it is written before it takes its place.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It cannot be opened or ended.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl AtomicError {
    /// Whether the command line is wrong rather than the world.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoFolder { .. }
                | Self::IsFolder { .. }
                | Self::Taken { .. }
                | Self::Object { .. }
                | Self::FolderOfObjects { .. }
                | Self::NoObjects { .. }
        )
    }
}

#[cfg(test)]
mod tests;
