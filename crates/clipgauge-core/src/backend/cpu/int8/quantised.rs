//! Rows of activations in 8 bits: `scale · (q - zero)` with `q` from 0 to 255, a scale and a zero for each row.

use rten_simd::ops::{BitOps, FloatOps, NarrowSaturate, NumOps};
use rten_simd::{Isa, Simd, SimdOp};

use super::kernel;

/// The largest quantised activation.
const LARGEST: f32 = 255.0;

/// Rows in 8 bits.
#[derive(Default)]
pub(super) struct Quantised {
    /// `[rows, stride]`
    values: Vec<u8>,
    /// Numbers of a row, with those that fill it up.
    stride: usize,
    /// What one unit of a row is worth.
    pub(super) scales: Vec<f32>,
    /// Which unit of a row is zero.
    pub(super) zeros: Vec<i32>,
}

impl Quantised {
    /// Replaces the rows, which are of `width`, each filled up to a multiple of `step`.
    pub(super) fn set_rows(&mut self, values: &[f32], width: usize, step: usize) {
        self.stride = width.next_multiple_of(step);
        self.values.clear();
        self.scales.clear();
        self.zeros.clear();
        values.chunks_exact(width).for_each(|row| self.push(row));
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    /// The rows, as a kernel takes them.
    pub(super) fn rows(&self) -> kernel::Rows<'_> {
        kernel::Rows { values: &self.values, count: self.len(), width: self.stride }
    }

    /// Adds a row.
    fn push(&mut self, row: &[f32]) {
        let Range { least, most } = Range::of(row);
        let scale = (most - least) / LARGEST;
        let per_unit = reciprocal(scale);
        let zero = (-least * per_unit).round_ties_even() as u8;
        let first = self.values.len();
        self.values.resize(first + self.stride, 0);
        Round { numbers: row, per_unit, zero, rounded: &mut self.values[first..] }.dispatch();
        self.scales.push(scale);
        self.zeros.push(zero.into());
    }
}

/// `rounded = number · per_unit + zero`, from 0 to 255.
pub(super) struct Round<'a> {
    pub(super) numbers: &'a [f32],
    pub(super) per_unit: f32,
    pub(super) zero: u8,
    /// At least as many as there are numbers.
    pub(super) rounded: &'a mut [u8],
}

impl SimdOp for Round<'_> {
    type Output = ();

    /// Without a closure over arrays of vectors, as `rten-vecmath`'s has it: that is called for each instruction.
    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { numbers, per_unit, zero, rounded } = self;
        let (ops, whole, short, bytes) = (isa.f32(), isa.i32(), isa.i16(), isa.u8());
        let (per_unit_vector, zero_vector) = (ops.splat(per_unit), whole.splat(zero.into()));
        let lanes = ops.len();
        let chunks = numbers.chunks_exact(4 * lanes);
        let rest = chunks.remainder();
        for (numbers, rounded) in chunks.zip(rounded.chunks_exact_mut(4 * lanes)) {
            let [mut first, mut second, mut third, mut fourth] = [whole.zero(); 4];
            for (index, vector) in [&mut first, &mut second, &mut third, &mut fourth].into_iter().enumerate() {
                let scaled = ops.mul(ops.load(&numbers[index * lanes..]), per_unit_vector);
                *vector = whole.add(ops.to_int_round(scaled), zero_vector);
            }
            let (low, high) = (whole.narrow_saturate(first, second), whole.narrow_saturate(third, fourth));
            bytes.store(short.narrow_saturate(low, high), rounded);
        }
        for (number, rounded) in rest.iter().zip(&mut rounded[numbers.len() - rest.len()..]) {
            let sum = (number * per_unit).round_ties_even() as i32 + i32::from(zero);
            *rounded = sum.clamp(0, 255) as u8;
        }
    }
}

/// From the least to the largest of some numbers and zero, which has to be among what 8 bits can say. Both are NaN where
/// one of the numbers is: what 8 bits cannot say must show all the same, as it does in f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) least: f32,
    pub(super) most: f32,
}

impl Range {
    pub(super) fn of(numbers: &[f32]) -> Self {
        FindRange { numbers }.dispatch()
    }
}

struct FindRange<'a> {
    numbers: &'a [f32],
}

impl SimdOp for FindRange<'_> {
    type Output = Range;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> Range {
        // Vectors that are compared side by side: as many comparisons are under way at once.
        const UNROLL: usize = 2;
        let ops = isa.f32();
        let ([mut least, mut most], mut differences) = ([[ops.zero(); UNROLL]; 2], [ops.zero(); UNROLL]);
        for block in self.numbers.chunks(UNROLL * ops.len()) {
            for (index, numbers) in block.chunks(ops.len()).enumerate() {
                let numbers = if numbers.len() == ops.len() { ops.load(numbers) } else { ops.load_pad(numbers).0 };
                least[index] = ops.min(least[index], numbers);
                most[index] = ops.max(most[index], numbers);
                // Zero, or NaN for what is no number or infinite, whatever a comparison makes of it.
                differences[index] = ops.add(differences[index], ops.sub(numbers, numbers));
            }
        }
        let fold = |vectors: [I::F32; UNROLL], function: fn(f32, f32) -> f32| {
            vectors.into_iter().flat_map(|vector| vector.to_array().into_iter()).fold(0.0, function)
        };
        let difference = fold(differences, |sum, difference| sum + difference);
        Range { least: fold(least, f32::min) + difference, most: fold(most, f32::max) + difference }
    }
}

/// `1 / scale`, and 0 where only zeros, or numbers that are none for all purposes, were to be scaled.
pub(super) fn reciprocal(scale: f32) -> f32 {
    if scale.is_normal() { scale.recip() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantised_row_is_within_half_a_step(row in vec(-3.0f32..5.0, 1..200)) {
            let mut quantised = Quantised::default();
            quantised.set_rows(&row, row.len(), 8);
            let (scale, zero) = (quantised.scales[0], quantised.zeros[0] as f32);
            for (&value, &q) in row.iter().zip(&quantised.values) {
                // The zero is rounded too, which moves the outermost numbers by half a step more.
                prop_assert!((value - scale * (f32::from(q) - zero)).abs() <= 1.001 * scale, "{} as {}", value, q);
            }
        }
    }
}
