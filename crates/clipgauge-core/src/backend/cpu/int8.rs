//! Linear layers in 8 bits: weights quantised once for each output, activations for each row when they come.
//!
//! A row is `scale · (q - zero)` with `q` from 0 to 255, an output's weights `scale · w` with `w` from -127 to 127. The
//! products of `q` and `w` are summed in whole numbers, which is exact in any order; what a row gives can therefore not
//! depend on the rows beside it. All else stays f32: attention, layer norm, activations and the sums of a residual.

use std::cell::RefCell;

use rten_simd::SimdOp;

use super::gemm::Finish;
use crate::backend::{Activation, Rows};

mod dequantise;
mod kernel;
mod quantised;
mod weight;

use dequantise::Dequantise;
use kernel::Kernel;
use quantised::Quantised;
use weight::Weight;

/// Rows that are multiplied together: they, and the inner activations of a feed-forward, then stay in the cache, while
/// the weights are still read seldom enough.
const BLOCK_ROWS: usize = 96;

thread_local! {
    /// What one block of rows needs on its way, kept from call to call.
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

#[derive(Default)]
struct Workspace {
    rows: Quantised,
    /// `[rows, panel width]`
    sums: Vec<i32>,
    /// `[rows, inner width]`
    inner: Vec<f32>,
}

/// A linear layer in 8 bits with its weight packed.
pub(super) struct Linear {
    weight: Weight,
    /// For each column of the panels; zeros for a layer without one.
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// Quantises and packs `weight`, which is `[outputs, inputs]`.
    pub(super) fn pack(weight: &[f32], bias: Option<Vec<f32>>, inputs: usize) -> Self {
        Self::pack_for(Kernel::best(), weight, bias, inputs)
    }

    fn pack_for(kernel: &'static Kernel, weight: &[f32], bias: Option<Vec<f32>>, inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let mut bias = bias.unwrap_or_else(|| vec![0.0; outputs]);
        assert_eq!(bias.len(), outputs, "a bias for each of the outputs");
        let weight = Weight::pack(kernel, weight, inputs);
        bias.resize(weight.scales.len(), 0.0);
        Self { weight, bias, inputs, outputs }
    }

    /// `output = finish(input · weightᵀ + bias)`
    pub(super) fn apply(&self, input: &[f32], finish: Finish, output: &mut [f32]) {
        WORKSPACE.with_borrow_mut(|Workspace { rows, sums, .. }| {
            let inputs = input.chunks(BLOCK_ROWS * self.inputs);
            let outputs = output.chunks_mut(BLOCK_ROWS * self.outputs);
            inputs.zip(outputs).for_each(|(input, output)| self.apply_to_block(input, finish, output, rows, sums));
        });
    }

    /// The same for one block of rows.
    fn apply_to_block(
        &self,
        input: &[f32],
        finish: Finish,
        output: &mut [f32],
        rows: &mut Quantised,
        sums: &mut Vec<i32>,
    ) {
        let kernel = self.weight.kernel();
        rows.set_rows(input, self.inputs, kernel.step);
        sums.resize(rows.len() * kernel.panel_width, 0);
        for (panel, first) in self.weight.panels().zip((0..self.outputs).step_by(kernel.panel_width)) {
            kernel.multiply(rows.rows(), panel, sums);
            let columns = first..self.outputs.min(first + kernel.panel_width);
            Dequantise { sums, rows, layer: self, columns, finish, output }.dispatch();
        }
    }
}

/// `residual += contract(activation(expand(input)))`, a block of rows at a time.
pub(super) fn feed_forward(input: &Rows, expand: &Linear, kind: Activation, contract: &Linear, residual: &mut Rows) {
    WORKSPACE.with_borrow_mut(|Workspace { rows, sums, inner }| {
        let inputs = input.values().chunks(BLOCK_ROWS * expand.inputs);
        let residuals = residual.values_mut().chunks_mut(BLOCK_ROWS * contract.outputs);
        for (input, residual) in inputs.zip(residuals) {
            inner.resize(input.len() / expand.inputs * expand.outputs, 0.0);
            expand.apply_to_block(input, Finish::Activate(kind), inner, rows, sums);
            contract.apply_to_block(inner, Finish::Add, residual, rows, sums);
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A number of a row or of a weight: often one of the outermost, where 16 bits would overflow.
    fn number() -> impl Strategy<Value = f32> {
        prop_oneof![Just(-1.0f32), Just(1.0), Just(0.0), -1.0f32..1.0]
    }

    /// Rows, outputs and inputs around the kernels' tiles; rows and weights of these.
    fn shapes() -> impl Strategy<Value = (usize, Vec<f32>, Vec<f32>)> {
        (1..20usize, 1..70usize, 1..300usize).prop_flat_map(|(rows, outputs, inputs)| {
            (Just(inputs), vec(number(), rows * inputs), vec(number(), outputs * inputs))
        })
    }

    proptest! {
        #[test]
        fn every_kernel_sums_exactly((inputs, values, weight) in shapes()) {
            for kernel in Kernel::all() {
                let packed = Weight::pack(kernel, &weight, inputs);
                let mut rows = Quantised::default();
                rows.set_rows(&values, inputs, kernel.step);
                let kernel::Rows { values, width, count } = rows.rows();
                let mut sums = vec![0; count * kernel.panel_width];
                for panel in packed.panels() {
                    kernel.multiply(rows.rows(), panel, &mut sums);
                    for (row, sums) in values.chunks_exact(width).zip(sums.chunks_exact(kernel.panel_width)) {
                        for (column, &sum) in sums.iter().enumerate() {
                            let weight = |number| i32::from(panel[kernel.position(column, number)]);
                            let expected: i32 = (0..width).map(|number| i32::from(row[number]) * weight(number)).sum();
                            prop_assert_eq!(sum, expected, "column {} of {}", column, kernel.panel_width);
                        }
                    }
                }
            }
        }

        #[test]
        fn every_kernel_gives_the_product_to_within_its_steps((inputs, values, weight) in shapes()) {
            let outputs = weight.len() / inputs;
            let bias = weight[..outputs].to_vec();
            for kernel in Kernel::all() {
                let layer = Linear::pack_for(kernel, &weight, Some(bias.clone()), inputs);
                let mut rows = Quantised::default();
                rows.set_rows(&values, inputs, kernel.step);
                let mut output = vec![0.0; rows.len() * outputs];
                layer.apply(&values, Finish::Store, &mut output);
                let rows = values.chunks_exact(inputs).zip(&rows.scales).zip(output.chunks_exact(outputs));
                for ((row, &of_row), output) in rows {
                    let columns = weight.chunks_exact(inputs).zip(&layer.weight.scales).zip(&bias);
                    for (((weights, &of_weight), bias), found) in columns.zip(output) {
                        let expected = bias + row.iter().zip(weights).map(|(a, b)| a * b).sum::<f32>();
                        // A number is off by a step at most, a weight by half of one.
                        let off = |(number, weight): (&f32, &f32)| {
                            of_row * weight.abs() + of_weight / 2.0 * (number.abs() + of_row)
                        };
                        let tolerance = 1e-3 + row.iter().zip(weights).map(off).sum::<f32>();
                        prop_assert!((expected - found).abs() <= tolerance, "{} for {}", found, expected);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for (weight, input) in
            [([1.0, f32::NAN], [1.0, 1.0]), ([1.0, 1.0], [f32::NAN, 1.0]), ([1.0, f32::INFINITY], [1.0; 2])]
        {
            let mut output = [0.0];
            Linear::pack(&weight, None, 2).apply(&input, Finish::Store, &mut output);
            assert!(!output[0].is_finite(), "{weight:?} times {input:?} is {}", output[0]);
        }
    }

    #[test]
    fn rows_and_weights_of_zeros_give_the_bias() {
        let layer = Linear::pack(&[0.0; 3 * 5], Some(vec![1.0, 2.0, 3.0]), 5);
        let mut output = [0.0; 6];
        layer.apply(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0], Finish::Store, &mut output);
        assert_eq!(output, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    }
}
