//! The operations on a CPU, in f32: matrices by a kernel of our own, functions of vectors by `rten-vecmath`, both over
//! `rten-simd`, which finds the processor's features when it runs.
//!
//! One call uses one thread: the way to use more cores is one batch per core, which costs no synchronisation and
//! leaves every sum in the same order whatever the number of cores.

use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use crate::backend::{Activation, Attention, Backend, Columns, LayerNorm, Rows};

mod activation;
mod attention;
mod gemm;
mod linear;
mod norm;
mod panels;

use gemm::Finish;
pub use linear::Linear;

/// The operations in f32, with the widest vectors that this processor has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu;

impl Cpu {
    /// How many f32 a vector of this processor has: 16 with AVX-512, 8 with AVX2, 4 with NEON or neither.
    pub fn vector_lanes(self) -> usize {
        struct Lanes;
        impl SimdOp for Lanes {
            type Output = usize;

            #[inline(always)]
            fn eval<I: Isa>(self, isa: I) -> usize {
                isa.f32().len()
            }
        }
        Lanes.dispatch()
    }
}

impl Backend for Cpu {
    type Linear = Linear;

    fn prepare_linear(&self, weight: Vec<f32>, bias: Option<Vec<f32>>, inputs: usize) -> Linear {
        Linear::pack(&weight, bias, inputs)
    }

    fn linear(&self, input: &Rows, layer: &Linear, output: &mut Rows) {
        output.set_len(input.len());
        layer.apply(input.values(), Finish::Store, output.values_mut());
    }

    fn linear_add(&self, input: &Rows, layer: &Linear, residual: &mut Rows) {
        layer.apply(input.values(), Finish::Add, residual.values_mut());
    }

    fn feed_forward(
        &self,
        input: &Rows,
        expand: &Linear,
        activation: Activation,
        contract: &Linear,
        residual: &mut Rows,
    ) {
        linear::feed_forward(input, expand, activation, contract, residual);
    }

    fn layer_norm(&self, input: &Rows, norm: &LayerNorm, output: &mut Rows) {
        norm::layer_norm(input, norm, output);
    }

    fn attention(
        &self,
        queries: Columns<'_>,
        keys: Columns<'_>,
        values: Columns<'_>,
        attention: &Attention<'_>,
        output: &mut Rows,
    ) {
        attention::attention(queries, keys, values, attention, output);
    }
}
