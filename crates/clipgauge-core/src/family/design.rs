//! A model as its configuration describes it, before a weight is read: what every family makes of its `config.json`.
//!
//! Loading goes on from here with the weights, and [`describe`](crate::family::describe) without them.

use crate::error::LoadError;
use crate::family::ModelFamily;
use crate::family::description::{Description, ImageTower, TextTower};
use crate::model_files::ModelFiles;
use crate::spec::{ImageSpec, ModelSpec, TextSpec};
use crate::tokenize::Tokenizer;

/// What a family reads of its configuration.
pub(super) struct Design<V, T> {
    /// How pictures are preprocessed.
    pub(super) image: ImageSpec,
    /// How texts are cut and filled up.
    pub(super) text: TextSpec,
    /// The shape of the image tower.
    pub(super) vision: V,
    /// The shape of the text tower.
    pub(super) language: T,
    /// Numbers in an embedding.
    pub(super) embedding_width: usize,
    /// The fields that the configuration leaves to the family's defaults.
    pub(super) defaulted: Vec<String>,
}

/// The shape of an image tower, for a person.
pub(super) trait ImageShape {
    fn tower(&self, spec: &ImageSpec) -> ImageTower;
}

/// The shape of a text tower, for a person. `tokens` are those of the longest text.
pub(super) trait TextTowerShape {
    fn tower(&self, tokens: usize) -> TextTower;
}

impl<V, T> Design<V, T> {
    /// The spec of the loaded model.
    pub(super) fn spec(
        self,
        family: ModelFamily,
        tokenizer: Option<Tokenizer>,
        logit_scale: f32,
        logit_bias: Option<f32>,
    ) -> ModelSpec {
        ModelSpec {
            family: Some(family),
            image: self.image,
            text: self.text,
            tokenizer,
            embedding_width: self.embedding_width,
            logit_scale: Some(logit_scale),
            logit_bias,
        }
    }
}

impl<V: ImageShape, T: TextTowerShape> Design<V, T> {
    /// The spec for towers that are somebody else's, without the numbers of the logits.
    pub(super) fn spec_alone(self, family: ModelFamily, files: &ModelFiles) -> Result<ModelSpec, LoadError> {
        let vocabulary = self.language.tower(self.text.context_length).vocabulary;
        Ok(ModelSpec {
            family: None,
            tokenizer: family.tokenizer(files, &self.text, vocabulary)?,
            image: self.image,
            text: self.text,
            embedding_width: self.embedding_width,
            logit_scale: None,
            logit_bias: None,
        })
    }

    /// What there is to say without the weights.
    pub(super) fn description(self, family: ModelFamily, files: &ModelFiles) -> Result<Description, LoadError> {
        let text_tower = self.language.tower(self.text.context_length);
        Ok(Description {
            family: family.name(),
            embedding_width: self.embedding_width,
            image_tower: self.vision.tower(&self.image),
            has_tokenizer: family.tokenizer(files, &self.text, text_tower.vocabulary)?.is_some(),
            text_tower,
            image: self.image,
            text: self.text,
            weights: None,
            logit_scale: None,
            logit_bias: None,
            defaulted: self.defaulted,
        })
    }
}
