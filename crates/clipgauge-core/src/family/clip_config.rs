//! CLIP's `config.json`: the shapes of both towers, with the defaults of transformers' `configuration_clip.py`
//! for what a file leaves out.

use crate::error::LoadError;
use crate::family::config::{ConfigFile, TowerDefaults};
use crate::family::transformer::TransformerShape;
use crate::family::vision::VisionShape;
use crate::model_files::ModelFiles;

/// The end token that old files name by mistake; the reference then reads a text at its highest id instead.
const LEGACY_END_OF_TEXT: u32 = 2;

const VISION_DEFAULTS: TowerDefaults =
    TowerDefaults { width: 768, inner_width: 3072, layers: 12, heads: 12, activation: "quick_gelu", epsilon: 1e-5 };

const TEXT_DEFAULTS: TowerDefaults =
    TowerDefaults { width: 512, inner_width: 2048, layers: 12, heads: 8, activation: "quick_gelu", epsilon: 1e-5 };

/// What a CLIP is like.
pub(crate) struct ClipConfig {
    pub(crate) vision: VisionShape,
    pub(crate) text: TextShape,
    /// Numbers in an embedding.
    pub(crate) embedding_width: usize,
}

/// The shape of a text tower.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextShape {
    pub(crate) transformer: TransformerShape,
    /// Ids that have an embedding.
    pub(crate) vocabulary: usize,
    /// Positions that have an embedding.
    pub(crate) context_length: usize,
    pub(crate) end_of_text: EndOfText,
}

/// Which token a text is read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndOfText {
    /// The first one of this id.
    Token(u32),
    /// The first one of the highest id.
    HighestId,
}

impl ClipConfig {
    pub(crate) fn read(files: &ModelFiles) -> Result<Self, LoadError> {
        let file = ConfigFile::read(files, "config.json")?;
        let root = file.root();
        // Old files have both; the reference takes the `_dict` where it is not null.
        let vision = root.section(&["vision_config_dict", "vision_config"])?;
        let text = root.section(&["text_config_dict", "text_config"])?;
        if vision.count("num_channels", 3)? != 3 {
            return Err(vision.wrong("num_channels", "is not 3: only models of RGB pictures are supported"));
        }
        let (image_size, patch_size) = (vision.count("image_size", 224)?, vision.count("patch_size", 32)?);
        if patch_size > image_size {
            return Err(vision.wrong("patch_size", format!("is {patch_size}, more than the image's {image_size}")));
        }
        Ok(Self {
            vision: VisionShape { transformer: vision.transformer(&VISION_DEFAULTS)?, image_size, patch_size },
            text: TextShape {
                transformer: text.transformer(&TEXT_DEFAULTS)?,
                vocabulary: text.count("vocab_size", 49_408)?,
                context_length: text.count("max_position_embeddings", 77)?,
                end_of_text: match text.token("eos_token_id", 49_407)? {
                    LEGACY_END_OF_TEXT => EndOfText::HighestId,
                    token => EndOfText::Token(token),
                },
            },
            embedding_width: root.count("projection_dim", 512)?,
        })
    }
}
