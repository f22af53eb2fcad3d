//! The functions between linear layers, vectorised.

use rten_simd::functional::simd_map;
use rten_simd::{Isa, SimdUnaryOp};
use rten_vecmath::{ApproxGelu, Gelu, Swish};

use crate::backend::Activation;

/// The factor in `quick_gelu` (OpenAI's CLIP, `model.py`).
const QUICK_GELU_ALPHA: f32 = 1.702;

/// Work that takes an activation by the way.
pub(super) trait With {
    /// Does it with this function.
    fn run<I: Isa>(self, isa: I, activate: impl Fn(I::F32) -> I::F32);
}

/// Does work with the function of this kind.
#[inline(always)]
pub(super) fn with<I: Isa>(isa: I, kind: Activation, work: impl With) {
    match kind {
        Activation::QuickGelu => work.run(isa, of(isa, Swish { alpha: QUICK_GELU_ALPHA })),
        Activation::Gelu => work.run(isa, of(isa, Gelu {})),
        Activation::GeluTanh => work.run(isa, of(isa, ApproxGelu {})),
    }
}

#[inline(always)]
fn of<I: Isa>(isa: I, function: impl SimdUnaryOp<f32>) -> impl Fn(I::F32) -> I::F32 {
    #[inline(always)]
    move |vector| function.eval(isa, vector)
}

/// Applies an activation to every number, with the vectors of `isa`.
#[inline(always)]
pub(super) fn apply<I: Isa>(isa: I, kind: Activation, values: &mut [f32]) {
    with(isa, kind, Apply { values });
}

struct Apply<'a> {
    values: &'a mut [f32],
}

impl With for Apply<'_> {
    #[inline(always)]
    fn run<I: Isa>(self, isa: I, activate: impl Fn(I::F32) -> I::F32) {
        simd_map(isa.f32(), self.values, activate);
    }
}
