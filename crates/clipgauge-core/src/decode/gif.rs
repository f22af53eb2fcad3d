//! GIF, decoded by the `gif` crate: the first frame on its canvas, as Pillow shows it.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodingError, MemoryLimit};

use super::orientation::Orientation;
use super::{DecodeError, DecodeOptions, Stored, allowed, opaque, whiten};

const FORMAT: &str = "GIF";

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Stored, DecodeError> {
    let failed = |error: DecodingError| match error {
        DecodingError::UnexpectedEof => DecodeError::Truncated { format: FORMAT },
        error => DecodeError::Corrupt { format: FORMAT, problem: error.to_string() },
    };
    let mut settings = gif::DecodeOptions::new();
    settings.set_color_output(ColorOutput::Indexed);
    settings.allow_unknown_blocks(true);
    // A byte for each pixel; metadata cannot be larger than the file.
    let most = NonZeroU64::MIN.saturating_add(options.max_pixels.max(bytes.len() as u64));
    settings.set_memory_limit(MemoryLimit::Bytes(most));
    let mut decoder = settings.read_info(bytes).map_err(failed)?;
    let screen = [decoder.width(), decoder.height()].map(u64::from);
    if screen.iter().all(|side| *side > 0) {
        allowed(FORMAT, screen[0], screen[1], options)?;
    }
    let no_frame = || DecodeError::Corrupt { format: FORMAT, problem: "it has no picture".to_owned() };
    let frame = decoder.next_frame_info().map_err(failed)?.ok_or_else(no_frame)?;
    let [left, top, frame_width, frame_height] = [frame.left, frame.top, frame.width, frame.height].map(u64::from);
    let transparent = frame.transparent;
    allowed(FORMAT, frame_width, frame_height, options)?;
    // The canvas grows with a frame that reaches beyond it.
    let size = [screen[0].max(left + frame_width), screen[1].max(top + frame_height)];
    let (width, height) = allowed(FORMAT, size[0], size[1], options)?;

    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(failed)?;
    let palette = decoder.palette().map_err(failed)?;
    let is_gray_ramp = palette.chunks_exact(3).enumerate().all(|(index, color)| [index as u8; 3] == *color);
    let colors: Vec<[u8; 3]> = (0..=255)
        .map(|index: u8| {
            // Pillow takes a palette of all grays for none, and an index beyond another for black.
            let beyond = if is_gray_ramp { [index; 3] } else { [0; 3] };
            let at = usize::from(index) * 3;
            let color = palette.get(at..at + 3).map_or(beyond, |color| [color[0], color[1], color[2]]);
            opaque(color, if transparent == Some(index) { 0 } else { 255 }, options.background)
        })
        .collect();

    // Round the frame there is the transparent colour, or the first.
    let around = colors[usize::from(transparent.unwrap_or(0))];
    let mut rgb = around.repeat(width as usize * height as usize);
    let (stride, left, top) = (width as usize * 3, left as usize, top as usize);
    for (out, row) in rgb.chunks_exact_mut(stride).skip(top).zip(indices.chunks_exact(frame_width as usize)) {
        for (out, index) in out[left * 3..].chunks_exact_mut(3).zip(row) {
            out.copy_from_slice(&colors[usize::from(*index)]);
        }
    }
    whiten(&mut rgb, transparent.map(|index| colors[usize::from(index)]), options.background);
    Ok(Stored { width, height, rgb, orientation: Orientation::UPRIGHT })
}
