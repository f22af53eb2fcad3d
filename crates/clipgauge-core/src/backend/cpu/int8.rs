//! Linear layers in 8 bits: weights quantised once for each output, activations for each row when they come.
//!
//! A row is `scale · (q - zero)` with `q` from 0 to 255, an output's weights `scale · w` with `w` from -127 to 127. The
//! products of `q` and `w` are summed in whole numbers, which is exact in any order; what a row gives can therefore not
//! depend on the rows beside it. All else stays f32: attention, layer norm, activations and the sums of a residual.

use std::cell::RefCell;

use rayon::{ThreadPool, ThreadPoolBuilder};
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_simd::{Isa, SimdOp};
use rten_tensor::NdTensorView;
use rten_vecmath::{ExtendInit, MinMax, Quantize, Sum};

use super::activation;
use super::gemm::Finish;
use crate::backend::{Activation, Rows};

/// Rows that are multiplied together: their sums (four bytes for each output) then stay in the second-level cache,
/// while the weights are still read seldom enough.
const BLOCK_ROWS: usize = 128;

/// The largest weight. Where the kernel adds two products in 16 bits, they must fit: `2 · 255 · 63 < 2^15`.
const LARGEST_WEIGHT: f32 = 127.0;
const LARGEST_WEIGHT_OF_PAIRS: f32 = 63.0;

/// The largest quantised activation.
const LARGEST_ACTIVATION: f32 = 255.0;

thread_local! {
    /// The chosen matrix kernel. It holds nothing but is not `Send`, so each thread has its own.
    static GEMM: GemmExecutor<u8, i8, i32> = GemmExecutor::default();

    /// A pool of nobody but the thread itself: `rten-gemm` divides its work by the size of rayon's current pool, which
    /// would otherwise be the process-wide one. Without it the numbers are the same.
    static ALONE: Option<ThreadPool> = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok();

    /// What one block of rows needs on its way, kept from call to call.
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

#[derive(Default)]
struct Workspace {
    input: Quantised,
    inner: Quantised,
    /// `[rows, outputs]`
    sums: Vec<i32>,
    /// One row in f32.
    row: Vec<f32>,
}

/// A linear layer in 8 bits with its weight packed.
pub(super) struct Linear {
    weight: PackedBMatrix<i8>,
    /// What one unit of a weight is worth, for each output.
    scales: Vec<f32>,
    /// The sum of an output's weights, which each row's zero is multiplied with.
    weight_sums: Vec<i32>,
    /// Zeros for a layer without one.
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// Quantises and packs `weight`, which is `[outputs, inputs]`.
    pub(super) fn pack(weight: &[f32], bias: Option<Vec<f32>>, inputs: usize) -> Self {
        GEMM.with(|gemm| {
            let outputs = weight.len() / inputs;
            let largest = if gemm.may_saturate() { LARGEST_WEIGHT_OF_PAIRS } else { LARGEST_WEIGHT };
            let (quantised, scales) = quantise_weight(weight, inputs, largest);
            let sum = |weights: &[i8]| weights.iter().map(|&weight| i32::from(weight)).sum();
            let weight_sums = quantised.chunks_exact(inputs).map(sum).collect();
            let view = NdTensorView::from_data([outputs, inputs], quantised.as_slice());
            let weight = gemm.prepack_b(view.transposed());
            let bias = bias.unwrap_or_else(|| vec![0.0; outputs]);
            assert_eq!(bias.len(), outputs, "a bias for each of the outputs");
            Self { weight, scales, weight_sums, bias, inputs, outputs }
        })
    }

    /// `output = finish(input · weightᵀ + bias)`
    pub(super) fn apply(&self, input: &[f32], finish: Finish, output: &mut [f32]) {
        let inputs = input.chunks(BLOCK_ROWS * self.inputs);
        let outputs = output.chunks_mut(BLOCK_ROWS * self.outputs);
        // Taken, not borrowed: in a caller's pool, this thread may begin another call while a product waits for others.
        let mut workspace = WORKSPACE.take();
        let Workspace { input: quantised, sums, .. } = &mut workspace;
        for (input, output) in inputs.zip(outputs) {
            quantised.set_rows(input, self.inputs);
            self.multiply(quantised, finish, sums, output);
        }
        WORKSPACE.set(workspace);
    }

    /// `output = finish(input · weightᵀ + bias)` for one block of rows.
    fn multiply(&self, input: &Quantised, finish: Finish, sums: &mut Vec<i32>, output: &mut [f32]) {
        let sums = self.sums(input, sums);
        let rows = sums.chunks_exact(self.outputs).zip(&input.scales).zip(&input.zeros);
        for (((sums, &scale), &zero), output) in rows.zip(output.chunks_exact_mut(self.outputs)) {
            Dequantise { sums, scale, zero: zero.into(), layer: self, finish, output }.dispatch();
        }
    }

    /// The products in whole numbers, `[rows, outputs]`, as if no row had a zero: `rten-gemm` 0.27 would take those of
    /// the first rows for all (`pack_a` reads them from the start for each of its panels).
    fn sums<'a>(&self, input: &Quantised, sums: &'a mut Vec<i32>) -> &'a [i32] {
        let rows = input.scales.len();
        sums.resize(rows * self.outputs, 0);
        ALONE.with(|_| ());
        GEMM.with(|gemm| {
            gemm.gemm(
                sums,
                GemmInputA::Unpacked(NdTensorView::from_data([rows, self.inputs], input.values.as_slice())),
                GemmInputB::Packed(&self.weight),
                GemmOptions::default(),
            )
            .expect("shapes and packing fit: both were made here");
        });
        sums
    }
}

