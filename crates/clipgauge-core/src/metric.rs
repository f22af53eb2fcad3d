//! Two vectors to one number: the metrics by name, each a file of its own.

use crate::spec::ModelSpec;

/// Compares an image's vector with a text's.
pub trait Compare: Send + Sync {
    /// The score of two vectors of one space, as the encoder gave them (not normalised).
    fn compare(&self, image: &[f32], text: &[f32]) -> f32;

    /// Whether a better match has the higher score.
    fn higher_is_better(&self) -> bool;
}

/// A metric that a model has no parameters for.
#[derive(Debug, thiserror::Error)]
#[error("metric `{metric}` needs {parameter}, which the model does not have")]
pub struct MetricError {
    /// The metric's name.
    pub metric: &'static str,
    /// What the model lacks.
    pub parameter: &'static str,
}

/// The metrics that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Metric {
    /// The cosine of the angle between the vectors.
    #[default]
    Cosine,
}

impl Metric {
    /// Every metric.
    pub const ALL: &[Self] = &[Self::Cosine];

    /// The name, as `--metric` takes it.
    pub fn name(self) -> &'static str {
        "cosine"
    }

    /// The formula.
    pub fn formula(self) -> &'static str {
        "a·b / (|a|·|b|)"
    }

    /// The values that it can have.
    pub fn range(self) -> std::ops::RangeInclusive<f32> {
        -1.0..=1.0
    }

    /// What it is good for, in one sentence.
    pub fn description(self) -> &'static str {
        "the cosine of the angle between the two vectors"
    }

    /// The metric at work, with the parameters of `spec` where it has any.
    pub fn comparer(self, spec: &ModelSpec) -> Result<Box<dyn Compare>, MetricError> {
        let _ = spec;
        unreachable!("replaced with the registry")
    }
}
