//! Products of bytes in plain Rust, for processors that have no instruction for them.

use super::{Dot, Kernel, Rows, tiles};

pub(super) static KERNEL: Kernel = Kernel::new::<Portable, 1>(sums);

struct Portable;

unsafe fn sums(rows: Rows<'_>, panel: &[i8], sums: &mut [i32]) {
    // SAFETY: what the caller promises; every processor has these instructions.
    unsafe { tiles::<Portable, 4, 1>(rows, panel, sums) }
}

impl Dot for Portable {
    type Sums = [i32; 16];
    type Weights = [[i8; 4]; 16];
    type Numbers = [u8; 4];

    const LANES: usize = 16;
    const STEP: usize = 4;

    unsafe fn zero() -> Self::Sums {
        [0; 16]
    }

    unsafe fn weights(at: *const i8) -> Self::Weights {
        // SAFETY: the caller has so many there; bytes need no alignment.
        unsafe { at.cast::<Self::Weights>().read() }
    }

    unsafe fn numbers(at: *const u8) -> Self::Numbers {
        // SAFETY: the caller has so many there; bytes need no alignment.
        unsafe { at.cast::<Self::Numbers>().read() }
    }

    #[inline(always)]
    unsafe fn add(mut sums: Self::Sums, numbers: Self::Numbers, weights: Self::Weights) -> Self::Sums {
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum += (0..4).map(|index| i32::from(numbers[index]) * i32::from(weights[index])).sum::<i32>();
        }
        sums
    }

    unsafe fn store(sums: Self::Sums, at: *mut i32) {
        // SAFETY: the caller has room for so many there.
        unsafe { at.cast::<Self::Sums>().write_unaligned(sums) }
    }
}
