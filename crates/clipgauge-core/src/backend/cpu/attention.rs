//! Attention over items of different lengths that lie packed one after the other.
//!
//! Each item and head is two small products of its own, so that no padding is computed and no item can touch
//! another.

use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions};
use rten_simd::SimdOp;
use rten_tensor::Matrix;
use rten_vecmath::Softmax;

use crate::backend::{Attention, Columns, Rows, spans};

/// See [`Backend::attention`](crate::backend::Backend::attention).
pub(super) fn attention(
    gemm: &GemmExecutor,
    queries: Columns<'_>,
    keys: Columns<'_>,
    values: Columns<'_>,
    attention: &Attention<'_>,
    output: &mut Rows,
) {
    output.set_len(queries.rows.len());
    let width = output.width();
    let head_width = width / attention.heads;
    let scale = 1.0 / (head_width as f32).sqrt();
    let (mut weights, mut mixed) = (Vec::new(), Vec::new());
    for (queried, seen) in spans(attention.query_ends).zip(spans(attention.key_ends)) {
        let (query_count, key_count) = (queried.len(), seen.len());
        weights.resize(query_count * key_count, 0.0);
        mixed.resize(query_count * head_width, 0.0);
        for head in 0..attention.heads {
            let first = head * head_width;
            let queries = block(queries, queried.start, query_count, first, head_width);
            let keys = block(keys, seen.start, key_count, first, head_width);
            let values = block(values, seen.start, key_count, first, head_width);
            product(gemm, queries, keys.transposed(), scale, &mut weights);
            for (query, weights) in weights.chunks_exact_mut(key_count).enumerate() {
                let visible = if attention.is_causal { query + 1 } else { key_count };
                Softmax::new_mut(&mut weights[..visible]).dispatch();
                weights[visible..].fill(0.0);
            }
            product(gemm, Matrix::from_data([query_count, key_count], weights.as_slice()), values, 1.0, &mut mixed);
            for (query, mixed) in queried.clone().zip(mixed.chunks_exact(head_width)) {
                output.row_mut(query)[first..][..head_width].copy_from_slice(mixed);
            }
        }
    }
}

/// The part of `columns` that one item and one head see, `[count, width]`.
fn block<'a>(columns: Columns<'a>, row: usize, count: usize, first: usize, width: usize) -> Matrix<'a> {
    let stride = columns.rows.width();
    let values = &columns.rows.values()[row * stride + columns.start + first..];
    Matrix::from_slice_with_strides([count, width], values, [stride, 1]).expect("the item lies within the rows")
}

/// `output = scale · a · b`
fn product(gemm: &GemmExecutor, a: Matrix<'_>, b: Matrix<'_>, scale: f32, output: &mut [f32]) {
    gemm.gemm(
        output,
        GemmInputA::Unpacked(a),
        GemmInputB::Unpacked(b),
        GemmOptions { alpha: scale, ..GemmOptions::default() },
    )
    .expect("the shapes of one head fit each other");
}
