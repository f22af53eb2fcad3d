//! The pre-norm transformer that the towers of most families share: x + attention(norm(x)), then x + mlp(norm(x)).
//!
//! Radford et al. 2021, section 2.4 (after Dosovitskiy et al. 2020 for images, Radford et al. 2019 for texts).

use crate::backend::{Activation, Attention, Backend, Columns, LayerNorm, Rows};
use crate::error::LoadError;
use crate::weights::Weights;

/// The shape of a transformer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransformerShape {
    /// Numbers per token.
    pub(crate) width: usize,
    /// Numbers per token between the two linear layers of a block.
    pub(crate) inner_width: usize,
    /// Blocks.
    pub(crate) layers: usize,
    /// Attention heads of a block.
    pub(crate) heads: usize,
    /// What lies between the two linear layers.
    pub(crate) activation: Activation,
    /// Of every layer norm.
    pub(crate) epsilon: f32,
}

/// What a family calls the tensors of one block.
pub(crate) struct BlockNames {
    pub(crate) query: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
    pub(crate) out: &'static str,
    pub(crate) attention_norm: &'static str,
    pub(crate) feed_forward_norm: &'static str,
    pub(crate) expand: &'static str,
    pub(crate) contract: &'static str,
}

/// A stack of blocks.
pub(crate) struct Transformer<B: Backend> {
    blocks: Vec<Block<B>>,
    shape: TransformerShape,
}

struct Block<B: Backend> {
    attention_norm: LayerNorm,
    query: B::Linear,
    /// Keys, then values: `[2 · width, width]`.
    key_value: B::Linear,
    out: B::Linear,
    feed_forward_norm: LayerNorm,
    expand: B::Linear,
    contract: B::Linear,
}

impl<B: Backend> Transformer<B> {
    /// Loads the blocks `{prefix}.0`, `{prefix}.1`, ….
    pub(crate) fn load(
        backend: &B,
        weights: &Weights,
        prefix: &str,
        names: &BlockNames,
        shape: TransformerShape,
    ) -> Result<Self, LoadError> {
        let TransformerShape { width, inner_width, epsilon, .. } = shape;
        let block = |index| {
            let named = |name: &str| format!("{prefix}.{index}.{name}");
            let linear = |name: &str, outputs, inputs| linear(backend, weights, &named(name), outputs, inputs);
            Ok(Block {
                attention_norm: layer_norm(weights, &named(names.attention_norm), width, epsilon)?,
                query: linear(names.query, width, width)?,
                key_value: {
                    let (mut weight, mut bias) = linear_tensors(weights, &named(names.key), width, width)?;
                    let (value_weight, value_bias) = linear_tensors(weights, &named(names.value), width, width)?;
                    weight.extend(value_weight);
                    bias.extend(value_bias);
                    backend.prepare_linear(weight, Some(bias), width)
                },
                out: linear(names.out, width, width)?,
                feed_forward_norm: layer_norm(weights, &named(names.feed_forward_norm), width, epsilon)?,
                expand: linear(names.expand, inner_width, width)?,
                contract: linear(names.contract, width, inner_width)?,
            })
        };
        Ok(Self { blocks: (0..shape.layers).map(block).collect::<Result<_, LoadError>>()?, shape })
    }

    /// Runs all blocks over `hidden` (`[tokens, width]`) and gives the row of one token per item: the one at
    /// `pooled`, an index into all tokens. The last block computes these only.
    pub(crate) fn forward(
        &self,
        backend: &B,
        mut hidden: Rows,
        ends: &[usize],
        pooled: &[usize],
        is_causal: bool,
    ) -> Rows {
        let TransformerShape { width, heads, activation, .. } = self.shape;
        let (mut normed, mut query, mut mixed) = (Rows::new(width), Rows::new(width), Rows::new(width));
        let mut key_value = Rows::new(2 * width);
        let pooled_ends: Vec<usize> = (1..=pooled.len()).collect();
        for (index, block) in self.blocks.iter().enumerate() {
            let is_last = index + 1 == self.blocks.len();
            backend.layer_norm(&hidden, &block.attention_norm, &mut normed);
            backend.linear(&normed, &block.key_value, &mut key_value);
            let attention = if is_last {
                // A causal text ends at its pooled token, which therefore sees every key, as an image's does.
                hidden = hidden.gather(pooled.iter().copied());
                normed = normed.gather(pooled.iter().copied());
                Attention { heads, query_ends: &pooled_ends, key_ends: ends, is_causal: false }
            } else {
                Attention { heads, query_ends: ends, key_ends: ends, is_causal }
            };
            backend.linear(&normed, &block.query, &mut query);
            let columns = |start| Columns { rows: &key_value, start };
            let queries = Columns { rows: &query, start: 0 };
            backend.attention(queries, columns(0), columns(width), &attention, &mut mixed);
            backend.linear_add(&mixed, &block.out, &mut hidden);
            backend.layer_norm(&hidden, &block.feed_forward_norm, &mut normed);
            backend.feed_forward(&normed, &block.expand, activation, &block.contract, &mut hidden);
        }
        if self.blocks.is_empty() { hidden.gather(pooled.iter().copied()) } else { hidden }
    }
}

/// The tensors `{name}.weight` (`[outputs, inputs]`) and `{name}.bias`.
fn linear_tensors(
    weights: &Weights,
    name: &str,
    outputs: usize,
    inputs: usize,
) -> Result<(Vec<f32>, Vec<f32>), LoadError> {
    Ok((weights.f32(&format!("{name}.weight"), &[outputs, inputs])?, weights.f32(&format!("{name}.bias"), &[outputs])?))
}

/// The linear layer `name` with its bias.
pub(crate) fn linear<B: Backend>(
    backend: &B,
    weights: &Weights,
    name: &str,
    outputs: usize,
    inputs: usize,
) -> Result<B::Linear, LoadError> {
    let (weight, bias) = linear_tensors(weights, name, outputs, inputs)?;
    Ok(backend.prepare_linear(weight, Some(bias), inputs))
}

/// The linear layer `name`, which has no bias.
pub(crate) fn projection<B: Backend>(
    backend: &B,
    weights: &Weights,
    name: &str,
    outputs: usize,
    inputs: usize,
) -> Result<B::Linear, LoadError> {
    let weight = weights.f32(&format!("{name}.weight"), &[outputs, inputs])?;
    Ok(backend.prepare_linear(weight, None, inputs))
}

/// The layer norm `name`.
pub(crate) fn layer_norm(weights: &Weights, name: &str, width: usize, epsilon: f32) -> Result<LayerNorm, LoadError> {
    Ok(LayerNorm {
        gain: weights.f32(&format!("{name}.weight"), &[width])?,
        bias: weights.f32(&format!("{name}.bias"), &[width])?,
        epsilon,
    })
}
