//! The model families: each one file from configuration to embedding, over the operations of
//! [`backend`](crate::backend) and the towers that several share.

use crate::backend::cpu::Cpu;
use crate::config::ConfigFile;
use crate::encoder::Encoder;
use crate::error::LoadError;
use crate::model_files::ModelFiles;

mod altclip;
mod chinese_clip;
mod clip;
mod config;
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

            fn load(self, files: &ModelFiles) -> Result<Box<dyn Encoder>, LoadError> {
                match self { $(Self::$variant => Ok(Box::new($file::load(files, Cpu)?))),* }
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

/// Reads a model and makes it ready to encode, on this machine's CPU.
///
/// A folder in Hugging Face's form goes before one in open_clip's, where it is both.
pub fn load(files: &ModelFiles) -> Result<Box<dyn Encoder>, LoadError> {
    if !files.contains("config.json") && files.contains(openclip::CONFIG) {
        return ModelFamily::OpenClip.load(files);
    }
    let config = ConfigFile::read(files, "config.json")?;
    let root = config.root();
    let model_type = root.text("model_type")?.ok_or_else(|| root.wrong("model_type", "is missing"))?;
    match ModelFamily::ALL.iter().find(|family| family.model_type() == Some(model_type)) {
        Some(family) => family.load(files),
        None => {
            let known: Vec<_> = ModelFamily::ALL.iter().filter_map(|family| family.model_type()).collect();
            Err(root.unsupported("model_type", model_type, known.join(", ")))
        }
    }
}
