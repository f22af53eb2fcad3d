//! Products of bytes, by the instructions that this processor has for them: a tile of sums is kept in registers while
//! weights that were packed before, and rows as they are, pass by.
//!
//! All kernels give the same numbers, since sums of whole numbers are exact in any order.
#![allow(
    unsafe_code,
    reason = "the inner loop cannot afford to check each of its loads; the bounds are asserted before it"
)]

use std::sync::LazyLock;

use super::quantised::Range;

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(target_arch = "x86_64")]
mod vnni;

/// The largest weight.
const LARGEST_WEIGHT: f32 = 127.0;

/// How one kind of processor multiplies bytes.
pub(super) struct Kernel {
    /// Columns of a panel.
    pub(super) panel_width: usize,
    /// Columns of a vector.
    lanes: usize,
    /// Numbers of a row that are taken at once. Rows are as long as a multiple of it.
    pub(super) step: usize,
    /// Whether the products of four numbers of a step are added in 16 bits: of 0, 1, 4 and 5, and of the others.
    adds_in_16_bits: bool,
    /// # Safety
    /// The processor has what the kernel needs, and `Rows`, panel and sums fit as [`Kernel::multiply`] asserts.
    sums: unsafe fn(Rows<'_>, &[i8], &mut [i32]),
}

/// Rows of bytes, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [u8],
    pub(super) count: usize,
    /// Numbers of a row, a multiple of the kernel's step.
    pub(super) width: usize,
}

/// The instructions of a kernel.
///
/// # Safety
/// All its functions: the processor has the instructions.
trait Dot {
    /// Sums in 32 bits, one of each column.
    type Sums: Copy;
    type Weights: Copy;
    type Numbers: Copy;

    /// Columns of a vector.
    const LANES: usize;
    /// Numbers of a row that are taken at once.
    const STEP: usize;

    unsafe fn zero() -> Self::Sums;

    /// Loads `LANES · STEP` weights: for each four numbers of the step, the four weights of each column.
    unsafe fn weights(at: *const i8) -> Self::Weights;

    /// Loads `STEP` numbers of a row.
    unsafe fn numbers(at: *const u8) -> Self::Numbers;

    /// Adds to each column's sum the products of the numbers and its weights.
    unsafe fn add(sums: Self::Sums, numbers: Self::Numbers, weights: Self::Weights) -> Self::Sums;

    /// Stores `LANES` sums.
    unsafe fn store(sums: Self::Sums, at: *mut i32);
}

impl Kernel {
    /// The fastest one that this processor has.
    pub(super) fn best() -> &'static Self {
        static BEST: LazyLock<&Kernel> = LazyLock::new(|| Kernel::all()[0]);
        *BEST
    }

    /// Those that this processor has, the fastest first.
    pub(super) fn all() -> Vec<&'static Self> {
        #[cfg(target_arch = "x86_64")]
        let detected = [vnni::avx512(), vnni::avx(), avx2::avx2()];
        #[cfg(not(target_arch = "x86_64"))]
        let detected: [Option<&Self>; 0] = [];
        detected.into_iter().flatten().chain([&portable::KERNEL]).collect()
    }

    /// A kernel of `VECTORS` vectors a panel.
    const fn new<D: Dot, const VECTORS: usize>(sums: unsafe fn(Rows<'_>, &[i8], &mut [i32])) -> Self {
        Self { panel_width: VECTORS * D::LANES, lanes: D::LANES, step: D::STEP, adds_in_16_bits: false, sums }
    }

    /// What one unit of an output's weights has to be worth at least, so that they fit 8 bits and no sum overflows. NaN
    /// where one of them is no number.
    pub(super) fn least_scale(&self, weights: &[f32]) -> f32 {
        let Range { least, most } = Range::of(weights);
        let scale = most.max(-least) / LARGEST_WEIGHT;
        if !self.adds_in_16_bits || scale.is_nan() {
            return scale;
        }
        // Numbers of a row go to 255 and have no sign: what overflows is the sum of all weights of one sign. Each may be
        // rounded up by a half, hence 126: 255 · (126 + 4 / 2) < 2^15.
        const LARGEST_SUM: f32 = 126.0;
        weights.chunks(self.step).fold(scale, |scale, step| {
            let weight = |index: usize| step.get(index).copied().unwrap_or(0.0);
            [[0, 1, 4, 5], [2, 3, 6, 7]].into_iter().fold(scale, |scale, added| {
                let sum = |sign: f32| added.into_iter().map(|index| (sign * weight(index)).max(0.0)).sum::<f32>();
                scale.max(sum(1.0).max(sum(-1.0)) / LARGEST_SUM)
            })
        })
    }

    /// Where in its panel a weight lies, by its column there and its number in a row.
    pub(super) fn position(&self, column: usize, number: usize) -> usize {
        let (step, in_step) = (number / self.step, number % self.step);
        let (vector, lane) = (column / self.lanes, column % self.lanes);
        let (four, byte) = (in_step / 4, in_step % 4);
        step * self.step * self.panel_width + vector * self.step * self.lanes + (four * self.lanes + lane) * 4 + byte
    }

    /// The products of the rows and the columns of a panel, `[rows, panel width]`.
    pub(super) fn multiply(&self, rows: Rows<'_>, panel: &[i8], sums: &mut [i32]) {
        assert!(rows.width.is_multiple_of(self.step) && rows.values.len() == rows.count * rows.width);
        assert_eq!(panel.len(), rows.width * self.panel_width, "a panel as deep as the rows are wide");
        assert_eq!(sums.len(), rows.count * self.panel_width, "a sum for each row and column");
        // SAFETY: kernels come from `all`, which has those of this processor only; the rest is what is asserted.
        unsafe { (self.sums)(rows, panel, sums) }
    }
}

