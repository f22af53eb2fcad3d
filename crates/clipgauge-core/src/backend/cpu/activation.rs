//! The functions between linear layers, vectorised.

use rten_simd::functional::simd_map;
use rten_simd::{Isa, SimdUnaryOp};
use rten_vecmath::{ApproxGelu, Gelu, Swish};

use crate::backend::Activation;

/// The factor in `quick_gelu` (OpenAI's CLIP, `model.py`).
const QUICK_GELU_ALPHA: f32 = 1.702;

/// Applies an activation to every number, with the vectors of `isa`.
#[inline(always)]
pub(super) fn apply<I: Isa>(isa: I, kind: Activation, values: &mut [f32]) {
    match kind {
        Activation::QuickGelu => map(isa, Swish { alpha: QUICK_GELU_ALPHA }, values),
        Activation::Gelu => map(isa, Gelu {}, values),
        Activation::GeluTanh => map(isa, ApproxGelu {}, values),
    }
}

#[inline(always)]
fn map<I: Isa>(isa: I, function: impl SimdUnaryOp<f32>, values: &mut [f32]) {
    simd_map(
        isa.f32(),
        values,
        #[inline(always)]
        |vector| function.eval(isa, vector),
    );
}
