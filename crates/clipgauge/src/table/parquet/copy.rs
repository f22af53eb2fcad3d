//! A Parquet file written again with new columns: what was there is copied as it is encoded, row group by row group, and
//! not decoded. So no type, encoding, compression, statistic or filter can change.
//!
//! Of a row group that loses rows, the columns are taken apart and put together again, value by value as Parquet has them,
//! so that again no type can change. What is left of row groups that follow each other becomes one, so that a filter
//! leaves no crowd of small ones.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use parquet::bloom_filter::Sbbf;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::{ColumnCloseResult, ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::TypePtr;

use crate::table::columns::Added;
use crate::table::kept::Kept;
use crate::table::positioned::PositionedFile;
use crate::table::{Cell, CellKind, Record, TableError, WriteTable};
use crate::vectors::of_parquet;

/// How many rows are taken apart at once, where a row group is not copied whole.
const RECORDS: usize = 64;

type Out<'a> = Box<dyn Write + Send + 'a>;

/// A file whose row groups are copied.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: PositionedFile,
    pub(super) metadata: Arc<ParquetMetaData>,
    /// The row groups that the new file gets of it.
    pub(super) groups: Range<usize>,
}

impl Source {
    /// How many rows one of its row groups has; `None` behind the last one.
    fn rows_of_group(&self, group: usize) -> Option<usize> {
        let group = self.metadata.row_groups()[..self.groups.end].get(group)?;
        Some(usize::try_from(group.num_rows()).unwrap_or_default())
    }

    /// The most rows of a row group.
    fn most_rows(&self) -> usize {
        self.groups.clone().filter_map(|group| self.rows_of_group(group)).max().unwrap_or_default()
    }
}

/// More files whose row groups are copied behind those of the first, in the order in which they are read. Each is added
/// before its first row is read.
#[derive(Debug, Clone, Default)]
pub(in crate::table) struct Sources(Arc<Mutex<VecDeque<Source>>>);

impl Sources {
    pub(super) fn push(&self, source: Source) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(source);
    }

    fn take(&self) -> Option<Source> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// The old file and what the new one is to look like.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) more: Sources,
    pub(super) schema: TypePtr,
    pub(super) properties: WriterPropertiesPtr,
    pub(super) added: Vec<Added>,
    pub(super) kept: Kept,
}

/// Writes the new file.
pub(super) struct ParquetCopy<'a> {
    plan: Plan,
    writer: SerializedFileWriter<Out<'a>>,
    /// The row group under way, and the index of its first row: of all files, one behind the other.
    group: usize,
    start: u64,
    /// Its rows so far.
    chosen: Chosen,
    /// Parts of earlier row groups of the same file that are to become one.
    waiting: Vec<(usize, Chosen)>,
    /// The cells of all these rows, a list for each column.
    cells: Vec<Vec<Cell>>,
    /// The most rows of an old row group. New ones have no more, unless they are old ones.
    most_rows: usize,
    parts: Option<Box<dyn ReadColumns>>,
    is_ended: bool,
}

/// Rows of a row group that are written, as runs of rows that follow each other.
#[derive(Debug, Default)]
struct Chosen {
    runs: Vec<Range<usize>>,
    count: usize,
}

impl Chosen {
    fn push(&mut self, row: usize) {
        self.count += 1;
        match self.runs.last_mut() {
            Some(run) if run.end == row => run.end += 1,
            _ => self.runs.push(row..row + 1),
        }
    }
}

impl<'a> ParquetCopy<'a> {
    pub(super) fn new(plan: Plan, out: Out<'a>) -> std::result::Result<Self, TableError> {
        let writer = SerializedFileWriter::new(out, Arc::clone(&plan.schema), Arc::clone(&plan.properties));
        let writer = writer.map_err(write_error)?;
        let cells = plan.added.iter().map(|_| Vec::new()).collect();
        let (first, most_rows) = (plan.source.groups.start, plan.source.most_rows());
        let (chosen, waiting) = (Chosen::default(), Vec::new());
        Ok(Self {
            plan,
            writer,
            group: first,
            start: 0,
            chosen,
            waiting,
            cells,
            most_rows,
            parts: None,
            is_ended: false,
        })
    }