/// `residual += contract(activation(expand(input)))`, a block of rows at a time.
pub(super) fn feed_forward(input: &Rows, expand: &Linear, kind: Activation, contract: &Linear, residual: &mut Rows) {
    let inputs = input.values().chunks(BLOCK_ROWS * expand.inputs);
    let residuals = residual.values_mut().chunks_mut(BLOCK_ROWS * contract.outputs);
    let mut workspace = WORKSPACE.take();
    let Workspace { input: quantised, inner, sums, row } = &mut workspace;
    {
        row.resize(expand.outputs, 0.0);
        for (input, residual) in inputs.zip(residuals) {
            quantised.set_rows(input, expand.inputs);
            inner.clear();
            let expanded = expand.sums(quantised, sums).chunks_exact(expand.outputs);
            // From whole numbers to whole numbers while the row is in the first-level cache.
            for ((sums, &scale), &zero) in expanded.zip(&quantised.scales).zip(&quantised.zeros) {
                let finish = Finish::Activate(kind);
                Dequantise { sums, scale, zero: zero.into(), layer: expand, finish, output: row }.dispatch();
                inner.push(row);
            }
            contract.multiply(inner, Finish::Add, sums, residual);
        }
    }
    WORKSPACE.set(workspace);
}

/// Quantises each output's weights: the whole numbers, and what one unit of them is worth.
fn quantise_weight(weight: &[f32], inputs: usize, largest: f32) -> (Vec<i8>, Vec<f32>) {
    let mut quantised = Vec::with_capacity(weight.len());
    let scales = weight.chunks_exact(inputs).map(|weights| {
        let most = weights.iter().fold(0.0, |most: f32, weight| most.max(weight.abs()));
        let scale = or_nan(most / largest, weights);
        let per_unit = reciprocal(scale);
        quantised.extend(weights.iter().map(|weight| (weight * per_unit).round_ties_even() as i8));
        scale
    });
    let scales = scales.collect();
    (quantised, scales)
}

/// `scale`, and NaN where one of the numbers is: what 8 bits cannot say must show all the same, as it does in f32.
fn or_nan(scale: f32, numbers: &[f32]) -> f32 {
    if Sum::new(numbers).dispatch().is_nan() { f32::NAN } else { scale }
}

/// `1 / scale`, and 0 where only zeros, or numbers that are none for all purposes, were to be scaled.
fn reciprocal(scale: f32) -> f32 {
    if scale.is_normal() { scale.recip() } else { 0.0 }
}

/// Rows in 8 bits, each with a scale and a zero of its own.
#[derive(Default)]
struct Quantised {
    /// `[rows, width]`
    values: Vec<u8>,
    /// What one unit of a row is worth.
    scales: Vec<f32>,
    /// Which unit of a row is zero.
    zeros: Vec<u8>,
}

