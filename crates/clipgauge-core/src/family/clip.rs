//! CLIP: OpenAI's two towers as `transformers` stores them, and all that has their architecture (MetaCLIP, LAION's
//! and DataComp's models in Hugging Face form, fine-tunes).
//!
//! Radford et al. 2021; the reference is transformers' `models/clip/modeling_clip.py`, its defaults for what a
//! configuration leaves out `configuration_clip.py`.

use crate::backend::Backend;
use crate::config::{ConfigFile, Section};
use crate::error::LoadError;
use crate::family::ModelFamily;
use crate::family::config::{TowerDefaults, picture_sizes, transformer};
use crate::family::description::ImageTower;
use crate::family::design::{Design, ImageShape};
use crate::family::loading::together;
use crate::family::parameters::Parameters;
use crate::family::towers::text::{ProjectionName, Reading, Text, TextNames, TextShape};
use crate::family::towers::transformer::{BlockNames, InputNames};
use crate::family::towers::vision::{HeadNames, Vision, VisionNames, VisionShape};
use crate::family::towers::{TwoTowers, logit_scale};
use crate::model_files::ModelFiles;
use crate::spec::{ImageSpec, TextSpec};
use crate::tokenize::{Tokenizer, context_length};
use crate::weights::Weights;

/// The end token that old files name by mistake; the reference then reads a text at its highest id instead.
const LEGACY_END_OF_TEXT: u32 = 2;

pub(super) const VISION_DEFAULTS: TowerDefaults =
    TowerDefaults { width: 768, inner_width: 3072, layers: 12, heads: 12, activation: "quick_gelu", epsilon: 1e-5 };

const TEXT_DEFAULTS: TowerDefaults =
    TowerDefaults { width: 512, inner_width: 2048, layers: 12, heads: 8, activation: "quick_gelu", epsilon: 1e-5 };

pub(super) const BLOCK: BlockNames = BlockNames {
    attention_norm: "layer_norm1",
    input: InputNames::Apart { query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj" },
    out: "self_attn.out_proj",
    feed_forward_norm: "layer_norm2",
    expand: "mlp.fc1",
    contract: "mlp.fc2",
};

pub(super) const VISION: VisionNames = VisionNames {
    patch_embedding: ProjectionName::Plain("vision_model.embeddings.patch_embedding"),
    position_embedding: "vision_model.embeddings.position_embedding.weight",
    blocks: "vision_model.encoder.layers",
    block: &BLOCK,
    norm_after: "vision_model.post_layernorm",
    head: HeadNames::ClassToken {
        class_embedding: "vision_model.embeddings.class_embedding",
        // Spelt so in the reference, and therefore in every file.
        norm_before: "vision_model.pre_layrnorm",
        projection: ProjectionName::Plain("visual_projection"),
    },
};

const TEXT: TextNames = TextNames {
    token_embedding: "text_model.embeddings.token_embedding.weight",
    position_embedding: "text_model.embeddings.position_embedding.weight",
    blocks: "text_model.encoder.layers",
    block: &BLOCK,
    norm: "text_model.final_layer_norm",
    projection: ProjectionName::Plain("text_projection"),
};

/// What a configuration of CLIP says.
pub(super) fn read(files: &ModelFiles) -> Result<Design<ClipVision, TextShape>, LoadError> {
    read_as(files, |end| match end {
        LEGACY_END_OF_TEXT => Reading::UpToHighestId,
        token => Reading::UpToToken(token),
    })
}

/// What the configuration of a model of CLIP's architecture says, which reads a text as `reading` says for its end token.
pub(super) fn read_as(
    files: &ModelFiles,
    reading: fn(u32) -> Reading,
) -> Result<Design<ClipVision, TextShape>, LoadError> {
    let config = ConfigFile::read(files, "config.json")?;
    let root = config.root();
    let embedding_width = root.count("projection_dim", 512)?;
    let vision = vision_shape(&root, embedding_width)?;
    let text = text_section(&root)?;
    let language = TextShape {
        transformer: transformer(&text, &TEXT_DEFAULTS)?,
        vocabulary: text.count("vocab_size", 49_408)?,
        context_length: text.count("max_position_embeddings", 77)?,
        reading: reading(text.token("eos_token_id", 49_407)?),
        embedding_width,
    };
    let text = TextSpec { context_length: context_length(files, language.context_length)?, pad_token: None };
    let image = ImageSpec::read(files)?;
    image.check_size(files, "config.json", vision.0.image_size)?;
    Ok(Design { image, text, vision, language, embedding_width, defaulted: config.defaulted() })
}

/// Loads a CLIP.
pub(super) fn load<B: Backend>(files: &ModelFiles, backend: B) -> Result<TwoTowers<B>, LoadError> {
    load_as(ModelFamily::Clip, files, read(files)?, backend)
}

/// Loads a model of CLIP's architecture.
pub(super) fn load_as<B: Backend>(
    family: ModelFamily,
    files: &ModelFiles,
    design: Design<ClipVision, TextShape>,
    backend: B,
) -> Result<TwoTowers<B>, LoadError> {
    let weights = Weights::open(files)?;
    let parameters = Parameters { weights: &weights, backend: &backend };
    let (vision, language) = (design.vision.0, design.language);
    let (image, text, spec) = together(
        || Vision::load(&parameters, &VISION, vision),
        || Text::load(&parameters, "", &TEXT, language),
        || {
            let tokenizer = Tokenizer::read(files, &design.text)?;
            Ok(design.spec(family, tokenizer, logit_scale(&parameters, "logit_scale")?, None))
        },
    )?;
    Ok(TwoTowers { image: Box::new(image), text: Box::new(text), spec, backend })
}

/// The shape of an image tower with a class token.
pub(super) struct ClipVision(pub(super) VisionShape);

impl ImageShape for ClipVision {
    fn tower(&self, _: &ImageSpec) -> ImageTower {
        self.0.tower(true)
    }
}

/// The text tower's part of a configuration. Old files have it twice; the reference takes the `_dict` where it is not
/// null.
fn text_section<'a>(root: &Section<'a>) -> Result<Section<'a>, LoadError> {
    root.section(&["text_config_dict", "text_config"])
}

/// The shape of an image tower of CLIP's architecture.
pub(super) fn vision_shape(root: &Section<'_>, embedding_width: usize) -> Result<ClipVision, LoadError> {
    let vision = root.section(&["vision_config_dict", "vision_config"])?;
    let (image_size, patch_size) = picture_sizes(&vision, 224, 32)?;
    let transformer = transformer(&vision, &VISION_DEFAULTS)?;
    Ok(ClipVision(VisionShape { transformer, image_size, patch_size, embedding_width }))
}
