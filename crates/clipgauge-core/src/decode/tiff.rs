//! TIFF, decoded by the `tiff` crate: the first picture of a file.

use std::io::{Cursor, ErrorKind};

use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::orientation::Orientation;
use super::png::to_8_bits;
use super::{DecodeError, DecodeOptions, Stored, allowed, jpeg, opaque};

const FORMAT: &str = "TIFF";
/// Bytes that the values of one field may have.
const MAX_FIELD: usize = 16 << 20;
/// The most samples a pixel that is decoded may have: four colours, and transparency.
const MAX_SAMPLES: usize = 5;
/// What compressed data may take however small the picture.
const LEAST_BYTES: usize = 1 << 20;
/// The value of the compression that says that each strip or tile is a JPEG, with a size of its own.
const JPEG: u16 = 7;
/// The value of the photometric interpretation that says that samples are indices, and the one for gray.
const PALETTE: u16 = 3;
const BLACK_IS_ZERO: u16 = 1;

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Stored, DecodeError> {
    let mut limits = Limits::default();
    limits.ifd_value_size = MAX_FIELD;
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(failed)?.with_limits(limits.clone());
    let (width, height) = decoder.dimensions().map_err(failed)?;
    let (width, height) = allowed(FORMAT, width.into(), height.into(), options)?;
    let pixels = width as usize * height as usize;

    let orientation = match options.apply_orientation {
        true => decoder.find_tag_unsigned(Tag::Orientation).ok().flatten().map(Orientation::new),
        false => None,
    };
    let pieces = pieces(&mut decoder);
    if pieces.iter().any(|(offset, length)| offset.saturating_add(*length) > bytes.len() as u64) {
        return Err(DecodeError::Truncated { format: FORMAT });
    }
    // With everything there that the directory lists, whatever ends too early is damaged.
    let is_whole = !pieces.is_empty();
    let failed = |error: TiffError| match failed(error) {
        DecodeError::Truncated { format } if is_whole => {
            DecodeError::Corrupt { format, problem: "its compressed data end too early".to_owned() }
        }
        error => error,
    };
    if let Ok(Some(JPEG)) = decoder.find_tag_unsigned(Tag::Compression) {
        for (offset, length) in pieces {
            jpeg::check_size(&bytes[offset as usize..(offset + length) as usize], options)?;
        }
    }
    let mut palette = None;
    let patched;
    let mut bytes = bytes;
    if let Ok(Some(PALETTE)) = decoder.find_tag_unsigned(Tag::PhotometricInterpretation) {
        palette = Some(decoder.get_tag_u16_vec(Tag::ColorMap).map_err(failed)?);
        patched = indices_as_gray(bytes)?;
        bytes = &patched;
    }

    // Two bytes a sample; compressed data cannot be larger than the file.
    limits.decoding_buffer_size = pixels.saturating_mul(2 * MAX_SAMPLES).saturating_add(LEAST_BYTES);
    limits.intermediate_buffer_size = limits.decoding_buffer_size.saturating_add(bytes.len());
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(failed)?.with_limits(limits);
    let color = decoder.colortype().map_err(failed)?;
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples).map_err(failed)?;
    let samples = Samples {
        color,
        width: width as usize,
        values: match samples {
            DecodingResult::U8(values) => Values::Bytes(values),
            DecodingResult::U16(values) => Values::Words(values),
            _ => return Err(unsupported("samples that are not 8 or 16 bits")),
        },
        planes: if layout.planes > 1 { Some(pixels) } else { None },
        palette,
        background: options.background,
    };
    Ok(Stored { width, height, rgb: samples.into_rgb()?, orientation: orientation.unwrap_or(Orientation::UPRIGHT) })
}

/// Where the strips or tiles of a picture lie, and how long they are.
fn pieces(decoder: &mut Decoder<Cursor<&[u8]>>) -> Vec<(u64, u64)> {
    let mut pieces = Vec::new();
    for tags in [(Tag::StripOffsets, Tag::StripByteCounts), (Tag::TileOffsets, Tag::TileByteCounts)] {
        if let (Ok(offsets), Ok(lengths)) = (decoder.get_tag_u64_vec(tags.0), decoder.get_tag_u64_vec(tags.1)) {
            pieces.extend(offsets.into_iter().zip(lengths));
        }
    }
    pieces
}

/// The file with indices called gray: the decoder knows no palettes, and indices are stored as gray samples are.
fn indices_as_gray(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let unreadable = || unsupported("a palette in BigTIFF");
    let is_little = bytes.starts_with(b"II*\0");
    if !is_little && !bytes.starts_with(b"MM\0*") {
        return Err(unreadable());
    }
    let u16_at = |at: usize| {
        let value = *bytes.get(at..)?.first_chunk()?;
        Some(if is_little { u16::from_le_bytes(value) } else { u16::from_be_bytes(value) })
    };
    let directory = bytes.get(4..).and_then(<[u8]>::first_chunk).ok_or_else(unreadable)?;
    let directory = if is_little { u32::from_le_bytes(*directory) } else { u32::from_be_bytes(*directory) } as usize;
    let mut patched = bytes.to_vec();
    for entry in 0..usize::from(u16_at(directory).unwrap_or(0)) {
        let at = directory + 2 + entry * 12;
        if u16_at(at) == Some(Tag::PhotometricInterpretation.to_u16()) && at + 10 <= patched.len() {
            let gray = if is_little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
            patched[at + 8..at + 10].copy_from_slice(&gray);
        }
    }
    Ok(patched)
}

