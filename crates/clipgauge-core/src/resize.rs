//! Pillow's resampling, exactly: two passes with 8 bits between them, and weights in fixed point.
//!
//! The rules are those of Pillow 13's `src/libImaging/Resample.c` (and of `Geometry.c` for the nearest neighbour),
//! the order of the passes too. Only what a part of the result needs is computed, which changes none of its
//! bits.

mod portable;
mod weights;

#[cfg(target_arch = "x86_64")]
mod avx2;

use crate::pixels::Pixels;
use crate::spec::Filter;
use weights::Weights;

/// Steps before the window that the nearest neighbour takes one by one, to make the rounding errors that Pillow makes;
/// Pillow itself cannot hold a picture with more.
const MOST_STEPS: u64 = 1 << 24;

/// A part of the resized picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first column.
    pub(crate) left: u64,
    /// The first row.
    pub(crate) top: u64,
    /// Columns.
    pub(crate) width: u32,
    /// Rows.
    pub(crate) height: u32,
}

/// Resizes a picture to `width` columns and `height` rows, as Pillow's `Image.resize` does.
///
/// # Panics
/// When a side is zero.
///
/// ```
/// use clipgauge_core::{pixels::Pixels, resize::resize, spec::Filter};
///
/// let picture = Pixels::new(2, 1, vec![0, 0, 0, 255, 255, 255]);
/// let wider = resize(&picture, 4, 1, Filter::Bilinear);
/// assert_eq!(wider.rgb(), [[0; 3], [64; 3], [191; 3], [255; 3]].concat());
/// ```
pub fn resize(picture: &Pixels, width: u32, height: u32, filter: Filter) -> Pixels {
    assert!(width > 0 && height > 0, "a size of {width}×{height}");
    resize_window(picture, [width.into(), height.into()], Window { left: 0, top: 0, width, height }, filter)
}

/// The part `window` of the picture that [`resize`] would give for `size` (columns, rows).
pub(crate) fn resize_window(picture: &Pixels, size: [u64; 2], window: Window, filter: Filter) -> Pixels {
    resize_with(Kernel::best(), picture, size, window, filter)
}

fn resize_with(kernel: Kernel, picture: &Pixels, size: [u64; 2], window: Window, filter: Filter) -> Pixels {
    debug_assert!(window.left + u64::from(window.width) <= size[0] && window.top + u64::from(window.height) <= size[1]);
    let (columns, rows) = (u64::from(picture.width()), u64::from(picture.height()));
    if size == [columns, rows] {
        return cut(picture, window);
    }
    if filter == Filter::Nearest {
        return nearest(picture, size, window);
    }
    // A side that keeps its length is not resampled, but what the window leaves out is still left out.
    let weights = |input: u64, output: u64, first: u64, count: u32| {
        (input != output).then(|| Weights::new(input as usize, output, first, count as usize, filter))
    };
    let across = weights(columns, size[0], window.left, window.width);
    let down = weights(rows, size[1], window.top, window.height);
    let left = across.as_ref().map_or(window.left as usize, Weights::start);
    let top = down.as_ref().map_or(window.top as usize, Weights::start);
    let stride = columns as usize * 3;
    let source = Rows { bytes: &picture.rgb()[top * stride + left * 3..], stride };

    let needed_columns = across.as_ref().map_or(window.width as usize, Weights::inputs);
    let needed_rows = down.as_ref().map_or(window.height as usize, Weights::inputs);
    let rgb = match (across, down) {
        (Some(across), Some(down)) if is_vertical_first([columns, rows], size) => {
            let between = vertical(kernel, source, needed_columns * 3, &down);
            let between = Rows { bytes: &between, stride: needed_columns * 3 };
            horizontal(kernel, between, window.height as usize, &across)
        }
        (Some(across), Some(down)) => {
            let between = horizontal(kernel, source, needed_rows, &across);
            let stride = window.width as usize * 3;
            vertical(kernel, Rows { bytes: &between, stride }, stride, &down)
        }
        (Some(across), None) => horizontal(kernel, source, window.height as usize, &across),
        (None, Some(down)) => vertical(kernel, source, window.width as usize * 3, &down),
        (None, None) => return cut(picture, window),
    };
    Pixels::new(window.width, window.height, rgb)
}

/// Whether the height shrinks by more than twice as many pixels as the width does. Pillow 13 then turns the order of
/// the passes round, older ones never do.
fn is_vertical_first(from: [u64; 2], to: [u64; 2]) -> bool {
    let shrinks_by = |side: usize| i128::from(from[side]) - i128::from(to[side]);
    shrinks_by(1) > 0 && shrinks_by(1) > shrinks_by(0) * 2
}

/// Rows of RGB, from the first byte that counts.
#[derive(Clone, Copy)]
struct Rows<'a> {
    bytes: &'a [u8],
    /// How far one row is from the next.
    stride: usize,
}

/// The window of a picture that keeps its size.
fn cut(picture: &Pixels, window: Window) -> Pixels {
    let stride = picture.width() as usize * 3;
    let (left, top) = (window.left as usize * 3, window.top as usize);
    let mut rgb = Vec::with_capacity(window.width as usize * window.height as usize * 3);
    for row in picture.rgb().chunks_exact(stride).skip(top).take(window.height as usize) {
        rgb.extend_from_slice(&row[left..left + window.width as usize * 3]);
    }
    Pixels::new(window.width, window.height, rgb)
}

