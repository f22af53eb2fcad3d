//! `1 / (1 + exp(-(scale · cos(i, t) + bias)))`: the probability that a SigLIP gives a pair.
//!
//! Zhai et al. 2023, algorithm 1. Only a model that was trained with this loss has a bias; without one the number would
//! mean nothing, so the metric then does not exist.

use super::{Compare, Entry, MetricError, sums};

pub(super) const ENTRY: Entry = Entry {
    name: "sigmoid",
    formula: "1 / (1 + exp(−scale · cos(i, t) − bias))",
    range: [0.0, 1.0],
    higher_is_better: true,
    description: "the probability of a match, of models that have a bias (SigLIP)",
    comparer: |spec| {
        let missing = |parameter| MetricError { metric: ENTRY.name, parameter };
        let scale = f64::from(spec.logit_scale.ok_or(missing("a logit scale"))?);
        let bias = f64::from(spec.logit_bias.ok_or(missing("a logit bias"))?);
        Ok(Box::new(Sigmoid { scale, bias }))
    },
};

struct Sigmoid {
    scale: f64,
    bias: f64,
}

impl Compare for Sigmoid {
    fn compare(&self, image: &[f32], text: &[f32]) -> f32 {
        (1.0 / (1.0 + (-self.scale * sums::cosine(image, text) - self.bias).exp())) as f32
    }

    fn higher_is_better(&self) -> bool {
        ENTRY.higher_is_better
    }
}
