//! The matrix product, after Goto and van de Geijn (2008, "Anatomy of high-performance matrix multiplication") and
//! BLIS: a tile of the output is summed in registers, over panels that were packed before.
//!
//! Written once over `rten-simd`, which finds the widest vectors of this processor when it runs. A number of the output
//! is summed in an order that the depth alone decides, whatever rows are beside it.
#![allow(
    unsafe_code,
    reason = "the inner loop cannot afford to check each of its loads; the bounds are asserted before it"
)]

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::activation;
use super::panels::{Panels, Strided, vectors};
use crate::backend::Activation;

/// Rows of a tile.
const TILE_ROWS: usize = 6;

/// The depth that is summed before the next panel: so much of a panel and of a block of rows stays in the second-level
/// cache. Less makes the panel fit the first level, too, and was slower by a tenth to a fifth: sums then go to the output
/// and back more often than loads are saved.
const DEPTH_BLOCK: usize = 768;

/// Rows that meet all panels before the next ones do.
const ROW_BLOCK: usize = 144;

/// What happens to a sum.
#[derive(Debug, Clone, Copy)]
pub(super) enum Finish {
    /// It is the output.
    Store,
    /// It is added to what the output holds.
    Add,
    /// The output is a function of it.
    Activate(Activation),
}

/// `output = finish(input · panels + bias)`
pub(super) struct Product<'a> {
    /// `[rows, depth]`
    pub(super) input: Strided<'a>,
    /// `[depth, columns]`
    pub(super) panels: &'a Panels,
    /// `[columns]`
    pub(super) bias: Option<&'a [f32]>,
    pub(super) finish: Finish,
    /// `[rows, columns]`, a row each `output_stride`.
    pub(super) output: &'a mut [f32],
    pub(super) output_stride: usize,
}

impl Product<'_> {
    /// Computes the product on this thread.
    pub(super) fn run(self) {
        if self.input.rows > 0 && self.panels.columns() > 0 {
            self.dispatch();
        }
    }
}

impl SimdOp for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        match vectors(isa.f32().len()) {
            4 => blocks::<I, 4>(isa, self),
            _ => blocks::<I, 2>(isa, self),
        }
    }
}

/// Takes the product block by block, and each block tile by tile.
#[inline(always)]
fn blocks<I: Isa, const VECTORS: usize>(isa: I, product: Product<'_>) {
    let Product { input, panels, bias, finish, output, output_stride } = product;
    let (rows, depth, columns) = (input.rows, panels.depth(), panels.columns());
    // What the tiles rely on.
    assert!(input.stride >= depth && input.values.len() >= (rows - 1) * input.stride + depth);
    assert!(output_stride >= columns && output.len() >= (rows - 1) * output_stride + columns);
    assert!(bias.is_none_or(|bias| bias.len() == columns), "a bias for each of {columns} outputs");
    let panel_width = VECTORS * isa.f32().len();
    // Blocks of one size, so that none is left with a few rows only.
    let depth_block = depth.div_ceil(depth.div_ceil(DEPTH_BLOCK).max(1)).max(1);
    for first_row in (0..rows).step_by(ROW_BLOCK) {
        let until_row = rows.min(first_row + ROW_BLOCK);
        for first_depth in (0..depth.max(1)).step_by(depth_block) {
            let until_depth = depth.min(first_depth + depth_block);
            let is_last = until_depth == depth;
            for (panel, first_column) in
                panels.values().chunks(panel_width * depth.max(1)).zip((0..columns).step_by(panel_width))
            {
                let used = panel_width.min(columns - first_column);
                let part = &panel[first_depth * panel_width..until_depth * panel_width];
                let mut row = first_row;
                while row < until_row {
                    let count = TILE_ROWS.min(until_row - row);
                    let mut tile = Tile::<VECTORS> {
                        input: &input.values[row * input.stride + first_depth..],
                        input_stride: input.stride,
                        panel: part,
                        bias: bias.filter(|_| is_last).map(|bias| &bias[first_column..][..used]),
                        accumulates: first_depth > 0 || matches!(finish, Finish::Add),
                        output: &mut output[row * output_stride + first_column..],
                        output_stride,
                        columns: used,
                    };
                    match count {
                        6 => tile.sum::<I, 6>(isa),
                        5 => tile.sum::<I, 5>(isa),
                        4 => tile.sum::<I, 4>(isa),
                        3 => tile.sum::<I, 3>(isa),
                        2 => tile.sum::<I, 2>(isa),
                        _ => tile.sum::<I, 1>(isa),
                    }
                    if let (Finish::Activate(kind), true) = (finish, is_last) {
                        // While it is still in the first-level cache.
                        for row in tile.output.chunks_mut(output_stride).take(count) {
                            activation::apply(isa, kind, &mut row[..used]);
                        }
                    }
                    row += count;
                }
            }
        }
    }
}

