//! Parquet: only the image and the caption are decoded; the other columns are copied as they are encoded.
//!
//! A Parquet file is read from its end, so that it has to be a file. What it says of itself is checked before a run
//! begins: a column that would lie beyond the file's end is known then.

mod copy;
pub(super) mod footer;
mod join;

use std::io::Write;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::options::ScoreOptions;
use crate::row::Row;
use crate::shard::Shard;

use super::arrow_batch::{Batch, BatchRow};
use super::arrow_rows;
use super::columns::{Added, Columns};
use super::kept::Kept;
use super::positioned::PositionedFile;
use super::schema::Schema;
use super::{Position, ReadTable, Record, TableError, WriteTable};
pub(super) use copy::Sources;
use copy::{ParquetCopy, Plan, Source};
pub(super) use join::join;

/// The most rows that are decoded at once.
const BATCH_ROWS: usize = 1024;

/// About how many bytes of images and captions are decoded at once, unless a single row has more.
const BATCH_BYTES: u64 = 4 << 20;

/// Reads the footer and finds the columns.
pub(super) fn open(
    file: PositionedFile,
    options: &ScoreOptions,
    keeps_rows: bool,
) -> Result<(ParquetReader, ParquetLayout), TableError> {
    let name = options.input.to_string();
    let damaged = |error| damaged(&name, None, error);
    let (metadata, with_index) = guarded(|| read_metadata(&file)).map_err(damaged)?;
    check_ranges(&metadata, &file).map_err(damaged)?;
    let arrow = guarded(|| ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new())).map_err(damaged)?;
    let schema = Arc::clone(arrow.schema());
    let columns = arrow_rows::find(&schema, options)?;
    let (image, caption) = (columns.image, columns.caption);

    let layout = ParquetLayout {
        names: arrow_rows::names(&schema),
        pair: [image, caption],
        plan: plan(file.clone(), with_index, &schema, columns, options.shard).map_err(damaged)?,
    };
    let shows_rows = options.save_images.is_some();
    let kept: Vec<usize> =
        if keeps_rows || shows_rows { (0..schema.fields().len()).collect() } else { vec![image, caption] };
    // What is read has the columns in the order of the file.
    let mut order = kept.clone();
    order.sort_unstable();
    order.dedup();
    let place = |column: usize| order.iter().position(|kept| *kept == column).unwrap_or_default();
    let rows_of = |groups: Range<usize>| -> u64 {
        arrow.metadata().row_groups()[groups].iter().map(|group| group.num_rows().max(0) as u64).sum()
    };
    let groups = layout.plan.source.groups.clone();
    let (first_row, total_rows) = (rows_of(0..groups.start), rows_of(groups.clone()));
    let total_bytes = parquet::file::reader::Length::len(&file);
    let reader = ParquetReader {
        projection: ProjectionMask::roots(arrow.parquet_schema(), order.iter().copied()),
        image: place(image),
        caption: place(caption),
        roots: order,
        file,
        arrow,
        name,
        keeps_rows,
        shows_rows,
        group: groups.start,
        end_group: groups.end,
        first_row,
        batches: None,
        batch: None,
        rows: 0,
        total_rows,
        total_bytes,
    };
    Ok((reader, layout))
}

/// The footer, once without what is written about pages and once with it: reading does without, and copying keeps it.
fn read_metadata(file: &PositionedFile) -> Result<(Arc<ParquetMetaData>, Arc<ParquetMetaData>), ParquetError> {
    let with = |policy| ParquetMetaDataReader::new().with_page_index_policy(policy).parse_and_finish(file);
    let metadata = Arc::new(with(PageIndexPolicy::Skip)?);
    // An index that cannot be read is no loss: it is not needed to read the rows.
    let with_index = with(PageIndexPolicy::Optional).map_or_else(|_| Arc::clone(&metadata), Arc::new);
    Ok((metadata, with_index))
}

/// Refuses a file whose columns are not in it.
fn check_ranges(metadata: &ParquetMetaData, file: &PositionedFile) -> Result<(), ParquetError> {
    let length = parquet::file::reader::Length::len(file);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        if group.num_rows() < 0 {
            return Err(ParquetError::General(format!("row group {number} has {} rows", group.num_rows())));
        }
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            let end = start.checked_add(column.compressed_size());
            let is_inside = start >= 0 && column.compressed_size() >= 0 && end.is_some_and(|end| end as u64 <= length);
            if !is_inside || column.file_path().is_some() {
                let path = column.column_path();
                return Err(ParquetError::General(format!("column {path} of row group {number} is not in the file")));
            }
        }
    }
    Ok(())
}

fn plan(
    file: PositionedFile,
    metadata: Arc<ParquetMetaData>,
    arrow: &SchemaRef,
    columns: Columns,
    shard: Option<Shard>,
) -> Result<Plan, ParquetError> {
    let Columns { added, kept, caption, .. } = columns;
    let schema = footer::schema(metadata.file_metadata().schema(), &added, &kept)?;
    let properties = Arc::new(footer::properties(&metadata, arrow, &added, &kept, caption));
    let groups = shard.map_or(0..metadata.num_row_groups(), |shard| groups_of(&metadata, shard));
    let source = Source { file, metadata, groups };
    Ok(Plan { source, more: Sources::default(), schema, properties, added, kept })
}

/// The row groups of a part: those that begin in its share of the rows.
fn groups_of(metadata: &ParquetMetaData, shard: Shard) -> Range<usize> {
    let rows = || metadata.row_groups().iter().map(|group| group.num_rows().max(0) as u64);
    let total = rows().sum();
    let starts = rows().scan(0, |next, rows| {
        let start = *next;
        *next += rows;
        Some(start)
    });
    let places: Vec<u32> = starts.map(|start| shard.place(start, total)).collect();
    places.partition_point(|place| *place < shard.index())..places.partition_point(|place| *place <= shard.index())
}

