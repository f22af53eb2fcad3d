//! CSV and TSV: every record is kept as it stood, and written again with the new cells in their columns.
//!
//! TSV has the quotes of CSV. A row with fewer fields than the header is filled up with empty cells, so that its score
//! lands in its column; one with more keeps its surplus behind it. Lines without a byte pass through and are no rows,
//! in a table of one column too, as the `csv` crate and pandas read them.

use std::io::{BufReader, Read, Write};
use std::mem;
use std::sync::{Arc, OnceLock};

use memchr::memchr3;

use crate::options::ScoreOptions;
use crate::row::{Row, RowError, RowErrorKind, RowImage};

use super::columns::{Added, Columns};
use super::kept::Kept;
use super::scan::{QUOTE, RawRecord, Scanned, Scanner};
use super::{Cell, Position, ReadTable, Record, TableError, WriteTable, sniff};

/// How much is read from the input at once, in bytes.
const READ_BUFFER: usize = 256 << 10;

/// A record of a delimited table: its bytes, and where its fields are.
#[derive(Debug)]
pub struct DelimitedRecord {
    raw: RawRecord,
    /// The number of fields that the header has.
    width: usize,
}

impl DelimitedRecord {
    pub(super) fn size(&self) -> usize {
        self.raw.size()
    }

    pub(super) fn texts(&self) -> Vec<Option<String>> {
        (0..self.width).map(|index| self.raw.value(index).map(text_of)).collect()
    }

    pub(super) fn is_ragged(&self) -> bool {
        self.raw.len() != self.width
    }

    pub(super) fn has_open_quote(&self) -> bool {
        self.raw.has_open_quote()
    }

    pub(super) fn is_utf8(&self) -> bool {
        self.raw.is_utf8()
    }
}

type Input = BufReader<Box<dyn Read + Send>>;

/// The blank lines after the last record, which the reader finds and the writer writes.
type Rest = Arc<OnceLock<Vec<u8>>>;

/// Reads the header and finds the columns.
pub(super) fn open(
    input: Box<dyn Read + Send>,
    total_bytes: Option<u64>,
    delimiter: u8,
    options: &ScoreOptions,
) -> Result<(DelimitedReader, DelimitedLayout), TableError> {
    let name = options.input.to_string();
    let sniff::Text { bom, rest: text } = sniff::begin(input, &options.input)?;
    let mut scanner = Scanner::new(BufReader::with_capacity(READ_BUFFER, text), delimiter);
    let header = match next(&mut scanner, &name, None)? {
        Scanned::Record(header) => header,
        Scanned::End(_) | Scanned::TooLong => return Err(TableError::NoHeader { name }),
    };
    let names = names_of(&header);
    let Columns { image, caption, added, kept } = Columns::find(&names, options)?;

    let rest = Rest::default();
    let layout = DelimitedLayout { bom, header, delimiter, added, kept, rest: Arc::clone(&rest) };
    let width = layout.header.len();
    let bom_bytes = bom.len() as u64;
    Ok((DelimitedReader { scanner, name, image, caption, width, bom_bytes, total_bytes, rows: 0, rest }, layout))
}

fn names_of(header: &RawRecord) -> Vec<String> {
    (0..header.len()).filter_map(|index| header.value(index)).map(text_of).collect()
}

/// A cell as text: what is not UTF-8 becomes U+FFFD, as in most readers that do not refuse it.
fn text_of(value: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(value.as_ref()).into_owned()
}

fn next(scanner: &mut Scanner<Input>, name: &str, row: Option<u64>) -> Result<Scanned, TableError> {
    match scanner.next() {
        Ok(Scanned::TooLong) => Err(TableError::RecordTooLong { name: name.to_owned(), row }),
        Ok(scanned) => Ok(scanned),
        Err(source) => Err(TableError::Read { name: name.to_owned(), source }),
    }
}

/// Reads the rows of a delimited table.
pub(super) struct DelimitedReader {
    scanner: Scanner<Input>,
    name: String,
    image: usize,
    caption: usize,
    width: usize,
    bom_bytes: u64,
    total_bytes: Option<u64>,
    rows: u64,
    rest: Rest,
}

impl ReadTable for DelimitedReader {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        let raw = match next(&mut self.scanner, &self.name, Some(self.rows + 1))? {
            Scanned::Record(raw) => raw,
            Scanned::End(rest) => {
                // Only the first end has something before it: asked again, the input is still at its end.
                self.rest.get_or_init(|| rest);
                return Ok(None);
            }
            Scanned::TooLong => return Ok(None),
        };
        self.rows += 1;
        let image = raw.value(self.image);
        let error = image.as_ref().is_some_and(|bytes| std::str::from_utf8(bytes).is_err()).then(|| {
            RowError::new(RowErrorKind::BadAddress, "the image cell is not UTF-8, so that it names no file or URL")
        });
        Ok(Some(Row {
            number: self.rows,
            image: image.map(text_of).map(RowImage::Address),
            caption: raw.value(self.caption).map(text_of),
            error,
            origin: None,
            record: Record::Delimited(DelimitedRecord { raw, width: self.width }),
        }))
    }

    fn position(&self) -> Position {
        Position {
            rows: self.rows,
            bytes_read: self.bom_bytes + self.scanner.position(),
            total_bytes: self.total_bytes,
        }
    }
}

/// The header of a delimited table, and where the new columns go.
#[derive(Debug)]
pub struct DelimitedLayout {
    bom: &'static [u8],
    header: RawRecord,
    delimiter: u8,
    added: Vec<Added>,
    kept: Kept,
    rest: Rest,
}

