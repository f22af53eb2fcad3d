//! The end of the way for a run of scores: cells in the table that was read.

use super::compute::Values;
use crate::row::RowError;
use crate::table::{Cell, Record, TableError, WriteTable};

/// Takes the rows in their order, each with what was computed for it.
pub(super) trait WriteRows: Send {
    /// Writes a row that has values, or failed.
    fn write(&mut self, record: Record, values: Result<&Values, &RowError>) -> Result<(), TableError>;

    /// Hands on what was written so far.
    fn flush(&mut self) -> Result<(), TableError>;

    /// Writes what comes after the last row.
    fn finish(&mut self) -> Result<(), TableError>;

    /// Ends before the last row, so that what was written so far can be read.
    fn finish_early(&mut self) -> Result<(), TableError>;
}

/// The columns that a run adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddedColumns {
    /// How many have scores.
    pub(super) scores: usize,
    /// Whether there is one with the kind of error.
    pub(super) has_error: bool,
}

/// Rows with their scores.
pub(super) struct ScoredRows<'a> {
    table: Box<dyn WriteTable + 'a>,
    columns: AddedColumns,
    cells: Vec<Cell>,
}

impl<'a> ScoredRows<'a> {
    pub(super) fn new(table: Box<dyn WriteTable + 'a>, columns: AddedColumns) -> Self {
        Self { table, columns, cells: Vec::new() }
    }
}

impl WriteRows for ScoredRows<'_> {
    fn write(&mut self, record: Record, values: Result<&Values, &RowError>) -> Result<(), TableError> {
        let scores = values.map(Values::scores);
        self.cells.clear();
        self.cells.extend((0..self.columns.scores).map(|column| Cell::Score(scores.ok().map(|scores| scores[column]))));
        if self.columns.has_error {
            self.cells.push(Cell::ErrorKind(scores.err().map(|error| error.kind)));
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
