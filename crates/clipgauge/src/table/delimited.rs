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
use super::number::write_f32;
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
    let Columns { image, caption, added } = Columns::find(&names, options)?;

    let rest = Rest::default();
    let layout = DelimitedLayout { bom, header, delimiter, added, rest: Arc::clone(&rest) };
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
    rest: Rest,
}

impl DelimitedLayout {
    pub(super) fn added(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|added| added.name.as_str())
    }

    pub(super) fn into_added(self) -> Vec<Added> {
        self.added
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
        let name = |index: usize, line: &mut Vec<u8>| match self.added[index].replaces {
            Some(replaced) => line.extend_from_slice(header.raw(replaced).unwrap_or_default()),
            None => write_cell(line, self.added[index].name.as_bytes(), self.delimiter),
        };
        write_record(&mut line, &header, width, self.delimiter, &self.added, name);
        out.write_all(&line).map_err(TableError::Write)?;
        let lacks = lacking(&header, width, &self.added);
        Ok(DelimitedWriter { out, line, lacks, delimiter: self.delimiter, added: self.added, rest: self.rest })
    }
}

/// Writes the rows of a delimited table.
pub(super) struct DelimitedWriter<'a> {
    out: Box<dyn Write + Send + 'a>,
    line: Vec<u8>,
    /// What the last line lacks, for another to follow: the last one of a table need have no ending.
    lacks: &'static [u8],
    delimiter: u8,
    added: Vec<Added>,
    rest: Rest,
}

impl WriteTable for DelimitedWriter<'_> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        let Record::Delimited(DelimitedRecord { raw, width }) = record else { return Err(super::foreign_record()) };
        let delimiter = self.delimiter;
        self.line.clear();
        self.line.extend_from_slice(self.lacks);
        self.lacks = lacking(&raw, width, &self.added);
        let cell = |index: usize, line: &mut Vec<u8>| match cells.get(index) {
            Some(Cell::Score(Some(score))) => {
                let mut number = Vec::new();
                write_f32(&mut number, *score);
                write_cell(line, &number, delimiter);
            }
            Some(Cell::ErrorKind(Some(kind))) => write_cell(line, kind.name().as_bytes(), delimiter),
            Some(Cell::Score(None) | Cell::ErrorKind(None)) | None => {}
        };
        write_record(&mut self.line, &raw, width, delimiter, &self.added, cell);
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

/// What a written record lacks before another can follow.
fn lacking(record: &RawRecord, width: usize, added: &[Added]) -> &'static [u8] {
    let last = record.len().max(width) - 1;
    let is_closed = added.iter().any(|column| column.replaces.is_none_or(|replaced| replaced == last));
    match record.ending() {
        [] if record.has_open_quote() && !is_closed => b"\"\n",
        [] => b"\n",
        _ => b"",
    }
}

/// Writes a record with its new cells; `cell` writes the one of an added column.
fn write_record(
    line: &mut Vec<u8>,
    record: &RawRecord,
    width: usize,
    delimiter: u8,
    added: &[Added],
    cell: impl Fn(usize, &mut Vec<u8>),
) {
    let fields = record.len().max(width);
    let appends = added.iter().any(|column| column.replaces.is_none());
    line.extend_from_slice(record.lead());
    for index in 0..fields {
        if index > 0 {
            line.push(delimiter);
        }
        match added.iter().position(|column| column.replaces == Some(index)) {
            Some(column) => cell(column, line),
            None => {
                line.extend_from_slice(record.raw(index).unwrap_or_default());
                let is_followed = index + 1 < fields || (appends && index + 1 == width);
                if record.has_open_quote() && index + 1 == record.len() && is_followed {
                    // Left open, the quote would take the cells behind it into its own.
                    line.push(QUOTE);
                }
            }
        }
        if index + 1 == width {
            for (column, _) in added.iter().enumerate().filter(|(_, column)| column.replaces.is_none()) {
                line.push(delimiter);
                cell(column, line);
            }
        }
    }
    line.extend_from_slice(record.ending());
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