impl Quantised {
    fn clear(&mut self) {
        self.values.clear();
        self.scales.clear();
        self.zeros.clear();
    }

    /// Replaces the rows.
    fn set_rows(&mut self, values: &[f32], width: usize) {
        self.clear();
        values.chunks_exact(width).for_each(|row| self.push(row));
    }

    /// Adds a row.
    fn push(&mut self, row: &[f32]) {
        let (least, most) = MinMax::new(row).dispatch();
        // Zero has to be among the numbers that 8 bits can say.
        let (least, most) = (least.min(0.0), most.max(0.0));
        let scale = or_nan((most - least) / LARGEST_ACTIVATION, row);
        let per_unit = reciprocal(scale);
        let zero = (-least * per_unit).round_ties_even() as u8;
        self.values.reserve(row.len());
        self.values.extend_init(|rest| Quantize::new(row, &mut rest[..row.len()], per_unit, zero).dispatch());
        self.scales.push(scale);
        self.zeros.push(zero);
    }
}

/// One row of sums in f32: `output = finish((sums - zero · weight_sums) · scale · scales + bias)`.
struct Dequantise<'a> {
    sums: &'a [i32],
    /// The row's.
    scale: f32,
    /// The row's.
    zero: i32,
    layer: &'a Linear,
    finish: Finish,
    output: &'a mut [f32],
}

impl SimdOp for Dequantise<'_> {
    type Output = ();

    /// The compiler makes vectors of the loops: they are compiled once for each kind of processor.
    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { sums, scale, zero, layer, finish, output } = self;
        let Linear { scales, weight_sums, bias, .. } = layer;
        let columns = sums.iter().zip(weight_sums).zip(scales).zip(bias).zip(output.iter_mut());
        let value = |sum: i32, weight_sum: i32, of_column: f32, bias: f32| {
            (sum - zero * weight_sum) as f32 * (scale * of_column) + bias
        };
        if let Finish::Add = finish {
            for ((((sum, weight_sum), of_column), bias), output) in columns {
                *output += value(*sum, *weight_sum, *of_column, *bias);
            }
        } else {
            for ((((sum, weight_sum), of_column), bias), output) in columns {
                *output = value(*sum, *weight_sum, *of_column, *bias);
            }
        }
        if let Finish::Activate(kind) = finish {
            activation::apply(isa, kind, output);
        }
    }
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
        (1..40usize, 1..70usize, 1..300usize).prop_flat_map(|(rows, outputs, inputs)| {
            (Just(inputs), vec(number(), rows * inputs), vec(number(), outputs * inputs))
        })
    }

    proptest! {
        #[test]
        fn sums_are_those_of_whole_numbers((inputs, values, weight) in shapes()) {
            let layer = Linear::pack(&weight, None, inputs);
            let largest = GEMM.with(|gemm| if gemm.may_saturate() { LARGEST_WEIGHT_OF_PAIRS } else { LARGEST_WEIGHT });
            let (quantised_weight, _) = quantise_weight(&weight, inputs, largest);
            let mut input = Quantised::default();
            input.set_rows(&values, inputs);
            let product =
                |row: &[u8], weight: &[i8]| row.iter().zip(weight).map(|(&q, &w)| i32::from(q) * i32::from(w)).sum();
            let expected: Vec<i32> = input
                .values
                .chunks_exact(inputs)
                .flat_map(|row| quantised_weight.chunks_exact(inputs).map(move |weight| product(row, weight)))
                .collect();
            let mut sums = Vec::new();
            prop_assert_eq!(layer.sums(&input, &mut sums), expected);
        }

        #[test]
        fn a_quantised_row_is_within_half_a_step(row in vec(-3.0f32..5.0, 1..200)) {
            let mut quantised = Quantised::default();
            quantised.push(&row);
            let (scale, zero) = (quantised.scales[0], f32::from(quantised.zeros[0]));
            for (&value, &q) in row.iter().zip(&quantised.values) {
                // The zero is rounded too, which moves the outermost numbers by half a step more.
                prop_assert!((value - scale * (f32::from(q) - zero)).abs() <= 1.001 * scale, "{} as {}", value, q);
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
