//! Products of bytes with AVX2.
//!
//! `vpmaddubsw` adds two products in 16 bits, and `vpmaddwd` with ones puts two of those into 32. Two results of the
//! first are added before the second: three instructions for multiplying instead of four, of which this processor begins
//! two in a cycle. Weights are scaled so that no sum of four overflows ([`Kernel::least_scale`]).

use std::arch::x86_64::*;

use super::{Dot, Kernel, Rows, tiles};

/// With two vectors, as many sums as leave registers for weights and numbers.
const TILE_ROWS: usize = 3;
const VECTORS: usize = 2;

/// `None` where the processor has no AVX2.
pub(super) fn avx2() -> Option<&'static Kernel> {
    static KERNEL: Kernel = Kernel { adds_in_16_bits: true, ..Kernel::new::<Avx2, VECTORS>(sums) };
    is_x86_feature_detected!("avx2").then_some(&KERNEL)
}

#[target_feature(enable = "avx2")]
unsafe fn sums(rows: Rows<'_>, panel: &[i8], sums: &mut [i32]) {
    // SAFETY: what the caller promises.
    unsafe { tiles::<Avx2, TILE_ROWS, VECTORS>(rows, panel, sums) }
}

struct Avx2;

impl Dot for Avx2 {
    type Sums = __m256i;
    type Weights = [__m256i; 2];
    type Numbers = [__m256i; 2];

    const LANES: usize = 8;
    const STEP: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        // SAFETY: the caller has AVX2.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn weights(at: *const i8) -> Self::Weights {
        // SAFETY: the caller has AVX2, and 64 bytes there.
        unsafe { [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())] }
    }

    #[inline(always)]
    unsafe fn numbers(at: *const u8) -> Self::Numbers {
        // SAFETY: the caller has AVX2, and 8 bytes there.
        unsafe {
            // Two loads: halves of one would have to come out of a general register.
            let four = |at: *const u8| _mm256_set1_epi32(at.cast::<i32>().read_unaligned());
            [four(at), four(at.add(4))]
        }
    }

    #[inline(always)]
    unsafe fn add(sums: Self::Sums, numbers: Self::Numbers, weights: Self::Weights) -> Self::Sums {
        // SAFETY: the caller has AVX2.
        unsafe {
            let first = _mm256_maddubs_epi16(numbers[0], weights[0]);
            let second = _mm256_maddubs_epi16(numbers[1], weights[1]);
            let fours = _mm256_madd_epi16(_mm256_add_epi16(first, second), _mm256_set1_epi16(1));
            _mm256_add_epi32(sums, fours)
        }
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, at: *mut i32) {
        // SAFETY: the caller has AVX2, and room for 8 sums there.
        unsafe { _mm256_storeu_si256(at.cast(), sums) }
    }
}
