//! A part of a table that is read from its start: the rows of other parts are passed over.
//!
//! In text, a row belongs to the part in whose share of the bytes it begins, so that nothing need be counted first.
//! Where the bytes of a row are not known (text that is compressed, Arrow), rows are counted, for which the table is
//! read once more.

use super::{Layout, OpenTable, Position, ReadTable, TableError};
use crate::row::Row;
use crate::shard::Shard;

/// How a table is divided.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    /// By where rows begin, of so many bytes.
    Bytes(u64),
    /// By their numbers, of so many rows.
    Rows(u64),
}

/// The part of a table.
pub(super) fn part_of(table: OpenTable, shard: Shard, measure: Measure) -> OpenTable {
    let OpenTable { reader, layout } = table;
    if shard.index() + 1 < shard.count().get() {
        end_at_last_row(&layout);
    }
    OpenTable { reader: Box::new(PartReader { table: reader, shard, measure, rows: 0, is_over: false }), layout }
}

/// What comes after the last row belongs to the last part.
fn end_at_last_row(layout: &Layout) {
    match layout {
        Layout::Delimited(layout) => layout.end_at_last_row(),
        Layout::Json(layout) => layout.end_at_last_row(),
        Layout::Compressed(layout, _) => end_at_last_row(layout),
        _ => {}
    }
}

/// How many rows are left of a table.
pub(super) fn count(mut table: OpenTable) -> Result<u64, TableError> {
    let mut rows = 0;
    while table.reader.read()?.is_some() {
        rows += 1;
    }
    Ok(rows)
}

struct PartReader {
    table: Box<dyn ReadTable>,
    shard: Shard,
    measure: Measure,
    /// How many rows of the part were read.
    rows: u64,
    is_over: bool,
}

impl ReadTable for PartReader {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        while !self.is_over {
            let start = self.table.position().bytes_read;
            let Some(row) = self.table.read()? else { break };
            let place = match self.measure {
                Measure::Bytes(total) => self.shard.place(start, total),
                Measure::Rows(total) => self.shard.place(row.number - 1, total),
            };
            if place == self.shard.index() {
                self.rows += 1;
                return Ok(Some(row));
            }
            self.is_over = place > self.shard.index();
        }
        self.is_over = true;
        Ok(None)
    }

    /// Of the part, as if it had its share of the bytes.
    fn position(&self) -> Position {
        let whole = self.table.position();
        let total = whole.total_bytes.map(|total| total / u64::from(self.shard.count().get()));
        let before = total.map_or(0, |total| total * u64::from(self.shard.index()));
        Position { rows: self.rows, bytes_read: whole.bytes_read.saturating_sub(before), total_bytes: total }
    }
}
