//! The functions between linear layers, vectorised.

use rten_simd::SimdUnaryOp;
use rten_vecmath::{ApproxGelu, Gelu, Swish};

use crate::backend::Activation;

/// The factor in `quick_gelu` (OpenAI's CLIP, `model.py`).
const QUICK_GELU_ALPHA: f32 = 1.702;

/// Applies an activation to every number.
pub(super) fn apply(kind: Activation, values: &mut [f32]) {
    match kind {
        Activation::QuickGelu => Swish { alpha: QUICK_GELU_ALPHA }.map_mut(values),
        Activation::Gelu => Gelu {}.map_mut(values),
        Activation::GeluTanh => ApproxGelu {}.map_mut(values),
    }
}
