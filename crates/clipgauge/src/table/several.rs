//! Several tables, read one after the other. They are [joined] into one, or each is written [apart].
//!
//! Only one is open at a time. What can be known of the others before a long run is: that they are there, and that their
//! columns are.

pub(super) mod apart;
pub(super) mod joined;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::options::{Input, Part, ScoreOptions};
use crate::row::{Origin, Row};

use super::source::{TableSource, on_disk};
use super::{Compression, PartRecord, Position, ReadTable, Record, TableError, TableFormat, format_of};

/// Opens one table after the other, and hands on to the writer what it has to know of each.
trait OpenPart: Send {
    /// Opens a table to read its rows; gives the names of its columns, too.
    fn open(&mut self, part: &Part) -> Result<(Box<dyn ReadTable>, Vec<String>), TableError>;
}

/// Reads the rows of all tables.
struct SeveralReader<O> {
    opener: O,
    waiting: VecDeque<Part>,
    current: Option<Current>,
    /// How many tables were opened.
    opened: usize,
    /// Whether records say which table they are of.
    names_parts: bool,
    /// The rows and bytes of the tables that were read to their ends.
    before: Position,
    /// The rows that these tables say they have.
    said: u64,
}

struct Current {
    reader: Box<dyn ReadTable>,
    origin: Arc<Origin>,
    size: Option<u64>,
}

impl<O: OpenPart> SeveralReader<O> {
    /// Begins with the first table, so that its columns are known.
    fn begin(parts: &[Part], opener: O, names_parts: bool) -> Result<Self, TableError> {
        let total_bytes = parts.iter().map(|part| size_of(&part.input)).sum();
        let before = Position { rows: 0, bytes_read: 0, total_bytes };
        let mut several = Self {
            opener,
            waiting: parts.iter().cloned().collect(),
            current: None,
            opened: 0,
            names_parts,
            before,
            said: 0,
        };
        several.open_next()?;
        Ok(several)
    }

    /// Opens the next table, if there is one.
    fn open_next(&mut self) -> Result<bool, TableError> {
        let Some(part) = self.waiting.pop_front() else { return Ok(false) };
        tracing::debug!(input = %part.input, "opening the next table");
        let (reader, columns) = self.opener.open(&part)?;
        let origin = Origin { name: part.input.to_string(), base: part.input.base().to_owned(), columns };
        self.current = Some(Current { reader, origin: Arc::new(origin), size: size_of(&part.input) });
        self.opened += 1;
        Ok(true)
    }
}

impl<O: OpenPart> ReadTable for SeveralReader<O> {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(mut row) = current.reader.read()? {
                    row.origin = Some(Arc::clone(&current.origin));
                    row.record = match row.record {
                        record if self.names_parts => {
                            Record::Part(PartRecord { part: self.opened - 1, record: Box::new(record) })
                        }
                        Record::InFile(row) => Record::InFile(self.said + row),
                        #[cfg(feature = "parquet")]
                        Record::InFileAndHere(row, here) => Record::InFileAndHere(self.said + row, here),
                        record => record,
                    };
                    return Ok(Some(row));
                }
                self.said += current.reader.total_rows().unwrap_or_default();
                self.before.rows += current.reader.position().rows;
                self.before.bytes_read += current.size.unwrap_or_default();
                self.current = None;
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }

    fn position(&self) -> Position {
        let Position { rows, bytes_read, total_bytes } = self.before;
        match self.current.as_ref().map(|current| current.reader.position()) {
            Some(here) => Position { rows: rows + here.rows, bytes_read: bytes_read + here.bytes_read, total_bytes },
            None => self.before,
        }
    }
}

/// How many bytes there are to read, where that is known.
fn size_of(input: &Input) -> Option<u64> {
    let Input::File(path) = input else { return None };
    let metadata = on_disk(path).metadata().ok().filter(std::fs::Metadata::is_file)?;
    Compression::of_path(path).is_none().then_some(metadata.len())
}

/// Whether a table can be looked at before its turn: what comes through a pipe comes once.
fn can_be_checked(part: &Part) -> bool {
    matches!(&part.input, Input::File(path) if !crate::atomic::is_special(path))
}

/// Looks at a table before its turn. Its first samples are too much to look at where there may be thousands of shards:
/// of those, only that they are there.
fn check(options: &ScoreOptions, open: impl FnOnce() -> Result<(), TableError>) -> Result<(), TableError> {
    match (&options.input, format_of(options)?) {
        (Input::File(_), Some(TableFormat::WebDataset)) => TableSource::open(options).map(drop),
        _ => open(),
    }
}
