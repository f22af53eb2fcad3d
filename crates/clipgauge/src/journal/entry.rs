//! The entries of a journal and how they lie in the file: after the magic, each with its length, a checksum and a
//! message in Protocol Buffers, whose numbered fields let later versions add to it.

use std::io::{self, Read};

use prost::Message;

use super::Done;
use crate::fingerprint::{Field, Fingerprint};
use crate::row::{RowError, RowErrorKind};

/// What every journal begins with; its last character is the version of the format.
pub(super) const MAGIC: &[u8; 8] = b"clgjrnl1";

/// What precedes each message: its length and the CRC-32 of it, both in 32 bits, least significant byte first.
const FRAME: usize = 8;

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// The longest sentence of a failure that is kept, in characters.
const MAX_SENTENCE: usize = 10_000;

/// Anything that a journal says. One without a kind is of a later version.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Entry {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    /// The first entry: what decides the output.
    #[prost(message, tag = "1")]
    Begun(Begun),
    /// From here on, another process goes on.
    #[prost(message, tag = "2")]
    Resumed(Resumed),
    /// A row is done.
    #[prost(message, tag = "3")]
    Row(RowDone),
    /// All rows are done, and this is the output that is put in its place.
    #[prost(message, tag = "4")]
    Ended(Ended),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Begun {
    #[prost(message, repeated, tag = "1")]
    pub(super) fields: Vec<NamedValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NamedValue {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Resumed {}

/// What became of a row.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RowDone {
    /// Its place in the run, from 0.
    #[prost(uint64, tag = "1")]
    pub(super) index: u64,
    /// By which the row is known to be the same: see [`super::row_hash`].
    #[prost(fixed64, tag = "2")]
    pub(super) hash: u64,
    /// The bits of its scores.
    #[prost(fixed32, repeated, tag = "3")]
    pub(super) scores: Vec<u32>,
    /// The name of the kind of its failure.
    #[prost(string, optional, tag = "4")]
    pub(super) error_kind: Option<String>,
    #[prost(string, tag = "5")]
    pub(super) error_message: String,
    /// Whether its caption was cut.
    #[prost(bool, tag = "6")]
    pub(super) is_truncated: bool,
    /// The name of the filter that it needed no score for.
    #[prost(string, optional, tag = "7")]
    pub(super) dropped: Option<String>,
    /// What else is known of it, in postcard's form, if a run keeps that.
    #[prost(bytes = "vec", optional, tag = "8")]
    pub(super) diagnostics: Option<Vec<u8>>,
}

/// What a whole run came to.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Ended {
    #[prost(uint64, tag = "1")]
    pub(super) scored: u64,
    #[prost(message, repeated, tag = "2")]
    pub(super) failed: Vec<Failed>,
    #[prost(uint64, tag = "3")]
    pub(super) output_size: u64,
    #[prost(string, tag = "4")]
    pub(super) output_sample: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Failed {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(uint64, tag = "2")]
    pub(super) count: u64,
}

impl Begun {
    pub(super) fn new(fingerprint: &Fingerprint) -> Self {
        let value = |field: &Field| NamedValue { name: field.name.clone(), value: field.value.clone() };
        Self { fields: fingerprint.fields().iter().map(value).collect() }
    }

    pub(super) fn fingerprint(self) -> Fingerprint {
        self.fields.into_iter().map(|NamedValue { name, value }| Field { name, value }).collect()
    }
}

impl RowDone {
    pub(super) fn new(index: u64, hash: u64, done: Done<'_>, is_truncated: bool) -> Self {
        let row = Self { index, hash, is_truncated, ..Self::default() };
        match done {
            Done::Scored(scores) => Self { scores: scores.iter().map(|score| score.to_bits()).collect(), ..row },
            Done::Dropped(reason) => Self { dropped: Some(reason.name().to_owned()), ..row },
            Done::Failed(error) => Self {
                error_kind: Some(error.kind.name().to_owned()),
                error_message: error.message.chars().take(MAX_SENTENCE).collect(),
                ..row
            },
        }
    }

    /// The scores or the failure; `None` for a kind of failure that this version does not know.
    pub(super) fn done(self) -> Option<Result<Vec<f32>, RowError>> {
        match self.error_kind {
            None => Some(Ok(self.scores.into_iter().map(f32::from_bits).collect())),
            Some(name) => Some(Err(RowError::new(RowErrorKind::of_name(&name)?, self.error_message))),
        }
    }
}

/// Appends an entry as it lies in the file.
pub(super) fn append(out: &mut Vec<u8>, kind: Kind) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    Entry { kind: Some(kind) }.encode(out).expect("a vector has room for every message");
    let message = &out[start + FRAME..];
    let (length, checksum) = (message.len() as u32, crc32fast::hash(message));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + FRAME].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads the entries of a stretch of a journal.
pub(super) struct Entries<R> {
    input: R,
    message: Vec<u8>,
    /// The bytes of the whole entries so far.
    read: u64,
}

impl<R: Read> Entries<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, message: Vec::new(), read: 0 }
    }

    /// The bytes of the whole entries so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// The next entry; `None` at the end, and where no whole and sound one follows.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut frame = [0; FRAME];
        if !fill(&mut self.input, &mut frame)? {
            return Ok(None);
        }
        let [length, checksum] = [0, 4].map(|at| u32::from_le_bytes([0, 1, 2, 3].map(|byte| frame[at + byte])));
        // A disk that was cut off may have left zeros.
        if length == 0 || length as usize > MAX_MESSAGE {
            return Ok(None);
        }
        self.message.resize(length as usize, 0);
        if !fill(&mut self.input, &mut self.message)? || crc32fast::hash(&self.message) != checksum {
            return Ok(None);
        }
        let Ok(entry) = Entry::decode(self.message.as_slice()) else { return Ok(None) };
        self.read += (FRAME + self.message.len()) as u64;
        Ok(Some(entry))
    }
}

/// Reads as many bytes as there is room for; whether there were so many.
fn fill(input: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
