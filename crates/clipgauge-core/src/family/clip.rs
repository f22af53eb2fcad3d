//! CLIP: OpenAI's two towers as `transformers` stores them, and all that has their architecture (MetaCLIP, LAION's
//! and DataComp's models in Hugging Face form, fine-tunes).
//!
//! Radford et al. 2021; the reference is transformers' `models/clip/modeling_clip.py`.

use crate::backend::{Backend, LayerNorm, Rows, spans};
use crate::embeddings::Embeddings;
use crate::encoder::{EncodeError, Encoder};
use crate::error::LoadError;
use crate::family::ModelFamily;
use crate::family::clip_config::{ClipConfig, EndOfText, TextShape};
use crate::family::transformer::{BlockNames, Transformer, layer_norm, projection};
use crate::family::vision::{Vision, VisionNames};
use crate::model_files::ModelFiles;
use crate::pixels::PixelBatch;
use crate::spec::{ImageSpec, ModelSpec, TextSpec};
use crate::tokenize::{TokenBatch, Tokenizer};
use crate::weights::Weights;

const BLOCK: BlockNames = BlockNames {
    query: "self_attn.q_proj",
    key: "self_attn.k_proj",
    value: "self_attn.v_proj",
    out: "self_attn.out_proj",
    attention_norm: "layer_norm1",
    feed_forward_norm: "layer_norm2",
    expand: "mlp.fc1",
    contract: "mlp.fc2",
};

const VISION: VisionNames = VisionNames {
    class_embedding: "vision_model.embeddings.class_embedding",
    patch_embedding: "vision_model.embeddings.patch_embedding",
    position_embedding: "vision_model.embeddings.position_embedding.weight",
    // Spelt so in the reference, and therefore in every file.
    norm_before: "vision_model.pre_layrnorm",
    blocks: "vision_model.encoder.layers",
    block: &BLOCK,
    norm_after: "vision_model.post_layernorm",
    projection: "visual_projection",
};

/// A CLIP model, ready to encode.
pub struct Clip<B: Backend> {
    spec: ModelSpec,
    vision: Vision<B>,
    text: Text<B>,
    backend: B,
}

/// What the model's files say of it, without its weights.
fn spec(files: &ModelFiles, config: &ClipConfig) -> Result<ModelSpec, LoadError> {
    let text = TextSpec { context_length: config.text.context_length, pad_token: None };
    Ok(ModelSpec {
        family: Some(ModelFamily::Clip),
        image: image_spec(files)?,
        tokenizer: Tokenizer::read(files, &text)?,
        text,
        embedding_width: config.embedding_width,
        logit_scale: None,
        logit_bias: None,
    })
}

fn image_spec(files: &ModelFiles) -> Result<ImageSpec, LoadError> {
    let _ = files;
    Ok(ImageSpec {
        resize: crate::spec::Resize::Keep,
        crop: None,
        filter: crate::spec::Filter::Bicubic,
        rescale_factor: 1.0 / 255.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    })
}

impl<B: Backend> Clip<B> {
    /// Loads a model folder.
    pub fn load(files: &ModelFiles, backend: B) -> Result<Self, LoadError> {
        let config = ClipConfig::read(files)?;
        let spec = spec(files, &config)?;
        let weights = Weights::open(files)?;
        let logit_scale = weights.f32("logit_scale", &[])?[0].exp();
        Ok(Self {
            vision: Vision::load(&backend, &weights, &VISION, config.vision, config.embedding_width)?,
            text: Text::load(&backend, &weights, config.text, config.embedding_width)?,
            spec: ModelSpec { logit_scale: Some(logit_scale), ..spec },
            backend,
        })
    }
}

impl<B: Backend> Encoder for Clip<B> {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError> {
        let rows = self.backend.run(|| self.vision.forward(&self.backend, batch))?;
        Ok(Embeddings::new(rows.into_values(), self.spec.embedding_width))
    }

    fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError> {
        let rows = self.backend.run(|| self.text.forward(&self.backend, batch))?;
        Ok(Embeddings::new(rows.into_values(), self.spec.embedding_width))
    }
}

/// The text tower: a causal transformer, read at the end token.
struct Text<B: Backend> {
    shape: TextShape,
    /// `[vocabulary, width]`
    token_embedding: Vec<f32>,
    /// `[context_length, width]`
    position_embedding: Vec<f32>,
    transformer: Transformer<B>,
    norm_after: LayerNorm,
    projection: B::Linear,
    embedding_width: usize,
}

impl<B: Backend> Text<B> {
    fn load(backend: &B, weights: &Weights, shape: TextShape, embedding_width: usize) -> Result<Self, LoadError> {
        let width = shape.transformer.width;
        Ok(Self {
            shape,
            token_embedding: weights.f32("text_model.embeddings.token_embedding.weight", &[shape.vocabulary, width])?,
            position_embedding: weights
                .f32("text_model.embeddings.position_embedding.weight", &[shape.context_length, width])?,
            transformer: Transformer::load(backend, weights, "text_model.encoder.layers", &BLOCK, shape.transformer)?,
            norm_after: layer_norm(weights, "text_model.final_layer_norm", width, shape.transformer.epsilon)?,
            projection: projection(backend, weights, "text_projection", embedding_width, width)?,
            embedding_width,
        })
    }

    /// `[count, embedding_width]`
    fn forward(&self, backend: &B, batch: &TokenBatch) -> Result<Rows, EncodeError> {
        let TextShape { vocabulary, context_length, end_of_text, .. } = self.shape;
        let width = self.shape.transformer.width;
        let mut hidden = Rows::new(width);
        let (mut ends, mut pooled) = (Vec::new(), Vec::new());
        for span in spans(batch.ends()) {
            let ids = &batch.ids()[span];
            if ids.is_empty() || ids.len() > context_length {
                return Err(EncodeError::TextLength { length: ids.len(), context_length });
            }
            if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
                return Err(EncodeError::TokenOutOfRange { id, vocabulary });
            }
            // Attention is causal: what stands behind the token that is read cannot reach it and is not computed.
            for (position, &id) in ids[..=end_of_text.position(ids)].iter().enumerate() {
                hidden.push(&self.token_embedding[id as usize * width..][..width]);
                let row = hidden.len() - 1;
                let position = &self.position_embedding[position * width..][..width];
                hidden.row_mut(row).iter_mut().zip(position).for_each(|(sum, position)| *sum += position);
            }
            ends.push(hidden.len());
            pooled.push(hidden.len() - 1);
        }

        let pooled = self.transformer.forward(backend, hidden, &ends, &pooled, true);
        let mut normed = Rows::new(width);
        backend.layer_norm(&pooled, &self.norm_after, &mut normed);
        let mut projected = Rows::new(self.embedding_width);
        backend.linear(&normed, &self.projection, &mut projected);
        Ok(projected)
    }
}

impl EndOfText {
    /// Where a text is read: where the reference reads it, the first position too if there is no end token.
    fn position(self, ids: &[u32]) -> usize {
        match self {
            Self::Token(end) => ids.iter().position(|&id| id == end).unwrap_or(0),
            Self::HighestId => {
                let highest = ids.iter().max();
                ids.iter().position(|id| Some(id) == highest).unwrap_or(0)
            }
        }
    }
}
