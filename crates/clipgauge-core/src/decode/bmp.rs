//! BMP, decoded by the `image` crate.

use std::io::{Cursor, ErrorKind};

use image::codecs::bmp::BmpDecoder;
use image::error::ImageError;
use image::{ColorType, ImageDecoder};

use super::orientation::Orientation;
use super::{DecodeError, DecodeOptions, Stored, allowed, opaque};

const FORMAT: &str = "BMP";
/// Length of the oldest header, whose sides have 16 bits.
const CORE_HEADER: u32 = 12;

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Stored, DecodeError> {
    let [width, height] = size(bytes).ok_or(DecodeError::Truncated { format: FORMAT })?;
    let (width, height) = allowed(FORMAT, width, height, options)?;
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    if decoder.dimensions() != (width, height) {
        return Err(DecodeError::Corrupt { format: FORMAT, problem: "its size is not clear".to_owned() });
    }
    let color = decoder.color_type();
    let mut pixels = vec![0; width as usize * height as usize * usize::from(color.bytes_per_pixel())];
    decoder.read_image(&mut pixels).map_err(failed)?;
    if let Some(bits) = packed_bits(bytes).filter(|_| color == ColorType::Rgb8) {
        round_down(&mut pixels, bits);
    }
    let rgb = match color {
        ColorType::Rgba8 => {
            let color = |pixel: &[u8]| opaque([pixel[0], pixel[1], pixel[2]], pixel[3], options.background);
            pixels.chunks_exact(4).flat_map(color).collect()
        }
        _ => pixels,
    };
    Ok(Stored { width, height, rgb, orientation: Orientation::UPRIGHT })
}

/// Columns and rows that the header claims; `None` where the file ends before it does.
fn size(bytes: &[u8]) -> Option<[u64; 2]> {
    let header: u32 = u32::from_le_bytes(*bytes.get(14..)?.first_chunk()?);
    let sides = bytes.get(18..)?;
    if header == CORE_HEADER {
        let side = |at: usize| Some(u64::from(u16::from_le_bytes(*sides.get(at..)?.first_chunk()?)));
        return Some([side(0)?, side(2)?]);
    }
    // A negative height means rows from top to bottom; a negative width is refused by the decoder.
    let side = |at: usize| Some(u64::from(i32::from_le_bytes(*sides.get(at..)?.first_chunk()?).unsigned_abs()));
    Some([side(0)?, side(4)?])
}

/// How many bits each colour has in a picture of 16 bits a pixel; `None` in any other.
fn packed_bits(bytes: &[u8]) -> Option<[u32; 3]> {
    const BIT_COUNT: usize = 28;
    const COMPRESSION: usize = 30;
    const GREEN_MASK: usize = 58;
    const WITH_MASKS: u32 = 3;
    let u32_at = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    if u32_at(14)? == CORE_HEADER || bytes.get(BIT_COUNT..)?.first_chunk() != Some(&[16, 0]) {
        return None;
    }
    let green = if u32_at(COMPRESSION)? == WITH_MASKS { u32_at(GREEN_MASK)?.count_ones() } else { 5 };
    matches!(green, 5 | 6).then_some([5, green, 5])
}

/// Colours of few bits are brought to 8 by the decoder with rounding, by Pillow without.
fn round_down(rgb: &mut [u8], bits: [u32; 3]) {
    let tables = bits.map(|bits| {
        let most = (1 << bits) - 1;
        std::array::from_fn::<u8, 256, _>(|rounded| ((rounded * most + 127) / 255 * 255 / most) as u8)
    });
    for pixel in rgb.chunks_exact_mut(3) {
        for (value, table) in pixel.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
    }
}

fn failed(error: ImageError) -> DecodeError {
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format: FORMAT }
        }
        ImageError::Unsupported(error) => DecodeError::Unsupported { what: format!("BMP ({error})") },
        error => DecodeError::Corrupt { format: FORMAT, problem: error.to_string() },
    }
}
