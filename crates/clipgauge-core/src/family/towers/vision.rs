//! The Vision Transformer (Dosovitskiy et al. 2020) over pictures of one size, as the image towers of all families but
//! NaFlex have it: with a class token that is projected (CLIP), or with a pool over all patches (SigLIP).

use crate::backend::{Backend, LayerNorm, Rows};
use crate::encoder::EncodeError;
use crate::error::LoadError;
use crate::family::description::{Blocks, ImageTower, flops};
use crate::family::parameters::Parameters;
use crate::family::towers::attention_pool::{AttentionPool, AttentionPoolNames};
use crate::family::towers::patches::patches;
use crate::family::towers::text::ProjectionName;
use crate::family::towers::transformer::{BlockNames, Pooling, Transformer, TransformerShape};
use crate::family::towers::{Tower, add};
use crate::pixels::PixelBatch;

/// The shape of an image tower.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VisionShape {
    pub(crate) transformer: TransformerShape,
    /// Rows and columns of a picture, in pixels.
    pub(crate) image_size: usize,
    /// Rows and columns of a patch, in pixels.
    pub(crate) patch_size: usize,
    /// Numbers in an embedding.
    pub(crate) embedding_width: usize,
}

impl VisionShape {
    /// Whole patches in a picture.
    fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// The tower, for a person; one with a class token or with a pool.
    pub(crate) fn tower(&self, has_class_token: bool) -> ImageTower {
        let TransformerShape { width, inner_width, .. } = self.transformer;
        let patch = 3 * self.patch_size.pow(2) * width;
        let tokens = self.patches() + usize::from(has_class_token);
        // The pool: keys and values of all tokens, then one token out of it and through a feed-forward.
        let pool = (2 * width * width, width * width + 2 * width * inner_width);
        let (per_token, once) = if has_class_token { (0, width * self.embedding_width) } else { pool };
        ImageTower {
            blocks: Blocks::of(self.transformer),
            image_size: Some(self.image_size),
            patch_size: self.patch_size,
            tokens,
            flops: flops(self.transformer, tokens, per_token + patch, once),
        }
    }
}

/// What a family calls the tensors of its image tower.
pub(crate) struct VisionNames {
    pub(crate) patch_embedding: ProjectionName,
    pub(crate) position_embedding: &'static str,
    pub(crate) blocks: &'static str,
    pub(crate) block: &'static BlockNames,
    /// Before the class token is projected, or before the pool.
    pub(crate) norm_after: &'static str,
    pub(crate) head: HeadNames,
}

/// What a family calls the tensors of what makes one vector of many.
pub(crate) enum HeadNames {
    /// A token put before the patches, a layer norm before the first block, and a projection.
    ClassToken { class_embedding: &'static str, norm_before: &'static str, projection: ProjectionName },
    /// Attention from a learnt query to all patches.
    AttentionPool(AttentionPoolNames),
}

/// An image tower.
pub(crate) struct Vision<B: Backend> {
    shape: VisionShape,
    /// A convolution whose stride is its kernel, which is a linear layer over patches.
    patch_embedding: B::Linear,
    /// `[tokens, width]`
    position_embedding: Rows,
    transformer: Transformer<B>,
    norm_after: LayerNorm,
    head: Head<B>,
}

enum Head<B: Backend> {
    ClassToken {
        /// `[width]`
        class_embedding: Vec<f32>,
        norm_before: LayerNorm,
        projection: B::Linear,
    },
    AttentionPool(AttentionPool<B>),
}

