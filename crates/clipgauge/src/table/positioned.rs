//! A file that several readers read at once, each from a place of its own; or an object that is one.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

#[cfg(feature = "object-store")]
use crate::objects::{ObjectTable, RangedObject};

/// A file without a cursor. The standard library's has one that its clones share, so that two threads would move it
/// under each other.
#[derive(Debug, Clone)]
pub(super) struct PositionedFile {
    place: Place,
    length: u64,
}

#[derive(Debug, Clone)]
enum Place {
    File(Arc<File>),
    #[cfg(feature = "object-store")]
    Object(RangedObject),
}

impl PositionedFile {
    pub(super) fn new(file: File, length: u64) -> Self {
        Self { place: Place::File(Arc::new(file)), length }
    }

    #[cfg(feature = "object-store")]
    pub(super) fn of_object(table: ObjectTable) -> Self {
        let length = table.size();
        Self { place: Place::Object(RangedObject::new(table)), length }
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> u64 {
        self.length
    }

    /// The file with a cursor, at its beginning.
    pub(super) fn reader(&self) -> From {
        From { file: self.clone(), at: 0 }
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.place {
            #[cfg(unix)]
            Place::File(file) => std::os::unix::fs::FileExt::read_at(&**file, into, offset),
            #[cfg(windows)]
            Place::File(file) => std::os::windows::fs::FileExt::seek_read(&**file, into, offset),
            #[cfg(feature = "object-store")]
            Place::Object(object) => object.read_at(into, offset),
        }
    }
}

impl Length for PositionedFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for PositionedFile {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(From { file: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // Before anything is allocated: what a damaged file says of itself may be any number.
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF(format!("{length} bytes from {start} on, of a file of {}", self.length)));
        }
        let mut bytes = vec![0; length];
        From { file: self.clone(), at: start }.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// A file read on from a place.
pub(super) struct From {
    file: PositionedFile,
    at: u64,
}

impl Read for From {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for From {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.file.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the beginning"))?;
        Ok(self.at)
    }
}
