//! The text tower of CLIP and SigLIP: a transformer over tokens with learnt positions, of which one token is projected.

use crate::backend::{Backend, LayerNorm, Rows, spans};
use crate::encoder::EncodeError;
use crate::error::LoadError;
use crate::family::description::{Blocks, HIGHEST_ID, TextTower, flops};
use crate::family::design::TextTowerShape;
use crate::family::parameters::Parameters;
use crate::family::towers::transformer::{BlockNames, Pooling, Transformer, TransformerShape};
use crate::family::towers::{Tower, add, checked};
use crate::tokenize::TokenBatch;

/// The shape of a text tower.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextShape {
    pub(crate) transformer: TransformerShape,
    /// Ids that have an embedding.
    pub(crate) vocabulary: usize,
    /// Positions that have an embedding.
    pub(crate) context_length: usize,
    pub(crate) reading: Reading,
    /// Numbers in an embedding.
    pub(crate) embedding_width: usize,
}

impl TextTowerShape for TextShape {
    fn tower(&self, tokens: usize) -> TextTower {
        TextTower {
            blocks: Blocks::of(self.transformer),
            vocabulary: self.vocabulary,
            positions: self.context_length,
            reads: match self.reading {
                Reading::UpToToken(id) => format!("at the first token {id}"),
                Reading::UpToHighestId => HIGHEST_ID.to_owned(),
                Reading::AtLast => "at the last position, padding included".to_owned(),
            },
            tokens,
            flops: flops(self.transformer, tokens, 0, self.transformer.width * self.embedding_width),
        }
    }
}

/// How a text is read, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// From left to right, each token seeing those before it, up to the first of this id.
    UpToToken(u32),
    /// From left to right, up to the first of the highest id.
    UpToHighestId,
    /// As a whole, each token seeing all, at the last token; padding is part of the text.
    AtLast,
}

impl Reading {
    /// Where the token stands that is read: where the reference looks for it, at the first one if there is none.
    fn position(self, ids: &[u32]) -> usize {
        match self {
            Self::UpToToken(end) => ids.iter().position(|&id| id == end).unwrap_or(0),
            Self::UpToHighestId => {
                let highest = ids.iter().max();
                ids.iter().position(|id| Some(id) == highest).unwrap_or(0)
            }
            Self::AtLast => ids.len() - 1,
        }
    }
}

/// What a family calls the tensors of its text tower.
pub(crate) struct TextNames {
    pub(crate) token_embedding: &'static str,
    pub(crate) position_embedding: &'static str,
    pub(crate) blocks: &'static str,
    pub(crate) block: &'static BlockNames,
    pub(crate) norm: &'static str,
    pub(crate) projection: ProjectionName,
}

/// How a family stores the projection to its embeddings.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ProjectionName {
    /// `NAME.weight`, `[outputs, inputs]`.
    Plain(&'static str),
    /// `NAME.weight` and `NAME.bias`.
    WithBias(&'static str),
    /// `NAME`, `[inputs, outputs]`.
    Transposed(&'static str),
}

impl ProjectionName {
    /// Loads the projection.
    pub(crate) fn load<B: Backend>(
        self,
        parameters: &Parameters<'_, B>,
        prefix: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<B::Linear, LoadError> {
        match self {
            Self::Plain(name) => parameters.projection(&format!("{prefix}{name}"), outputs, inputs),
            Self::WithBias(name) => parameters.linear(&format!("{prefix}{name}"), outputs, inputs),
            Self::Transposed(name) => parameters.transposed_projection(&format!("{prefix}{name}"), outputs, inputs),
        }
    }
}

/// A text tower.
pub(crate) struct Text<B: Backend> {
    shape: TextShape,
    /// `[vocabulary, width]`
    token_embedding: Rows,
    /// `[context_length, width]`
    position_embedding: Rows,
    transformer: Transformer<B>,
    norm: LayerNorm,
    projection: B::Linear,
}

impl<B: Backend> Text<B> {
    /// Loads the tower whose names all begin with `prefix`.
    pub(crate) fn load(
        parameters: &Parameters<'_, B>,
        prefix: &str,
        names: &TextNames,
        shape: TextShape,
    ) -> Result<Self, LoadError> {
        let TransformerShape { width, epsilon, .. } = shape.transformer;
        let named = |name: &str| format!("{prefix}{name}");
        Ok(Self {
            shape,
            token_embedding: parameters.table(&named(names.token_embedding), shape.vocabulary, width)?,
            position_embedding: parameters.table(&named(names.position_embedding), shape.context_length, width)?,
            transformer: Transformer::load(parameters, &named(names.blocks), names.block, shape.transformer)?,
            norm: parameters.norm(&named(names.norm), width, epsilon)?,
            projection: names.projection.load(parameters, prefix, shape.embedding_width, width)?,
        })
    }
}

impl<B: Backend> Tower<B, TokenBatch> for Text<B> {
    fn forward(&self, backend: &B, batch: &TokenBatch) -> Result<Rows, EncodeError> {
        let TextShape { vocabulary, context_length, reading, embedding_width, .. } = self.shape;
        let width = self.shape.transformer.width;
        let mut hidden = Rows::new(width);
        let mut ends = Vec::with_capacity(batch.len());
        for span in spans(batch.ends()) {
            let ids = checked(&batch.ids()[span], vocabulary, context_length)?;
            // Read from left to right, what stands behind the token that is read cannot reach it and is not computed.
            for (position, &id) in ids[..=reading.position(ids)].iter().enumerate() {
                hidden.push(self.token_embedding.row(id as usize));
                let last = hidden.len() - 1;
                add(hidden.row_mut(last), self.position_embedding.row(position));
            }
            ends.push(hidden.len());
        }
        let read: Vec<usize> = ends.iter().map(|end| end - 1).collect();
        let is_causal = reading != Reading::AtLast;
        let pooled = self.transformer.forward(backend, hidden, &ends, Pooling::One(&read), is_causal);

        let (mut normed, mut projected) = (Rows::new(width), Rows::new(embedding_width));
        backend.layer_norm(&pooled, &self.norm, &mut normed);
        backend.linear(&normed, &self.projection, &mut projected);
        Ok(projected)
    }
}
