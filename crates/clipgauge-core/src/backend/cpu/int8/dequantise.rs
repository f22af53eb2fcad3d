//! From sums of whole numbers back to f32.

use std::ops::Range;

use rten_simd::ops::{BitOps, NumOps, ToFloat};
use rten_simd::{Isa, Simd, SimdOp};

use super::Linear;
use super::quantised::Quantised;
use crate::backend::cpu::activation;
use crate::backend::cpu::gemm::Finish;

/// The sums of some rows and the columns of one panel: `output = finish((sums - zero · weight sum) · scales + bias)`.
pub(super) struct Dequantise<'a> {
    /// `[rows, panel width]`
    pub(super) sums: &'a [i32],
    /// What the rows were.
    pub(super) rows: &'a Quantised,
    pub(super) layer: &'a Linear,
    /// The columns of the layer's output that these are. A panel may have more, which nobody wants.
    pub(super) columns: Range<usize>,
    pub(super) finish: Finish,
    /// `[rows, outputs]`
    pub(super) output: &'a mut [f32],
}

impl SimdOp for Dequantise<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ops = isa.f32();
        match self.finish {
            Finish::Store => self.columns(
                isa,
                #[inline(always)]
                |value, _| value,
            ),
            Finish::Add => self.columns(
                isa,
                #[inline(always)]
                |value, before| ops.add(value, before),
            ),
            Finish::Activate(kind) => activation::with(isa, kind, self),
        }
    }
}

impl activation::With for Dequantise<'_> {
    #[inline(always)]
    fn run<I: Isa>(self, isa: I, activate: impl Fn(I::F32) -> I::F32) {
        self.columns(
            isa,
            #[inline(always)]
            |value, _| activate(value),
        );
    }
}

impl Dequantise<'_> {
    /// Takes a vector of columns at a time, through all rows; `finish` is told what the output holds.
    #[inline(always)]
    fn columns<I: Isa>(self, isa: I, finish: impl Fn(I::F32, I::F32) -> I::F32) {
        let Self { sums, rows, layer, columns, output, .. } = self;
        let (ops, whole) = (isa.f32(), isa.i32());
        let panel_width = sums.len() / rows.len();
        for first in (0..columns.len()).step_by(ops.len()) {
            let column = columns.start + first;
            let count = ops.len().min(columns.end - column);
            let scales = ops.load(&layer.weight.scales[column..]);
            let bias = ops.load(&layer.bias[column..]);
            let weight_sums = whole.load(&layer.weight.sums[column..]);
            let outputs = output.chunks_exact_mut(layer.outputs);
            for (((sums, output), &scale), &zero) in
                sums.chunks_exact(panel_width).zip(outputs).zip(&rows.scales).zip(&rows.zeros)
            {
                let sum = whole.sub(whole.load(&sums[first..]), whole.mul(whole.splat(zero), weight_sums));
                let value = ops.mul_add(whole.to_float(sum), ops.mul(ops.splat(scale), scales), bias);
                let target = &mut output[column..column + count];
                if count == ops.len() {
                    ops.store(finish(value, ops.load(target)), target);
                } else {
                    let value = finish(value, ops.load_pad(target).0);
                    target.copy_from_slice(&value.to_array().as_ref()[..count]);
                }
            }
        }
    }
}
