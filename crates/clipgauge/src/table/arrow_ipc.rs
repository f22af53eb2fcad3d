//! Arrow's own files and streams: batches are read, get their new columns and are written again, one at a time.
//!
//! What a file is, its first bytes say, whatever its name: the Hugging Face libraries call streams `.arrow` too. A table
//! stays the one or the other, and its batches as they are cut and compressed.

mod compression;
mod join;

use std::io::{BufReader, Read, Seek, Write};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float32Array, Int64Array, RecordBatch, RecordBatchReader, StringArray};
use arrow_buffer::BooleanBufferBuilder;
use arrow_ipc::CompressionType;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use arrow_select::filter::filter_record_batch;

use crate::options::ScoreOptions;
use crate::row::Row;
use crate::vectors::of_arrow;

use super::arrow_batch::{Batch, BatchRow};
use super::arrow_record::{ArrowRecord, Rows};
use super::arrow_rows;
use super::arrow_schema::with_columns;
use super::columns::Added;
use super::kept::Kept;
use super::schema::Schema;
use super::{Cell, CellKind, Position, ReadTable, Record, TableError, WriteTable};

pub(super) use join::join;

/// Opens a file of either kind.
pub(super) fn open_file(
    mut file: impl Read + Seek + Send + 'static,
    total_bytes: u64,
    options: &ScoreOptions,
) -> Result<(ArrowReader, ArrowLayout), TableError> {
    let name = options.input.to_string();
    let fails = |source| TableError::Read { name: name.clone(), source };
    let mut start = Vec::new();
    (&mut file).take(compression::MAGIC.len() as u64).read_to_end(&mut start).map_err(fails)?;
    let is_stream = start != compression::MAGIC;
    let codec = compression::of(&mut file, is_stream);
    file.rewind().map_err(fails)?;
    if is_stream {
        return open_stream(Box::new(BufReader::new(file)), Some(total_bytes), codec, options);
    }
    let reader = guarded(|| FileReader::try_new(BufReader::new(file), None));
    let reader = reader.map_err(|error| damaged(&name, None, error))?;
    let (schema, total_batches) = (reader.schema(), reader.num_batches());
    let batches = reader.map(|batch| batch.map(|batch| (batch, None)));
    let total = Total::Batches { batches: total_batches as u64, bytes: total_bytes };
    open(Box::new(batches), &schema, total, Kind { is_stream, codec }, options)
}

/// Opens a stream.
pub(super) fn open_stream(
    input: Box<dyn Read + Send>,
    total_bytes: Option<u64>,
    codec: Option<CompressionType>,
    options: &ScoreOptions,
) -> Result<(ArrowReader, ArrowLayout), TableError> {
    let name = options.input.to_string();
    let reader = guarded(|| StreamReader::try_new(Counted { input, bytes: 0 }, None));
    let mut reader = reader.map_err(|error| damaged(&name, None, error))?;
    let schema = reader.schema();
    let batches = std::iter::from_fn(move || {
        let batch = reader.next()?;
        Some(batch.map(|batch| (batch, Some(reader.get_ref().bytes))))
    });
    open(Box::new(batches), &schema, Total::Bytes(total_bytes), Kind { is_stream: true, codec }, options)
}

/// Opens batches that are in memory, or come from anywhere else.
pub(super) fn open_batches(
    reader: Box<dyn RecordBatchReader + Send>,
    total_rows: Option<u64>,
    options: &ScoreOptions,
) -> Result<(ArrowReader, ArrowLayout), TableError> {
    let schema = reader.schema();
    let batches = reader.map(|batch| batch.map(|batch| (batch, None)));
    let total = total_rows.map_or(Total::Bytes(None), Total::Rows);
    open(Box::new(batches), &schema, total, Kind { is_stream: true, codec: None }, options)
}

fn open(
    batches: Batches,
    schema: &SchemaRef,
    total: Total,
    kind: Kind,
    options: &ScoreOptions,
) -> Result<(ArrowReader, ArrowLayout), TableError> {
    let columns = arrow_rows::find(schema, options)?;
    let layout = ArrowLayout {
        names: arrow_rows::names(schema),
        pair: [columns.image, columns.caption],
        old: Arc::clone(schema),
        schema: Arc::new(with_columns(schema, &columns.added, &columns.kept)),
        added: columns.added,
        kept: columns.kept,
        kind,
    };
    let reader = ArrowReader {
        batches,
        name: options.input.to_string(),
        image: columns.image,
        caption: columns.caption,
        batch: None,
        rows: 0,
        taken: 0,
        bytes: 0,
        total,
    };
    Ok((reader, layout))
}

/// Batches, each with how many bytes were read up to its end where that is known.
type Batches = Box<dyn Iterator<Item = Result<(RecordBatch, Option<u64>), ArrowError>> + Send>;

/// Whether a table is a stream, and how it is compressed.
#[derive(Debug, Clone, Copy)]
struct Kind {
    is_stream: bool,
    codec: Option<CompressionType>,
}

