//! PNG, decoded by the `png` crate, row by row, with the samples as they are stored.
//!
//! Gamma, colour profiles and significant bits are ignored, as Pillow's `convert("RGB")` ignores them. Of an animation
//! the default image is taken, as Pillow opens it.

use std::io::Cursor;

use png::{ColorType, DecodingError};

use super::orientation::Orientation;
use super::{DecodeError, DecodeOptions, Stored, allowed, opaque, whiten};

const FORMAT: &str = "PNG";
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The last chunk, which is always the same.
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";
/// The keyword of the text chunk that XMP is in.
const XMP_KEYWORD: &[u8] = b"XML:com.adobe.xmp\0";
/// Bytes a pixel that the decoder may use of its own, for rows and their filters.
const ROW_BYTES: usize = 64;
/// What the decoder may use however small the picture, beside a copy of the file for its metadata.
const LEAST_BYTES: usize = 1 << 20;

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Stored, DecodeError> {
    let chunks = Chunks::read(bytes)?;
    let (width, height) = allowed(FORMAT, chunks.width.into(), chunks.height.into(), options)?;
    let rgb = decoded(bytes, width, height, options.background).map_err(|error| match error {
        _ if !chunks.has_end => truncated(),
        error => DecodeError::Corrupt { format: FORMAT, problem: error.to_string() },
    })?;
    let orientation = match options.apply_orientation {
        true => Orientation::of(chunks.exif, chunks.xmp),
        false => Orientation::UPRIGHT,
    };
    Ok(Stored { width, height, rgb, orientation })
}

fn truncated() -> DecodeError {
    DecodeError::Truncated { format: FORMAT }
}

/// What the chunks outside the picture say.
struct Chunks<'a> {
    width: u32,
    height: u32,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
    /// Whether the file goes on to its last chunk.
    has_end: bool,
}

impl<'a> Chunks<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let corrupt = |problem: &str| DecodeError::Corrupt { format: FORMAT, problem: problem.to_owned() };
        let there = bytes.len().min(SIGNATURE.len());
        if bytes[..there] != SIGNATURE[..there] {
            return Err(corrupt("its signature is damaged"));
        }
        let header = bytes.get(8..24).ok_or_else(truncated)?;
        if &header[4..8] != b"IHDR" {
            return Err(corrupt("it does not begin with its header"));
        }
        let [width, height] = [8, 12].map(|at| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[at + byte])));
        let mut chunks = Self { width, height, exif: None, xmp: None, has_end: false };
        let mut rest = &bytes[8..];
        while let Some((length, after)) = rest.split_first_chunk() {
            let Some((kind, after)) = after.split_first_chunk::<4>() else { break };
            if kind == b"IEND" {
                chunks.has_end = true;
                break;
            }
            let Some((body, after)) = after.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
            match kind {
                b"eXIf" => chunks.exif = Some(body),
                b"iTXt" if body.starts_with(XMP_KEYWORD) => chunks.xmp = Some(body),
                _ => {}
            }
            // The check sum is the decoder's to check.
            let Some(after) = after.get(4..) else { break };
            rest = after;
        }
        // Where a damaged length leads elsewhere, the file still ends as a whole one does.
        chunks.has_end |= bytes.ends_with(END);
        Ok(chunks)
    }
}

fn decoded(bytes: &[u8], width: u32, height: u32, background: Option<[u8; 3]>) -> Result<Vec<u8>, DecodingError> {
    let limits =
        png::Limits { bytes: (width as usize).saturating_mul(ROW_BYTES).saturating_add(LEAST_BYTES + bytes.len()) };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info()?;
    let info = reader.info();
    let samples = Samples::new(info, background);
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    if !info.interlaced {
        while rgb.len() < rgb.capacity() {
            let Some(row) = reader.next_row()? else { break };
            samples.append_row(row.data(), width, &mut rgb);
        }
        whiten(&mut rgb, samples.key_color(), background);
        return Ok(rgb);
    }
    let bits = info.bits_per_pixel();
    let stride = (width as usize * bits).div_ceil(8);
    let mut rows = vec![0; stride * height as usize];
    let mut passes_left = png_rows(width, height);
    while passes_left > 0 {
        let Some(row) = reader.next_interlaced_row()? else { break };
        if let png::InterlaceInfo::Adam7(place) = row.interlace() {
            png::expand_interlaced_row(&mut rows, stride, row.data(), place, bits as u8);
        }
        passes_left -= 1;
    }
    for row in rows.chunks_exact(stride) {
        samples.append_row(row, width, &mut rgb);
    }
    whiten(&mut rgb, samples.key_color(), background);
    Ok(rgb)
}

