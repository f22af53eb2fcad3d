//! Pictures cut into patches, in the order in which a convolution's kernel is stored.

use crate::backend::Rows;

/// `[count, 3, side, side]` → `[count · patches, 3 · patch_size²]`: patches row by row, each with its channels one after
/// the other. What does not fill a patch at the right and at the bottom is left out, as the reference's convolution does.
pub(crate) fn patches(pixels: &[f32], side: usize, patch_size: usize) -> Rows {
    let grid = side / patch_size;
    let count = pixels.len() / (3 * side * side);
    let mut patches = Rows::new(3 * patch_size.pow(2));
    patches.set_len(count * grid * grid);
    let mut lines = patches.values_mut().chunks_exact_mut(patch_size);
    for picture in pixels.chunks_exact(3 * side * side) {
        for (grid_row, grid_column) in pairs(grid, grid) {
            for (channel, line) in pairs(3, patch_size) {
                let row = channel * side + grid_row * patch_size + line;
                let start = row * side + grid_column * patch_size;
                let target = lines.next().expect("as many lines as there are patches");
                target.copy_from_slice(&picture[start..start + patch_size]);
            }
        }
    }
    patches
}

/// `(0, 0)`, `(0, 1)`, … `(rows - 1, columns - 1)`
fn pairs(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}