/// What is known of the length of a table.
#[derive(Debug, Clone, Copy)]
enum Total {
    Batches { batches: u64, bytes: u64 },
    Bytes(Option<u64>),
    Rows(u64),
}

/// An input whose bytes are counted.
struct Counted {
    input: Box<dyn Read + Send>,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(into)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Runs what reads foreign bytes. A library that panics over them has met a file that nobody foresaw: that is an error.
fn guarded<T>(read: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, ArrowError> {
    panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ArrowError::IpcError("reading it made the program panic".to_owned())))
}

fn damaged(name: &str, row: Option<u64>, error: ArrowError) -> TableError {
    TableError::Damaged { name: name.to_owned(), what: "Arrow", row, source: of_arrow(error) }
}

/// Reads the rows of an Arrow table.
pub(super) struct ArrowReader {
    batches: Batches,
    name: String,
    image: usize,
    caption: usize,
    batch: Option<Batch>,
    rows: u64,
    /// How many batches were taken.
    taken: u64,
    bytes: u64,
    total: Total,
}

impl ArrowReader {
    fn next_batch(&mut self) -> Result<Option<Batch>, ArrowError> {
        while let Some((batch, bytes)) = self.batches.next().transpose()? {
            self.taken += 1;
            self.bytes = match self.total {
                Total::Batches { batches, bytes } => bytes / batches.max(1) * self.taken,
                Total::Bytes(_) | Total::Rows(_) => bytes.unwrap_or_default(),
            };
            if batch.num_rows() > 0 {
                return Batch::new(batch, self.image, self.caption).map(Some);
            }
        }
        Ok(None)
    }
}

impl ReadTable for ArrowReader {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        let mut row = self.batch.as_mut().and_then(Batch::next_row);
        if row.is_none() {
            self.batch = None;
            let next = guarded(|| self.next_batch());
            self.batch = next.map_err(|error| damaged(&self.name, Some(self.rows + 1), error))?;
            row = self.batch.as_mut().and_then(Batch::next_row);
        }
        let Some(BatchRow { image, caption, record }) = row else { return Ok(None) };
        self.rows += 1;
        let record = Record::Arrow(record);
        Ok(Some(Row { number: self.rows, image, caption, error: None, origin: None, record }))
    }

    fn position(&self) -> Position {
        let total_bytes = match self.total {
            Total::Batches { bytes, .. } => Some(bytes),
            Total::Bytes(bytes) => bytes,
            Total::Rows(_) => None,
        };
        Position { rows: self.rows, bytes_read: self.bytes, total_bytes }
    }

    fn total_rows(&self) -> Option<u64> {
        match self.total {
            Total::Rows(rows) => Some(rows),
            Total::Batches { .. } | Total::Bytes(_) => None,
        }
    }
}

/// What the written table looks like.
#[derive(Debug)]
pub struct ArrowLayout {
    names: Vec<String>,
    /// The image's and the caption's column.
    pair: [usize; 2],
    /// The columns of the table that was read.
    old: SchemaRef,
    /// Those of the one that is written.
    schema: SchemaRef,
    added: Vec<Added>,
    kept: Kept,
    kind: Kind,
}

impl ArrowLayout {
    pub(super) fn added(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|column| column.name.as_str())
    }

    pub(super) fn into_columns(self) -> (Vec<Added>, Kept) {
        (self.added, self.kept)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    pub(super) fn pair(&self) -> [usize; 2] {
        self.pair
    }

    /// The columns of the old table, as another's have to be for its batches to go into one with these.
    pub(super) fn schema(&self) -> Schema {
        Schema::Arrow(Arc::clone(&self.old))
    }

    /// Whether batches of another table can follow: of a column with a dictionary, a file takes only one.
    pub(super) fn can_join(&self) -> bool {
        self.kind.is_stream || !self.schema.fields().iter().any(|field| has_dictionary(field.data_type()))
    }

    /// Begins the table.
    pub(super) fn writer<'a>(self, out: Box<dyn Write + Send + 'a>) -> Result<ArrowWriter<'a>, TableError> {
        let (kind, schema) = (self.kind, self.written_schema());
        let options = IpcWriteOptions::default().try_with_compression(kind.codec).map_err(write_error)?;
        let out = if kind.is_stream {
            Out::Stream(StreamWriter::try_new_with_options(out, &schema, options).map_err(write_error)?)
        } else {
            Out::File(FileWriter::try_new_with_options(out, &schema, options).map_err(write_error)?)
        };
        Ok(self.onto(out))
    }

    /// What the written batches look like.
    pub(crate) fn written_schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Begins a table whose batches are not written, but given to `take`.
    pub(crate) fn batches<'a>(self, take: impl FnMut(RecordBatch) + Send + 'a) -> Box<dyn WriteTable + 'a> {
        Box::new(self.onto(Out::Taken(Box::new(take))))
    }

    fn onto(self, out: Out<'_>) -> ArrowWriter<'_> {
        let Self { schema, added, kept, .. } = self;
        ArrowWriter { out, schema, cells: added.iter().map(|_| Vec::new()).collect(), added, kept, batch: None }
    }
}

