//! The post-norm transformer of BERT (Devlin et al. 2018) and RoBERTa, read at its first token: the text tower of
//! Chinese-CLIP and AltCLIP.

use crate::backend::{Attention, Backend, Columns, LayerNorm, Rows, spans};
use crate::encoder::EncodeError;
use crate::error::LoadError;
use crate::family::description::{Blocks, TextTower, flops};
use crate::family::loading::each;
use crate::family::parameters::Parameters;
use crate::family::towers::transformer::{InputNames, TransformerShape, input};
use crate::family::towers::{add, checked};
use crate::tokenize::TokenBatch;

/// The shape of the tower.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BertShape {
    pub(crate) transformer: TransformerShape,
    /// Ids that have an embedding.
    pub(crate) vocabulary: usize,
    /// Positions that have an embedding.
    pub(crate) positions: usize,
    /// The position of the first token: RoBERTa's positions begin behind that of the padding.
    pub(crate) first_position: usize,
    /// Kinds of tokens that have an embedding. Captions are of the first.
    pub(crate) token_types: usize,
}

impl BertShape {
    /// Positions that a token can have.
    pub(crate) fn context_length(&self) -> usize {
        self.positions - self.first_position
    }

    /// The tower with linear layers of so many weights behind it, for a person.
    pub(crate) fn tower(&self, tokens: usize, projections: usize) -> TextTower {
        TextTower {
            blocks: Blocks::of(self.transformer),
            vocabulary: self.vocabulary,
            positions: self.context_length(),
            reads: "at the first token".to_owned(),
            tokens,
            flops: flops(self.transformer, tokens, 0, projections),
        }
    }
}

const INPUT: InputNames =
    InputNames::Apart { query: "attention.self.query", key: "attention.self.key", value: "attention.self.value" };

/// The tower, up to the hidden state of the first token.
pub(crate) struct Bert<B: Backend> {
    shape: BertShape,
    /// `[vocabulary, width]`
    token_embedding: Rows,
    /// `[positions, width]`, the embedding of the first kind of tokens added.
    position_embedding: Rows,
    embedding_norm: LayerNorm,
    blocks: Vec<Block<B>>,
}

struct Block<B: Backend> {
    query: B::Linear,
    /// Keys, then values.
    key_value: B::Linear,
    out: B::Linear,
    attention_norm: LayerNorm,
    expand: B::Linear,
    contract: B::Linear,
    feed_forward_norm: LayerNorm,
}

impl<B: Backend> Bert<B> {
    /// Loads the tower whose names all begin with `prefix`.
    pub(crate) fn load(parameters: &Parameters<'_, B>, prefix: &str, shape: BertShape) -> Result<Self, LoadError> {
        let TransformerShape { width, inner_width, layers, epsilon, .. } = shape.transformer;
        let embedding = |name: &str| format!("{prefix}embeddings.{name}");
        let types = parameters.table(&embedding("token_type_embeddings.weight"), shape.token_types, width)?;
        let mut positions = parameters.table(&embedding("position_embeddings.weight"), shape.positions, width)?;
        (0..positions.len()).for_each(|position| add(positions.row_mut(position), types.row(0)));
        let block = |index| {
            let named = |name: &str| format!("{prefix}encoder.layer.{index}.{name}");
            let (query, key_value) = input(parameters, &INPUT, named, width)?;
            Ok(Block {
                query,
                key_value,
                out: parameters.linear(&named("attention.output.dense"), width, width)?,
                attention_norm: parameters.norm(&named("attention.output.LayerNorm"), width, epsilon)?,
                expand: parameters.linear(&named("intermediate.dense"), inner_width, width)?,
                contract: parameters.linear(&named("output.dense"), width, inner_width)?,
                feed_forward_norm: parameters.norm(&named("output.LayerNorm"), width, epsilon)?,
            })
        };
        Ok(Self {
            shape,
            token_embedding: parameters.table(&embedding("word_embeddings.weight"), shape.vocabulary, width)?,
            position_embedding: positions,
            embedding_norm: parameters.norm(&embedding("LayerNorm"), width, epsilon)?,
            blocks: each(layers, block)?,
        })
    }

    /// `[items, width]`
    pub(crate) fn forward(&self, backend: &B, batch: &TokenBatch) -> Result<Rows, EncodeError> {
        let BertShape { vocabulary, first_position, .. } = self.shape;
        let TransformerShape { width, heads, activation, .. } = self.shape.transformer;
        let mut embedded = Rows::new(width);
        for span in spans(batch.ends()) {
            let ids = checked(&batch.ids()[span], vocabulary, self.shape.context_length())?;
            for (position, &id) in (first_position..).zip(ids) {
                embedded.push(self.token_embedding.row(id as usize));
                let last = embedded.len() - 1;
                add(embedded.row_mut(last), self.position_embedding.row(position));
            }
        }
        let mut hidden = Rows::new(width);
        backend.layer_norm(&embedded, &self.embedding_norm, &mut hidden);

        let each: Vec<usize> = (1..=batch.len()).collect();
        let (mut query, mut key_value, mut mixed) = (Rows::new(width), Rows::new(2 * width), Rows::new(width));
        let mut summed = Rows::new(width);
        for (index, block) in self.blocks.iter().enumerate() {
            backend.linear(&hidden, &block.key_value, &mut key_value);
            let is_last = index + 1 == self.blocks.len();
            if is_last {
                hidden = hidden.gather(spans(batch.ends()).map(|span| span.start));
            }
            let query_ends = if is_last { &each } else { batch.ends() };
            backend.linear(&hidden, &block.query, &mut query);
            let columns = |start| Columns { rows: &key_value, start };
            let attention = Attention { heads, query_ends, key_ends: batch.ends(), is_causal: false };
            let queries = Columns { rows: &query, start: 0 };
            backend.attention(queries, columns(0), columns(width), &attention, &mut mixed);
            summed.clone_from(&hidden);
            backend.linear_add(&mixed, &block.out, &mut summed);
            backend.layer_norm(&summed, &block.attention_norm, &mut hidden);
            summed.clone_from(&hidden);
            backend.feed_forward(&hidden, &block.expand, activation, &block.contract, &mut summed);
            backend.layer_norm(&summed, &block.feed_forward_norm, &mut hidden);
        }
        Ok(hidden)
    }
}
