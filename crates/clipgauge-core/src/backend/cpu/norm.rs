//! Layer norm: the mean first, then the squares of what differs from it, so that nothing cancels.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp};

use crate::backend::{LayerNorm, Rows};

/// Vectors that are summed side by side: as many additions are under way at once.
const UNROLL: usize = 4;

/// Normalises each row.
pub(super) fn layer_norm(input: &Rows, norm: &LayerNorm, output: &mut Rows) {
    output.set_len(input.len());
    Normalise { input, norm, output }.dispatch();
}

struct Normalise<'a> {
    input: &'a Rows,
    norm: &'a LayerNorm,
    output: &'a mut Rows,
}

impl SimdOp for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { input, norm, output } = self;
        let ops = isa.f32();
        let width = input.width();
        let rows = input.values().chunks_exact(width).zip(output.values_mut().chunks_exact_mut(width));
        for (row, normalised) in rows {
            let mean = sum(
                isa,
                row,
                #[inline(always)]
                |number| number,
            ) / width as f32;
            let mean = ops.splat(mean);
            let variance = sum(
                isa,
                row,
                #[inline(always)]
                |number| {
                    let difference = ops.sub(number, mean);
                    ops.mul(difference, difference)
                },
            ) / width as f32;
            let scale = ops.splat(1.0 / (variance + norm.epsilon).sqrt());
            for first in (0..width).step_by(ops.len()) {
                let (number, gain, bias) = (&row[first..], &norm.gain[first..], &norm.bias[first..]);
                let target = &mut normalised[first..];
                if target.len() >= ops.len() {
                    let scale = ops.mul(ops.load(gain), scale);
                    ops.store(ops.mul_add(ops.sub(ops.load(number), mean), scale, ops.load(bias)), target);
                } else {
                    let (number, gain, bias) = (ops.load_pad(number).0, ops.load_pad(gain).0, ops.load_pad(bias).0);
                    let last = ops.mul_add(ops.sub(number, mean), ops.mul(gain, scale), bias);
                    let count = target.len();
                    target.copy_from_slice(&last.to_array().as_ref()[..count]);
                }
            }
        }
    }
}

/// The sum of a function of each number.
#[inline(always)]
fn sum<I: Isa>(isa: I, numbers: &[f32], function: impl Fn(I::F32) -> I::F32) -> f32 {
    let ops = isa.f32();
    let mut sums = [ops.zero(); UNROLL];
    let blocks = numbers.chunks_exact(UNROLL * ops.len());
    let rest = blocks.remainder();
    for block in blocks {
        for (sum, numbers) in sums.iter_mut().zip(block.chunks_exact(ops.len())) {
            *sum = ops.add(*sum, function(ops.load(numbers)));
        }
    }
    for numbers in rest.chunks(ops.len()) {
        let (numbers, mask) = ops.load_pad(numbers);
        sums[0] = ops.add(sums[0], ops.select(function(numbers), ops.zero(), mask));
    }
    let [first, second, third, fourth] = sums;
    ops.sum(ops.add(ops.add(first, second), ops.add(third, fourth)))
}
