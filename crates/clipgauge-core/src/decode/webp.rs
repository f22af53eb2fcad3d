//! WebP, decoded by `image-webp`.
//!
//! The container is read here (the WebP container specification, RIFF): its chunks say whether the file is whole,
//! and the first picture's data are handed on in a container of their own. So the decoder never sees an animation,
//! whose first frame it would blend with the canvas where libwebp does not.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::orientation::Orientation;
use super::{DecodeError, DecodeOptions, Stored, allowed, opaque};

const FORMAT: &str = "WebP";
/// Bytes a pixel that the decoder may use beside the picture.
const BYTES_PER_PIXEL: usize = 16;

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Stored, DecodeError> {
    let container = Container::read(bytes)?;
    let picture = container.picture.ok_or_else(|| corrupt("it has no picture"))?;
    let [frame_width, frame_height] = picture.size()?;
    let [canvas_width, canvas_height] = container.canvas.unwrap_or([frame_width, frame_height]);
    let (width, height) = allowed(FORMAT, canvas_width.into(), canvas_height.into(), options)?;
    allowed(FORMAT, frame_width.into(), frame_height.into(), options)?;
    let [left, top] = picture.offset;
    if left + frame_width > width || top + frame_height > height {
        return Err(corrupt("a frame lies outside the picture"));
    }

    let background = options.background;
    let (frame, channels) =
        picture.decoded([frame_width, frame_height]).map_err(|error| corrupt(&error.to_string()))?;
    let color = |pixel: &[u8]| opaque([pixel[0], pixel[1], pixel[2]], pixel.get(3).copied().unwrap_or(255), background);
    let rgb = if [frame_width, frame_height] == [width, height] {
        if channels == 3 { frame } else { frame.chunks_exact(channels).flat_map(color).collect() }
    } else {
        // What the first frame leaves free is transparent black.
        let mut rgb = background.unwrap_or_default().repeat(width as usize * height as usize);
        let stride = width as usize * 3;
        let rows = rgb.chunks_exact_mut(stride).skip(top as usize);
        for (out, row) in rows.zip(frame.chunks_exact(frame_width as usize * channels)) {
            let out = out[left as usize * 3..].chunks_exact_mut(3);
            for (out, pixel) in out.zip(row.chunks_exact(channels)) {
                out.copy_from_slice(&color(pixel));
            }
        }
        rgb
    };
    let orientation = match options.apply_orientation {
        true => Orientation::of(container.exif, container.xmp),
        false => Orientation::UPRIGHT,
    };
    Ok(Stored { width, height, rgb, orientation })
}

fn corrupt(problem: &str) -> DecodeError {
    DecodeError::Corrupt { format: FORMAT, problem: problem.to_owned() }
}

/// What the chunks of a file say.
#[derive(Default)]
struct Container<'a> {
    /// Columns and rows of the canvas, where there is a header for it.
    canvas: Option<[u32; 2]>,
    picture: Option<Picture<'a>>,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
}

/// The first picture's chunks.
#[derive(Default)]
struct Picture<'a> {
    /// Columns and rows before it on the canvas.
    offset: [u32; 2],
    alpha: Option<&'a [u8]>,
    lossy: Option<&'a [u8]>,
    lossless: Option<&'a [u8]>,
}

impl<'a> Container<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let truncated = || DecodeError::Truncated { format: FORMAT };
        // The length counts from `WEBP` on; bytes after it are not the file's.
        let length = u32_at(bytes, 4).ok_or_else(truncated)? as usize;
        let there = bytes.get(12..).ok_or_else(truncated)?;
        let claimed = length.checked_sub(4).ok_or_else(|| corrupt("it is shorter than its own header"))?;
        let mut container = Self::default();
        let mut picture = Picture::default();
        let mut rest = &there[..there.len().min(claimed)];
        let is_cut = there.len() < claimed;
        while !rest.is_empty() {
            let Some((kind, body, after)) = chunk(rest) else {
                // A last chunk that claims more than the file does is broken; one that the file ends in is cut.
                return Err(if is_cut { truncated() } else { corrupt("a chunk is longer than the file") });
            };
            rest = after;
            match kind {
                b"VP8X" => {
                    let size = body.get(4..10).ok_or_else(|| corrupt("its header is too short"))?;
                    container.canvas = Some([u24(&size[..3]) + 1, u24(&size[3..]) + 1]);
                }
                b"EXIF" => container.exif = container.exif.or(Some(body)),
                b"XMP " => container.xmp = container.xmp.or(Some(body)),
                b"ANMF" if container.picture.is_none() => container.picture = Some(Picture::of_frame(body)?),
                _ => picture.take(kind, body),
            }
        }
        // The file may end exactly between two chunks.
        if is_cut && there.len() + 1 < claimed {
            return Err(truncated());
        }
        if picture.lossy.is_some() || picture.lossless.is_some() {
            container.picture.get_or_insert(picture);
        }
        Ok(container)
    }
}

