//! Why a table cannot be scored.

use clipgauge_core::metric::MetricError;

use super::earlier::EarlierError;
use crate::atomic::AtomicError;
use crate::disk_cache::CacheError;
use crate::hub::HubError;
use crate::journal::JournalError;
use crate::loading::LoadingError;
use crate::options::OptionsError;
use crate::save_images::SaveImagesError;
use crate::scorer::ScoreError;
use crate::source::SourceError;
use crate::table::TableError;
use crate::waiting::Unfinished;

/// Why a run over a table could not begin, or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreTableError {
    /// The options do not go together.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be put in its place.
    #[error(transparent)]
    File(#[from] AtomicError),
    /// What an earlier run left cannot be gone on with, or nothing be left for a later one.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What is there is no earlier output of this run.
    #[error(transparent)]
    Earlier(#[from] EarlierError),
    /// Pictures cannot be saved.
    #[error(transparent)]
    SaveImages(#[from] SaveImagesError),
    /// Images cannot be fetched with these options.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A table on the hub cannot be fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The model cannot be had or used.
    #[error(transparent)]
    Model(#[from] LoadingError),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The model has no parameters for the metric.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// The model takes nothing of what it is given.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The run was to end before it had begun.
    #[error("the run was ended before its first row")]
    Interrupted,
    /// Work whose results are worth nothing by halves was ended.
    #[error("the run was ended before its last row")]
    Cancelled,
    /// The system gives no more threads.
    #[error("no thread can be started")]
    Threads(#[source] std::io::Error),
}

impl ScoreTableError {
    /// Whether another command line would mend it.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Table(error) => error.is_usage(),
            Self::File(error) => error.is_usage(),
            Self::Journal(error) => error.is_usage(),
            Self::Earlier(error) => error.is_usage(),
            Self::SaveImages(error) => error.is_usage(),
            Self::Source(error) => error.is_usage(),
            Self::Cache(error) => error.is_usage(),
            Self::Options(_) | Self::Metric(_) => true,
            _ => false,
        }
    }

    /// Whether the run ended because it was asked to, with nothing to show for it.
    pub fn is_interrupted(&self) -> bool {
        match self {
            Self::Interrupted | Self::Cancelled | Self::Hub(HubError::Interrupted { .. }) => true,
            Self::Model(error) => error.is_interrupted(),
            _ => false,
        }
    }

    /// Whether the reader of the output has gone away, which is no failure of anybody's.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Table(error) if error.is_closed_pipe())
    }
}

impl From<Unfinished> for ScoreTableError {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Cancelled => Self::Interrupted,
            Unfinished::NoThread(error) => Self::Threads(error),
        }
    }
}
