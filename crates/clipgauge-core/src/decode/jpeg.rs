//! JPEG, decoded by `zune-jpeg`.
//!
//! A file without its end marker may be whole or cut, which the decoder cannot tell apart: [`structure`] says which
//! it may be, and two decodings with different bytes put in the missing ones' place say which it is.

mod structure;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::orientation::Orientation;
use super::{DecodeError, DecodeOptions, Stored};
use structure::{Ending, Structure};

const FORMAT: &str = "JPEG";
/// The largest side that JPEG has; the decoder's own limit is lower.
const MAX_SIDE: usize = u16::MAX as usize;
/// Scans that a progressive file may have. Real ones have ten or so; each one more costs time and no bytes to speak of.
const MAX_SCANS: usize = 100;
/// What is put where bytes are missing, one and then the other: Huffman codes starting with 0, and with 1.
const FILLINGS: [u8; 2] = [0x00, 0xfe];
/// More bits than the longest code and its value have.
const FILLING_LENGTH: usize = 64;

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Stored, DecodeError> {
    let structure = Structure::read(bytes, options)?;
    let rgb = match structure.ending {
        Ending::Marker => {
            decoded(bytes).map_err(|error| DecodeError::Corrupt { format: FORMAT, problem: error.to_string() })?
        }
        Ending::MarkerMissing { end } => only_marker_missing(&bytes[..end])?,
    };
    let orientation = match options.apply_orientation {
        true => Orientation::of(structure.exif, structure.xmp),
        false => Orientation::UPRIGHT,
    };
    Ok(Stored { width: structure.width, height: structure.height, rgb, orientation })
}

/// Refuses a JPEG within another file whose header claims too much.
pub(super) fn check_size(bytes: &[u8], options: &DecodeOptions) -> Result<(), DecodeError> {
    match Structure::read(bytes, options) {
        Err(error @ DecodeError::TooLarge { .. }) => Err(error),
        // Whatever else is wrong with it, its decoder will say.
        _ => Ok(()),
    }
}

/// Decodes a file that ends within its last scan, if nothing of the picture depends on bytes that are not there.
fn only_marker_missing(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let filled_with = |filling: u8| {
        let mut filled = Vec::with_capacity(bytes.len() + FILLING_LENGTH + 2);
        filled.extend_from_slice(bytes);
        filled.extend_from_slice(&[filling; FILLING_LENGTH]);
        filled.extend_from_slice(b"\xff\xd9");
        decoded(&filled).map_err(|_| DecodeError::Truncated { format: FORMAT })
    };
    let first = filled_with(FILLINGS[0])?;
    if first != filled_with(FILLINGS[1])? {
        return Err(DecodeError::Truncated { format: FORMAT });
    }
    Ok(first)
}

fn decoded(bytes: &[u8]) -> Result<Vec<u8>, DecodeErrors> {
    let options = DecoderOptions::default()
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers()?;
    // From here on errors are errors; between headers there is harmless rubbish in files that every viewer shows.
    let strict = decoder.options().set_strict_mode(true);
    decoder.set_options(strict);
    decoder.decode()
}