enum Values {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

/// Samples as they are stored, and what they mean.
struct Samples {
    color: ColorType,
    width: usize,
    values: Values,
    /// How far one channel is from the next, where each is stored apart.
    planes: Option<usize>,
    /// All reds, then all greens, then all blues, 16 bits each.
    palette: Option<Vec<u16>>,
    background: Option<[u8; 3]>,
}

impl Samples {
    fn into_rgb(mut self) -> Result<Vec<u8>, DecodeError> {
        let bits = self.color.bit_depth();
        if let (ColorType::RGB(8), None, Values::Bytes(bytes)) = (self.color, self.planes, &mut self.values) {
            return Ok(std::mem::take(bytes));
        }
        let rgb = match (self.color, &self.values) {
            (ColorType::Gray(1 | 2 | 4 | 8), Values::Bytes(bytes)) => self.gray_or_indexed(bytes, usize::from(bits)),
            (ColorType::Gray(16), Values::Words(words)) => {
                words.iter().flat_map(|word| [to_8_bits(*word); 3]).collect()
            }
            (_, Values::Bytes(bytes)) if bits == 8 => self.several(bytes.len(), |at| bytes[at])?,
            // The high byte counts, as it does in Pillow.
            (_, Values::Words(words)) if bits == 16 => self.several(words.len(), |at| (words[at] >> 8) as u8)?,
            _ => return Err(unsupported(&format!("{:?}", self.color))),
        };
        Ok(rgb)
    }

    fn gray_or_indexed(&self, bytes: &[u8], bits: usize) -> Vec<u8> {
        let most = (1 << bits) - 1;
        let colors: Vec<[u8; 3]> = (0..=most)
            .map(|sample| match &self.palette {
                Some(palette) => {
                    let channel =
                        |channel: usize| palette.get(channel * (most + 1) + sample).map_or(0, |word| word >> 8);
                    [0, 1, 2].map(|index| channel(index) as u8)
                }
                None => [(sample * 255 / most) as u8; 3],
            })
            .collect();
        let stride = (self.width * bits).div_ceil(8);
        let mut rgb = Vec::with_capacity(bytes.len() * 8 / bits * 3);
        for row in bytes.chunks_exact(stride) {
            let samples = row
                .iter()
                .flat_map(|byte| (0..8 / bits).rev().map(move |place| (usize::from(*byte) >> (place * bits)) & most));
            rgb.extend(samples.take(self.width).flat_map(|sample| colors[sample]));
        }
        rgb
    }

    /// Pixels of several samples each.
    fn several(&self, length: usize, sample: impl Fn(usize) -> u8) -> Result<Vec<u8>, DecodeError> {
        let channels = usize::from(self.color.num_samples());
        let pixels = length / channels;
        let at = |pixel: usize, channel: usize| match self.planes {
            Some(plane) => sample(channel * plane + pixel),
            None => sample(pixel * channels + channel),
        };
        let first = |pixel: usize| [at(pixel, 0), at(pixel, 1), at(pixel, 2)];
        let colors: Box<dyn Fn(usize) -> [u8; 3] + '_> = match self.color {
            ColorType::RGB(_) => Box::new(first),
            ColorType::RGBA(_) => Box::new(|pixel| opaque(first(pixel), at(pixel, 3), self.background)),
            ColorType::GrayA(_) => Box::new(|pixel| opaque([at(pixel, 0); 3], at(pixel, 1), self.background)),
            ColorType::YCbCr(_) => Box::new(|pixel| from_ycbcr(first(pixel))),
            ColorType::CMYK(_) => Box::new(|pixel| from_cmyk(first(pixel), at(pixel, 3))),
            ColorType::Multiband { num_samples: 2, .. } => {
                Box::new(|pixel| opaque([at(pixel, 0); 3], at(pixel, 1), self.background))
            }
            _ => return Err(unsupported(&format!("{:?}", self.color))),
        };
        Ok((0..pixels).flat_map(colors).collect())
    }
}

/// Pillow's conversion (`Convert.c`, `cmyk2rgb`), with its rounding.
fn from_cmyk(ink: [u8; 3], black: u8) -> [u8; 3] {
    let rest = 255 - u32::from(black);
    ink.map(|ink| {
        let product = u32::from(ink) * rest + 128;
        (rest - (((product >> 8) + product) >> 8)) as u8
    })
}

/// JFIF's conversion, which is also TIFF's by default.
fn from_ycbcr([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let [luma, blue, red] = [f32::from(luma), f32::from(blue) - 128.0, f32::from(red) - 128.0];
    [luma + 1.402 * red, luma - 0.344_14 * blue - 0.714_14 * red, luma + 1.772 * blue].map(|value| value.round() as u8)
}

fn unsupported(what: &str) -> DecodeError {
    DecodeError::Unsupported { what: format!("TIFF with {what}") }
}

fn failed(error: TiffError) -> DecodeError {
    match error {
        TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format: FORMAT }
        }
        TiffError::UnsupportedError(error) => DecodeError::Unsupported { what: format!("TIFF ({error})") },
        error => DecodeError::Corrupt { format: FORMAT, problem: error.to_string() },
    }
}