    /// How many rows the row group under way has; `None` behind the last one that there is so far. Behind that of a file,
    /// goes on to the next file.
    fn rows_of_group(&mut self) -> Result<Option<usize>> {
        loop {
            if let Some(rows) = self.plan.source.rows_of_group(self.group) {
                return Ok(Some(rows));
            }
            let Some(next) = self.plan.more.take() else { return Ok(None) };
            // What waits are row groups of the file before.
            self.write_waiting()?;
            self.parts = None;
            self.group = next.groups.start;
            self.most_rows = self.most_rows.max(next.most_rows());
            self.plan.source = next;
        }
    }

    /// Goes on to the next row group. One of which every row is written is copied, and parts of several become one.
    fn close_group(&mut self, rows: usize) -> Result<()> {
        let chosen = mem::take(&mut self.chosen);
        if chosen.count == rows {
            self.write_waiting()?;
            self.copy_group(self.group)?;
        } else if chosen.count > 0 {
            if self.waiting_rows() + chosen.count > self.most_rows {
                self.write_waiting()?;
            }
            self.waiting.push((self.group, chosen));
        }
        self.group += 1;
        self.start += rows as u64;
        Ok(())
    }

    fn waiting_rows(&self) -> usize {
        self.waiting.iter().map(|(_, chosen)| chosen.count).sum()
    }

    /// Copies a row group as it is.
    fn copy_group(&mut self, group: usize) -> Result<()> {
        let Source { file, metadata, .. } = &self.plan.source;
        let rows = self.plan.source.rows_of_group(group).unwrap_or_default();
        let copy = |leaf: usize, out: &mut SerializedRowGroupWriter<'_, Out<'_>>| {
            copy_column(out, file, metadata, group, leaf)
        };
        write_group(&mut self.writer, &self.plan, &mut self.cells, rows, copy)
    }

    /// Writes the parts that wait as a row group.
    fn write_waiting(&mut self) -> Result<()> {
        let parts = mem::take(&mut self.waiting);
        let rows = parts.iter().map(|(_, chosen)| chosen.count).sum();
        if rows == 0 {
            return Ok(());
        }
        let old = match &mut self.parts {
            Some(old) => old,
            None => self.parts.insert(Box::new(SerializedFileReader::new(self.plan.source.file.clone())?)),
        };
        let copy = |leaf: usize, out: &mut SerializedRowGroupWriter<'_, Out<'_>>| {
            // What is decoded are foreign bytes.
            super::guarded(|| copy_parts(out, &**old, &parts, leaf))
        };
        write_group(&mut self.writer, &self.plan, &mut self.cells, rows, copy)
    }

    fn end(&mut self) -> Result<()> {
        if !self.is_ended {
            self.is_ended = true;
            self.writer.finish()?;
        }
        Ok(self.writer.inner_mut().flush()?)
    }

    fn take_row(&mut self, row: u64, cells: &[Cell]) -> Result<()> {
        loop {
            let Some(rows) = self.rows_of_group()? else {
                return Err(ParquetError::General(format!("the table has no row {}", row + 1)));
            };
            let place = usize::try_from(row - self.start).unwrap_or(usize::MAX);
            if place >= rows {
                self.close_group(rows)?;
                continue;
            }
            self.chosen.push(place);
            for (column, cell) in self.cells.iter_mut().zip(cells) {
                column.push(*cell);
            }
            return if place + 1 == rows { self.close_group(rows) } else { Ok(()) };
        }
    }

    fn take_end(&mut self) -> Result<()> {
        while let Some(rows) = self.rows_of_group()? {
            self.close_group(rows)?;
        }
        self.write_waiting()?;
        self.end()
    }

