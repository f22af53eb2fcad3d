//! The bytes of a picture file to [`Pixels`].

use crate::pixels::Pixels;

/// What is refused and what is done on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeOptions {
    /// The most pixels (width × height, of the stored picture) that are decoded.
    pub max_pixels: u64,
    /// Whether the orientation in EXIF is applied, as transformers' `load_image` does.
    pub apply_orientation: bool,
    /// What a transparent picture is laid over; `None` drops the transparency as Pillow's `convert("RGB")` does.
    pub background: Option<[u8; 3]>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_pixels: 100_000_000, apply_orientation: true, background: None }
    }
}

/// Why bytes are not a picture that can be used. Each variant is one kind of row error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is no byte.
    #[error("the file is empty")]
    Empty,
    /// The bytes begin like no picture format.
    #[error("not an image: it begins like {looks_like}")]
    NotAnImage {
        /// What the bytes look like, e.g. "HTML".
        looks_like: String,
    },
    /// A picture format, or a kind of it, that is not decoded.
    #[error("{what} is not supported")]
    Unsupported {
        /// The format, or the feature of it.
        what: String,
    },
    /// More pixels than allowed, as the header says; nothing was allocated for them.
    #[error("{width}×{height} pixels are more than the {max_pixels} allowed")]
    TooLarge {
        /// Columns that the header claims.
        width: u64,
        /// Rows that the header claims.
        height: u64,
        /// The limit.
        max_pixels: u64,
    },
    /// The bytes end before the picture does.
    #[error("the {format} file ends before the picture does")]
    Truncated {
        /// The format.
        format: &'static str,
    },
    /// The bytes break the rules of their format.
    #[error("the {format} file is corrupt: {problem}")]
    Corrupt {
        /// The format.
        format: &'static str,
        /// What the decoder says.
        problem: String,
    },
}

/// Decodes a picture, whatever its file was called.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Pixels, DecodeError> {
    let _ = (bytes, options);
    Err(DecodeError::Empty)
}
