//! One file of weights: headers are read from it, its tensors are read through a mapping into memory.
//!
//! The only place in this module with `unsafe`. A file of the binary itself needs no mapping.

#![allow(unsafe_code, reason = "a file can only be mapped by promising that nobody shortens it meanwhile")]

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::ops::Range;

use memmap2::Mmap;

use crate::error::LoadError;
use crate::model_files::ModelFiles;

/// How a file begins that stands for a large file in a git repository.
const GIT_LFS_POINTER: &[u8] = b"version https://git-lfs";

/// What headers are read from. They are not read through the mapping, so that opening a file that is being shortened
/// is an error and not the end of the process.
pub(super) struct Reader(Source);

enum Source {
    File(File),
    Bytes(Cursor<&'static [u8]>),
}

/// A file of weights.
#[derive(Debug)]
pub(super) struct DataFile {
    display_name: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Mapped(Mmap),
    Bundled(&'static [u8]),
}

impl DataFile {
    /// Opens a file of the model.
    pub(super) fn open(files: &ModelFiles, name: &str) -> Result<(Self, Reader), LoadError> {
        let display_name = files.display(name);
        let missing = || LoadError::MissingFile { file: Cow::Owned(name.to_owned()), place: files.place() };
        let (content, source) = match files {
            ModelFiles::Bundled(files) => {
                let (_, bytes) = files.iter().find(|(known, _)| *known == name).ok_or_else(missing)?;
                (Content::Bundled(bytes), Source::Bytes(Cursor::new(*bytes)))
            }
            ModelFiles::Folder(folder) => {
                let unreadable = |source| LoadError::Unreadable { file: display_name.clone(), source };
                let file = match File::open(folder.join(name)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
                    Err(error) => return Err(unreadable(error)),
                };
                // SAFETY: the mapping is private and only read. That nobody shortens the file is beyond us, and said
                // where `Weights` is documented; bytes that change give other numbers, which are valid as any are.
                let mapping = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
                (Content::Mapped(mapping), Source::File(file))
            }
        };
        let file = Self { display_name, content };
        let mut reader = Reader(source);
        file.refuse_git_lfs_pointer(&mut reader)?;
        Ok((file, reader))
    }

    fn refuse_git_lfs_pointer(&self, reader: &mut Reader) -> Result<(), LoadError> {
        let mut start = Vec::new();
        let result = reader.by_ref().take(GIT_LFS_POINTER.len() as u64).read_to_end(&mut start);
        result.and_then(|_| reader.rewind()).map_err(|error| self.unreadable(error))?;
        if start == GIT_LFS_POINTER {
            return Err(
                self.malformed("it is the pointer that git stores instead of the file; `git lfs pull` fetches it")
            );
        }
        Ok(())
    }

    /// The file with its folder, as errors give it.
    pub(super) fn display_name(&self) -> &str {
        &self.display_name
    }

    /// The file's size in bytes.
    pub(super) fn len(&self) -> usize {
        match &self.content {
            Content::Mapped(mapping) => mapping.len(),
            Content::Bundled(bytes) => bytes.len(),
        }
    }

    /// Some of the bytes; the range must lie within the file.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        match &self.content {
            Content::Mapped(mapping) => &mapping[range],
            Content::Bundled(bytes) => &bytes[range],
        }
    }

    /// Lets go the memory that reading these bytes took. Reading them again is possible, it fetches them again.
    pub(super) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Content::Mapped(mapping) = &self.content {
            // SAFETY: the mapping is read-only and of a file, so pages that are dropped come back with the same bytes.
            let released =
                unsafe { mapping.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
            // It is a courtesy to the system: where it is refused, the pages merely stay until memory is short.
            drop(released);
        }
        #[cfg(not(unix))]
        drop(range);
    }

    /// The error for a file that breaks its format's rules.
    pub(super) fn malformed(&self, problem: impl Into<Cow<'static, str>>) -> LoadError {
        LoadError::Malformed { file: self.display_name.clone(), problem: problem.into() }
    }

    /// The error for one tensor of the file.
    pub(super) fn field(&self, tensor: &str, problem: impl Into<Cow<'static, str>>) -> LoadError {
        LoadError::Field { file: self.display_name.clone(), field: tensor.to_owned(), problem: problem.into() }
    }

    /// The error for a file that the system does not let us read.
    pub(super) fn unreadable(&self, source: io::Error) -> LoadError {
        LoadError::Unreadable { file: self.display_name.clone(), source }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::File(file) => file.read(buffer),
            Source::Bytes(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Reader {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        match &mut self.0 {
            Source::File(file) => file.seek(position),
            Source::Bytes(bytes) => bytes.seek(position),
        }
    }
}
