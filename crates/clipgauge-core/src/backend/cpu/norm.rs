//! Layer norm, in two passes: the mean first, then the squares of what differs from it, so that nothing cancels.

use rten_simd::SimdOp;
use rten_vecmath::{Normalize, NormalizeOptions, Sum, SumSquareSub};

use crate::backend::{LayerNorm, Rows};

/// Normalises each row.
pub(super) fn layer_norm(input: &Rows, norm: &LayerNorm, output: &mut Rows) {
    output.set_len(input.len());
    let width = input.width();
    let rows = input.values().chunks_exact(width).zip(output.values_mut().chunks_exact_mut(width));
    for (row, normalised) in rows {
        let mean = Sum::new(row).dispatch() / width as f32;
        let variance = SumSquareSub::new(row, mean).dispatch() / width as f32;
        normalised.copy_from_slice(row);
        Normalize::new_mut(
            normalised,
            NormalizeOptions {
                pre_scale_bias: mean,
                scale: 1.0 / (variance + norm.epsilon).sqrt(),
                element_scale: Some(&norm.gain),
                element_bias: Some(&norm.bias),
                ..NormalizeOptions::default()
            },
        )
        .dispatch();
    }
}
