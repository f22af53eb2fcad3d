//! The operations on a CPU, in f32 or with linear layers in 8 bits: matrices by `rten-gemm`, vectors by
//! `rten-vecmath`, both of which find the processor's features when they run.
//!
//! One call uses one thread: the way to use more cores is one batch per core, which costs no synchronisation and
//! leaves every sum in the same order whatever the number of cores.

use std::cell::OnceCell;

use rayon::{ThreadPool, ThreadPoolBuilder};
use rten_gemm::GemmExecutor;

use crate::backend::{Activation, Attention, Backend, Columns, LayerNorm, Rows};
use crate::precision::Precision;

mod activation;
mod attention;
mod gemm;
mod int8;
mod norm;

/// The operations, with the fastest kernels that this processor has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    precision: Precision,
}

impl Cpu {
    /// The operations with linear layers in this precision. All else is f32 in either.
    pub fn new(precision: Precision) -> Self {
        Self { precision }
    }

    /// The name of the linear layers' matrix kernel, which says what the processor was found to have.
    pub fn kernel_name(self) -> String {
        match self.precision {
            Precision::F32 => with_gemm(|gemm| gemm.kernel_name().to_owned()),
            Precision::Int8 => int8::kernel_name(),
        }
    }
}

/// A linear layer with its weight packed.
pub struct Linear(Weight);

enum Weight {
    F32(gemm::Linear),
    Int8(int8::Linear),
}

thread_local! {
    /// The chosen matrix kernel. It holds nothing but is not `Send`, so each thread has its own.
    static GEMM: GemmExecutor = GemmExecutor::new();

    /// A pool of one for every thread that encodes: `rten-gemm` divides its work by the size of rayon's current
    /// pool, which would otherwise be the process-wide one.
    static POOL_OF_ONE: OnceCell<Option<ThreadPool>> = const { OnceCell::new() };
}

fn with_gemm<R>(work: impl FnOnce(&GemmExecutor) -> R) -> R {
    GEMM.with(work)
}

impl Backend for Cpu {
    type Linear = Linear;

    fn prepare_linear(&self, weight: Vec<f32>, bias: Option<Vec<f32>>, inputs: usize) -> Linear {
        Linear(match self.precision {
            Precision::F32 => Weight::F32(with_gemm(|gemm| gemm::Linear::pack(gemm, weight, bias, inputs))),
            Precision::Int8 => Weight::Int8(int8::Linear::pack(&weight, bias, inputs)),
        })
    }

    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        POOL_OF_ONE.with(|pool| match pool.get_or_init(|| ThreadPoolBuilder::new().num_threads(1).build().ok()) {
            Some(pool) => pool.install(work),
            // No thread can be had: the numbers are the same without the pool.
            None => work(),
        })
    }

    fn linear(&self, input: &Rows, layer: &Linear, output: &mut Rows) {
        output.set_len(input.len());
        match &layer.0 {
            Weight::F32(layer) => with_gemm(|gemm| layer.apply(gemm, input.values(), 0.0, output.values_mut())),
            Weight::Int8(layer) => layer.apply(input.values(), output.values_mut()),
        }
    }

    fn linear_add(&self, input: &Rows, layer: &Linear, residual: &mut Rows) {
        match &layer.0 {
            Weight::F32(layer) => with_gemm(|gemm| layer.apply(gemm, input.values(), 1.0, residual.values_mut())),
            Weight::Int8(layer) => layer.apply_add(input.values(), residual.values_mut()),
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
        match (&expand.0, &contract.0) {
            (Weight::F32(expand), Weight::F32(contract)) => {
                with_gemm(|gemm| gemm::feed_forward(gemm, input, expand, activation, contract, residual));
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
        with_gemm(|gemm| attention::attention(gemm, queries, keys, values, attention, output));
    }
}
