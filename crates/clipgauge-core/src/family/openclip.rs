//! OpenCLIP: CLIP's towers with the names, the fused projections and the configuration of open_clip.
//!
//! Cherti et al. 2022; open_clip's `model.py` and `transformer.py`, with the defaults of `CLIPVisionCfg` and `CLIPTextCfg`.

use crate::backend::{Activation, Backend};
use crate::config::{ConfigFile, Section};
use crate::error::LoadError;
use crate::family::ModelFamily;
use crate::family::clip::ClipVision;
use crate::family::config::picture_sizes;
use crate::family::description::TextTower;
use crate::family::design::{Design, TextTowerShape};
use crate::family::loading::together;
use crate::family::parameters::Parameters;
use crate::family::towers::text::{ProjectionName, Reading, Text, TextNames, TextShape};
use crate::family::towers::transformer::{BlockNames, InputNames, TransformerShape};
use crate::family::towers::vision::{HeadNames, Vision, VisionNames, VisionShape};
use crate::family::towers::{TwoTowers, logit_scale};
use crate::model_files::ModelFiles;
use crate::spec::{ImageSpec, TextSpec};
use crate::tokenize::Tokenizer;
use crate::weights::Weights;

/// The configuration, by which a folder is known to be OpenCLIP's.
pub(super) const CONFIG: &str = "open_clip_config.json";

/// The most numbers between the two linear layers of a block: far above any model, far below what could overflow.
const MAX_INNER_WIDTH: usize = 1 << 22;

/// Ids in CLIP's own vocabulary.
const CLIP_VOCABULARY: usize = 49_408;

const BLOCK: BlockNames = BlockNames {
    attention_norm: "ln_1",
    input: InputNames::Fused { weight: "attn.in_proj_weight", bias: "attn.in_proj_bias" },
    out: "attn.out_proj",
    feed_forward_norm: "ln_2",
    expand: "mlp.c_fc",
    contract: "mlp.c_proj",
};

const VISION: VisionNames = VisionNames {
    patch_embedding: ProjectionName::Plain("visual.conv1"),
    position_embedding: "visual.positional_embedding",
    blocks: "visual.transformer.resblocks",
    block: &BLOCK,
    norm_after: "visual.ln_post",
    head: HeadNames::ClassToken {
        class_embedding: "visual.class_embedding",
        norm_before: "visual.ln_pre",
        projection: ProjectionName::Transposed("visual.proj"),
    },
};

const TEXT: TextNames = TextNames {
    token_embedding: "token_embedding.weight",
    position_embedding: "positional_embedding",
    blocks: "transformer.resblocks",
    block: &BLOCK,
    norm: "ln_final",
    projection: ProjectionName::Transposed("text_projection"),
};

/// Options of open_clip's own towers that would need other operations. All are off where a configuration is silent.
const UNSUPPORTED: &[&str] = &[
    "attentional_pool",
    "no_ln_pre",
    "final_ln_after_pool",
    "ls_init_value",
    "qk_norm",
    "scaled_cosine_attn",
    "scale_heads",
    "scale_attn_inner",
    "scale_attn",
    "scale_fc",
    "timm_model_name",
    "hf_model_name",
    "embed_cls",
    "no_causal_mask",
    "act_kwargs",
];

/// What a configuration of OpenCLIP says.
pub(super) fn read(files: &ModelFiles) -> Result<Design<ClipVision, Shape>, LoadError> {
    let config = ConfigFile::read(files, CONFIG)?;
    let root = config.root();
    let model = root.section(&["model_cfg"])?;
    let embedding_width = model.count("embed_dim", 512)?;
    let activation = if model.flag("quick_gelu", false)? { Activation::QuickGelu } else { Activation::Gelu };
    let (vision, text) = (model.section(&["vision_cfg"])?, model.section(&["text_cfg"])?);
    let vision = vision_shape(&vision, activation, embedding_width)?;
    let language = text_shape(&text, activation, embedding_width)?;
    let text = TextSpec { context_length: language.text.context_length, pad_token: None };
    let image = ImageSpec::from_open_clip(&root.section(&["preprocess_cfg"])?, vision.image_size)?;
    image.check_size(files, CONFIG, vision.image_size)?;
    let vision = ClipVision(vision);
    Ok(Design { image, text, vision, language, embedding_width, defaulted: config.defaulted() })
}

