//! Attention over items of different lengths that lie packed one after the other.
//!
//! Each item and head is two small products of its own, so that no padding is computed and no item can touch
//! another.

use rten_simd::SimdOp;
use rten_vecmath::Softmax;

use super::gemm::{Finish, Product};
use super::panels::{Panels, Strided};
use crate::backend::{Attention, Columns, Rows, spans};

/// See [`Backend::attention`](crate::backend::Backend::attention).
pub(super) fn attention(
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
    let (mut packed, mut weights) = (Panels::default(), Vec::new());
    for (queried, seen) in spans(attention.query_ends).zip(spans(attention.key_ends)) {
        let (query_count, key_count) = (queried.len(), seen.len());
        weights.resize(query_count * key_count, 0.0);
        for head in 0..attention.heads {
            let first = head * head_width;
            packed.pack_transposed(block(keys, seen.start, key_count, first), head_width, scale);
            Product {
                input: block(queries, queried.start, query_count, first),
                panels: &packed,
                bias: None,
                finish: Finish::Store,
                output: &mut weights,
                output_stride: key_count,
            }
            .run();
            for (query, weights) in weights.chunks_exact_mut(key_count).enumerate() {
                let visible = if attention.is_causal { query + 1 } else { key_count };
                Softmax::new_mut(&mut weights[..visible]).dispatch();
                weights[visible..].fill(0.0);
            }
            packed.pack(block(values, seen.start, key_count, first), head_width);
            Product {
                input: Strided::dense(&weights, key_count),
                panels: &packed,
                bias: None,
                finish: Finish::Store,
                output: &mut output.values_mut()[queried.start * width + first..],
                output_stride: width,
            }
            .run();
        }
    }
}

/// The part of `columns` that one item and one head see.
fn block<'a>(columns: Columns<'a>, row: usize, count: usize, first: usize) -> Strided<'a> {
    let stride = columns.rows.width();
    Strided { values: &columns.rows.values()[row * stride + columns.start + first..], rows: count, stride }
}
