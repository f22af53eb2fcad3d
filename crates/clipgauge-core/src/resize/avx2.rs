//! The sums of both passes with AVX2: the same bytes as `portable`, several times as fast.
//!
//! A weight of 24 bits does not fit into the 16 that `vpmaddwd` multiplies, so its low 11 bits and its high ones are
//! summed apart and put together at the end; sums that wrap on the way do no harm, as the whole fits into 32 bits.
#![allow(
    unsafe_code,
    reason = "vector loads and stores, and calls that need a CPU feature; the rest of the resize is safe"
)]

use std::arch::x86_64::*;

use super::portable;
use super::weights::{BYTES_AT_ONCE, HALF, LOW_BITS, PRECISION_BITS, Weights};

/// Columns of a row that the vertical pass takes at once.
const COLUMNS: usize = 16;
/// A byte that `vpshufb` makes zero.
const Z: i8 = -1;

/// Proof that this CPU has AVX2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// `None` where the CPU has no AVX2.
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Resamples two rows of RGB, each [`Weights::reach_bytes`] long.
    pub(super) fn two_rows(
        self,
        first: &[u8],
        second: &[u8],
        weights: &Weights,
        first_out: &mut [u8],
        second_out: &mut [u8],
    ) {
        let reach = weights.reach_bytes();
        match weights.pairs() {
            Some(pairs) if first.len() >= reach && second.len() >= reach => {
                // SAFETY: `self` exists only where AVX2 does; the rows are as long as asked for, as just checked.
                unsafe { two_rows(first, second, weights, pairs, first_out, second_out) }
            }
            _ => {
                portable::one_row(first, weights, first_out);
                portable::one_row(second, weights, second_out);
            }
        }
    }

    /// Makes one row of `out.len()` bytes from the rows that the weights of output `index` are for, each `stride`
    /// bytes after the other.
    pub(super) fn sum_of_rows(self, rows: &[u8], stride: usize, weights: &Weights, index: usize, out: &mut [u8]) {
        let count = weights.bounds(index).len();
        let has_all = count > 0 && rows.len() >= (count - 1) * stride + out.len();
        match weights.pairs() {
            Some(pairs) if has_all && out.len() >= COLUMNS => {
                let taps = weights.taps() / 2;
                // SAFETY: `self` exists only where AVX2 does; the rest is what has just been checked.
                unsafe { sum_of_rows(rows, stride, count, &pairs[index * taps..(index + 1) * taps], out) }
            }
            _ => portable::sum_of_rows(rows, stride, weights, index, out),
        }
    }
}

/// # Safety
/// The CPU has AVX2, and both rows have at least [`Weights::reach_bytes`] bytes.
#[target_feature(enable = "avx2")]
unsafe fn two_rows(
    first: &[u8],
    second: &[u8],
    weights: &Weights,
    pairs: &[[i32; 2]],
    first_out: &mut [u8],
    second_out: &mut [u8],
) {
    // From four pixels of three bytes: of two pixels each channel side by side, in 16 bits, for `vpmaddwd`.
    let taps_01 = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, Z, 3, Z, 1, Z, 4, Z, 2, Z, 5, Z, Z, Z, Z, Z));
    let taps_23 = _mm256_broadcastsi128_si256(_mm_setr_epi8(6, Z, 9, Z, 7, Z, 10, Z, 8, Z, 11, Z, Z, Z, Z, Z));
    let outs = first_out.chunks_exact_mut(3).zip(second_out.chunks_exact_mut(3));
    let each = pairs.chunks_exact(weights.taps() / 2);
    for (index, ((first_out, second_out), pairs)) in outs.zip(each).enumerate() {
        let start = weights.bounds(index).start * 3;
        let mut low = [_mm256_setzero_si256(); 2];
        let mut high = [_mm256_setzero_si256(); 2];
        for (four, pairs) in pairs.chunks_exact(2).enumerate() {
            let at = start + four * 12;
            debug_assert!(at + BYTES_AT_ONCE <= first.len() && at + BYTES_AT_ONCE <= second.len());
            // SAFETY: `at + 16` is at most `(start + taps) · 3 + 16` bytes, which is at most `reach_bytes`.
            let (first, second) = unsafe {
                (_mm_loadu_si128(first.as_ptr().add(at).cast()), _mm_loadu_si128(second.as_ptr().add(at).cast()))
            };
            let both = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(first), second);
            let pixels = [_mm256_shuffle_epi8(both, taps_01), _mm256_shuffle_epi8(both, taps_23)];
            for two in 0..2 {
                let [low_bits, high_bits] = pairs[two].map(|pair| _mm256_set1_epi32(pair));
                low[two] = _mm256_add_epi32(low[two], _mm256_madd_epi16(pixels[two], low_bits));
                high[two] = _mm256_add_epi32(high[two], _mm256_madd_epi16(pixels[two], high_bits));
            }
        }
        let sums = together(_mm256_add_epi32(low[0], low[1]), _mm256_add_epi32(high[0], high[1]));
        let words = _mm256_packs_epi32(sums, sums);
        let bytes = _mm256_packus_epi16(words, words);
        let [first, second] = [_mm256_extract_epi32::<0>(bytes), _mm256_extract_epi32::<4>(bytes)];
        first_out.copy_from_slice(&first.to_le_bytes()[..3]);
        second_out.copy_from_slice(&second.to_le_bytes()[..3]);
    }
}

