//! Pairs in memory, read as the rows of a table are.

use std::vec::IntoIter;

use crate::row::{Row, RowImage};
use crate::table::{Position, ReadTable, Record, TableError};

/// An image and a caption; `None` for one that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRow {
    /// The image: its address, its file's bytes or its pixels.
    pub image: Option<RowImage>,
    /// The caption.
    pub caption: Option<String>,
}

/// Pairs that are read one after the other.
pub(super) struct Pairs {
    pairs: IntoIter<PairRow>,
    read: u64,
}

impl Pairs {
    pub(super) fn new(pairs: Vec<PairRow>) -> Self {
        Self { pairs: pairs.into_iter(), read: 0 }
    }
}

impl ReadTable for Pairs {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        let Some(PairRow { image, caption }) = self.pairs.next() else { return Ok(None) };
        self.read += 1;
        // There is nothing to be written again.
        Ok(Some(Row {
            number: self.read,
            image,
            caption,
            error: None,
            origin: None,
            record: Record::Texts(Vec::new()),
        }))
    }

    fn position(&self) -> Position {
        Position { rows: self.read, bytes_read: 0, total_bytes: None }
    }
}
