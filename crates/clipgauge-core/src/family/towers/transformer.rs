//! The pre-norm transformer that most towers are: x + attention(norm(x)), then x + mlp(norm(x)).
//!
//! Radford et al. 2021, section 2.4 (after Dosovitskiy et al. 2020 for images, Radford et al. 2019 for texts).

use crate::backend::{Activation, Attention, Backend, Columns, LayerNorm, Rows};
use crate::error::LoadError;
use crate::family::loading::each;
use crate::family::parameters::Parameters;

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
    pub(crate) attention_norm: &'static str,
    pub(crate) input: InputNames,
    pub(crate) out: &'static str,
    pub(crate) feed_forward_norm: &'static str,
    pub(crate) expand: &'static str,
    pub(crate) contract: &'static str,
}

/// What a family calls the projections to queries, keys and values.
pub(crate) enum InputNames {
    /// A linear layer each.
    Apart { query: &'static str, key: &'static str, value: &'static str },
    /// One matrix and one bias of all three, as `torch.nn.MultiheadAttention` has them.
    Fused { weight: &'static str, bias: &'static str },
}

/// Which tokens come out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pooling<'a> {
    /// All.
    All,
    /// One of each item: its index among all tokens. The last block then computes these only.
    One(&'a [usize]),
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
        parameters: &Parameters<'_, B>,
        prefix: &str,
        names: &BlockNames,
        shape: TransformerShape,
    ) -> Result<Self, LoadError> {
        let TransformerShape { width, inner_width, epsilon, .. } = shape;
        let block = |index| {
            let named = |name: &str| format!("{prefix}.{index}.{name}");
            let (query, key_value) = input(parameters, &names.input, named, width)?;
            Ok(Block {
                attention_norm: parameters.norm(&named(names.attention_norm), width, epsilon)?,
                query,
                key_value,
                out: parameters.linear(&named(names.out), width, width)?,
                feed_forward_norm: parameters.norm(&named(names.feed_forward_norm), width, epsilon)?,
                expand: parameters.linear(&named(names.expand), inner_width, width)?,
                contract: parameters.linear(&named(names.contract), width, inner_width)?,
            })
        };
        Ok(Self { blocks: each(shape.layers, block)?, shape })
    }

    /// Runs all blocks over `hidden` (`[tokens, width]`), in which the items end at `ends`.
    ///
    /// With `is_causal`, a token that is pooled has to be the last of its item: it then sees all of it.
    pub(crate) fn forward(
        &self,
        backend: &B,
        mut hidden: Rows,
        ends: &[usize],
        pooling: Pooling<'_>,
        is_causal: bool,
    ) -> Rows {
        let TransformerShape { width, heads, activation, .. } = self.shape;
        let (mut normed, mut query, mut mixed) = (Rows::new(width), Rows::new(width), Rows::new(width));
        let mut key_value = Rows::new(2 * width);
        let each: Vec<usize> = (1..=ends.len()).collect();
        for (index, block) in self.blocks.iter().enumerate() {
            backend.layer_norm(&hidden, &block.attention_norm, &mut normed);
            backend.linear(&normed, &block.key_value, &mut key_value);
            let attention = match pooling {
                Pooling::One(tokens) if index + 1 == self.blocks.len() => {
                    hidden = hidden.gather(tokens.iter().copied());
                    normed = normed.gather(tokens.iter().copied());
                    Attention { heads, query_ends: &each, key_ends: ends, is_causal: false }
                }
                _ => Attention { heads, query_ends: ends, key_ends: ends, is_causal },
            };
            backend.linear(&normed, &block.query, &mut query);
            let columns = |start| Columns { rows: &key_value, start };
            let queries = Columns { rows: &query, start: 0 };
            backend.attention(queries, columns(0), columns(width), &attention, &mut mixed);
            backend.linear_add(&mixed, &block.out, &mut hidden);
            backend.layer_norm(&hidden, &block.feed_forward_norm, &mut normed);
            backend.feed_forward(&normed, &block.expand, activation, &block.contract, &mut hidden);
        }
        hidden
    }
}

/// The projections to queries and to keys and values.
pub(crate) fn input<B: Backend>(
    parameters: &Parameters<'_, B>,
    names: &InputNames,
    named: impl Fn(&str) -> String,
    width: usize,
) -> Result<(B::Linear, B::Linear), LoadError> {
    match names {
        InputNames::Apart { query, key, value } => Ok((
            parameters.linear(&named(query), width, width)?,
            parameters.linear_of(&[named(key), named(value)], width, width)?,
        )),
        InputNames::Fused { weight, bias } => {
            let mut query = parameters.matrix(&named(weight), 3 * width, width)?;
            let mut query_bias = parameters.vector(&named(bias), 3 * width)?;
            let key_value = query.split_off(width * width);
            let key_value_bias = query_bias.split_off(width);
            let prepare = |matrix, bias| parameters.backend.prepare_linear(matrix, Some(bias), width);
            Ok((prepare(query, query_bias), prepare(key_value, key_value_bias)))
        }
    }
}