/// Takes the rows `ROWS` at a time.
///
/// # Safety
/// The processor has the instructions of `D`, and the lengths are those that [`Kernel::multiply`] asserts.
#[inline(always)]
unsafe fn tiles<D: Dot, const ROWS: usize, const VECTORS: usize>(rows: Rows<'_>, panel: &[i8], sums: &mut [i32]) {
    let mut row = 0;
    while row < rows.count {
        let count = ROWS.min(rows.count - row);
        let at = rows.values[row * rows.width..].as_ptr();
        let target = sums[row * VECTORS * D::LANES..].as_mut_ptr();
        // SAFETY: there are `count` rows from `row` on, and as many rows of sums.
        unsafe {
            match count {
                6 => tile::<D, 6, VECTORS>(at, rows.width, panel, target),
                5 => tile::<D, 5, VECTORS>(at, rows.width, panel, target),
                4 => tile::<D, 4, VECTORS>(at, rows.width, panel, target),
                3 => tile::<D, 3, VECTORS>(at, rows.width, panel, target),
                2 => tile::<D, 2, VECTORS>(at, rows.width, panel, target),
                _ => tile::<D, 1, VECTORS>(at, rows.width, panel, target),
            }
        }
        row += count;
    }
}

/// Some rows by the columns of one panel.
///
/// # Safety
/// The processor has the instructions of `D`, from `rows` on there are `ROWS` rows of `width` numbers, and from `target` on
/// there is room for as many sums as a panel has columns, for each of them.
#[inline(always)]
unsafe fn tile<D: Dot, const ROWS: usize, const VECTORS: usize>(
    rows: *const u8,
    width: usize,
    panel: &[i8],
    target: *mut i32,
) {
    // SAFETY: `width / STEP` steps lie in a row, and a panel has as many, of `VECTORS` vectors each.
    unsafe {
        let mut sums = [[D::zero(); VECTORS]; ROWS];
        let (mut at, mut panel) = (rows, panel.as_ptr());
        for _ in 0..width / D::STEP {
            // Not by a closure, which would be compiled without the processor's instructions where it is not inlined.
            let mut weights = [D::weights(panel); VECTORS];
            for (vector, weights) in weights.iter_mut().enumerate() {
                *weights = D::weights(panel.add(vector * D::LANES * D::STEP));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let numbers = D::numbers(at.add(row * width));
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = D::add(*sum, numbers, weights);
                }
            }
            (at, panel) = (at.add(D::STEP), panel.add(VECTORS * D::LANES * D::STEP));
        }
        for (index, sum) in sums.as_flattened().iter().enumerate() {
            D::store(*sum, target.add(index * D::LANES));
        }
    }
}
