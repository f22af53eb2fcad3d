//! Products of bytes with VNNI, whose `vpdpbusd` adds four of them in 32 bits: in vectors of AVX-512, or of AVX2 on
//! processors that have AVX-VNNI instead.

use std::arch::x86_64::*;

use super::{Dot, Kernel, Rows, tiles};

/// With as many vectors as follow, the sums fill the registers but for weights and numbers.
const TILE_ROWS: usize = 6;
const VECTORS_OF_512: usize = 4;
const VECTORS_OF_256: usize = 2;

/// `None` where the processor has no AVX-512 with VNNI.
pub(super) fn avx512() -> Option<&'static Kernel> {
    static KERNEL: Kernel = Kernel::new::<Avx512Vnni, VECTORS_OF_512>(sums_of_512);
    let is_there = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
    is_there.then_some(&KERNEL)
}

/// `None` where the processor has no AVX-VNNI.
pub(super) fn avx() -> Option<&'static Kernel> {
    static KERNEL: Kernel = Kernel::new::<AvxVnni, VECTORS_OF_256>(sums_of_256);
    let is_there = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni");
    is_there.then_some(&KERNEL)
}

#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn sums_of_512(rows: Rows<'_>, panel: &[i8], sums: &mut [i32]) {
    // SAFETY: what the caller promises.
    unsafe { tiles::<Avx512Vnni, TILE_ROWS, VECTORS_OF_512>(rows, panel, sums) }
}

#[target_feature(enable = "avx2,avxvnni")]
unsafe fn sums_of_256(rows: Rows<'_>, panel: &[i8], sums: &mut [i32]) {
    // SAFETY: what the caller promises.
    unsafe { tiles::<AvxVnni, TILE_ROWS, VECTORS_OF_256>(rows, panel, sums) }
}

struct Avx512Vnni;

impl Dot for Avx512Vnni {
    type Sums = __m512i;
    type Weights = __m512i;
    type Numbers = __m512i;

    const LANES: usize = 16;
    const STEP: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        // SAFETY: the caller has AVX-512.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn weights(at: *const i8) -> Self::Weights {
        // SAFETY: the caller has AVX-512, and 64 bytes there.
        unsafe { _mm512_loadu_si512(at.cast()) }
    }

    #[inline(always)]
    unsafe fn numbers(at: *const u8) -> Self::Numbers {
        // SAFETY: the caller has AVX-512, and 4 bytes there.
        unsafe { _mm512_set1_epi32(at.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn add(sums: Self::Sums, numbers: Self::Numbers, weights: Self::Weights) -> Self::Sums {
        // SAFETY: the caller has VNNI in AVX-512.
        unsafe { _mm512_dpbusd_epi32(sums, numbers, weights) }
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, at: *mut i32) {
        // SAFETY: the caller has AVX-512, and room for 16 sums there.
        unsafe { _mm512_storeu_si512(at.cast(), sums) }
    }
}

struct AvxVnni;

impl Dot for AvxVnni {
    type Sums = __m256i;
    type Weights = __m256i;
    type Numbers = __m256i;

    const LANES: usize = 8;
    const STEP: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        // SAFETY: the caller has AVX2.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn weights(at: *const i8) -> Self::Weights {
        // SAFETY: the caller has AVX2, and 32 bytes there.
        unsafe { _mm256_loadu_si256(at.cast()) }
    }

    #[inline(always)]
    unsafe fn numbers(at: *const u8) -> Self::Numbers {
        // SAFETY: the caller has AVX2, and 4 bytes there.
        unsafe { _mm256_set1_epi32(at.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn add(sums: Self::Sums, numbers: Self::Numbers, weights: Self::Weights) -> Self::Sums {
        // SAFETY: the caller has AVX-VNNI.
        unsafe { _mm256_dpbusd_avx_epi32(sums, numbers, weights) }
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, at: *mut i32) {
        // SAFETY: the caller has AVX2, and room for 8 sums there.
        unsafe { _mm256_storeu_si256(at.cast(), sums) }
    }
}