fn has_dictionary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_dictionary(field.data_type())),
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| has_dictionary(field.data_type())),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => has_dictionary(field.data_type()),
        DataType::RunEndEncoded(_, field) => has_dictionary(field.data_type()),
        _ => false,
    }
}

enum Out<'a> {
    File(FileWriter<Box<dyn Write + Send + 'a>>),
    Stream(StreamWriter<Box<dyn Write + Send + 'a>>),
    Taken(Box<dyn FnMut(RecordBatch) + Send + 'a>),
}

/// Writes an Arrow table, a batch at a time.
pub(super) struct ArrowWriter<'a> {
    out: Out<'a>,
    schema: SchemaRef,
    added: Vec<Added>,
    kept: Kept,
    /// The cells of the batch under way, a list for each column.
    cells: Vec<Vec<Cell>>,
    /// A batch of which rows wait to be written.
    batch: Option<Waiting>,
}

/// Rows of one batch, in their order.
struct Waiting {
    rows: Arc<Rows>,
    /// Which they are.
    chosen: Vec<usize>,
}

impl Waiting {
    /// The rows as a batch of their own.
    fn take(self) -> Result<RecordBatch, ArrowError> {
        let Self { rows, chosen } = self;
        let (first, count) = (chosen[0], chosen.len());
        if chosen[count - 1] - first + 1 == count {
            return Ok(rows.batch.slice(first, count));
        }
        let mut is_chosen = BooleanBufferBuilder::new(rows.batch.num_rows());
        is_chosen.append_n(rows.batch.num_rows(), false);
        chosen.into_iter().for_each(|row| is_chosen.set_bit(row, true));
        filter_record_batch(&rows.batch, &BooleanArray::new(is_chosen.finish(), None))
    }
}

impl ArrowWriter<'_> {
    fn write_waiting(&mut self) -> Result<(), ArrowError> {
        let Some(waiting) = self.batch.take() else { return Ok(()) };
        let mut columns = waiting.take()?.columns().to_vec();
        let mut appended = Vec::new();
        for (column, cells) in self.added.iter().zip(&mut self.cells) {
            let new = new_column(column.kind, &mem::take(cells));
            match column.replaces {
                Some(place) => columns[place] = new,
                None => appended.push(new),
            }
        }
        let columns = self.kept.of(columns).into_iter().chain(appended).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        match &mut self.out {
            Out::File(out) => out.write(&batch),
            Out::Stream(out) => out.write(&batch),
            Out::Taken(take) => {
                take(batch);
                Ok(())
            }
        }
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        self.write_waiting()?;
        match &mut self.out {
            Out::File(out) => out.finish(),
            Out::Stream(out) => out.finish(),
            Out::Taken(_) => Ok(()),
        }
    }
}

impl WriteTable for ArrowWriter<'_> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        let Record::Arrow(ArrowRecord { rows, row }) = record else { return Err(super::foreign_record()) };
        match &mut self.batch {
            Some(waiting) if Arc::ptr_eq(&waiting.rows, &rows) => waiting.chosen.push(row),
            _ => {
                self.write_waiting().map_err(write_error)?;
                self.batch = Some(Waiting { rows, chosen: vec![row] });
            }
        }
        for (column, cell) in self.cells.iter_mut().zip(cells) {
            column.push(*cell);
        }
        if self.batch.as_ref().is_some_and(|waiting| row + 1 == waiting.rows.batch.num_rows()) {
            self.write_waiting().map_err(write_error)?;
        }
        Ok(())
    }

    /// A batch has to be whole before it can be handed on.
    fn flush(&mut self) -> Result<(), TableError> {
        let out = match &mut self.out {
            Out::File(out) => out.get_mut(),
            Out::Stream(out) => out.get_mut(),
            Out::Taken(_) => return Ok(()),
        };
        out.flush().map_err(TableError::Write)
    }

    fn finish(&mut self) -> Result<(), TableError> {
        self.end().map_err(write_error)?;
        self.flush()
    }

    fn finish_early(&mut self) -> Result<(), TableError> {
        self.finish()
    }
}

fn new_column(kind: CellKind, cells: &[Cell]) -> ArrayRef {
    match kind {
        CellKind::Number => Arc::new(cells.iter().map(Cell::number).collect::<Float32Array>()),
        CellKind::Count => Arc::new(cells.iter().map(Cell::count).collect::<Int64Array>()),
        CellKind::Truth => Arc::new(cells.iter().map(Cell::truth).collect::<BooleanArray>()),
        CellKind::Text => Arc::new(cells.iter().map(Cell::text).collect::<StringArray>()),
    }
}

fn write_error(error: ArrowError) -> TableError {
    TableError::Write(of_arrow(error))
}

#[cfg(test)]
mod tests;
