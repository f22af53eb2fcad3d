//! AltCLIP: CLIP's image tower beside a multilingual XLM-RoBERTa.
//!
//! Chen et al. 2022; transformers' `models/altclip/modeling_altclip.py`.

use crate::backend::{Backend, LayerNorm, Rows};
use crate::config::ConfigFile;
use crate::encoder::EncodeError;
use crate::error::LoadError;
use crate::family::config::{TowerDefaults, transformer};
use crate::family::parameters::Parameters;
use crate::family::towers::bert::{Bert, BertShape};
use crate::family::towers::vision::{Vision, VisionNames};
use crate::family::towers::{Tower, TwoTowers, logit_scale};
use crate::family::{ModelFamily, clip};
use crate::model_files::ModelFiles;
use crate::spec::{ImageSpec, ModelSpec, TextSpec};
use crate::tokenize::{TokenBatch, Tokenizer, context_length};
use crate::weights::Weights;

const TEXT_DEFAULTS: TowerDefaults =
    TowerDefaults { width: 1024, inner_width: 4096, layers: 24, heads: 16, activation: "gelu", epsilon: 1e-5 };

/// CLIP's but for the name of the blocks.
const VISION: VisionNames = VisionNames { blocks: "vision_model.encoder.layer", ..clip::VISION };

/// Loads an AltCLIP.
pub(super) fn load<B: Backend>(files: &ModelFiles, backend: B) -> Result<TwoTowers<B>, LoadError> {
    let config = ConfigFile::read(files, "config.json")?;
    let root = config.root();
    let embedding_width = root.count("projection_dim", 768)?;
    let vision = clip::vision_shape(&root, embedding_width)?;
    let section = root.section(&["text_config_dict", "text_config"])?;
    let text = BertShape {
        transformer: transformer(&section, &TEXT_DEFAULTS)?,
        vocabulary: section.count("vocab_size", 250_002)?,
        positions: section.count("max_position_embeddings", 514)?,
        first_position: section.token("pad_token_id", 1)? as usize + 1,
        token_types: section.count("type_vocab_size", 1)?,
    };
    if text.first_position >= text.positions {
        return Err(section.wrong("pad_token_id", "leaves no position for a token"));
    }
    let text_spec =
        TextSpec { context_length: context_length(files, text.positions - text.first_position)?, pad_token: None };
    let image_spec = ImageSpec::read(files)?;
    image_spec.check_size(files, vision.image_size)?;
    let weights = Weights::open(files)?;
    let parameters = Parameters { weights: &weights, backend: &backend };
    let (width, transformed) = (text.transformer.width, section.count("project_dim", 768)?);
    Ok(TwoTowers {
        spec: ModelSpec {
            family: Some(ModelFamily::AltClip),
            image: image_spec,
            tokenizer: Tokenizer::read(files, &text_spec)?,
            text: text_spec,
            embedding_width,
            logit_scale: Some(logit_scale(&parameters, "logit_scale")?),
            logit_bias: None,
        },
        image: Box::new(Vision::load(&parameters, &VISION, vision)?),
        text: Box::new(Text {
            roberta: Bert::load(&parameters, "text_model.roberta.", text)?,
            norm: parameters.norm("text_model.pre_LN", width, text.transformer.epsilon)?,
            transformation: parameters.linear("text_model.transformation", transformed, width)?,
            projection: parameters.projection("text_projection", embedding_width, transformed)?,
            widths: [width, transformed, embedding_width],
        }),
        backend,
    })
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
