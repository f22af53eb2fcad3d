//! A Parquet file written again with new columns: what was there is copied as it is encoded, row group by row group, and
//! not decoded. So no type, encoding, compression, statistic or filter can change.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::bloom_filter::Sbbf;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::{ColumnCloseResult, ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::TypePtr;

use crate::row::RowErrorKind;
use crate::table::columns::Added;
use crate::table::positioned::PositionedFile;
use crate::table::{Cell, Record, TableError, WriteTable};
use crate::vectors::of_parquet;

/// How many records of a row group are taken apart at once, where it is not copied whole.
const RECORDS: usize = 64;

type Out<'a> = Box<dyn Write + Send + 'a>;

/// The old file and what the new one is to look like.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) file: PositionedFile,
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) schema: TypePtr,
    pub(super) properties: WriterPropertiesPtr,
    pub(super) added: Vec<Added>,
}

/// Writes the new file.
pub(super) struct ParquetCopy<'a> {
    plan: Plan,
    writer: SerializedFileWriter<Out<'a>>,
    /// The row group that comes next.
    group: usize,
    /// The cells of its rows so far, a list for each column.
    cells: Vec<Vec<Cell>>,
    is_ended: bool,
}

impl<'a> ParquetCopy<'a> {
    pub(super) fn new(plan: Plan, out: Out<'a>) -> std::result::Result<Self, TableError> {
        let writer = SerializedFileWriter::new(out, Arc::clone(&plan.schema), Arc::clone(&plan.properties));
        let writer = writer.map_err(write_error)?;
        let cells = plan.added.iter().map(|_| Vec::new()).collect();
        Ok(Self { plan, writer, group: 0, cells, is_ended: false })
    }

    fn rows(&self) -> usize {
        self.cells.first().map_or(0, Vec::len)
    }

    fn rows_of_group(&self) -> Option<usize> {
        let group = self.plan.metadata.row_groups().get(self.group)?;
        Some(usize::try_from(group.num_rows()).unwrap_or_default())
    }

    /// Writes row groups as long as their rows are there.
    fn write_whole_groups(&mut self) -> Result<()> {
        while self.rows_of_group().is_some_and(|rows| rows == self.rows()) {
            self.write_group(None)?;
        }
        Ok(())
    }

    /// Writes the next row group; of one that is not finished, its first rows.
    fn write_group(&mut self, first_rows: Option<usize>) -> Result<()> {
        let Plan { file, metadata, added, .. } = &self.plan;
        let group = metadata.row_group(self.group);
        let descriptor = metadata.file_metadata().schema_descr();
        let mut out = self.writer.next_row_group()?;
        let part = first_rows.map(|rows| Part::open(file, metadata, self.group, rows)).transpose()?;
        let root_count = descriptor.root_schema().get_fields().len();
        let mut leaf = 0;
        for root in 0..root_count {
            let replaced = added.iter().position(|column| column.replaces == Some(root));
            if let Some(column) = replaced {
                write_cells(&mut out, &self.cells[column])?;
            }
            while leaf < group.num_columns() && descriptor.get_column_root_idx(leaf) == root {
                match (replaced, &part) {
                    (Some(_), _) => {}
                    (None, None) => copy_column(&mut out, file, metadata, self.group, leaf)?,
                    (None, Some(part)) => part.copy_column(&mut out, leaf)?,
                }
                leaf += 1;
            }
        }
        for (column, cells) in added.iter().zip(&self.cells) {
            if column.replaces.is_none() {
                write_cells(&mut out, cells)?;
            }
        }
        out.close()?;
        self.cells.iter_mut().for_each(Vec::clear);
        self.group += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if !self.is_ended {
            self.is_ended = true;
            self.writer.finish()?;
        }
        Ok(self.writer.inner_mut().flush()?)
    }
}