/// Loads an OpenCLIP.
pub(super) fn load<B: Backend>(files: &ModelFiles, backend: B) -> Result<TwoTowers<B>, LoadError> {
    let design = read(files)?;
    let weights = Weights::open_clip(files)?;
    let parameters = Parameters { weights: &weights, backend: &backend };
    // open_clip's `CustomTextCLIP` keeps the text tower apart; older checkpoints of it may not have been converted.
    let prefix = if weights.contains("text.ln_final.weight") { "text." } else { "" };
    let Shape { text, projection } = design.language;
    let bias = if weights.contains("logit_bias") { Some(parameters.number("logit_bias")?) } else { None };
    let vision = design.vision.0;
    let (image, text, spec) = together(
        || Vision::load(&parameters, &VISION, vision),
        || Text::load(&parameters, prefix, &TextNames { projection, ..TEXT }, text),
        || {
            let tokenizer = tokenizer(files, &design.text, text.vocabulary)?;
            Ok(design.spec(ModelFamily::OpenClip, tokenizer, logit_scale(&parameters, "logit_scale")?, bias))
        },
    )?;
    Ok(TwoTowers { image: Box::new(image), text: Box::new(text), spec, backend })
}

/// The folder's own tokenizer, or CLIP's, which is meant where there is none.
pub(super) fn tokenizer(
    files: &ModelFiles,
    spec: &TextSpec,
    vocabulary: usize,
) -> Result<Option<Tokenizer>, LoadError> {
    match Tokenizer::read(files, spec)? {
        None if vocabulary == CLIP_VOCABULARY => Tokenizer::clip(spec).map(Some),
        own => Ok(own),
    }
}

fn vision_shape(
    vision: &Section<'_>,
    activation: Activation,
    embedding_width: usize,
) -> Result<VisionShape, LoadError> {
    refuse_unsupported(vision)?;
    only(vision, "pool_type", "tok")?;
    only(vision, "pos_embed_type", "learnable")?;
    let width = vision.count("width", 768)?;
    let head_width = vision.count("head_width", 64)?;
    if !width.is_multiple_of(head_width) {
        return Err(vision.wrong("head_width", format!("is {head_width}, which does not divide {width}")));
    }
    let (image_size, patch_size) = picture_sizes(vision, 224, 16)?;
    let transformer = transformer(vision, width, width / head_width, activation)?;
    Ok(VisionShape { transformer, image_size, patch_size, embedding_width })
}

/// The shape of the text tower, and how its projection is stored.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    text: TextShape,
    projection: ProjectionName,
}

impl TextTowerShape for Shape {
    fn tower(&self, tokens: usize) -> TextTower {
        self.text.tower(tokens)
    }
}

fn text_shape(text: &Section<'_>, activation: Activation, embedding_width: usize) -> Result<Shape, LoadError> {
    refuse_unsupported(text)?;
    only(text, "proj_type", "linear")?;
    let reading = match text.text("pool_type")?.unwrap_or("argmax") {
        "argmax" => Reading::UpToHighestId,
        "eos" => Reading::UpToToken(text.token("eos_id", 2)?),
        other => return Err(text.unsupported("pool_type", other, "argmax, eos")),
    };
    let (width, heads) = (text.count("width", 512)?, text.count("heads", 8)?);
    if !width.is_multiple_of(heads) {
        return Err(text.wrong("heads", format!("is {heads}, which does not divide {width}")));
    }
    let has_bias = text.flag("proj_bias", false)?;
    let projection = if has_bias { ProjectionName::WithBias("text_projection") } else { TEXT.projection };
    let shape = TextShape {
        transformer: transformer(text, width, heads, activation)?,
        vocabulary: text.count("vocab_size", 49_408)?,
        context_length: text.count("context_length", 77)?,
        reading,
        embedding_width,
    };
    Ok(Shape { text: shape, projection })
}

fn transformer(
    section: &Section<'_>,
    width: usize,
    heads: usize,
    activation: Activation,
) -> Result<TransformerShape, LoadError> {
    let ratio = section.positive("mlp_ratio", 4.0)?;
    // Rounded down, as `int(width * mlp_ratio)`.
    let inner_width = (width as f64 * f64::from(ratio)) as usize;
    if !(1..=MAX_INNER_WIDTH).contains(&inner_width) {
        let problem = format!("is {ratio}, which makes {inner_width} of a width of {width}");
        return Err(section.wrong("mlp_ratio", problem));
    }
    Ok(TransformerShape {
        width,
        inner_width,
        layers: section.count("layers", 12)?,
        heads,
        activation,
        epsilon: section.section(&["norm_kwargs"])?.positive("eps", 1e-5)?,
    })
}

fn refuse_unsupported(section: &Section<'_>) -> Result<(), LoadError> {
    match UNSUPPORTED.iter().find_map(|name| Some((name, section.set(name)?))) {
        Some((name, value)) => Err(section.unsupported(name, &value, "a tower without it")),
        None => Ok(()),
    }
}

fn only(section: &Section<'_>, name: &str, supported: &'static str) -> Result<(), LoadError> {
    match section.text(name)? {
        Some(other) if other != supported => Err(section.unsupported(name, other, supported)),
        _ => Ok(()),
    }
}
