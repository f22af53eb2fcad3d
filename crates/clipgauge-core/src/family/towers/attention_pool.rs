//! SigLIP's pool: one learnt query attends to all patches, and a feed-forward follows.
//!
//! Zhai et al. 2022 (Scaling Vision Transformers), "MAP head"; transformers' `SiglipMultiheadAttentionPoolingHead`.

use crate::backend::{Attention, Backend, Columns, LayerNorm, Rows};
use crate::error::LoadError;
use crate::family::parameters::Parameters;
use crate::family::towers::transformer::{InputNames, TransformerShape, input};

/// What a family calls the tensors of the pool.
pub(crate) struct AttentionPoolNames {
    pub(crate) probe: &'static str,
    pub(crate) input: InputNames,
    pub(crate) out: &'static str,
    pub(crate) norm: &'static str,
    pub(crate) expand: &'static str,
    pub(crate) contract: &'static str,
}

/// The pool.
pub(crate) struct AttentionPool<B: Backend> {
    shape: TransformerShape,
    /// The learnt query, already projected: `[1, width]`.
    query: Rows,
    /// Keys, then values.
    key_value: B::Linear,
    out: B::Linear,
    norm: LayerNorm,
    expand: B::Linear,
    contract: B::Linear,
}

impl<B: Backend> AttentionPool<B> {
    pub(crate) fn load(
        parameters: &Parameters<'_, B>,
        names: &AttentionPoolNames,
        shape: TransformerShape,
    ) -> Result<Self, LoadError> {
        let TransformerShape { width, inner_width, epsilon, .. } = shape;
        let probe = Rows::from_values(parameters.weights.f32(names.probe, &[1, 1, width])?, width);
        let (project, key_value) = input(parameters, &names.input, str::to_owned, width)?;
        let mut query = Rows::new(width);
        parameters.backend.linear(&probe, &project, &mut query);
        Ok(Self {
            shape,
            query,
            key_value,
            out: parameters.linear(names.out, width, width)?,
            norm: parameters.norm(names.norm, width, epsilon)?,
            expand: parameters.linear(names.expand, inner_width, width)?,
            contract: parameters.linear(names.contract, width, inner_width)?,
        })
    }

    /// `[items, width]` from `[tokens, width]`, in which the items end at `ends`.
    pub(crate) fn forward(&self, backend: &B, hidden: &Rows, ends: &[usize]) -> Rows {
        let TransformerShape { width, heads, activation, .. } = self.shape;
        let mut key_value = Rows::new(2 * width);
        backend.linear(hidden, &self.key_value, &mut key_value);
        let each: Vec<usize> = (1..=ends.len()).collect();
        let queries = self.query.gather(ends.iter().map(|_| 0));
        let columns = |start| Columns { rows: &key_value, start };
        let attention = Attention { heads, query_ends: &each, key_ends: ends, is_causal: false };
        let (mut mixed, mut pooled, mut normed) = (Rows::new(width), Rows::new(width), Rows::new(width));
        let queries = Columns { rows: &queries, start: 0 };
        backend.attention(queries, columns(0), columns(width), &attention, &mut mixed);
        backend.linear(&mixed, &self.out, &mut pooled);
        backend.layer_norm(&pooled, &self.norm, &mut normed);
        backend.feed_forward(&normed, &self.expand, activation, &self.contract, &mut pooled);
        pooled
    }
}
