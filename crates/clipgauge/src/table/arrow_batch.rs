//! A batch of Arrow's, read row by row, whatever file it came in.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use super::arrow_record::{ArrowRecord, Rows};
use super::arrow_rows::Pairs;
use crate::row::RowImage;

/// A batch, and how far it was read.
pub(super) struct Batch {
    pub(super) rows: Arc<Rows>,
    pairs: Pairs,
    next: usize,
}

/// A row of a batch.
pub(super) struct BatchRow {
    pub(super) image: Option<RowImage>,
    pub(super) caption: Option<String>,
    pub(super) record: ArrowRecord,
}

impl Batch {
    /// A batch whose columns `image` and `caption` are looked at.
    pub(super) fn new(batch: RecordBatch, image: usize, caption: usize) -> Result<Self, ArrowError> {
        let pairs = Pairs::of(&batch, image, caption)?;
        Ok(Self { rows: Rows::new(batch), pairs, next: 0 })
    }

    /// The next row; `None` after the last.
    pub(super) fn next_row(&mut self) -> Option<BatchRow> {
        let row = self.next;
        if row == self.rows.batch.num_rows() {
            return None;
        }
        self.next += 1;
        let (image, caption) = (self.pairs.image(row), self.pairs.caption(row));
        Some(BatchRow { image, caption, record: ArrowRecord::new(&self.rows, row) })
    }
}
