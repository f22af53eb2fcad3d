//! Linear layers: a matrix packed once into the order in which the kernel reads it.

use rten_gemm::{BiasVector, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_tensor::NdTensorView;

use super::activation;
use crate::backend::{Activation, Rows};

/// Rows that go through both layers of a feed-forward together: their inner activations (`4 · width` each) then
/// stay in the second-level cache, while the weights are still read seldom enough.
const FEED_FORWARD_ROWS: usize = 256;

/// A linear layer with its weight packed.
pub(super) struct Linear {
    weight: PackedBMatrix<f32>,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// Packs `weight`, which is `[outputs, inputs]`.
    pub(super) fn pack(gemm: &GemmExecutor, weight: Vec<f32>, bias: Option<Vec<f32>>, inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let view = NdTensorView::from_data([outputs, inputs], weight.as_slice());
        let weight = gemm.prepack_b(view.transposed());
        assert!(bias.as_ref().is_none_or(|bias| bias.len() == outputs), "a bias for each of {outputs} outputs");
        Self { weight, bias, inputs, outputs }
    }

    /// `output = input · weightᵀ + bias + beta · output`
    pub(super) fn apply(&self, gemm: &GemmExecutor, input: &[f32], beta: f32, output: &mut [f32]) {
        if input.is_empty() {
            return;
        }
        let input = NdTensorView::from_data([input.len() / self.inputs, self.inputs], input);
        // A packed weight keeps a single row on the same kernel, and so in the same order of summation, as many.
        gemm.gemm(
            output,
            GemmInputA::Unpacked(input),
            GemmInputB::Packed(&self.weight),
            GemmOptions { beta, bias: self.bias.as_deref().map(BiasVector::Row), ..GemmOptions::default() },
        )
        .expect("shapes and packing fit: both were made here");
    }
}

/// `residual += contract(activation(expand(input)))`, some rows at a time.
pub(super) fn feed_forward(
    gemm: &GemmExecutor,
    input: &Rows,
    expand: &Linear,
    kind: Activation,
    contract: &Linear,
    residual: &mut Rows,
) {
    let mut inner = vec![0.0; input.len().min(FEED_FORWARD_ROWS) * expand.outputs];
    let inputs = input.values().chunks(FEED_FORWARD_ROWS * expand.inputs);
    let residuals = residual.values_mut().chunks_mut(FEED_FORWARD_ROWS * contract.outputs);
    for (input, residual) in inputs.zip(residuals) {
        let inner = &mut inner[..input.len() / expand.inputs * expand.outputs];
        expand.apply(gemm, input, 0.0, inner);
        activation::apply(kind, inner);
        contract.apply(gemm, inner, 1.0, residual);
    }
}
