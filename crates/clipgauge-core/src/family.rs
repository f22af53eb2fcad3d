//! The model families: each one file from configuration to embedding, over the operations of [`backend`](crate::backend).

use crate::backend::cpu::Cpu;
use crate::encoder::Encoder;
use crate::error::LoadError;
use crate::family::config::ConfigFile;
use crate::model_files::ModelFiles;

mod clip;
mod clip_config;
mod config;
mod transformer;
mod vision;

pub use clip::Clip;

/// The families that are known. A new one is a file beside this one and a line in [`ModelFamily::REGISTRY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelFamily {
    /// OpenAI's CLIP and all that has its architecture in Hugging Face's form.
    Clip,
}

/// How a family is recognised and loaded.
struct Registration {
    family: ModelFamily,
    name: &'static str,
    /// What `model_type` in `config.json` says.
    model_type: &'static str,
    load: fn(&ModelFiles) -> Result<Box<dyn Encoder>, LoadError>,
}

impl ModelFamily {
    const REGISTRY: &[Registration] = &[Registration {
        family: Self::Clip,
        name: "CLIP",
        model_type: "clip",
        load: |files| Ok(Box::new(Clip::load(files, Cpu)?)),
    }];

    /// Every family.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::REGISTRY.iter().map(|registration| registration.family)
    }

    /// The family's name, for a person.
    pub fn name(self) -> &'static str {
        self.registration().name
    }

    fn registration(self) -> &'static Registration {
        let registration = Self::REGISTRY.iter().find(|registration| registration.family == self);
        registration.expect("every family is registered")
    }
}

/// Reads a model and makes it ready to encode, on this machine's CPU.
pub fn load(files: &ModelFiles) -> Result<Box<dyn Encoder>, LoadError> {
    let config = ConfigFile::read(files, "config.json")?;
    let root = config.root();
    let model_type = root.text("model_type")?.ok_or_else(|| root.wrong("model_type", "is missing"))?;
    match ModelFamily::REGISTRY.iter().find(|registration| registration.model_type == model_type) {
        Some(registration) => (registration.load)(files),
        None => Err(root.unsupported("model_type", model_type, "clip")),
    }
}
