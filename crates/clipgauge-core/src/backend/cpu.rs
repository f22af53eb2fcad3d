//! The operations on a CPU, in f32 or with linear layers in 8 bits: matrices by kernels of our own, functions of vectors by
//! `rten-vecmath`. Those of f32 are over `rten-simd`, which finds the processor's features when it runs.
//!
//! One call uses one thread: the way to use more cores is one batch per core, which costs no synchronisation and
//! leaves every sum in the same order whatever the number of cores.

use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use crate::backend::{Activation, Attention, Backend, Columns, LayerNorm, Rows};
use crate::precision::Precision;

mod activation;
mod attention;
mod gemm;
mod int8;
mod linear;
mod norm;
mod panels;

use gemm::Finish;

/// The operations, with the widest vectors that this processor has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    precision: Precision,
}

impl Cpu {
    /// The operations with linear layers in this precision. All else is f32 in either.
    pub fn new(precision: Precision) -> Self {
        Self { precision }
    }
}

/// How many f32 a vector of this processor has: 16 with AVX-512, 8 with AVX2, 4 with NEON or none of them.
pub fn vector_lanes() -> usize {
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

/// A linear layer with its weight packed.
pub struct Linear(Weight);

enum Weight {
    F32(linear::Linear),
    Int8(int8::Linear),
}

impl Backend for Cpu {
    type Linear = Linear;

    fn prepare_linear(&self, weight: Vec<f32>, bias: Option<Vec<f32>>, inputs: usize) -> Linear {
        Linear(match self.precision {
            Precision::F32 => Weight::F32(linear::Linear::pack(&weight, bias, inputs)),
            Precision::Int8 => Weight::Int8(int8::Linear::pack(&weight, bias, inputs)),
        })
    }

    fn linear(&self, input: &Rows, layer: &Linear, output: &mut Rows) {
        output.set_len(input.len());
        match &layer.0 {
            Weight::F32(layer) => layer.apply(input.values(), Finish::Store, output.values_mut()),
            Weight::Int8(layer) => layer.apply(input.values(), Finish::Store, output.values_mut()),
        }
    }

    fn linear_add(&self, input: &Rows, layer: &Linear, residual: &mut Rows) {
        match &layer.0 {
            Weight::F32(layer) => layer.apply(input.values(), Finish::Add, residual.values_mut()),
            Weight::Int8(layer) => layer.apply(input.values(), Finish::Add, residual.values_mut()),
        }
    }

    fn feed_forward(
        &self,
        input: &Rows,
        expand: &Linear,
        activation: Activation,
        contract: &Linear,
        residual: &mut Rows,
    ) {
        assert_eq!(input.len(), residual.len(), "as many rows are added as there are");
        match (&expand.0, &contract.0) {
            (Weight::F32(expand), Weight::F32(contract)) => {
                linear::feed_forward(input, expand, activation, contract, residual);
            }
            (Weight::Int8(expand), Weight::Int8(contract)) => {
                int8::feed_forward(input, expand, activation, contract, residual);
            }
            _ => panic!("the two layers of a feed-forward are of one precision"),
        }
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
