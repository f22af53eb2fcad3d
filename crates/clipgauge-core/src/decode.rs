//! The bytes of a picture file to [`Pixels`]: what Pillow's `exif_transpose` and `convert("RGB")` make of it.
//!
//! The format is what the bytes say, never a file name. Sizes are checked against the limit as the header is read,
//! before anything is allocated for the picture. Each format has a file of its own below this one.

mod bmp;
mod gif;
mod jpeg;
mod orientation;
mod png;
mod sniff;
mod tiff;
mod webp;

use crate::pixels::Pixels;
use orientation::Orientation;
use sniff::Format;

/// What is refused and what is done on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeOptions {
    /// The most pixels (width × height, of the stored picture) that are decoded.
    pub max_pixels: u64,
    /// Whether the orientation in EXIF is applied, as transformers' `load_image` does.
    pub apply_orientation: bool,
    /// What a transparent picture is laid over; `None` drops the transparency as Pillow's `convert("RGB")` does. That
    /// keeps a note of a colour that is transparent as a whole (one of a palette, or the key of a PNG), and
    /// transformers' processors then make it white: so it is here.
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
///
/// Of an animation the first frame is taken. Bytes after the end of the picture are ignored; a JPEG that lacks only
/// its end marker, or a PNG that lacks only its end chunk, is whole.
///
/// ```
/// use clipgauge_core::decode::{DecodeError, DecodeOptions, decode};
///
/// let page = b"<!DOCTYPE html><html>404</html>";
/// let error = decode(page, &DecodeOptions::default()).unwrap_err();
/// assert_eq!(error.to_string(), "not an image: it begins like HTML");
/// ```
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Pixels, DecodeError> {
    let stored = match sniff::format(bytes)? {
        Format::Jpeg => jpeg::decode(bytes, options),
        Format::Png => png::decode(bytes, options),
        Format::WebP => webp::decode(bytes, options),
        Format::Gif => gif::decode(bytes, options),
        Format::Bmp => bmp::decode(bytes, options),
        Format::Tiff => tiff::decode(bytes, options),
    }?;
    let Stored { width, height, rgb, orientation } = stored;
    // No decoder is known to hand out fewer pixels than it claims; if one does, that is the file's error, not a panic.
    if rgb.len() as u64 != u64::from(width) * u64::from(height) * 3 {
        return Err(DecodeError::Corrupt { format: "image", problem: "some of its pixels are missing".to_owned() });
    }
    let pixels = Pixels::new(width, height, rgb);
    Ok(if options.apply_orientation { orientation.apply(pixels) } else { pixels })
}

/// The extension that a picture's file should have by its bytes; `None` for what is not decoded.
///
/// ```
/// assert_eq!(clipgauge_core::decode::extension(b"GIF89a"), Some("gif"));
/// assert_eq!(clipgauge_core::decode::extension(b"<html>"), None);
/// ```
pub fn extension(bytes: &[u8]) -> Option<&'static str> {
    sniff::format(bytes).ok().map(Format::extension)
}

/// A picture as its file stores it, in RGB.
struct Stored {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
    orientation: Orientation,
}

/// Columns and rows that a header claims, if they may be decoded.
fn allowed(format: &'static str, width: u64, height: u64, options: &DecodeOptions) -> Result<(u32, u32), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::Corrupt { format, problem: format!("it claims {width}×{height} pixels") });
    }
    let max_pixels = options.max_pixels;
    match (u32::try_from(width), u32::try_from(height)) {
        (Ok(columns), Ok(rows)) if width.saturating_mul(height) <= max_pixels => Ok((columns, rows)),
        _ => Err(DecodeError::TooLarge { width, height, max_pixels }),
    }
}

/// A colour without its transparency: laid over `background`, or as it is.
fn opaque(color: [u8; 3], alpha: u8, background: Option<[u8; 3]>) -> [u8; 3] {
    let Some(background) = background else { return color };
    let alpha = u32::from(alpha);
    std::array::from_fn(|channel| {
        let [over, under] = [color[channel], background[channel]].map(u32::from);
        ((over * alpha + under * (255 - alpha) + 127) / 255) as u8
    })
}

/// Makes a colour that is transparent as a whole white, where nothing else is to be laid under it.
fn whiten(rgb: &mut [u8], key: Option<[u8; 3]>, background: Option<[u8; 3]>) {
    let (Some(key), None) = (key, background) else { return };
    for pixel in rgb.chunks_exact_mut(3).filter(|pixel| *pixel == key) {
        pixel.fill(255);
    }
}
