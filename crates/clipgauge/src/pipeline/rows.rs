//! The end of the way for a run of scores: cells in the table that was read.

use super::compute::Values;
use super::saving::{ImageShards, Spooled};
use crate::diagnostics::Diagnostics;
use crate::filters::{DropReason, Filters};
use crate::options::ScoreOptions;
use crate::row::RowError;
use crate::stats::Stats;
use crate::table::{Cell, Record, TableError, WriteTable};

/// Takes the rows in their order, each with what was computed for it.
pub(super) trait WriteRows: Send {
    /// Writes a row that has values, or failed, and what else is known of it; `picture` is what is saved of it, if it is.
    fn write(
        &mut self,
        record: Record,
        values: Result<&Values, &RowError>,
        known: &Diagnostics,
        picture: Option<Spooled>,
    ) -> Result<(), TableError>;

    /// Hands on what was written so far.
    fn flush(&mut self) -> Result<(), TableError>;

    /// Writes what comes after the last row.
    fn finish(&mut self) -> Result<(), TableError>;

    /// Ends before the last row, so that what was written so far can be read.
    fn finish_early(&mut self) -> Result<(), TableError>;
}

impl<W: WriteRows> WriteRows for &mut W {
    fn write(
        &mut self,
        record: Record,
        values: Result<&Values, &RowError>,
        known: &Diagnostics,
        picture: Option<Spooled>,
    ) -> Result<(), TableError> {
        (**self).write(record, values, known, picture)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        (**self).flush()
    }

    fn finish(&mut self) -> Result<(), TableError> {
        (**self).finish()
    }

    fn finish_early(&mut self) -> Result<(), TableError> {
        (**self).finish_early()
    }
}

/// The columns that a run adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddedColumns {
    /// How many have scores.
    pub(super) scores: usize,
    /// Whether there is one with the kind of error.
    pub(super) has_error: bool,
    /// Whether there are those of diagnostics.
    pub(super) has_diagnostics: bool,
}

impl AddedColumns {
    /// Those that the options say.
    pub(super) fn of(options: &ScoreOptions) -> Self {
        Self {
            scores: options.score_columns().len(),
            has_error: options.error_column.is_some(),
            has_diagnostics: options.diagnostics,
        }
    }

    /// The cells of a row.
    pub(super) fn cells(self, values: Result<&Values, &RowError>, known: &Diagnostics) -> impl Iterator<Item = Cell> {
        let (scores, error) = match values {
            Ok(values) => (values.scores(), None),
            Err(error) => (&[][..], Some(error.kind)),
        };
        let score = move |column: usize| Cell::Score(scores.get(column).copied());
        let known = self.has_diagnostics.then(|| known.cells(error));
        let error = self.has_error.then_some(Cell::ErrorKind(error));
        (0..self.scores).map(score).chain(error).chain(known.into_iter().flatten())
    }
}

/// Rows with their scores.
pub(super) struct ScoredRows<'a> {
    table: Box<dyn WriteTable + 'a>,
    columns: AddedColumns,
    filters: &'a Filters,
    stats: &'a Stats,
    cells: Vec<Cell>,
    /// Where pictures are saved, if they are.
    shards: Option<&'a mut ImageShards>,
}

impl<'a> ScoredRows<'a> {
    /// Rows that go to `table` if `filters` let them, and their pictures to `shards`.
    pub(super) fn new(
        table: Box<dyn WriteTable + 'a>,
        columns: AddedColumns,
        filters: &'a Filters,
        stats: &'a Stats,
        shards: Option<&'a mut ImageShards>,
    ) -> Self {
        Self { table, columns, filters, stats, cells: Vec::new(), shards }
    }
}

/// Why a row is not written; `None` for one that is.
pub(super) fn drop_reason(filters: &Filters, values: Result<&Values, &RowError>) -> Option<DropReason> {
    match values {
        Ok(Values::Dropped(reason)) => Some(*reason),
        Ok(values) => filters.drops(values.scores().first().copied()),
        Err(_) => filters.drops_failed().then_some(DropReason::Failed),
    }
}

impl WriteRows for ScoredRows<'_> {
    fn write(
        &mut self,
        record: Record,
        values: Result<&Values, &RowError>,
        known: &Diagnostics,
        picture: Option<Spooled>,
    ) -> Result<(), TableError> {
        if let Some(reason) = drop_reason(self.filters, values) {
            self.stats.dropped(reason);
            return Ok(());
        }
        self.cells.clear();
        self.cells.extend(self.columns.cells(values, known));
        if let (Some(shards), Some(picture)) = (&mut self.shards, picture) {
            shards.add(&picture).map_err(TableError::Place)?;
        }
        self.table.write(record, &self.cells)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.table.flush()
    }

    fn finish(&mut self) -> Result<(), TableError> {
        self.table.finish()
    }

    fn finish_early(&mut self) -> Result<(), TableError> {
        self.table.finish_early()
    }
}