impl<'a> Picture<'a> {
    /// From a frame of an animation.
    fn of_frame(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, mut rest) = body.split_at_checked(16).ok_or_else(|| corrupt("a frame is too short"))?;
        let mut picture = Self { offset: [u24(&header[..3]) * 2, u24(&header[3..6]) * 2], ..Self::default() };
        while let Some((kind, body, after)) = chunk(rest) {
            picture.take(kind, body);
            rest = after;
        }
        Ok(picture)
    }

    fn take(&mut self, kind: &[u8; 4], body: &'a [u8]) {
        let place = match kind {
            b"ALPH" => &mut self.alpha,
            b"VP8 " => &mut self.lossy,
            b"VP8L" => &mut self.lossless,
            _ => return,
        };
        place.get_or_insert(body);
    }

    /// Columns and rows, from the header of the data themselves, which is what the decoder goes by.
    fn size(&self) -> Result<[u32; 2], DecodeError> {
        let side = |bits: u32| bits & 0x3fff;
        match (self.lossy, self.lossless) {
            (Some(data), _) => {
                let sides = u32_at(data, 6).ok_or_else(|| corrupt("its picture is too short"))?;
                Ok([side(sides), side(sides >> 16)])
            }
            (None, Some(data)) => {
                let sides = u32_at(data, 1).ok_or_else(|| corrupt("its picture is too short"))?;
                Ok([side(sides) + 1, side(sides >> 14) + 1])
            }
            (None, None) => Err(corrupt("a frame has no picture")),
        }
    }

    /// The pixels, and how many bytes each has.
    fn decoded(&self, size: [u32; 2]) -> Result<(Vec<u8>, usize), DecodingError> {
        let mut chunks = Vec::new();
        let mut append = |kind: &[u8; 4], body: &[u8]| {
            chunks.extend_from_slice(kind);
            chunks.extend_from_slice(&(body.len() as u32).to_le_bytes());
            chunks.extend_from_slice(body);
            chunks.resize(chunks.len().next_multiple_of(2), 0);
        };
        match (self.lossy, self.lossless) {
            (Some(lossy), _) => {
                if let Some(alpha) = self.alpha {
                    let [width, height] = size.map(|side| (side - 1).to_le_bytes());
                    // One flag: there is transparency.
                    let flags = [0x10, 0, 0, 0];
                    append(b"VP8X", &[&flags[..], &width[..3], &height[..3]].concat());
                    append(b"ALPH", alpha);
                }
                append(b"VP8 ", lossy);
            }
            (None, lossless) => append(b"VP8L", lossless.unwrap_or_default()),
        }
        let mut file = Vec::with_capacity(chunks.len() + 12);
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(chunks.len() as u32 + 4).to_le_bytes());
        file.extend_from_slice(b"WEBP");
        file.extend_from_slice(&chunks);

        let mut decoder = WebPDecoder::new(Cursor::new(file))?;
        let pixels = size[0] as usize * size[1] as usize;
        decoder.set_memory_limit(pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(chunks.len()));
        let channels = if decoder.has_alpha() { 4 } else { 3 };
        let mut buffer = vec![0; pixels * channels];
        decoder.read_image(&mut buffer)?;
        Ok((buffer, channels))
    }
}

/// The first chunk: its kind, what it has, and what comes after it and its byte of filling.
fn chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (kind, _) = bytes.split_first_chunk()?;
    let length = u32_at(bytes, 4)? as usize;
    let (body, after) = bytes[8..].split_at_checked(length)?;
    Some((kind, body, after.get(length % 2..).unwrap_or_default()))
}

fn u24(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