impl DelimitedLayout {
    pub(super) fn added(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|added| added.name.as_str())
    }

    pub(super) fn into_columns(self) -> (Vec<Added>, Kept) {
        (self.added, self.kept)
    }

    /// Leaves blank lines after the last row to somebody else.
    pub(super) fn end_at_last_row(&self) {
        self.rest.get_or_init(Vec::new);
    }

    pub(super) fn names(&self) -> Vec<String> {
        names_of(&self.header)
    }

    /// Lets rows of more tables follow: what is at the end of the first is not that of the whole.
    pub(super) fn join_more(&mut self) {
        self.rest = Rest::default();
    }

    /// Writes the header and gives what writes the rows.
    pub(super) fn writer<'a>(mut self, mut out: Box<dyn Write + Send + 'a>) -> Result<DelimitedWriter<'a>, TableError> {
        let header = mem::take(&mut self.header);
        let width = header.len();
        let mut line = self.bom.to_vec();
        let shape = Shape { delimiter: self.delimiter, added: self.added, kept: self.kept };
        let name = |index: usize, line: &mut Vec<u8>| match shape.added[index].replaces {
            Some(replaced) => line.extend_from_slice(header.raw(replaced).unwrap_or_default()),
            None => write_cell(line, shape.added[index].name.as_bytes(), shape.delimiter),
        };
        shape.write(&mut line, &header, width, name);
        out.write_all(&line).map_err(TableError::Write)?;
        let lacks = shape.lacking(&header, width);
        Ok(DelimitedWriter { out, line, lacks, shape, rest: self.rest })
    }
}

/// Writes the rows of a delimited table.
pub(super) struct DelimitedWriter<'a> {
    out: Box<dyn Write + Send + 'a>,
    line: Vec<u8>,
    /// What the last line lacks, for another to follow: the last one of a table need have no ending.
    lacks: &'static [u8],
    shape: Shape,
    rest: Rest,
}

impl WriteTable for DelimitedWriter<'_> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        let Record::Delimited(DelimitedRecord { raw, width }) = record else { return Err(super::foreign_record()) };
        let delimiter = self.shape.delimiter;
        self.line.clear();
        self.line.extend_from_slice(self.lacks);
        self.lacks = self.shape.lacking(&raw, width);
        let cell = |index: usize, line: &mut Vec<u8>| {
            if let Some(text) = cells.get(index).and_then(Cell::text) {
                write_cell(line, text.as_bytes(), delimiter);
            }
        };
        self.shape.write(&mut self.line, &raw, width, cell);
        self.out.write_all(&self.line).map_err(TableError::Write)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.out.flush().map_err(TableError::Write)
    }

    fn finish(&mut self) -> Result<(), TableError> {
        let rest = self.rest.get().map_or(&[][..], Vec::as_slice);
        self.out.write_all(rest).map_err(TableError::Write)?;
        self.flush()
    }
}

/// Where the cells of a written record come from.
struct Shape {
    delimiter: u8,
    added: Vec<Added>,
    kept: Kept,
}

impl Shape {
    /// The added columns that take no other's place.
    fn appended(&self) -> impl Iterator<Item = (usize, &Added)> {
        self.added.iter().enumerate().filter(|(_, column)| column.replaces.is_none())
    }

    /// Whether cells are written behind the one with this index.
    fn is_followed(&self, index: usize, fields: usize, width: usize) -> bool {
        (index + 1..fields).any(|later| self.kept.has(later)) || (index < width && self.appended().next().is_some())
    }

    /// What a written record lacks before another can follow.
    fn lacking(&self, record: &RawRecord, width: usize) -> &'static [u8] {
        if !record.ending().is_empty() {
            return b"";
        }
        let (last, fields) = (record.len() - 1, record.len().max(width));
        let is_replaced = self.added.iter().any(|column| column.replaces == Some(last));
        let is_open =
            record.has_open_quote() && self.kept.has(last) && !is_replaced && !self.is_followed(last, fields, width);
        if is_open { b"\"\n" } else { b"\n" }
    }

    /// Writes a record with its new cells; `cell` writes the one of an added column.
    fn write(&self, line: &mut Vec<u8>, record: &RawRecord, width: usize, cell: impl Fn(usize, &mut Vec<u8>)) {
        let fields = record.len().max(width);
        line.extend_from_slice(record.lead());
        let start = line.len();
        let mut is_first = true;
        let mut separate = |line: &mut Vec<u8>| {
            if !std::mem::take(&mut is_first) {
                line.push(self.delimiter);
            }
        };
        for index in 0..fields {
            match self.added.iter().position(|column| column.replaces == Some(index)) {
                Some(column) => {
                    separate(line);
                    cell(column, line);
                }
                None if self.kept.has(index) => {
                    separate(line);
                    line.extend_from_slice(record.raw(index).unwrap_or_default());
                    if record.has_open_quote() && index + 1 == record.len() && self.is_followed(index, fields, width) {
                        // Left open, the quote would take the cells behind it into its own.
                        line.push(QUOTE);
                    }
                }
                None => {}
            }
            if index + 1 == width {
                for (column, _) in self.appended() {
                    separate(line);
                    cell(column, line);
                }
            }
        }
        if line.len() == start && !self.kept.is_all() {
            // A line without a byte would be no row.
            line.extend_from_slice(&[QUOTE, QUOTE]);
        }
        line.extend_from_slice(record.ending());
    }
}

/// Writes a cell, in quotes where it would be read as something else without.
fn write_cell(line: &mut Vec<u8>, value: &[u8], delimiter: u8) {
    if memchr3(delimiter, b'\n', b'\r', value).is_none() && !value.contains(&QUOTE) {
        line.extend_from_slice(value);
        return;
    }
    line.push(QUOTE);
    for &byte in value {
        if byte == QUOTE {
            line.push(QUOTE);
        }
        line.push(byte);
    }
    line.push(QUOTE);
}

#[cfg(test)]
mod tests;
