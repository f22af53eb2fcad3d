//! What a part of a table says of itself, in `PART.shard.json` beside it, so that parts can be put together.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic::{AtomicError, AtomicFile};
use crate::file_identity::FileIdentity;
use crate::fingerprint::Fingerprint;

/// The version of the notes that are written and read.
pub(crate) const VERSION: u32 = 1;

/// What a part says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardNote {
    /// The version of the note.
    pub version: u32,
    /// Which part it is, from 0.
    pub shard: u32,
    /// How many there are.
    pub of: u32,
    /// The format of the part.
    pub format: String,
    /// The byte between two fields of text.
    pub delimiter: Option<u8>,
    /// The number of its first row in the table, from 1; `None` for a part without a row.
    pub first_row: Option<u64>,
    /// How many rows of the table it is.
    pub rows: u64,
    /// Those with scores.
    pub scored: u64,
    /// Those without, by the kind of error.
    pub failed: BTreeMap<String, u64>,
    /// The part itself.
    pub output: FileIdentity,
    /// What decided it.
    pub run: Fingerprint,
}

/// Where the note of a part lies.
pub(crate) fn path_of(part: &Path) -> PathBuf {
    let mut name = part.as_os_str().to_owned();
    name.push(".shard.json");
    PathBuf::from(name)
}

impl ShardNote {
    /// Writes the note of a part.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) fn write(&self, part: &Path) -> Result<(), AtomicError> {
        let path = path_of(part);
        let mut file = AtomicFile::create(&path)?;
        serde_json::to_writer_pretty(&mut file, self)
            .map_err(io::Error::from)
            .and_then(|()| file.write_all(b"\n"))
            .map_err(|source| AtomicError::Write { path, source })?;
        file.commit()
    }

    /// Reads the note of a part.
    ///
    /// # Errors
    ///
    /// There is none, or it is no note of this version.
    pub(crate) fn read(part: &Path) -> io::Result<Self> {
        let note: Self = serde_json::from_slice(&fs::read(path_of(part))?)?;
        match note.version {
            VERSION => Ok(note),
            other => Err(io::Error::other(format!("it is of version {other}, and this program knows {VERSION}"))),
        }
    }
}