    fn take_early_end(&mut self) -> Result<()> {
        if self.chosen.count > 0 {
            self.waiting.push((self.group, mem::take(&mut self.chosen)));
        }
        self.write_waiting()?;
        self.end()
    }
}

impl WriteTable for ParquetCopy<'_> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> std::result::Result<(), TableError> {
        let (Record::InFile(row) | Record::InFileAndHere(row, _)) = record else {
            return Err(crate::table::foreign_record());
        };
        self.take_row(row, cells).map_err(write_error)
    }

    /// A row group has to be whole before it can be handed on.
    fn flush(&mut self) -> std::result::Result<(), TableError> {
        Ok(())
    }

    fn finish(&mut self) -> std::result::Result<(), TableError> {
        self.take_end().map_err(write_error)
    }

    fn finish_early(&mut self) -> std::result::Result<(), TableError> {
        self.take_early_end().map_err(write_error)
    }
}

/// Writes a row group: the new columns of the first `rows` cells, and the old ones that stay as `copy` does it.
fn write_group(
    writer: &mut SerializedFileWriter<Out<'_>>,
    plan: &Plan,
    cells: &mut [Vec<Cell>],
    rows: usize,
    copy: impl Fn(usize, &mut SerializedRowGroupWriter<'_, Out<'_>>) -> Result<()>,
) -> Result<()> {
    let descriptor = plan.source.metadata.file_metadata().schema_descr();
    let cells: Vec<Vec<Cell>> = cells.iter_mut().map(|cells| cells.drain(..rows).collect()).collect();
    let mut out = writer.next_row_group()?;
    let mut leaf = 0;
    for root in 0..descriptor.root_schema().get_fields().len() {
        let replaced = plan.added.iter().position(|column| column.replaces == Some(root));
        if let Some(column) = replaced {
            write_cells(&mut out, plan.added[column].kind, &cells[column])?;
        }
        while leaf < descriptor.num_columns() && descriptor.get_column_root_idx(leaf) == root {
            if replaced.is_none() && plan.kept.has(root) {
                copy(leaf, &mut out)?;
            }
            leaf += 1;
        }
    }
    for (column, cells) in plan.added.iter().zip(&cells) {
        if column.replaces.is_none() {
            write_cells(&mut out, column.kind, cells)?;
        }
    }
    out.close().map(drop)
}

/// Copies a column of a row group as it is encoded.
pub(super) fn copy_column<W: Write + Send>(
    out: &mut SerializedRowGroupWriter<'_, W>,
    file: &PositionedFile,
    metadata: &ParquetMetaData,
    group: usize,
    leaf: usize,
) -> Result<()> {
    let column = metadata.row_group(group).column(leaf);
    let index = metadata.page_index();
    let close = ColumnCloseResult {
        bytes_written: column.compressed_size() as u64,
        rows_written: metadata.row_group(group).num_rows() as u64,
        metadata: column.clone(),
        bloom_filter: Sbbf::read_from_column_chunk(column, file)?,
        column_index: index.and_then(|index| index.column_index(group, leaf)).cloned(),
        offset_index: index.and_then(|index| index.offset_index(group, leaf)).cloned(),
    };
    out.append_column(file, close)
}

/// The columns of a file, without the life of its reader.
trait ReadColumns: Send {
    fn column(&self, group: usize, leaf: usize) -> Result<ColumnReader>;
}

impl ReadColumns for SerializedFileReader<PositionedFile> {
    fn column(&self, group: usize, leaf: usize) -> Result<ColumnReader> {
        let group: Box<dyn RowGroupReader + '_> = self.get_row_group(group)?;
        group.get_column_reader(leaf)
    }
}

