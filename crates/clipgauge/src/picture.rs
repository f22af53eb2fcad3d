//! From the bytes of a picture file to pixels, whatever the bytes are.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

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

/// The extensions of pictures, in lower case; where a thing has several pictures, the first in this order counts. Some
/// cannot be decoded: better that their rows say so than that they are passed over.
pub(crate) const EXTENSIONS: &[&str] =
    &["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "heif", "jxl"];

/// Whether a file's name says that it is a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|extension| EXTENSIONS.contains(&extension.to_string_lossy().to_lowercase().as_str()))
}