/// Some rows by the columns of one panel, and some of the depth.
struct Tile<'a, const VECTORS: usize> {
    /// From the first number of the first row on.
    input: &'a [f32],
    input_stride: usize,
    /// `[depth, panel width]`
    panel: &'a [f32],
    bias: Option<&'a [f32]>,
    accumulates: bool,
    output: &'a mut [f32],
    output_stride: usize,
    /// Columns of the panel that are the matrix's.
    columns: usize,
}

impl<const VECTORS: usize> Tile<'_, VECTORS> {
    /// Sums the tile and puts it into the output.
    #[inline(always)]
    fn sum<I: Isa, const ROWS: usize>(&mut self, isa: I) {
        let ops = isa.f32();
        let lanes = ops.len();
        let depth = self.panel.len() / (VECTORS * lanes);
        let mut sums = [[ops.zero(); VECTORS]; ROWS];
        // Pointers that move, up to one: of an index or a count, the compiler makes more arithmetic than the loop has
        // room for.
        let (mut input, mut panel) = (self.input.as_ptr(), self.panel.as_ptr());
        let end = panel.wrapping_add(depth * VECTORS * lanes);
        while panel != end {
            // SAFETY: a panel has `depth` rows of `VECTORS * lanes` numbers.
            let loaded: [I::F32; VECTORS] = std::array::from_fn(
                #[inline(always)]
                |vector| unsafe { ops.load_ptr(panel.add(vector * lanes)) },
            );
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `blocks` has asserted that each row has `depth` numbers.
                let number = ops.splat(unsafe { *input.add(row * self.input_stride) });
                for (sum, loaded) in sums.iter_mut().zip(loaded) {
                    *sum = ops.mul_add(number, loaded, *sum);
                }
            }
            // SAFETY: one past the end at most, as there are `depth` of them.
            (input, panel) = unsafe { (input.add(1), panel.add(VECTORS * lanes)) };
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                let first = vector * lanes;
                if first >= self.columns {
                    break;
                }
                self.put(isa, row, first, sum);
            }
        }
    }

    /// Puts a vector of sums into the output.
    #[inline(always)]
    fn put<I: Isa>(&mut self, isa: I, row: usize, first: usize, mut sum: I::F32) {
        let ops = isa.f32();
        let count = self.columns - first;
        let target = &mut self.output[row * self.output_stride + first..];
        if count >= ops.len() {
            if let Some(bias) = self.bias {
                sum = ops.add(sum, ops.load(&bias[first..]));
            }
            if self.accumulates {
                sum = ops.add(sum, ops.load(target));
            }
            ops.store(sum, target);
        } else {
            if let Some(bias) = self.bias {
                sum = ops.add(sum, ops.load_pad(&bias[first..]).0);
            }
            let mask = ops.first_n_mask(count);
            if self.accumulates {
                sum = ops.add(sum, ops.load_pad(&target[..count]).0);
            }
            // SAFETY: `blocks` has asserted that the output has as many columns as the mask lets through.
            unsafe { ops.store_ptr_mask(sum, target.as_mut_ptr(), mask) };
        }
    }
}
