//! What a run computes for its rows: the one part of the way in which runs differ, besides what is written.

use std::num::NonZeroUsize;

use crate::diagnostics::Diagnostics;
#[cfg(feature = "parquet")]
use crate::embed::Embedder;
use crate::encoding::NoVectors;
use crate::filters::DropReason;
use crate::row::RowError;
use crate::scorer::{Pair, ScoreError, Scorer};
use crate::stats::Stats;
use crate::vector_cache::VectorCache;
#[cfg(feature = "parquet")]
use crate::vectors::PairVectors;

/// The work that is done for batches of rows, on several threads at once.
pub(super) trait Compute: Send + Sync {
    /// How many pairs a thread takes at once.
    fn batch_size(&self) -> NonZeroUsize;

    /// Does the work for pairs, on this thread, and notes how long each stage took. `cache` is the run's.
    fn compute(&self, pairs: &[Pair<'_>], cache: &VectorCache, stats: &Stats) -> Result<Vec<Computed>, ScoreError>;
}

/// What came of one pair.
pub(super) struct Computed {
    pub(super) values: Result<Values, RowError>,
    /// As far as computing tells it.
    pub(super) diagnostics: Diagnostics,
}

/// What a row gets.
#[derive(Debug)]
pub(super) enum Values {
    /// A number for each column of scores.
    Scores(Vec<f32>),
    /// None, as its picture is not wanted.
    Dropped(DropReason),
    /// The vector of its image alone.
    Image(Vec<f32>),
    /// The vectors of its image and its caption.
    #[cfg(feature = "parquet")]
    Vectors(PairVectors),
}

impl Values {
    /// What a row gets instead of vectors.
    pub(super) fn without(reason: NoVectors) -> Result<Self, RowError> {
        match reason {
            NoVectors::Dropped(reason) => Ok(Self::Dropped(reason)),
            NoVectors::Failed(error) => Err(error),
        }
    }

    /// The scores among them, which are counted.
    pub(super) fn scores(&self) -> &[f32] {
        match self {
            Self::Scores(scores) => scores,
            Self::Dropped(_) | Self::Image(_) => &[],
            #[cfg(feature = "parquet")]
            Self::Vectors(_) => &[],
        }
    }
}

impl Compute for Scorer {
    fn batch_size(&self) -> NonZeroUsize {
        self.batch_size()
    }

    fn compute(&self, pairs: &[Pair<'_>], cache: &VectorCache, stats: &Stats) -> Result<Vec<Computed>, ScoreError> {
        let scored = self.score_batch(pairs, cache, stats)?.into_iter();
        let computed = scored.map(|pair| Computed {
            values: pair.scores.map_or_else(Values::without, |scores| Ok(Values::Scores(scores))),
            diagnostics: pair.notes.diagnostics(),
        });
        Ok(computed.collect())
    }
}

#[cfg(feature = "parquet")]
impl Compute for Embedder {
    fn batch_size(&self) -> NonZeroUsize {
        self.batch_size()
    }

    fn compute(&self, pairs: &[Pair<'_>], cache: &VectorCache, stats: &Stats) -> Result<Vec<Computed>, ScoreError> {
        let embedded = self.embed_batch(pairs, cache, stats)?.into_iter();
        let computed = embedded.map(|pair| Computed {
            values: pair.vectors.map(Values::Vectors),
            diagnostics: Diagnostics { truncated: Some(pair.is_truncated), ..Diagnostics::default() },
        });
        Ok(computed.collect())
    }
}
