//! AltCLIP: CLIP's image tower beside a multilingual XLM-RoBERTa.
//!
//! Chen et al. 2022; transformers' `models/altclip/modeling_altclip.py`.

use crate::backend::{Backend, LayerNorm, Rows};
use crate::config::ConfigFile;
use crate::encoder::EncodeError;
use crate::error::LoadError;
use crate::family::clip::ClipVision;
use crate::family::config::{TowerDefaults, transformer};
use crate::family::description::TextTower;
use crate::family::design::{Design, TextTowerShape};
use crate::family::loading::together;
use crate::family::parameters::Parameters;
use crate::family::towers::bert::{Bert, BertShape};
use crate::family::towers::vision::{Vision, VisionNames};
use crate::family::towers::{Tower, TwoTowers, logit_scale};
use crate::family::{ModelFamily, clip};
use crate::model_files::ModelFiles;
use crate::spec::{ImageSpec, TextSpec};
use crate::tokenize::{TokenBatch, Tokenizer, context_length};
use crate::weights::Weights;

const TEXT_DEFAULTS: TowerDefaults =
    TowerDefaults { width: 1024, inner_width: 4096, layers: 24, heads: 16, activation: "gelu", epsilon: 1e-5 };

/// CLIP's but for the name of the blocks.
const VISION: VisionNames = VisionNames { blocks: "vision_model.encoder.layer", ..clip::VISION };

/// What a configuration of AltCLIP says.
pub(super) fn read(files: &ModelFiles) -> Result<Design<ClipVision, Shape>, LoadError> {
    let config = ConfigFile::read(files, "config.json")?;
    let root = config.root();
    let embedding_width = root.count("projection_dim", 768)?;
    let vision = clip::vision_shape(&root, embedding_width)?;
    let section = root.section(&["text_config_dict", "text_config"])?;
    let roberta = BertShape {
        transformer: transformer(&section, &TEXT_DEFAULTS)?,
        vocabulary: section.count("vocab_size", 250_002)?,
        positions: section.count("max_position_embeddings", 514)?,
        first_position: (section.token("pad_token_id", 1)? as usize).saturating_add(1),
        token_types: section.count("type_vocab_size", 1)?,
    };
    if roberta.first_position >= roberta.positions {
        return Err(section.wrong("pad_token_id", "leaves no position for a token"));
    }
    let text = TextSpec { context_length: context_length(files, roberta.context_length())?, pad_token: None };
    let image = ImageSpec::read(files)?;
    image.check_size(files, "config.json", vision.0.image_size)?;
    let widths = [roberta.transformer.width, section.count("project_dim", 768)?, embedding_width];
    let language = Shape { roberta, widths };
    Ok(Design { image, text, vision, language, embedding_width, defaulted: config.defaulted() })
}

/// Loads an AltCLIP.
pub(super) fn load<B: Backend>(files: &ModelFiles, backend: B) -> Result<TwoTowers<B>, LoadError> {
    let design = read(files)?;
    let weights = Weights::open(files)?;
    let parameters = Parameters { weights: &weights, backend: &backend };
    let Shape { roberta, widths } = design.language;
    let [width, transformed, embedding_width] = widths;
    let vision = design.vision.0;
    let (image, text, spec) = together(
        || Vision::load(&parameters, &VISION, vision),
        || {
            Ok(Text {
                roberta: Bert::load(&parameters, "text_model.roberta.", roberta)?,
                norm: parameters.norm("text_model.pre_LN", width, roberta.transformer.epsilon)?,
                transformation: parameters.linear("text_model.transformation", transformed, width)?,
                projection: parameters.projection("text_projection", embedding_width, transformed)?,
                widths,
            })
        },
        || {
            let tokenizer = Tokenizer::read(files, &design.text)?;
            Ok(design.spec(ModelFamily::AltClip, tokenizer, logit_scale(&parameters, "logit_scale")?, None))
        },
    )?;
    Ok(TwoTowers { image: Box::new(image), text: Box::new(text), spec, backend })
}

/// The shape of the text tower.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    roberta: BertShape,
    /// Of the tower, of the transformation and of the embedding.
    widths: [usize; 3],
}

impl TextTowerShape for Shape {
    fn tower(&self, tokens: usize) -> TextTower {
        let [width, transformed, embedding_width] = self.widths;
        self.roberta.tower(tokens, transformed * (width + embedding_width))
    }
}

struct Text<B: Backend> {
    roberta: Bert<B>,
    norm: LayerNorm,
    transformation: B::Linear,
    projection: B::Linear,
    /// Of the tower, of the transformation and of the embedding.
    widths: [usize; 3],
}

impl<B: Backend> Tower<B, TokenBatch> for Text<B> {
    fn forward(&self, backend: &B, batch: &TokenBatch) -> Result<Rows, EncodeError> {
        let [mut normed, mut transformed, mut projected] = self.widths.map(Rows::new);
        backend.layer_norm(&self.roberta.forward(backend, batch)?, &self.norm, &mut normed);
        backend.linear(&normed, &self.transformation, &mut transformed);
        backend.linear(&transformed, &self.projection, &mut projected);
        Ok(projected)
    }
}
