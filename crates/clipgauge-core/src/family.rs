//! The model families: each one file from configuration to embedding, over the operations of
//! [`backend`](crate::backend) and the towers that several share.

use crate::backend::cpu::Cpu;
use crate::config::ConfigFile;
use crate::encoder::Encoder;
use crate::error::LoadError;
use crate::model_files::ModelFiles;
use crate::spec::{ModelSpec, TextSpec};
use crate::tokenize::Tokenizer;
use crate::weights::Weights;
pub use description::{Blocks, Description, ImageTower, NumberTypeCount, StoredWeights, TextTower};
pub use loading::LoadOptions;

mod altclip;
mod chinese_clip;
mod clip;
mod config;
mod description;
mod design;
mod loading;
mod metaclip2;
mod naflex;
mod openclip;
mod parameters;
mod siglip;
mod towers;

macro_rules! families {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $file:ident, $model_type:expr;)*) => {
        /// The families that are known. A new one is a file beside these and a line in this list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ModelFamily {
            $($(#[doc = $doc])* $variant,)*
        }

        impl ModelFamily {
            /// Every family.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The family's name, for a person.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What `model_type` in `config.json` says; `None` for a family with a configuration of another name.
            pub fn model_type(self) -> Option<&'static str> {
                match self { $(Self::$variant => $model_type),* }
            }

            fn load(self, files: &ModelFiles, backend: Cpu) -> Result<Box<dyn Encoder>, LoadError> {
                match self { $(Self::$variant => Ok(Box::new($file::load(files, backend)?))),* }
            }

            fn describe(self, files: &ModelFiles) -> Result<Description, LoadError> {
                match self { $(Self::$variant => $file::read(files)?.description(self, files)),* }
            }

            fn spec(self, files: &ModelFiles) -> Result<ModelSpec, LoadError> {
                match self { $(Self::$variant => $file::read(files)?.spec_alone(self, files)),* }
            }
        }
    };
}

families! {
    /// OpenAI's CLIP and all that has its architecture in Hugging Face's form.
    Clip = "CLIP", clip, Some("clip");
    /// CLIP in open_clip's form.
    OpenClip = "OpenCLIP", openclip, None;
    /// Meta's multilingual CLIP.
    MetaClip2 = "MetaCLIP 2", metaclip2, Some("metaclip_2");
    /// SigLIP, and SigLIP 2 of fixed size.
    Siglip = "SigLIP", siglip, Some("siglip");
    /// SigLIP 2 that keeps the aspect ratio.
    SiglipNaflex = "SigLIP 2 NaFlex", naflex, Some("siglip2");
    /// CLIP beside a Chinese BERT.
    ChineseClip = "Chinese-CLIP", chinese_clip, Some("chinese_clip");
    /// CLIP beside XLM-RoBERTa.
    AltClip = "AltCLIP", altclip, Some("altclip");
}

impl ModelFamily {
    /// The tokenizer that a folder of this family means, for so many ids.
    fn tokenizer(self, files: &ModelFiles, spec: &TextSpec, vocabulary: usize) -> Result<Option<Tokenizer>, LoadError> {
        match self {
            Self::OpenClip => openclip::tokenizer(files, spec, vocabulary),
            _ => Tokenizer::read(files, spec),
        }
    }

    /// The weights of a folder of this family; reads headers only.
    fn weights(self, files: &ModelFiles) -> Result<Weights, LoadError> {
        match self {
            Self::OpenClip => Weights::open_clip(files),
            _ => Weights::open(files),
        }
    }
}

/// Reads a model and makes it ready to encode in f32, on this machine's CPU.
///
/// A folder in Hugging Face's form goes before one in open_clip's, where it is both.
///
/// # Errors
/// What is there is no model of a known family, or is incomplete or damaged: the error names the file and the field.
pub fn load(files: &ModelFiles) -> Result<Box<dyn Encoder>, LoadError> {
    load_with(files, &LoadOptions::default())
}

/// Does what [`load`] does, as the options say.
///
/// # Errors
/// As [`load`].
pub fn load_with(files: &ModelFiles, options: &LoadOptions) -> Result<Box<dyn Encoder>, LoadError> {
    let family = of(files)?;
    loading::with_threads(options.threads, || family.load(files, Cpu::new(options.precision)))
}

/// Says what a model is without loading it: of its weights, headers are read, and these may be missing.
///
/// # Errors
/// As [`load`], as far as that can be told without the weights' numbers.
pub fn describe(files: &ModelFiles) -> Result<Description, LoadError> {
    let family = of(files)?;
    let description = family.describe(files)?;
    match family.weights(files) {
        Ok(weights) => description.with_weights(&weights),
        Err(LoadError::MissingFile { .. }) => Ok(description),
        Err(error) => Err(error),
    }
}

/// Reads what a model wants its images and texts to look like, for an encoder of one's own: of its weights, the numbers of
/// the logits are read where the file is there, and nothing else.
///
/// # Errors
/// As [`describe`].
pub fn spec(files: &ModelFiles) -> Result<ModelSpec, LoadError> {
    let family = of(files)?;
    let spec = family.spec(files)?;
    match family.weights(files) {
        Ok(weights) => {
            let (logit_scale, logit_bias) = description::logits(&weights)?;
            Ok(ModelSpec { logit_scale, logit_bias, ..spec })
        }
        Err(LoadError::MissingFile { .. }) => Ok(spec),
        Err(error) => Err(error),
    }
}

/// Which family a model is of.
///
/// # Errors
/// What is there is no model of a known family.
pub fn of(files: &ModelFiles) -> Result<ModelFamily, LoadError> {
    let is_open_clip = files.contains(openclip::CONFIG);
    if is_open_clip && (!files.contains("config.json") || Weights::is_open_clip_only(files)) {
        return Ok(ModelFamily::OpenClip);
    }
    let config = ConfigFile::read(files, "config.json")?;
    let root = config.root();
    let model_type = match root.text("model_type")? {
        Some(model_type) => model_type,
        // timm's repositories have a `config.json` of another kind.
        None if is_open_clip => return Ok(ModelFamily::OpenClip),
        None => return Err(root.wrong("model_type", "is missing")),
    };
    ModelFamily::ALL.iter().copied().find(|family| family.model_type() == Some(model_type)).ok_or_else(|| {
        let known: Vec<_> = ModelFamily::ALL.iter().filter_map(|family| family.model_type()).collect();
        root.unsupported("model_type", model_type, known.join(", "))
    })
}
