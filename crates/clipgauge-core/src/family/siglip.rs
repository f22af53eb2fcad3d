//! SigLIP and SigLIP 2 of fixed size: no class token but a pool over all patches, texts read as a whole with their
//! padding, a bias beside the scale of the logits.
//!
//! Zhai et al. 2023, Tschannen et al. 2025; transformers' `models/siglip/modeling_siglip.py`.

use crate::backend::Backend;
use crate::config::{ConfigFile, Section};
use crate::error::LoadError;
use crate::family::ModelFamily;
use crate::family::clip::BLOCK;
use crate::family::config::{TowerDefaults, picture_sizes, transformer};
use crate::family::description::ImageTower;
use crate::family::design::{Design, ImageShape};
use crate::family::loading::together;
use crate::family::parameters::Parameters;
use crate::family::towers::attention_pool::AttentionPoolNames;
use crate::family::towers::text::{ProjectionName, Reading, Text, TextNames, TextShape};
use crate::family::towers::transformer::InputNames;
use crate::family::towers::vision::{HeadNames, Vision, VisionNames, VisionShape};
use crate::family::towers::{TwoTowers, logit_scale};
use crate::model_files::ModelFiles;
use crate::spec::{ImageSpec, ModelSpec, TextSpec};
use crate::tokenize::Tokenizer;
use crate::weights::Weights;

pub(super) const DEFAULTS: TowerDefaults = TowerDefaults {
    width: 768,
    inner_width: 3072,
    layers: 12,
    heads: 12,
    activation: "gelu_pytorch_tanh",
    epsilon: 1e-6,
};

pub(super) const POOL: AttentionPoolNames = AttentionPoolNames {
    probe: "vision_model.head.probe",
    input: InputNames::Fused {
        weight: "vision_model.head.attention.in_proj_weight",
        bias: "vision_model.head.attention.in_proj_bias",
    },
    out: "vision_model.head.attention.out_proj",
    norm: "vision_model.head.layernorm",
    expand: "vision_model.head.mlp.fc1",
    contract: "vision_model.head.mlp.fc2",
};

const VISION: VisionNames = VisionNames {
    patch_embedding: ProjectionName::WithBias("vision_model.embeddings.patch_embedding"),
    position_embedding: "vision_model.embeddings.position_embedding.weight",
    blocks: "vision_model.encoder.layers",
    block: &BLOCK,
    norm_after: "vision_model.post_layernorm",
    head: HeadNames::AttentionPool(POOL),
};

pub(super) const TEXT: TextNames = TextNames {
    token_embedding: "text_model.embeddings.token_embedding.weight",
    position_embedding: "text_model.embeddings.position_embedding.weight",
    blocks: "text_model.encoder.layers",
    block: &BLOCK,
    norm: "text_model.final_layer_norm",
    projection: ProjectionName::WithBias("text_model.head"),
};

/// What a configuration of SigLIP says.
pub(super) fn read(files: &ModelFiles) -> Result<Design<VisionShape, TextShape>, LoadError> {
    let config = ConfigFile::read(files, "config.json")?;
    let root = config.root();
    let section = vision_section(&root)?;
    let (image_size, patch_size) = picture_sizes(&section, 224, 16)?;
    let transformer = transformer(&section, &DEFAULTS)?;
    let embedding_width = transformer.width;
    let vision = VisionShape { transformer, image_size, patch_size, embedding_width };
    let (language, text) = text_shape(&root, embedding_width)?;
    let image = ImageSpec::read(files)?;
    image.check_size(files, "config.json", image_size)?;
    Ok(Design { image, text, vision, language, embedding_width, defaulted: config.defaulted() })
}

/// Loads a SigLIP.
pub(super) fn load<B: Backend>(files: &ModelFiles, backend: B) -> Result<TwoTowers<B>, LoadError> {
    let design = read(files)?;
    let weights = Weights::open(files)?;
    let parameters = Parameters { weights: &weights, backend: &backend };
    let (vision, language) = (design.vision, design.language);
    let (image, text, spec) = together(
        || Vision::load(&parameters, &VISION, vision),
        || Text::load(&parameters, "", &TEXT, language),
        || spec(ModelFamily::Siglip, files, &parameters, design),
    )?;
    Ok(TwoTowers { image: Box::new(image), text: Box::new(text), spec, backend })
}

impl ImageShape for VisionShape {
    fn tower(&self, _: &ImageSpec) -> ImageTower {
        self.tower(false)
    }
}

/// The image tower's part of a configuration, if it is one that is supported.
pub(super) fn vision_section<'a>(root: &Section<'a>) -> Result<Section<'a>, LoadError> {
    let vision = root.section(&["vision_config"])?;
    if !vision.flag("vision_use_head", true)? {
        return Err(vision.unsupported("vision_use_head", "false", "true"));
    }
    Ok(vision)
}

/// The shape of the text tower, whose embeddings have to be as wide as the image tower's.
pub(super) fn text_shape(root: &Section<'_>, embedding_width: usize) -> Result<(TextShape, TextSpec), LoadError> {
    let text = root.section(&["text_config"])?;
    let transformer = transformer(&text, &DEFAULTS)?;
    if text.count("projection_size", transformer.width)? != embedding_width {
        return Err(text.wrong("projection_size", format!("is not {embedding_width}, the image tower's hidden_size")));
    }
    let shape = TextShape {
        transformer,
        vocabulary: text.count("vocab_size", 32_000)?,
        context_length: text.count("max_position_embeddings", 64)?,
        reading: Reading::AtLast,
        embedding_width,
    };
    let spec = TextSpec { context_length: shape.context_length, pad_token: Some(text.token("pad_token_id", 1)?) };
    Ok((shape, spec))
}

/// What the model's files say of it.
pub(super) fn spec<V, B: Backend>(
    family: ModelFamily,
    files: &ModelFiles,
    parameters: &Parameters<'_, B>,
    design: Design<V, TextShape>,
) -> Result<ModelSpec, LoadError> {
    let tokenizer = Tokenizer::read(files, &design.text)?;
    let bias = parameters.number("logit_bias")?;
    Ok(design.spec(family, tokenizer, logit_scale(parameters, "logit_scale")?, Some(bias)))
}