impl WriteTable for ParquetCopy<'_> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> std::result::Result<(), TableError> {
        let Record::InFile = record else { return Err(crate::table::foreign_record()) };
        // Row groups without a row come before the one that this row is of.
        self.write_whole_groups().map_err(write_error)?;
        for (column, cell) in self.cells.iter_mut().zip(cells) {
            column.push(*cell);
        }
        self.write_whole_groups().map_err(write_error)
    }

    /// A row group has to be whole before it can be handed on.
    fn flush(&mut self) -> std::result::Result<(), TableError> {
        Ok(())
    }

    fn finish(&mut self) -> std::result::Result<(), TableError> {
        self.write_whole_groups().and_then(|()| self.end()).map_err(write_error)
    }

    fn finish_early(&mut self) -> std::result::Result<(), TableError> {
        let rows = self.rows();
        let rest = if rows > 0 { self.write_group(Some(rows)) } else { Ok(()) };
        rest.and_then(|()| self.end()).map_err(write_error)
    }
}

/// Copies a column of a row group as it is encoded.
fn copy_column(
    out: &mut SerializedRowGroupWriter<'_, Out<'_>>,
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

/// The first rows of a row group, taken apart and put together again, of whatever type.
struct Part {
    reader: Box<dyn FnReader>,
    rows: usize,
}

/// A row group's columns, without the life of the file that they are in.
trait FnReader {
    fn column(&self, leaf: usize) -> Result<ColumnReader>;
}

impl FnReader for (SerializedFileReader<PositionedFile>, usize) {
    fn column(&self, leaf: usize) -> Result<ColumnReader> {
        let group: Box<dyn RowGroupReader + '_> = self.0.get_row_group(self.1)?;
        group.get_column_reader(leaf)
    }
}

impl Part {
    fn open(file: &PositionedFile, _: &ParquetMetaData, group: usize, rows: usize) -> Result<Self> {
        let reader = SerializedFileReader::new(file.clone())?;
        Ok(Self { reader: Box::new((reader, group)), rows })
    }

    fn copy_column(&self, out: &mut SerializedRowGroupWriter<'_, Out<'_>>, leaf: usize) -> Result<()> {
        let reader = self.reader.column(leaf)?;
        let mut column = out.next_column()?.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?;
        macro_rules! copy {
            ($($reader:ident, $writer:ident;)*) => {
                match (reader, column.untyped()) {
                    $((ColumnReader::$reader(reader), ColumnWriter::$writer(writer)) => copy(reader, writer, self.rows)?,)*
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
        column.close()
    }
}

fn copy<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    writer: &mut ColumnWriterImpl<'_, T>,
    mut rows: usize,
) -> Result<()> {
    let descriptor = Arc::clone(writer.get_descriptor());
    let (has_definitions, has_repetitions) = (descriptor.max_def_level() > 0, descriptor.max_rep_level() > 0);
    while rows > 0 {
        let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
        let (records, _, _) = reader.read_records(
            rows.min(RECORDS),
            has_definitions.then_some(&mut definitions),
            has_repetitions.then_some(&mut repetitions),
            &mut values,
        )?;
        if records == 0 {
            return Err(ParquetError::EOF("a column with too few rows".to_owned()));
        }
        writer.write_batch(
            &values,
            has_definitions.then_some(&definitions[..]),
            has_repetitions.then_some(&repetitions[..]),
        )?;
        rows -= records;
    }
    Ok(())
}

/// Writes a new column.
fn write_cells(out: &mut SerializedRowGroupWriter<'_, Out<'_>>, cells: &[Cell]) -> Result<()> {
    let mut column = out.next_column()?.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?;
    let (mut levels, mut scores, mut kinds) = (Vec::with_capacity(cells.len()), Vec::new(), Vec::new());
    for cell in cells {
        match cell {
            Cell::Score(score) => {
                levels.push(i16::from(score.is_some()));
                scores.extend(score);
            }
            Cell::ErrorKind(kind) => {
                levels.push(i16::from(kind.is_some()));
                kinds.extend(kind.map(|kind: RowErrorKind| ByteArray::from(kind.name())));
            }
        }
    }
    match column.untyped() {
        ColumnWriter::FloatColumnWriter(_) => {
            column.typed::<FloatType>().write_batch(&scores, Some(&levels), None)?;
        }
        _ => {
            column.typed::<ByteArrayType>().write_batch(&kinds, Some(&levels), None)?;
        }
    }
    column.close()
}

/// What went wrong on the way to the new file; most often, the disk is full.
fn write_error(error: ParquetError) -> TableError {
    TableError::Write(match of_parquet(error) {
        error if error.kind() == io::ErrorKind::Other => {
            io::Error::other(format!("the columns cannot be copied: {error}"))
        }
        error => error,
    })
}