/// # Safety
/// The CPU has AVX2, `out` has at least [`COLUMNS`] bytes, and there are `count` (one or more) rows, each `stride` bytes
/// after the other, with at least as many bytes each as `out` has.
#[target_feature(enable = "avx2")]
unsafe fn sum_of_rows(rows: &[u8], stride: usize, count: usize, pairs: &[[i32; 2]], out: &mut [u8]) {
    let last = out.len() - COLUMNS;
    let mut column = 0;
    loop {
        let mut low = [_mm256_setzero_si256(); 2];
        let mut high = [_mm256_setzero_si256(); 2];
        for (two, pair) in pairs.iter().enumerate().take(count.div_ceil(2)) {
            // Where there is no second row its weight is zero, whatever is multiplied with it.
            let (upper, lower) = (two * 2 * stride, (two * 2 + 1).min(count - 1) * stride);
            debug_assert!(upper.max(lower) + column + COLUMNS <= rows.len());
            // SAFETY: both are starts of rows that are there, and `column + 16` is at most the length of `out`.
            let (upper, lower) = unsafe {
                (
                    _mm_loadu_si128(rows.as_ptr().add(upper + column).cast()),
                    _mm_loadu_si128(rows.as_ptr().add(lower + column).cast()),
                )
            };
            let pixels = [
                _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(upper, lower)),
                _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(upper, lower)),
            ];
            let [low_bits, high_bits] = pair.map(|pair| _mm256_set1_epi32(pair));
            for half in 0..2 {
                low[half] = _mm256_add_epi32(low[half], _mm256_madd_epi16(pixels[half], low_bits));
                high[half] = _mm256_add_epi32(high[half], _mm256_madd_epi16(pixels[half], high_bits));
            }
        }
        // `vpackssdw` takes from both halves of its operands in turn; the permutation puts the columns in order.
        let words = _mm256_packs_epi32(together(low[0], high[0]), together(low[1], high[1]));
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
        let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
        debug_assert!(column + COLUMNS <= out.len());
        // SAFETY: `column` is at most `last`, which leaves 16 bytes of `out`.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().add(column).cast(), bytes) };
        if column == last {
            return;
        }
        // The last columns are done with some of those before them once more, so that there are 16 of them.
        column = (column + COLUMNS).min(last);
    }
}

/// The whole sums from those of the low and the high bits, rounded, without the bits behind the point.
#[target_feature(enable = "avx2")]
fn together(low: __m256i, high: __m256i) -> __m256i {
    let sum = _mm256_add_epi32(low, _mm256_slli_epi32::<{ LOW_BITS as i32 }>(high));
    _mm256_srai_epi32::<{ PRECISION_BITS as i32 }>(_mm256_add_epi32(sum, _mm256_set1_epi32(HALF)))
}
