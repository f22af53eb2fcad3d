//! The weights of one pass: which inputs each output is made of, and how much of each, in fixed point.
//!
//! Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc` (`src/libImaging/Resample.c`), in the same order of
//! floating-point operations.

use std::ops::Range;

use crate::spec::Filter;

/// Bits behind the point: what 32 leave for 8 bits of pixel and 2 of head room.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;
/// What sums start with, so that the shift at the end rounds.
pub(super) const HALF: i32 = 1 << (PRECISION_BITS - 1);
/// Low bits of a weight that are multiplied apart from the high ones where both must fit into 16.
#[cfg(target_arch = "x86_64")]
pub(super) const LOW_BITS: u32 = 11;
/// Inputs that a kernel may take at once; the rest is filled up with weights of zero.
const TAPS_AT_ONCE: usize = 4;
/// Bytes that a kernel may read at once from a tap that is a multiple of [`TAPS_AT_ONCE`].
pub(super) const BYTES_AT_ONCE: usize = 16;

/// Weights for a run of outputs of one pass.
#[derive(Debug)]
pub(super) struct Weights {
    /// The first input that any output has.
    start: usize,
    /// The inputs that have a weight, for each output, counted from `start`.
    bounds: Vec<Range<usize>>,
    /// How many weights each output has in `values`: a multiple of [`TAPS_AT_ONCE`], filled up with zeros.
    taps: usize,
    /// The weights, one output after the other.
    values: Vec<i32>,
    /// The same in two parts, for the kernel that multiplies 16 bits.
    #[cfg(target_arch = "x86_64")]
    pairs: Option<Vec<[i32; 2]>>,
}

impl Weights {
    /// Weights for the outputs `first .. first + count` of `output` in all, from `input` inputs.
    pub(super) fn new(input: usize, output: u64, first: u64, count: usize, filter: Filter) -> Self {
        // Pillow keeps the size in 32 bits of floating point.
        let scale = f64::from(input as f32) / output as f64;
        let filter_scale = scale.max(1.0);
        let (support, curve) = curve(filter);
        let support = support * filter_scale;
        let inverse = 1.0 / filter_scale;

        let mut bounds = Vec::with_capacity(count);
        for index in first..first + count as u64 {
            let center = (index as f64 + 0.5) * scale;
            let start = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(input);
            bounds.push(start..end);
        }
        let taps = bounds.iter().map(Range::len).max().unwrap_or(0).next_multiple_of(TAPS_AT_ONCE);

        let mut values = vec![0; count * taps];
        let mut exact = Vec::with_capacity(taps);
        for ((index, bounds), values) in (first..).zip(&bounds).zip(values.chunks_exact_mut(taps.max(1))) {
            let center = (index as f64 + 0.5) * scale;
            exact.clear();
            let mut sum = 0.0;
            for input in 0..bounds.len() {
                let weight = curve((((input + bounds.start) as f64) - center + 0.5) * inverse);
                exact.push(weight);
                sum += weight;
            }
            for (value, weight) in values.iter_mut().zip(&exact) {
                let weight = if sum == 0.0 { *weight } else { weight / sum };
                let scaled = weight * f64::from(1 << PRECISION_BITS);
                *value = if weight < 0.0 { (scaled - 0.5) as i32 } else { (scaled + 0.5) as i32 };
            }
        }

        let start = bounds.iter().map(|bounds| bounds.start).min().unwrap_or(0);
        for bounds in &mut bounds {
            *bounds = bounds.start - start..bounds.end - start;
        }

        Self {
            #[cfg(target_arch = "x86_64")]
            pairs: pairs(&values),
            start,
            bounds,
            taps,
            values,
        }
    }

    /// Outputs.
    pub(super) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// The first input that any output has; all others count from there.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// How many inputs there are from the first that any output has to the last.
    pub(super) fn inputs(&self) -> usize {
        self.bounds.iter().map(|bounds| bounds.end).max().unwrap_or(0)
    }

    /// The inputs of one output.
    pub(super) fn bounds(&self, index: usize) -> Range<usize> {
        self.bounds[index].clone()
    }

    /// One output's weights, filled up with zeros.
    pub(super) fn weights(&self, index: usize) -> &[i32] {
        &self.values[index * self.taps..(index + 1) * self.taps]
    }

    /// All weights by two neighbours: the low bits of both and the high bits of both, 16 bits each in one number.
    /// `None` where the high bits of one don't fit.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn pairs(&self) -> Option<&[[i32; 2]]> {
        self.pairs.as_deref()
    }

    /// How many weights each output has, those that only fill up included: a multiple of four.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn taps(&self) -> usize {
        self.taps
    }

    /// How many bytes of a row of RGB a kernel may read, beyond the row's end too.
    pub(super) fn reach_bytes(&self) -> usize {
        let last = self.bounds.iter().map(|bounds| bounds.start).max().unwrap_or(0);
        (last + self.taps) * 3 + BYTES_AT_ONCE
    }
}

#[cfg(target_arch = "x86_64")]
fn pairs(values: &[i32]) -> Option<Vec<[i32; 2]>> {
    let mask = (1 << LOW_BITS) - 1;
    let pair = |low: i32, high: i32| (low & 0xffff) | (high << 16);
    let is_exact = values.iter().all(|value| i16::try_from(value >> LOW_BITS).is_ok());
    let split = |two: &[i32]| [pair(two[0] & mask, two[1] & mask), pair(two[0] >> LOW_BITS, two[1] >> LOW_BITS)];
    is_exact.then(|| values.chunks_exact(2).map(split).collect())
}

/// The filter's support (in pixels, at scale one) and its curve.
fn curve(filter: Filter) -> (f64, fn(f64) -> f64) {
    match filter {
        // The nearest neighbour has a way of its own; as a curve it would be the box.
        Filter::Nearest | Filter::Box => (0.5, |x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }),
        Filter::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
        Filter::Hamming => (1.0, hamming),
        Filter::Bicubic => (2.0, bicubic),
        Filter::Lanczos => (3.0, |x| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }),
    }
}

fn hamming(x: f64) -> f64 {
    let x = x.abs();
    if x == 0.0 {
        1.0
    } else if x >= 1.0 {
        0.0
    } else {
        let x = x * std::f64::consts::PI;
        // Pillow has these two constants in 32 bits.
        x.sin() / x * (f64::from(0.54_f32) + f64::from(0.46_f32) * x.cos())
    }
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}
