//! From the bytes of a picture file to pixels, whatever the bytes are.

use std::panic::{self, AssertUnwindSafe};

use clipgauge_core::decode::{DecodeOptions, decode};
use clipgauge_core::pixels::Pixels;

use crate::row::{RowError, RowErrorKind};

/// Decodes a picture. A decoder that panics has met a file that nobody foresaw: that is the file's own error, and a run
/// over many millions of files must not end with it.
pub(crate) fn decode_guarded(bytes: &[u8], options: &DecodeOptions) -> Result<Pixels, RowError> {
    match panic::catch_unwind(AssertUnwindSafe(|| decode(bytes, options))) {
        Ok(decoded) => Ok(decoded?),
        Err(_) => Err(RowError::new(RowErrorKind::Corrupt, "the image made its decoder panic")),
    }
}
