//! The weights of a linear layer in 8 bits, packed in the order in which a kernel reads them: panels of a few outputs
//! each, the last one filled up with zeros.

use rten_simd::SimdOp;

use super::kernel::Kernel;
use super::quantised::{Round, reciprocal};

/// Bytes in a cache line. Panels begin at one, so that no vector of them lies across two.
const LINE: usize = 64;

/// What is added to a weight while it is rounded, which is done for numbers without a sign.
const SHIFT: u8 = 128;

/// Quantised weights: an output's are `scale · w`, with `w` from -127 to 127.
pub(super) struct Weight {
    kernel: &'static Kernel,
    /// With the panels from `start` on.
    buffer: Vec<i8>,
    start: usize,
    /// Weights of an output, with those that fill up the last step.
    depth: usize,
    /// What one unit of a weight is worth, for each column of the panels.
    pub(super) scales: Vec<f32>,
    /// The sum of an output's weights, which each row's zero is multiplied with.
    pub(super) sums: Vec<i32>,
}

impl Weight {
    /// Quantises and packs `weight`, which is `[outputs, inputs]`.
    pub(super) fn pack(kernel: &'static Kernel, weight: &[f32], inputs: usize) -> Self {
        let columns = (weight.len() / inputs).next_multiple_of(kernel.panel_width);
        let depth = inputs.next_multiple_of(kernel.step);
        let buffer = vec![0; columns * depth + LINE];
        let start = buffer.as_ptr().align_offset(LINE).min(LINE);
        let mut packed = Self { kernel, buffer, start, depth, scales: vec![0.0; columns], sums: vec![0; columns] };
        let mut quantised = vec![0; inputs];
        for (output, weights) in weight.chunks_exact(inputs).enumerate() {
            packed.set_output(output, weights, &mut quantised);
        }
        packed
    }

    fn set_output(&mut self, output: usize, weights: &[f32], quantised: &mut [u8]) {
        let kernel = self.kernel;
        let scale = kernel.least_scale(weights);
        Round { numbers: weights, per_unit: reciprocal(scale), zero: SHIFT, rounded: quantised }.dispatch();
        let (panel, column) = (output / kernel.panel_width, output % kernel.panel_width);
        let panel = &mut self.buffer[self.start + panel * kernel.panel_width * self.depth..];
        let mut sum = 0;
        for (index, weights) in quantised.chunks(4).enumerate() {
            let first = kernel.position(column, 4 * index);
            for (target, &weight) in panel[first..].iter_mut().zip(weights) {
                *target = weight.wrapping_sub(SHIFT) as i8;
                sum += i32::from(*target);
            }
        }
        (self.scales[output], self.sums[output]) = (scale, sum);
    }

    /// What multiplies them.
    pub(super) fn kernel(&self) -> &'static Kernel {
        self.kernel
    }

    /// The panels, one after the other.
    pub(super) fn panels(&self) -> impl Iterator<Item = &[i8]> {
        self.buffer[self.start..][..self.scales.len() * self.depth].chunks_exact(self.kernel.panel_width * self.depth)
    }
}
