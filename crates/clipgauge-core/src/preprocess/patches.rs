//! Pictures as patches of any grid: SigLIP 2's NaFlex.
//!
//! The rules are those of `get_image_size_for_max_num_patches` and `convert_image_to_patches` in transformers'
//! `models/siglip2/image_processing_pil_siglip2.py`.

use super::Table;
use crate::pixels::{PixelBatch, Pixels};
use crate::resize::{Window, resize_window};
use crate::spec::Filter;

/// How close the search for the scale comes.
const EPSILON: f64 = 1e-5;
/// The largest scale that is tried.
const LARGEST_SCALE: f64 = 100.0;

/// Resizes each picture to a grid of whole patches and cuts it along the grid.
pub(super) fn cut<'a>(
    pictures: impl IntoIterator<Item = &'a Pixels>,
    filter: Filter,
    table: &Table,
    patch_size: u32,
    max_patches: u32,
) -> PixelBatch {
    let side = patch_size as usize;
    let patch_width = side * side * 3;
    let (mut values, mut grids) = (Vec::new(), Vec::new());
    for picture in pictures {
        let [rows, columns] = grid([picture.height(), picture.width()], patch_size, max_patches);
        let (width, height) = (columns * patch_size, rows * patch_size);
        let window = Window { left: 0, top: 0, width, height };
        let resized = resize_window(picture, [width.into(), height.into()], window, filter);
        let end = values.len() + max_patches as usize * patch_width;
        let stride = width as usize * 3;
        for band in resized.rgb().chunks_exact(side * stride) {
            for left in (0..stride).step_by(side * 3) {
                for row in band.chunks_exact(stride) {
                    for pixel in row[left..left + side * 3].chunks_exact(3) {
                        values.extend([0, 1, 2].map(|channel| table.0[channel][usize::from(pixel[channel])]));
                    }
                }
            }
        }
        values.resize(end, 0.0);
        grids.push([rows, columns]);
    }
    PixelBatch::Patches { values, max_patches: max_patches as usize, patch_width, grids }
}

/// Rows and columns of patches for a picture of `size` (rows, columns): the most that the limit allows, found by
/// halving the range of scales as the reference does, so that both stop at the same one.
fn grid(size: [u32; 2], patch_size: u32, max_patches: u32) -> [u32; 2] {
    let patch = f64::from(patch_size);
    let at = |scale: f64| size.map(|side| (f64::from(side) * scale / patch).ceil().max(1.0));
    let (mut smallest, mut largest) = (EPSILON / 10.0, LARGEST_SCALE);
    while largest - smallest >= EPSILON {
        let scale = (smallest + largest) / 2.0;
        let [rows, columns] = at(scale);
        if rows * columns <= f64::from(max_patches) {
            smallest = scale;
        } else {
            largest = scale;
        }
    }
    // At the smallest scale the grid may still be too large, where a picture is millions of times as long as wide.
    let limit = f64::from(max_patches.max(1));
    let [rows, columns] = at(smallest).map(|count| count.min(limit));
    if rows * columns <= limit {
        [rows as u32, columns as u32]
    } else if rows < columns {
        [rows as u32, (limit / rows) as u32]
    } else {
        [(limit / columns) as u32, columns as u32]
    }
}

#[cfg(test)]
mod tests {
    use super::grid;

    /// Numbers of the reference's `get_image_size_for_max_num_patches`, but for the last, where it exceeds the limit.
    #[test]
    fn grids_are_those_of_the_reference() {
        for (size, max_patches, expected) in [
            ([480, 640], 256, [14, 18]),
            ([640, 480], 1024, [36, 27]),
            ([333, 777], 100, [6, 14]),
            ([64, 64], 1, [1, 1]),
            ([1, 1], 256, [7, 7]),
            ([1, 100_000_000], 256, [1, 230]),
            ([100_000_000, 1], 3, [3, 1]),
        ] {
            assert_eq!(grid(size, 16, max_patches), expected, "{size:?} in {max_patches}");
        }
    }
}
