//! The sums of both passes in plain Rust: what the SIMD kernels have to equal, and what runs where there is none.

use super::weights::{HALF, PRECISION_BITS, Weights};

/// Resamples one row of RGB.
pub(super) fn one_row(row: &[u8], weights: &Weights, out: &mut [u8]) {
    for (index, out) in out.chunks_exact_mut(3).enumerate() {
        let bounds = weights.bounds(index);
        let mut sums = [HALF; 3];
        for (pixel, weight) in row[bounds.start * 3..bounds.end * 3].chunks_exact(3).zip(weights.weights(index)) {
            for (sum, &byte) in sums.iter_mut().zip(pixel) {
                *sum = sum.wrapping_add(weight.wrapping_mul(byte.into()));
            }
        }
        out.copy_from_slice(&sums.map(to_byte));
    }
}

/// Makes one row of `out.len()` bytes from the rows that the weights of output `index` are for, each `stride` bytes
/// after the other.
pub(super) fn sum_of_rows(rows: &[u8], stride: usize, weights: &Weights, index: usize, out: &mut [u8]) {
    let mut sums = vec![HALF; out.len()];
    for (row, weight) in rows.chunks(stride).zip(weights.weights(index)) {
        for (sum, &byte) in sums.iter_mut().zip(row) {
            *sum = sum.wrapping_add(weight.wrapping_mul(byte.into()));
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = to_byte(sum);
    }
}

/// The byte nearest to a sum.
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}