/// Runs what reads foreign bytes. A library that panics over them has met a file that nobody foresaw: that is an error.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("reading it made the program panic".to_owned())))
}

fn damaged(name: &str, row: Option<u64>, error: ParquetError) -> TableError {
    TableError::Damaged { name: name.to_owned(), what: "Parquet", row, source: crate::vectors::of_parquet(error) }
}

/// Reads the rows of a Parquet file.
pub(super) struct ParquetReader {
    file: PositionedFile,
    arrow: ArrowReaderMetadata,
    name: String,
    projection: ProjectionMask,
    /// The columns that are read.
    roots: Vec<usize>,
    /// The image's and the caption's column among them.
    image: usize,
    caption: usize,
    /// Whether records have their rows with them.
    keeps_rows: bool,
    /// Whether they have them besides where they are in the file.
    shows_rows: bool,
    /// The row group that comes next.
    group: usize,
    /// The one after the last.
    end_group: usize,
    /// How many rows of the table come before the first that is read.
    first_row: u64,
    batches: Option<ParquetRecordBatchReader>,
    batch: Option<Batch>,
    rows: u64,
    total_rows: u64,
    total_bytes: u64,
}

impl ParquetReader {
    /// The next batch with a row; `None` after the last.
    fn next_batch(&mut self) -> Result<Option<Batch>, ParquetError> {
        loop {
            if let Some(batches) = &mut self.batches {
                if let Some(batch) = batches.next().transpose().map_err(ParquetError::from)? {
                    if batch.num_rows() > 0 {
                        return Ok(Some(Batch::new(batch, self.image, self.caption)?));
                    }
                    continue;
                }
                self.batches = None;
            }
            if self.group == self.end_group {
                return Ok(None);
            }
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.arrow.clone())
                .with_row_groups(vec![self.group])
                .with_projection(self.projection.clone())
                .with_batch_size(self.batch_rows());
            self.batches = Some(builder.build()?);
            self.group += 1;
        }
    }

    /// How many rows of the next row group are decoded at once.
    fn batch_rows(&self) -> usize {
        let (group, schema) = (self.arrow.metadata().row_group(self.group), self.arrow.parquet_schema());
        let is_read = |leaf: &usize| self.roots.contains(&schema.get_column_root_idx(*leaf));
        let bytes: u64 = (0..group.num_columns())
            .filter(is_read)
            .map(|leaf| u64::try_from(group.column(leaf).uncompressed_size()).unwrap_or_default())
            .sum();
        let per_row = bytes.div_ceil((group.num_rows().max(1)) as u64).max(1);
        usize::try_from(BATCH_BYTES / per_row).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS)
    }
}

impl ReadTable for ParquetReader {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        let mut row = self.batch.as_mut().and_then(Batch::next_row);
        if row.is_none() {
            self.batch = None;
            let next = guarded(|| self.next_batch());
            self.batch = next.map_err(|error| damaged(&self.name, Some(self.first_row + self.rows + 1), error))?;
            row = self.batch.as_mut().and_then(Batch::next_row);
        }
        let Some(BatchRow { image, caption, record }) = row else { return Ok(None) };
        self.rows += 1;
        let record = match (self.keeps_rows, self.shows_rows) {
            (true, _) => Record::Arrow(record),
            (false, true) => Record::InFileAndHere(self.rows - 1, record),
            (false, false) => Record::InFile(self.rows - 1),
        };
        Ok(Some(Row { number: self.first_row + self.rows, image, caption, error: None, origin: None, record }))
    }

    fn position(&self) -> Position {
        // What a row takes is not known; in the mean, it is its share.
        let share = u128::from(self.total_bytes) * u128::from(self.rows) / u128::from(self.total_rows.max(1));
        let bytes_read = u64::try_from(share).unwrap_or(self.total_bytes);
        Position { rows: self.rows, bytes_read, total_bytes: Some(self.total_bytes) }
    }

    fn total_rows(&self) -> Option<u64> {
        Some(self.total_rows)
    }
}

/// What the new file looks like.
#[derive(Debug)]
pub struct ParquetLayout {
    names: Vec<String>,
    /// The image's and the caption's column.
    pair: [usize; 2],
    plan: Plan,
}

impl ParquetLayout {
    pub(super) fn added(&self) -> impl Iterator<Item = &str> {
        self.plan.added.iter().map(|column| column.name.as_str())
    }

    pub(super) fn into_columns(self) -> (Vec<Added>, Kept) {
        (self.plan.added, self.plan.kept)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    pub(super) fn pair(&self) -> [usize; 2] {
        self.pair
    }

    /// The columns of the old file, as another's have to be for their row groups to go into one file.
    pub(super) fn schema(&self) -> Schema {
        Schema::Parquet(self.plan.source.metadata.file_metadata().schema_descr().root_schema_ptr())
    }

    /// Where the reader puts more files like this one.
    pub(super) fn sources(&self) -> Sources {
        self.plan.more.clone()
    }

    /// Begins the file.
    pub(super) fn writer<'a>(self, out: Box<dyn Write + Send + 'a>) -> Result<Box<dyn WriteTable + 'a>, TableError> {
        Ok(Box::new(ParquetCopy::new(self.plan, out)?))
    }
}

impl Sources {
    /// Adds the file of a layout that agrees with the first.
    pub(super) fn add(&self, layout: ParquetLayout) {
        self.push(layout.plan.source);
    }
}

#[cfg(test)]
mod tests;
