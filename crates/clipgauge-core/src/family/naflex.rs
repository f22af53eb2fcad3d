//! SigLIP 2 NaFlex: SigLIP over patches that keep a picture's aspect ratio, as many as it has.
//!
//! Tschannen et al. 2025; transformers' `models/siglip2/modeling_siglip2.py`.

use crate::backend::{Backend, LayerNorm, Rows};
use crate::config::ConfigFile;
use crate::encoder::EncodeError;
use crate::error::LoadError;
use crate::family::ModelFamily;
use crate::family::clip::BLOCK;
use crate::family::config::transformer;
use crate::family::description::{Blocks, ImageTower, flops};
use crate::family::design::{Design, ImageShape};
use crate::family::loading::together;
use crate::family::parameters::Parameters;
use crate::family::siglip::{DEFAULTS, POOL, TEXT, spec, text_shape, vision_section};
use crate::family::towers::attention_pool::AttentionPool;
use crate::family::towers::text::{Text, TextShape};
use crate::family::towers::transformer::{Pooling, Transformer, TransformerShape};
use crate::family::towers::{Tower, TwoTowers, add};
use crate::model_files::ModelFiles;
use crate::pixels::PixelBatch;
use crate::spec::{ImageSpec, Resize};
use crate::weights::Weights;

/// What a configuration of a NaFlex model says.
pub(super) fn read(files: &ModelFiles) -> Result<Design<Shape, TextShape>, LoadError> {
    let config = ConfigFile::read(files, "config.json")?;
    let root = config.root();
    let section = vision_section(&root)?;
    let transformer = transformer(&section, &DEFAULTS)?;
    let positions = section.count("num_patches", 256)?;
    let grid = positions.isqrt();
    if grid * grid != positions {
        return Err(section.wrong("num_patches", format!("is {positions}, not the square of a whole number")));
    }
    let patch_size = section.count("patch_size", 16)?;
    let patch_width = section.count("num_channels", 3)? * patch_size.pow(2);
    let (language, text) = text_shape(&root, transformer.width)?;
    Ok(Design {
        image: ImageSpec::read(files)?,
        text,
        vision: Shape { transformer, grid, patch_size, patch_width },
        language,
        embedding_width: transformer.width,
        defaulted: config.defaulted(),
    })
}

/// Loads a NaFlex model.
pub(super) fn load<B: Backend>(files: &ModelFiles, backend: B) -> Result<TwoTowers<B>, LoadError> {
    let design = read(files)?;
    let weights = Weights::open(files)?;
    let parameters = Parameters { weights: &weights, backend: &backend };
    let Shape { transformer, grid, patch_width, .. } = design.vision;
    let TransformerShape { width, epsilon, .. } = transformer;
    let language = design.language;
    let (image, text, spec) = together(
        || {
            Ok(Vision {
                width,
                patch_width,
                grid,
                patch_embedding: parameters.linear("vision_model.embeddings.patch_embedding", width, patch_width)?,
                position_embedding: parameters.table(
                    "vision_model.embeddings.position_embedding.weight",
                    grid * grid,
                    width,
                )?,
                transformer: Transformer::load(&parameters, "vision_model.encoder.layers", &BLOCK, transformer)?,
                norm: parameters.norm("vision_model.post_layernorm", width, epsilon)?,
                pool: AttentionPool::load(&parameters, &POOL, transformer)?,
            })
        },
        || Text::load(&parameters, "", &TEXT, language),
        || spec(ModelFamily::SiglipNaflex, files, &parameters, design),
    )?;
    Ok(TwoTowers { image: Box::new(image), text: Box::new(text), spec, backend })
}

/// The shape of the image tower.
pub(super) struct Shape {
    transformer: TransformerShape,
    /// Rows and columns of the learnt positions.
    grid: usize,
    /// Rows and columns of a patch, in pixels.
    patch_size: usize,
    /// Numbers of a patch.
    patch_width: usize,
}

impl ImageShape for Shape {
    fn tower(&self, spec: &ImageSpec) -> ImageTower {
        let tokens = match spec.resize {
            Resize::Patches { max_patches, .. } => max_patches as usize,
            _ => self.grid * self.grid,
        };
        let TransformerShape { width, inner_width, .. } = self.transformer;
        let per_token = self.patch_width * width + 2 * width * width;
        ImageTower {
            blocks: Blocks::of(self.transformer),
            image_size: None,
            patch_size: self.patch_size,
            tokens,
            flops: flops(self.transformer, tokens, per_token, width * width + 2 * width * inner_width),
        }
    }
}

struct Vision<B: Backend> {
    width: usize,
    patch_width: usize,
    /// Rows and columns of the learnt positions.
    grid: usize,
    patch_embedding: B::Linear,
    /// `[grid², width]`
    position_embedding: Rows,
    transformer: Transformer<B>,
    norm: LayerNorm,
    pool: AttentionPool<B>,
}

