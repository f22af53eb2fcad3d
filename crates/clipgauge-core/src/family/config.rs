//! What the configurations of most families have in common: the shape of a transformer, the sizes of pictures.

use crate::backend::Activation;
use crate::config::Section;
use crate::error::LoadError;
use crate::family::towers::transformer::TransformerShape;

/// The sizes of a tower that a family has where its configuration says nothing.
pub(super) struct TowerDefaults {
    pub(super) width: usize,
    pub(super) inner_width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) activation: &'static str,
    pub(super) epsilon: f32,
}

/// The shape of a transformer, in the names that Hugging Face's configurations share.
pub(super) fn transformer(section: &Section<'_>, defaults: &TowerDefaults) -> Result<TransformerShape, LoadError> {
    let width = section.count("hidden_size", defaults.width)?;
    let heads = section.count("num_attention_heads", defaults.heads)?;
    if !width.is_multiple_of(heads) {
        return Err(section.wrong("num_attention_heads", format!("is {heads}, which does not divide {width}")));
    }
    let activation = section.text("hidden_act")?.unwrap_or(defaults.activation);
    Ok(TransformerShape {
        width,
        inner_width: section.count("intermediate_size", defaults.inner_width)?,
        layers: section.count("num_hidden_layers", defaults.layers)?,
        heads,
        activation: Activation::from_hidden_act(activation)
            .ok_or_else(|| section.unsupported("hidden_act", activation, Activation::HIDDEN_ACTS))?,
        epsilon: section.positive("layer_norm_eps", defaults.epsilon)?,
    })
}

/// The sides of a picture and of a patch, in pixels.
pub(super) fn picture_sizes(
    section: &Section<'_>,
    default_image: usize,
    default_patch: usize,
) -> Result<(usize, usize), LoadError> {
    if section.count("num_channels", 3)? != 3 {
        return Err(section.wrong("num_channels", "is not 3: only models of RGB pictures are supported"));
    }
    let image_size = section.count("image_size", default_image)?;
    let patch_size = section.count("patch_size", default_patch)?;
    if patch_size > image_size {
        return Err(section.wrong("patch_size", format!("is {patch_size}, more than the image's {image_size}")));
    }
    Ok((image_size, patch_size))
}