/// Pillow's nearest neighbour: `ImagingScaleAffine` steps from pixel to pixel by adding, rounding errors included.
fn nearest(picture: &Pixels, size: [u64; 2], window: Window) -> Pixels {
    let positions = |input: u32, output: u64, first: u64, count: u32| -> Vec<usize> {
        let step = f64::from(input) / output as f64;
        let mut position = step * 0.5;
        for _ in 0..first.min(MOST_STEPS) {
            position += step;
        }
        position += step * first.saturating_sub(MOST_STEPS) as f64;
        let mut positions = Vec::with_capacity(count as usize);
        for _ in 0..count {
            positions.push((position as usize).min(input as usize - 1));
            position += step;
        }
        positions
    };
    let columns = positions(picture.width(), size[0], window.left, window.width);
    let rows = positions(picture.height(), size[1], window.top, window.height);
    let stride = picture.width() as usize * 3;
    let mut rgb = Vec::with_capacity(columns.len() * rows.len() * 3);
    for row in rows {
        let row = &picture.rgb()[row * stride..(row + 1) * stride];
        for column in &columns {
            rgb.extend_from_slice(&row[column * 3..column * 3 + 3]);
        }
    }
    Pixels::new(window.width, window.height, rgb)
}

/// Resamples each of the first `count` rows.
fn horizontal(kernel: Kernel, rows: Rows<'_>, count: usize, weights: &Weights) -> Vec<u8> {
    // A kernel may read beyond a row's end (and multiply with zero): into the next row, or into this filling.
    let reach = weights.reach_bytes();
    let mut filled = [vec![0; reach], vec![0; reach]];
    let mut spare = vec![0; weights.len() * 3];
    let mut out = vec![0; count * weights.len() * 3];
    let mut outs = out.chunks_exact_mut(weights.len() * 3);
    let mut row = 0;
    while let Some(first_out) = outs.next() {
        let [first, second] = &mut filled;
        let first = whole_reach(&rows.bytes[row * rows.stride..], first);
        let second = whole_reach(&rows.bytes[(row + 1).min(count - 1) * rows.stride..], second);
        kernel.two_rows(first, second, weights, first_out, outs.next().unwrap_or(&mut spare));
        row += 2;
    }
    out
}

/// The first `filled.len()` bytes, in `filled` where there are not that many.
fn whole_reach<'a>(bytes: &'a [u8], filled: &'a mut [u8]) -> &'a [u8] {
    if let Some(whole) = bytes.get(..filled.len()) {
        return whole;
    }
    filled[..bytes.len()].copy_from_slice(bytes);
    filled
}

/// Resamples the first `width` bytes of all rows.
fn vertical(kernel: Kernel, rows: Rows<'_>, width: usize, weights: &Weights) -> Vec<u8> {
    let mut out = vec![0; weights.len() * width];
    for (index, out) in out.chunks_exact_mut(width).enumerate() {
        let bounds = weights.bounds(index);
        let needed = bounds.start * rows.stride..(bounds.end - 1) * rows.stride + width;
        kernel.sum_of_rows(&rows.bytes[needed], rows.stride, weights, index, out);
    }
    out
}

/// Who does the sums. All give the same bytes.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
}

impl Kernel {
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = avx2::Avx2::detect() {
            return Self::Avx2(avx2);
        }
        Self::Portable
    }

    fn two_rows(self, first: &[u8], second: &[u8], weights: &Weights, first_out: &mut [u8], second_out: &mut [u8]) {
        match self {
            Self::Portable => {
                portable::one_row(first, weights, first_out);
                portable::one_row(second, weights, second_out);
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.two_rows(first, second, weights, first_out, second_out),
        }
    }

    fn sum_of_rows(self, rows: &[u8], stride: usize, weights: &Weights, index: usize, out: &mut [u8]) {
        match self {
            Self::Portable => portable::sum_of_rows(rows, stride, weights, index, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.sum_of_rows(rows, stride, weights, index, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture() -> impl Strategy<Value = Pixels> {
        // Noise, and black and white, where sums overshoot.
        (1..90_u32, 1..90_u32, any::<bool>()).prop_flat_map(|(width, height, is_hard)| {
            let byte = if is_hard { prop_oneof![Just(0), Just(255)].boxed() } else { any::<u8>().boxed() };
            proptest::collection::vec(byte, (width * height * 3) as usize)
                .prop_map(move |rgb| Pixels::new(width, height, rgb))
        })
    }

    fn filter() -> impl Strategy<Value = Filter> {
        proptest::sample::select(vec![
            Filter::Nearest,
            Filter::Lanczos,
            Filter::Bilinear,
            Filter::Bicubic,
            Filter::Box,
            Filter::Hamming,
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_kernel_gives_the_same_bytes(picture in picture(), width in 1..120_u32, height in 1..120_u32, filter in filter()) {
            let size = [width.into(), height.into()];
            let window = Window { left: 0, top: 0, width, height };
            let portable = resize_with(Kernel::Portable, &picture, size, window, filter);
            prop_assert_eq!(resize_with(Kernel::best(), &picture, size, window, filter), portable);
        }

        #[test]
        fn a_window_is_a_part_of_the_whole(
            picture in picture(), width in 1..120_u32, height in 1..120_u32, filter in filter(),
            places in [0.0..1.0_f64, 0.0..1.0, 0.0..1.0, 0.0..1.0],
        ) {
            let span = |side: u32, from: f64, to: f64| {
                let first = (f64::from(side) * from) as u32;
                (first, 1 + (f64::from(side - first - 1) * to) as u32)
            };
            let (left, columns) = span(width, places[0], places[1]);
            let (top, rows) = span(height, places[2], places[3]);
            let window = Window { left: left.into(), top: top.into(), width: columns, height: rows };
            let whole = resize(&picture, width, height, filter);
            let part = resize_window(&picture, [width.into(), height.into()], window, filter);
            prop_assert_eq!(part, cut(&whole, window));
        }
    }
}