impl<B: Backend> Tower<B, PixelBatch> for Vision<B> {
    fn forward(&self, backend: &B, batch: &PixelBatch) -> Result<Rows, EncodeError> {
        let (patches, grids) = self.patches(batch)?;
        let mut hidden = Rows::new(self.width);
        backend.linear(&patches, &self.patch_embedding, &mut hidden);
        let mut ends = Vec::with_capacity(grids.len());
        let mut first = 0;
        for &[rows, columns] in grids {
            let positions = self.positions(rows as usize, columns as usize);
            (0..positions.len()).for_each(|token| add(hidden.row_mut(first + token), positions.row(token)));
            first += positions.len();
            ends.push(first);
        }
        let hidden = self.transformer.forward(backend, hidden, &ends, Pooling::All, false);
        let mut normed = Rows::new(self.width);
        backend.layer_norm(&hidden, &self.norm, &mut normed);
        Ok(self.pool.forward(backend, &normed, &ends))
    }
}

impl<B: Backend> Vision<B> {
    /// The patches that are there, without those that only fill up: no mask is needed where there is no padding.
    fn patches<'a>(&self, batch: &'a PixelBatch) -> Result<(Rows, &'a [[u32; 2]]), EncodeError> {
        let expected = || format!("patches of {} numbers", self.patch_width);
        match batch {
            PixelBatch::Patches { values, max_patches, patch_width, grids } if *patch_width == self.patch_width => {
                let mut patches = Rows::new(*patch_width);
                for (picture, [rows, columns]) in values.chunks_exact(max_patches * patch_width).zip(grids) {
                    let real = (rows * columns) as usize;
                    picture.chunks_exact(*patch_width).take(real).for_each(|patch| patches.push(patch));
                }
                Ok((patches, grids))
            }
            PixelBatch::Patches { patch_width, .. } => {
                Err(EncodeError::PictureShape { expected: expected(), found: format!("patches of {patch_width}") })
            }
            PixelBatch::Pictures { height, width, .. } => {
                Err(EncodeError::PictureShape { expected: expected(), found: format!("{height}×{width} pixels") })
            }
        }
    }

    /// The learnt positions brought to another grid, `[rows · columns, width]`: bilinear with antialiasing, as
    /// PyTorch's `interpolate` does it for each axis in turn.
    fn positions(&self, rows: usize, columns: usize) -> Rows {
        let width = self.width;
        let (across, mut down) = (weights(self.grid, columns), weights(self.grid, rows));
        if columns == 1 && rows != self.grid {
            // PyTorch's kernel for the CPU (2.15) steps over nothing when it resizes a single column, and so gives every
            // row the value of the first. Scores are to be the reference's.
            let first = down[0].clone();
            down.fill(first);
        }
        let mut narrowed = Rows::new(width);
        narrowed.set_len(self.grid * columns);
        for row in 0..self.grid {
            for (column, (start, weights)) in across.iter().enumerate() {
                let sum = narrowed.row_mut(row * columns + column);
                for (source, weight) in (row * self.grid + start..).zip(weights) {
                    let source = self.position_embedding.row(source);
                    sum.iter_mut().zip(source).for_each(|(sum, value)| *sum += weight * value);
                }
            }
        }
        let mut positions = Rows::new(width);
        positions.set_len(rows * columns);
        for (row, (start, weights)) in down.iter().enumerate() {
            for column in 0..columns {
                let sum = positions.row_mut(row * columns + column);
                for (source, weight) in (*start..).zip(weights) {
                    let source = narrowed.row(source * columns + column);
                    sum.iter_mut().zip(source).for_each(|(sum, value)| *sum += weight * value);
                }
            }
        }
        positions
    }
}

/// The weights of a triangle filter with antialiasing: for each output, the first input and the weights from there on.
/// PyTorch's `_compute_indices_weights_aa`, which is Pillow's `precompute_coeffs`.
fn weights(inputs: usize, outputs: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = inputs as f32 / outputs as f32;
    let support = scale.max(1.0);
    let of_output = |output: usize| {
        let centre = scale * (output as f32 + 0.5);
        let start = ((centre - support + 0.5) as usize).min(inputs - 1);
        let end = ((centre + support + 0.5) as usize).min(inputs);
        let weight = |input: usize| (1.0 - ((input as f32 - centre + 0.5) / support).abs()).max(0.0);
        let weights: Vec<f32> = (start..end).map(weight).collect();
        let total: f32 = weights.iter().sum();
        (start, weights.into_iter().map(|weight| weight / total).collect())
    };
    (0..outputs).map(of_output).collect()
}
