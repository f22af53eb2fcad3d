//! [`ImageSpec`] from the `preprocess_cfg` of `open_clip_config.json`.
//!
//! open_clip's `transform.py`, `PreprocessCfg` and `image_transform`, for inference.

use super::{Filter, ImageSpec, Resize};
use crate::config::Section;
use crate::error::LoadError;

/// Of OpenAI's CLIP, open_clip's defaults.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

impl ImageSpec {
    /// Reads how a model in open_clip's form wants its pictures; `image_size` is that of its image tower, which holds
    /// where the section gives none.
    pub(crate) fn from_open_clip(section: &Section<'_>, image_size: usize) -> Result<Self, LoadError> {
        let size = section.sides("size", image_size)?.map(|side| side as u32);
        let filter = match section.text("interpolation")?.unwrap_or("bicubic") {
            "bicubic" => Filter::Bicubic,
            "bilinear" => Filter::Bilinear,
            other => return Err(section.unsupported("interpolation", other, "bicubic, bilinear")),
        };
        let (resize, crop) = match section.text("resize_mode")?.unwrap_or("shortest") {
            "shortest" if size[0] == size[1] => (Resize::ShortestEdge(size[0]), Some(size)),
            "shortest" => return Err(section.wrong("size", "is not square, which `shortest` asks for")),
            "squash" => (Resize::Exact(size), None),
            other => return Err(section.unsupported("resize_mode", other, "shortest, squash")),
        };
        Ok(Self {
            resize,
            crop,
            filter,
            rescale_factor: 1.0 / 255.0,
            mean: section.channels("mean", MEAN)?,
            std: section.channels("std", STD)?,
        })
    }
}
