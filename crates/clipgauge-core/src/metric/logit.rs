//! `scale · cos(i, t) + bias`, with the scale and the bias that the model was trained with.
//!
//! The scale is CLIP's temperature (Radford et al. 2021, section 2.4), the bias SigLIP's (Zhai et al. 2023, algorithm 1);
//! a model without a bias has none added.

use super::{Compare, Entry, MetricError, sums};

pub(super) const ENTRY: Entry = Entry {
    name: "logit",
    formula: "scale · cos(i, t) + bias",
    range: [f32::NEG_INFINITY, f32::INFINITY],
    higher_is_better: true,
    description: "the model's own output, with its scale, and its bias where it has one",
    comparer: |spec| {
        let missing = MetricError { metric: ENTRY.name, parameter: "a logit scale" };
        let scale = f64::from(spec.logit_scale.ok_or(missing)?);
        let bias = f64::from(spec.logit_bias.unwrap_or(0.0));
        Ok(Box::new(Logit { scale, bias }))
    },
};

struct Logit {
    scale: f64,
    bias: f64,
}

impl Compare for Logit {
    fn compare(&self, image: &[f32], text: &[f32]) -> f32 {
        (self.scale * sums::cosine(image, text) + self.bias) as f32
    }

    fn higher_is_better(&self) -> bool {
        ENTRY.higher_is_better
    }
}
