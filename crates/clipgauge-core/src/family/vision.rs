//! The Vision Transformer with a class token, which most families have for an image tower.
//!
//! Dosovitskiy et al. 2020, with the layer norm before the first block that CLIP adds.

use crate::backend::{Backend, LayerNorm, Rows};
use crate::encoder::EncodeError;
use crate::error::LoadError;
use crate::family::transformer::{BlockNames, Transformer, TransformerShape, layer_norm, projection};
use crate::pixels::PixelBatch;
use crate::weights::Weights;

/// The shape of an image tower.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VisionShape {
    pub(crate) transformer: TransformerShape,
    /// Rows and columns of a picture, in pixels.
    pub(crate) image_size: usize,
    /// Rows and columns of a patch, in pixels.
    pub(crate) patch_size: usize,
}

impl VisionShape {
    /// Rows and columns of whole patches in a picture.
    fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Numbers in a patch: channels, rows, columns.
    fn patch_width(&self) -> usize {
        3 * self.patch_size.pow(2)
    }

    /// Tokens of a picture: its patches and the class token before them.
    fn tokens(&self) -> usize {
        self.grid().pow(2) + 1
    }
}

/// What a family calls the tensors of its image tower.
pub(crate) struct VisionNames {
    pub(crate) class_embedding: &'static str,
    pub(crate) patch_embedding: &'static str,
    pub(crate) position_embedding: &'static str,
    pub(crate) norm_before: &'static str,
    pub(crate) blocks: &'static str,
    pub(crate) block: &'static BlockNames,
    pub(crate) norm_after: &'static str,
    pub(crate) projection: &'static str,
}

/// An image tower.
pub(crate) struct Vision<B: Backend> {
    shape: VisionShape,
    /// `[width]`
    class_embedding: Vec<f32>,
    /// A convolution whose stride is its kernel, which is a linear layer over patches.
    patch_embedding: B::Linear,
    /// `[tokens, width]`
    position_embedding: Vec<f32>,
    norm_before: LayerNorm,
    transformer: Transformer<B>,
    norm_after: LayerNorm,
    projection: B::Linear,
    embedding_width: usize,
}

impl<B: Backend> Vision<B> {
    pub(crate) fn load(
        backend: &B,
        weights: &Weights,
        names: &VisionNames,
        shape: VisionShape,
        embedding_width: usize,
    ) -> Result<Self, LoadError> {
        let TransformerShape { width, epsilon, .. } = shape.transformer;
        let side = shape.patch_size;
        let patch_embedding = weights.f32(&format!("{}.weight", names.patch_embedding), &[width, 3, side, side])?;
        Ok(Self {
            shape,
            class_embedding: weights.f32(names.class_embedding, &[width])?,
            patch_embedding: backend.prepare_linear(patch_embedding, None, shape.patch_width()),
            position_embedding: weights.f32(names.position_embedding, &[shape.tokens(), width])?,
            norm_before: layer_norm(weights, names.norm_before, width, epsilon)?,
            transformer: Transformer::load(backend, weights, names.blocks, names.block, shape.transformer)?,
            norm_after: layer_norm(weights, names.norm_after, width, epsilon)?,
            projection: projection(backend, weights, names.projection, embedding_width, width)?,
            embedding_width,
        })
    }

    /// `[count, embedding_width]`
    pub(crate) fn forward(&self, backend: &B, batch: &PixelBatch) -> Result<Rows, EncodeError> {
        let pixels = self.pictures(batch)?;
        let width = self.shape.transformer.width;
        let (count, tokens) = (batch.len(), self.shape.tokens());

        // [count · (tokens - 1), patch_width] → [count · (tokens - 1), width]
        let mut embedded = Rows::new(width);
        backend.linear(&self.patches(pixels), &self.patch_embedding, &mut embedded);

        // [count · tokens, width]: the class token first, a position added to each.
        let mut hidden = Rows::new(width);
        hidden.set_len(count * tokens);
        let pictures = hidden.values_mut().chunks_exact_mut(tokens * width);
        for (picture, patches) in pictures.zip(embedded.values().chunks_exact((tokens - 1) * width)) {
            let tokens = self.class_embedding.iter().chain(patches);
            for ((sum, token), position) in picture.iter_mut().zip(tokens).zip(&self.position_embedding) {
                *sum = token + position;
            }
        }
        let mut normed = Rows::new(width);
        backend.layer_norm(&hidden, &self.norm_before, &mut normed);

        let ends: Vec<usize> = (1..=count).map(|picture| picture * tokens).collect();
        let class_tokens: Vec<usize> = (0..count).map(|picture| picture * tokens).collect();
        let pooled = self.transformer.forward(backend, normed, &ends, &class_tokens, false);

        let (mut normed, mut projected) = (Rows::new(width), Rows::new(self.embedding_width));
        backend.layer_norm(&pooled, &self.norm_after, &mut normed);
        backend.linear(&normed, &self.projection, &mut projected);
        Ok(projected)
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

    /// `[count, 3, side, side]` → `[count · patches, 3 · patch_size²]`, patches row by row. What does not fill a
    /// patch at the right and at the bottom is left out, as the reference's convolution does.
    fn patches(&self, pixels: &[f32]) -> Rows {
        let VisionShape { image_size: side, patch_size, .. } = self.shape;
        let grid = self.shape.grid();
        let count = pixels.len() / (3 * side * side);
        let mut patches = Rows::new(self.shape.patch_width());
        patches.set_len(count * grid * grid);
        let mut lines = patches.values_mut().chunks_exact_mut(patch_size);
        for picture in pixels.chunks_exact(3 * side * side) {
            for (grid_row, grid_column) in pairs(grid, grid) {
                for (channel, line) in pairs(3, patch_size) {
                    let row = channel * side + grid_row * patch_size + line;
                    let start = row * side + grid_column * patch_size;
                    let target = lines.next().expect("as many lines as there are patches");
                    target.copy_from_slice(&picture[start..start + patch_size]);
                }
            }
        }
        patches
    }
}

/// `(0, 0)`, `(0, 1)`, … `(rows - 1, columns - 1)`
fn pairs(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}
