//! Two vectors to one number: the metrics by name, each a file of its own.
//!
//! `docs/metrics.md` tells users which to take and what its numbers mean. All of them compute in f64, in a fixed
//! order, so that a score is within 1e-7 of the exact one relative to the metric's scale, and the same every time.
//! No score is NaN unless a vector holds a number that is not finite.

mod angular;
mod clipscore;
mod cosine;
mod dot;
mod euclidean;
mod logit;
mod manhattan;
mod sigmoid;
mod sums;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::spec::ModelSpec;

// Makes the enum, the list of its members and the way to their entries from one line for each.
macro_rules! metrics {
    ($($(#[$attribute:meta])+ $member:ident = $file:ident,)+) => {
        /// The metrics that have a name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[non_exhaustive]
        pub enum Metric {
            $($(#[$attribute])+ $member,)+
        }

        impl Metric {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$member => &$file::ENTRY,)+
                }
            }
        }
    };
}

// The registry: a metric's name in the program, and the file that has its entry. The order is that of `--help`.
metrics! {
    /// The cosine of the angle between the vectors.
    #[default]
    Cosine = cosine,
    /// CLIPScore as torchmetrics scales it: a hundredfold cosine, and none below zero.
    ClipScore = clipscore,
    /// The inner product of the vectors as the encoder gives them.
    Dot = dot,
    /// The distance between the normalised vectors.
    Euclidean = euclidean,
    /// The sum of the differences between the normalised vectors.
    Manhattan = manhattan,
    /// The angle between the vectors, as a share of half a turn taken from one.
    Angular = angular,
    /// The number that the model itself was trained to make large for a match.
    Logit = logit,
    /// The probability of a match that a model with a bias gives.
    Sigmoid = sigmoid,
}

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

/// A name that no metric has.
#[derive(Debug, thiserror::Error)]
#[error("there is no metric `{0}`; there are {names}", names = names())]
pub struct UnknownMetric(pub String);

/// What a metric's file says about it.
struct Entry {
    name: &'static str,
    /// In `i` and `t`, the vectors of image and text.
    formula: &'static str,
    range: [f32; 2],
    higher_is_better: bool,
    description: &'static str,
    comparer: fn(&ModelSpec) -> Result<Box<dyn Compare>, MetricError>,
}

impl Metric {
    /// The name it is chosen by.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// How it is computed from `i` and `t`, the vectors of image and text.
    pub fn formula(self) -> &'static str {
        self.entry().formula
    }

    /// The lowest and the highest score there can be; infinite where the model decides.
    pub fn range(self) -> RangeInclusive<f32> {
        let [lowest, highest] = self.entry().range;
        lowest..=highest
    }

    /// Whether a better match has the higher score.
    pub fn higher_is_better(self) -> bool {
        self.entry().higher_is_better
    }

    /// What it is good for, in one line.
    pub fn description(self) -> &'static str {
        self.entry().description
    }

    /// The metric at work, with the parameters of `spec` where it has any.
    ///
    /// # Errors
    /// When the model lacks such a parameter.
    pub fn comparer(self, spec: &ModelSpec) -> Result<Box<dyn Compare>, MetricError> {
        (self.entry().comparer)(spec)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        let found = Self::ALL.iter().find(|metric| metric.name() == name);
        found.copied().ok_or_else(|| UnknownMetric(name.to_owned()))
    }
}

fn names() -> String {
    Metric::ALL.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(", ")
}
