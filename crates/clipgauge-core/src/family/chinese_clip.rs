//! Chinese-CLIP: CLIP's image tower beside a Chinese BERT.
//!
//! Yang et al. 2022; transformers' `models/chinese_clip/modeling_chinese_clip.py`.

use crate::backend::{Backend, Rows};
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
use crate::family::towers::vision::Vision;
use crate::family::towers::{Tower, TwoTowers, logit_scale};
use crate::family::{ModelFamily, clip};
use crate::model_files::ModelFiles;
use crate::spec::{ImageSpec, TextSpec};
use crate::tokenize::{TokenBatch, Tokenizer, context_length};
use crate::weights::Weights;

const TEXT_DEFAULTS: TowerDefaults =
    TowerDefaults { width: 768, inner_width: 3072, layers: 12, heads: 12, activation: "gelu", epsilon: 1e-12 };

/// What a configuration of Chinese-CLIP says.
pub(super) fn read(files: &ModelFiles) -> Result<Design<ClipVision, Shape>, LoadError> {
    let config = ConfigFile::read(files, "config.json")?;
    let root = config.root();
    let embedding_width = root.count("projection_dim", 512)?;
    let vision = clip::vision_shape(&root, embedding_width)?;
    let section = root.section(&["text_config_dict", "text_config"])?;
    let bert = BertShape {
        transformer: transformer(&section, &TEXT_DEFAULTS)?,
        vocabulary: section.count("vocab_size", 30_522)?,
        positions: section.count("max_position_embeddings", 512)?,
        first_position: 0,
        token_types: section.count("type_vocab_size", 2)?,
    };
    let text = TextSpec { context_length: context_length(files, bert.context_length())?, pad_token: None };
    let image = ImageSpec::read(files)?;
    image.check_size(files, "config.json", vision.0.image_size)?;
    let language = Shape { bert, embedding_width };
    Ok(Design { image, text, vision, language, embedding_width, defaulted: config.defaulted() })
}

/// Loads a Chinese-CLIP.
pub(super) fn load<B: Backend>(files: &ModelFiles, backend: B) -> Result<TwoTowers<B>, LoadError> {
    let design = read(files)?;
    let weights = Weights::open(files)?;
    let parameters = Parameters { weights: &weights, backend: &backend };
    let Shape { bert, embedding_width } = design.language;
    let vision = design.vision.0;
    let (image, text, spec) = together(
        || Vision::load(&parameters, &clip::VISION, vision),
        || {
            Ok(Text {
                bert: Bert::load(&parameters, "text_model.", bert)?,
                projection: parameters.projection("text_projection", embedding_width, bert.transformer.width)?,
                embedding_width,
            })
        },
        || {
            let tokenizer = Tokenizer::read(files, &design.text)?;
            Ok(design.spec(ModelFamily::ChineseClip, tokenizer, logit_scale(&parameters, "logit_scale")?, None))
        },
    )?;
    Ok(TwoTowers { image: Box::new(image), text: Box::new(text), spec, backend })
}

/// The shape of the text tower.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    bert: BertShape,
    embedding_width: usize,
}

impl TextTowerShape for Shape {
    fn tower(&self, tokens: usize) -> TextTower {
        self.bert.tower(tokens, self.bert.transformer.width * self.embedding_width)
    }
}

struct Text<B: Backend> {
    bert: Bert<B>,
    projection: B::Linear,
    embedding_width: usize,
}

impl<B: Backend> Tower<B, TokenBatch> for Text<B> {
    fn forward(&self, backend: &B, batch: &TokenBatch) -> Result<Rows, EncodeError> {
        let mut projected = Rows::new(self.embedding_width);
        backend.linear(&self.bert.forward(backend, batch)?, &self.projection, &mut projected);
        Ok(projected)
    }
}
