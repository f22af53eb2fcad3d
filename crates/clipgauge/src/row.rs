//! A row on its way through: what it names, the record it came as, and what went wrong with it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use clipgauge_core::decode::DecodeError;
use clipgauge_core::pixels::Pixels;
use serde::{Deserialize, Serialize};

use crate::table::Record;

/// One row of a table, as read.
#[derive(Debug)]
pub struct Row {
    /// Its number from 1, the header not counted.
    pub number: u64,
    /// What the image column holds; `None` for a null or a field that is not there.
    pub image: Option<RowImage>,
    /// What the caption column holds; `None` for a null or a field that is not there.
    pub caption: Option<String>,
    /// What is wrong with a cell already: then the row has failed, and `image` is only for people to read.
    pub error: Option<RowError>,
    /// Of several inputs, the one that it is of; its number is the one there.
    pub origin: Option<Arc<Origin>>,
    /// The row as it stood in the input, to be written again.
    pub record: Record,
}

/// One of several inputs.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub name: String,
    /// Where relative paths in it start; empty for the working folder.
    pub base: PathBuf,
    /// The names of its columns.
    pub columns: Vec<String>,
}

impl Row {
    /// How much memory the row takes, in bytes.
    pub fn size(&self) -> usize {
        let text = |cell: &Option<String>| cell.as_ref().map_or(0, String::capacity);
        let image = self.image.as_ref().map_or(0, RowImage::size);
        size_of::<Self>() + image + text(&self.caption) + self.record.size()
    }

    /// What the image is called, for people to read: its address, or a name beside its bytes.
    pub fn image_name(&self) -> Option<&str> {
        self.image.as_ref().and_then(RowImage::name)
    }

    /// Of several inputs, what the one is called that the row is of.
    pub fn input_name(&self) -> Option<&str> {
        self.origin.as_deref().map(|origin| origin.name.as_str())
    }
}

/// What an image column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowImage {
    /// Where the image is.
    Address(String),
    /// The image's file itself.
    Bytes {
        /// Its bytes.
        bytes: Bytes,
        /// What it is called, if it says.
        name: Option<String>,
    },
    /// A picture that is decoded already, as no table has it.
    Pixels(Arc<Pixels>),
}

impl RowImage {
    /// What the image is called.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Address(address) => Some(address),
            Self::Bytes { name, .. } => name.as_deref(),
            Self::Pixels(_) => None,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Address(address) => address.capacity(),
            Self::Bytes { bytes, name } => bytes.len() + name.as_ref().map_or(0, String::capacity),
            Self::Pixels(pixels) => pixels.rgb().len(),
        }
    }
}

/// Why a row has no score. Errors of rows are data: they are counted and listed, and never end a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// What kind of failure it is.
    pub kind: RowErrorKind,
    /// What happened, in one sentence for a person.
    pub message: String,
}

impl RowError {
    /// An error of this kind with a sentence of its own.
    pub fn new(kind: RowErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RowError {}

impl From<DecodeError> for RowError {
    fn from(error: DecodeError) -> Self {
        let kind = match error {
            DecodeError::Empty => RowErrorKind::Empty,
            DecodeError::NotAnImage { .. } => RowErrorKind::NotAnImage,
            DecodeError::Unsupported { .. } => RowErrorKind::Unsupported,
            DecodeError::TooLarge { .. } => RowErrorKind::TooLarge,
            DecodeError::Truncated { .. } => RowErrorKind::Truncated,
            _ => RowErrorKind::Corrupt,
        };
        Self::new(kind, error.to_string())
    }
}

macro_rules! row_error_kinds {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, transient: $transient:literal;)*) => {
        /// The kinds of row error: a closed list, because users filter by them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum RowErrorKind {
            $($(#[doc = $doc])* $variant,)*
        }

        impl RowErrorKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in error files, summaries and the error column.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The kind of this name.
            pub fn of_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name)
            }

            /// Whether the same row may succeed another time.
            pub fn is_transient(self) -> bool {
                match self { $(Self::$variant => $transient),* }
            }
        }
    };
}

row_error_kinds! {
    /// The image cell is empty, null or not there.
    NoImage = "no_image", transient: false;
    /// The caption is null or not there. An empty caption is one.
    NoCaption = "no_caption", transient: false;
    /// The image cell is no path, URL or data URI that can be used.
    BadAddress = "bad_address", transient: false;
    /// There is no such file, or the server says 404 or 410.
    NotFound = "not_found", transient: false;
    /// The server answers with another status than success.
    HttpStatus = "http_status", transient: true;
    /// The connection fails: name resolution, refusal, TLS, a broken transfer, a file that cannot be read.
    Network = "network", transient: true;
    /// The fetch takes longer than allowed.
    Timeout = "timeout", transient: true;
    /// The host failed so often that it is not asked any more.
    HostDown = "host_down", transient: true;
    /// The server asks not to use the picture for this.
    OptedOut = "opted_out", transient: false;
    /// More bytes or pixels than allowed.
    TooLarge = "too_large", transient: false;
    /// No byte at all.
    Empty = "empty", transient: false;
    /// Bytes, but not of a picture.
    NotAnImage = "not_an_image", transient: false;
    /// A picture in a format that is not decoded, or a caption with tokens that the model does not know.
    Unsupported = "unsupported", transient: false;
    /// A picture that ends too early.
    Truncated = "truncated", transient: false;
    /// A picture, or a row of the table, that breaks the rules of its format.
    Corrupt = "corrupt", transient: false;
}

impl fmt::Display for RowErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