/// Takes rows out of a column of several row groups and puts them together again, of whatever type.
fn copy_parts(
    out: &mut SerializedRowGroupWriter<'_, Out<'_>>,
    old: &dyn ReadColumns,
    parts: &[(usize, Chosen)],
    leaf: usize,
) -> Result<()> {
    let mut column = out.next_column()?.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?;
    for (group, chosen) in parts {
        let reader = old.column(*group, leaf)?;
        macro_rules! copy {
            ($($reader:ident, $writer:ident;)*) => {
                match (reader, column.untyped()) {
                    $((ColumnReader::$reader(reader), ColumnWriter::$writer(writer)) => copy(reader, writer, chosen)?,)*
                    _ => return Err(ParquetError::General("a column of another type".to_owned())),
                }
            };
        }
        copy! {
            BoolColumnReader, BoolColumnWriter;
            Int32ColumnReader, Int32ColumnWriter;
            Int64ColumnReader, Int64ColumnWriter;
            Int96ColumnReader, Int96ColumnWriter;
            FloatColumnReader, FloatColumnWriter;
            DoubleColumnReader, DoubleColumnWriter;
            ByteArrayColumnReader, ByteArrayColumnWriter;
            FixedLenByteArrayColumnReader, FixedLenByteArrayColumnWriter;
        }
    }
    column.close()
}

/// Copies rows of a column of one row group.
fn copy<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    writer: &mut ColumnWriterImpl<'_, T>,
    chosen: &Chosen,
) -> Result<()> {
    let descriptor = Arc::clone(writer.get_descriptor());
    let (has_definitions, has_repetitions) = (descriptor.max_def_level() > 0, descriptor.max_rep_level() > 0);
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let too_few = || ParquetError::EOF("a column with too few rows".to_owned());
    let (mut at, mut gathered, mut left) = (0, 0, chosen.count);
    for run in &chosen.runs {
        if reader.skip_records(run.start - at)? < run.start - at {
            return Err(too_few());
        }
        at = run.start;
        while at < run.end {
            let (records, _, _) = reader.read_records(
                (run.end - at).min(RECORDS - gathered),
                has_definitions.then_some(&mut definitions),
                has_repetitions.then_some(&mut repetitions),
                &mut values,
            )?;
            if records == 0 {
                return Err(too_few());
            }
            (at, gathered, left) = (at + records, gathered + records, left - records);
            if gathered == RECORDS || left == 0 {
                writer.write_batch(
                    &values,
                    has_definitions.then_some(&definitions[..]),
                    has_repetitions.then_some(&repetitions[..]),
                )?;
                gathered = 0;
                values.clear();
                definitions.clear();
                repetitions.clear();
            }
        }
    }
    Ok(())
}

/// Writes a new column.
fn write_cells(out: &mut SerializedRowGroupWriter<'_, Out<'_>>, kind: CellKind, cells: &[Cell]) -> Result<()> {
    let mut column = out.next_column()?.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?;
    match kind {
        CellKind::Number => write_values::<FloatType>(&mut column, cells, Cell::number)?,
        CellKind::Count => write_values::<Int64Type>(&mut column, cells, Cell::count)?,
        CellKind::Truth => write_values::<BoolType>(&mut column, cells, Cell::truth)?,
        CellKind::Text => {
            let text = |cell: &Cell| cell.text().map(|text| ByteArray::from(text.into_bytes()));
            write_values::<ByteArrayType>(&mut column, cells, text)?;
        }
    }
    column.close()
}

/// Writes what cells say; `None` is a null.
fn write_values<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    cells: &[Cell],
    value: impl Fn(&Cell) -> Option<T::T>,
) -> Result<()> {
    let values: Vec<_> = cells.iter().map(value).collect();
    let levels: Vec<_> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<_> = values.into_iter().flatten().collect();
    column.typed::<T>().write_batch(&values, Some(&levels), None).map(drop)
}

/// What went wrong on the way to the new file; most often, the disk is full.
pub(super) fn write_error(error: ParquetError) -> TableError {
    TableError::Write(match of_parquet(error) {
        error if error.kind() == io::ErrorKind::Other => {
            io::Error::other(format!("the columns cannot be copied: {error}"))
        }
        error => error,
    })
}
