//! Linear layers: a matrix packed once into the order in which the kernel reads it.

use super::gemm::{Finish, Product};
use super::panels::{Panels, Strided};
use crate::backend::{Activation, Rows};

/// Rows that go through both layers of a feed-forward together: their inner activations (`4 · width` each) then
/// stay in the cache, while the weights are still read seldom enough.
const FEED_FORWARD_ROWS: usize = 288;

/// A linear layer with its weight packed.
pub(super) struct Linear {
    weight: Panels,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Packs `weight`, which is `[outputs, inputs]`.
    pub(super) fn pack(weight: &[f32], bias: Option<Vec<f32>>, inputs: usize) -> Self {
        let mut packed = Panels::default();
        packed.pack_transposed(Strided::dense(weight, inputs), inputs, 1.0);
        Self { weight: packed, bias }
    }

    /// `output = finish(input · weightᵀ + bias)`
    pub(super) fn apply(&self, input: &[f32], finish: Finish, output: &mut [f32]) {
        Product {
            input: Strided::dense(input, self.weight.depth()),
            panels: &self.weight,
            bias: self.bias.as_deref(),
            finish,
            output,
            output_stride: self.weight.columns(),
        }
        .run();
    }
}

/// `residual += contract(activation(expand(input)))`, some rows at a time.
pub(super) fn feed_forward(input: &Rows, expand: &Linear, kind: Activation, contract: &Linear, residual: &mut Rows) {
    let (width, inner_width, outputs) = (expand.weight.depth(), expand.weight.columns(), contract.weight.columns());
    let mut inner = vec![0.0; input.len().min(FEED_FORWARD_ROWS) * inner_width];
    let inputs = input.values().chunks(FEED_FORWARD_ROWS * width);
    let residuals = residual.values_mut().chunks_mut(FEED_FORWARD_ROWS * outputs);
    for (input, residual) in inputs.zip(residuals) {
        let inner = &mut inner[..input.len() / width * inner_width];
        expand.apply(input, Finish::Activate(kind), inner);
        contract.apply(inner, Finish::Add, residual);
    }
}