/// How many rows the seven passes of an interlaced picture have, those that would be empty left out.
fn png_rows(width: u32, height: u32) -> u32 {
    // Where a pass starts and how far apart its pixels are: columns, rows.
    const PASSES: [[u32; 4]; 7] =
        [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
    PASSES.iter().filter(|[x, ..]| *x < width).map(|[_, y, _, step]| height.saturating_sub(*y).div_ceil(*step)).sum()
}

/// How the samples of a row become colours.
struct Samples {
    color: ColorType,
    bits: usize,
    /// The colours of samples of at most 8 bits, gray or indices.
    table: Vec<[u8; 3]>,
    /// Alpha by palette entry, or the one colour that is transparent, as a pixel of 8 or 16 bits a channel stores it.
    transparency: Vec<u8>,
    background: Option<[u8; 3]>,
}

impl Samples {
    fn new(info: &png::Info<'_>, background: Option<[u8; 3]>) -> Self {
        let (color, bits) = (info.color_type, info.bit_depth as usize);
        let palette = info.palette.as_deref().unwrap_or_default();
        let transparency = info.trns.as_deref().unwrap_or_default();
        let most = (1 << bits.min(8)) - 1;
        let of_sample = |sample: usize| {
            if color == ColorType::Indexed {
                // An index beyond the palette is black, as in Pillow.
                let entry =
                    palette.get(sample * 3..sample * 3 + 3).map_or([0; 3], |entry| [entry[0], entry[1], entry[2]]);
                return opaque(entry, transparency.get(sample).copied().unwrap_or(255), background);
            }
            let is_transparent = transparency == [sample as u8];
            opaque([(sample * 255 / most) as u8; 3], if is_transparent { 0 } else { 255 }, background)
        };
        let table = (0..=most).map(of_sample).collect();
        Self { color, bits, table, transparency: transparency.to_vec(), background }
    }

    /// The one colour that is transparent, as Pillow notes it: for a palette, if all others are opaque.
    fn key_color(&self) -> Option<[u8; 3]> {
        match (self.color, self.bits, &*self.transparency) {
            (ColorType::Indexed, _, alpha) => {
                let mut others = alpha.iter().enumerate().filter(|(_, alpha)| **alpha != 255);
                let (index, alpha) = others.next()?;
                (*alpha == 0 && others.next().is_none()).then(|| self.table.get(index).copied()).flatten()
            }
            // That of a gray of 2 or 4 bits is not brought to 8, as the samples are.
            (ColorType::Grayscale, 2 | 4 | 8, [gray]) => Some([*gray; 3]),
            (ColorType::Rgb, 8, [red, green, blue]) => Some([*red, *green, *blue]),
            _ => None,
        }
    }

    fn append_row(&self, row: &[u8], width: u32, rgb: &mut Vec<u8>) {
        let width = width as usize;
        let plain = self.background.is_none();
        match (self.color, self.bits) {
            (ColorType::Rgb, 8) if plain => rgb.extend_from_slice(&row[..width * 3]),
            (ColorType::Rgb | ColorType::Rgba | ColorType::GrayscaleAlpha, bits) => {
                let bytes = bits / 8;
                for pixel in row.chunks_exact(self.color.samples() * bytes) {
                    rgb.extend(self.color_of(pixel, bytes));
                }
            }
            (ColorType::Grayscale, 16) => {
                for sample in row.chunks_exact(2) {
                    let value = u16::from_be_bytes([sample[0], sample[1]]);
                    let is_transparent = self.transparency == sample;
                    rgb.extend(opaque([to_8_bits(value); 3], if is_transparent { 0 } else { 255 }, self.background));
                }
            }
            (ColorType::Grayscale | ColorType::Indexed, bits) => {
                let (per_byte, mask) = (8 / bits, (1 << bits) - 1);
                let samples = row.iter().flat_map(|byte| {
                    (0..per_byte).rev().map(move |place| (usize::from(*byte) >> (place * bits)) & mask)
                });
                rgb.extend(samples.take(width).flat_map(|sample| self.table[sample]));
            }
        }
    }

    /// The colour of a pixel of several channels, of which the high byte counts.
    fn color_of(&self, pixel: &[u8], bytes: usize) -> [u8; 3] {
        let high = |channel: usize| pixel[channel * bytes];
        match self.color {
            ColorType::GrayscaleAlpha => opaque([high(0); 3], high(1), self.background),
            ColorType::Rgba => opaque([high(0), high(1), high(2)], high(3), self.background),
            _ => {
                let alpha = if self.transparency == pixel { 0 } else { 255 };
                opaque([high(0), high(1), high(2)], alpha, self.background)
            }
        }
    }
}

/// 16 bits to the nearest of 8.
pub(super) fn to_8_bits(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}
