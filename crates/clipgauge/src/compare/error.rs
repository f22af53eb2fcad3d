//! Why two things cannot be compared.

use std::fmt;

use clipgauge_core::metric::MetricError;

use crate::loading::LoadingError;
use crate::row::{RowError, RowErrorKind};
use crate::scorer::ScoreError;
use crate::source::SourceError;

/// Which of the two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first.
    A,
    /// The second.
    B,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// Why two things could not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// An image cannot be had or used.
    #[error("image {place} cannot be compared ({}): {error}{}", error.kind, remedy(error.kind, *is_path))]
    Image {
        /// Which of the two it is.
        place: Place,
        /// What is wrong with it.
        #[source]
        error: RowError,
        /// Whether it was taken for a file's path.
        is_path: bool,
    },
    /// Images cannot be fetched with these options.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A model cannot be had or used.
    #[error(transparent)]
    Model(#[from] LoadingError),
    /// The model has no parameters for the metric.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// The model takes nothing of what it is given.
    #[error(transparent)]
    Encode(#[from] ScoreError),
    /// The system gives no means to fetch with.
    #[error("fetching cannot be set up")]
    Runtime(#[source] std::io::Error),
    /// It was asked to end.
    #[error("interrupted before the images were fetched")]
    Interrupted,
}

impl CompareError {
    /// Whether another command line would mend it.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Metric(_) => true,
            Self::Source(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// A text without its prefix is looked for as a file, and is none.
fn remedy(kind: RowErrorKind, is_path: bool) -> &'static str {
    match kind {
        RowErrorKind::NotFound | RowErrorKind::BadAddress if is_path => "; a text is written as `text:…`",
        _ => "",
    }
}