impl<B: Backend> Vision<B> {
    pub(crate) fn load(
        parameters: &Parameters<'_, B>,
        names: &VisionNames,
        shape: VisionShape,
    ) -> Result<Self, LoadError> {
        let VisionShape { patch_size, embedding_width, transformer, .. } = shape;
        let TransformerShape { width, epsilon, .. } = transformer;
        let (patch_name, has_bias) = match names.patch_embedding {
            ProjectionName::WithBias(name) => (name, true),
            ProjectionName::Plain(name) | ProjectionName::Transposed(name) => (name, false),
        };
        let convolution = format!("{patch_name}.weight");
        let convolution = parameters.weights.f32(&convolution, &[width, 3, patch_size, patch_size])?;
        let bias = has_bias.then(|| parameters.vector(&format!("{patch_name}.bias"), width)).transpose()?;
        let head = match &names.head {
            HeadNames::ClassToken { class_embedding, norm_before, projection } => Head::ClassToken {
                class_embedding: parameters.vector(class_embedding, width)?,
                norm_before: parameters.norm(norm_before, width, epsilon)?,
                projection: projection.load(parameters, "", embedding_width, width)?,
            },
            HeadNames::AttentionPool(names) => {
                Head::AttentionPool(AttentionPool::load(parameters, names, transformer)?)
            }
        };
        let tokens = shape.patches() + usize::from(matches!(head, Head::ClassToken { .. }));
        Ok(Self {
            shape,
            patch_embedding: parameters.backend.prepare_linear(convolution, bias, 3 * patch_size.pow(2)),
            position_embedding: parameters.table(names.position_embedding, tokens, width)?,
            transformer: Transformer::load(parameters, names.blocks, names.block, transformer)?,
            norm_after: parameters.norm(names.norm_after, width, epsilon)?,
            head,
        })
    }

    /// The numbers of pictures of the size that this tower takes.
    fn pictures<'a>(&self, batch: &'a PixelBatch) -> Result<&'a [f32], EncodeError> {
        let side = self.shape.image_size;
        let found = match batch {
            PixelBatch::Pictures { values, height, width } if [*height, *width] == [side, side] => return Ok(values),
            PixelBatch::Pictures { height, width, .. } => format!("{height}×{width} pixels"),
            PixelBatch::Patches { max_patches, .. } => format!("{max_patches} patches"),
        };
        Err(EncodeError::PictureShape { expected: format!("{side}×{side} pixels"), found })
    }

    /// `[count · tokens, width]`: the class token first where there is one, then the patches, each with its position.
    fn embed(&self, backend: &B, pixels: &[f32]) -> Rows {
        let width = self.shape.transformer.width;
        let mut patches_embedded = Rows::new(width);
        let patches = patches(pixels, self.shape.image_size, self.shape.patch_size);
        backend.linear(&patches, &self.patch_embedding, &mut patches_embedded);
        let mut hidden = Rows::new(width);
        for picture in patches_embedded.values().chunks_exact(self.shape.patches() * width) {
            let first = hidden.len();
            if let Head::ClassToken { class_embedding, .. } = &self.head {
                hidden.push(class_embedding);
            }
            picture.chunks_exact(width).for_each(|patch| hidden.push(patch));
            let tokens = hidden.len() - first;
            (0..tokens).for_each(|token| add(hidden.row_mut(first + token), self.position_embedding.row(token)));
        }
        hidden
    }
}

impl<B: Backend> Tower<B, PixelBatch> for Vision<B> {
    fn forward(&self, backend: &B, batch: &PixelBatch) -> Result<Rows, EncodeError> {
        let hidden = self.embed(backend, self.pictures(batch)?);
        let (count, tokens) = (batch.len(), self.position_embedding.len());
        let ends: Vec<usize> = (1..=count).map(|picture| picture * tokens).collect();
        let mut normed = Rows::new(self.shape.transformer.width);
        match &self.head {
            Head::ClassToken { norm_before, projection, .. } => {
                backend.layer_norm(&hidden, norm_before, &mut normed);
                let first: Vec<usize> = (0..count).map(|picture| picture * tokens).collect();
                let pooled = self.transformer.forward(backend, normed, &ends, Pooling::One(&first), false);
                let (mut normed, mut projected) = (Rows::new(pooled.width()), Rows::new(self.shape.embedding_width));
                backend.layer_norm(&pooled, &self.norm_after, &mut normed);
                backend.linear(&normed, projection, &mut projected);
                Ok(projected)
            }
            Head::AttentionPool(pool) => {
                let hidden = self.transformer.forward(backend, hidden, &ends, Pooling::All, false);
                backend.layer_norm(&hidden, &self.norm_after, &mut normed);
                Ok(pool.forward(backend, &normed, &ends))
            }
        }
    }
}
