//! Rows that need not be fetched or computed, because an earlier run has them.

use super::ScoreTableError;
use super::compute::Values;
use super::earlier::EarlierScores;
use crate::diagnostics::Diagnostics;
use crate::journal::{self, Finished, Replay};
use crate::row::{Row, RowError};

/// What is known of a row.
pub(super) struct Known {
    pub(super) values: Result<Values, RowError>,
    pub(super) diagnostics: Diagnostics,
}

/// Where an earlier run left its rows.
#[derive(Default)]
pub(super) struct KnownRows {
    /// A journal. `None` where none is written either.
    journal: Option<Replay>,
    /// A whole output.
    earlier: Option<EarlierScores>,
}

impl KnownRows {
    pub(super) fn new(journal: Option<Replay>, earlier: Option<EarlierScores>) -> Self {
        Self { journal, earlier }
    }

    /// By which the journal will know the row again.
    pub(super) fn hash(&self, row: &Row) -> u64 {
        self.journal.as_ref().map_or(0, |_| journal::row_hash(row))
    }

    /// What is known of the row `index`, if anything is. Rows have to be asked for in their order, and each.
    pub(super) fn of(&mut self, index: u64, row: &Row, hash: u64) -> Result<Option<Known>, ScoreTableError> {
        let kept = self.earlier.as_mut().map_or(Ok(None), |earlier| earlier.next(row))?;
        let finished = self.journal.as_mut().map_or(Ok(None), |journal| journal.take(index, hash))?;
        Ok(match (kept, finished) {
            (Some(scores), _) => {
                Some(Known { values: Ok(Values::Scores(scores)), diagnostics: Diagnostics::default() })
            }
            (None, Some(Finished { done, dropped, diagnostics })) => {
                let values = done.map(|scores| dropped.map_or(Values::Scores(scores), Values::Dropped));
                Some(Known { values, diagnostics })
            }
            (None, None) => None,
        })
    }

    /// Makes sure that the earlier run had no more rows, now that the table is at its end.
    pub(super) fn end(&mut self) -> Result<(), ScoreTableError> {
        Ok(self.earlier.as_mut().map_or(Ok(()), EarlierScores::end)?)
    }
}
