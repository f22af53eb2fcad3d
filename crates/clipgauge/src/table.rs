//! Tables as streams of rows: every format reads [`Row`]s and writes their records again with new cells.
//!
//! [`open`] checks everything about a table that can be checked before a long run: its format, its columns, what the
//! new ones are called. A new format is a file of its own beside [`delimited`](self), a line in [`TableFormat`], an arm
//! in [`open`] and [`Layout::writer`].

#[cfg(feature = "parquet")]
mod arrow_batch;
#[cfg(feature = "parquet")]
mod arrow_ipc;
#[cfg(feature = "parquet")]
mod arrow_record;
#[cfg(feature = "parquet")]
mod arrow_rows;
#[cfg(feature = "parquet")]
mod arrow_schema;
mod cell;
mod columns;
mod compression;
mod converted;
mod delimited;
mod error;
mod format;
mod joined;
mod json_lines;
mod kept;
pub(crate) mod number;
#[cfg(feature = "parquet")]
mod parquet;
mod part;
mod pictures;
#[cfg(feature = "parquet")]
mod positioned;
mod scan;
mod schema;
mod several;
mod sniff;
mod source;
pub(crate) mod webdataset;

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::options::{Input, Output, Part, ScoreOptions};
use crate::row::Row;

#[cfg(feature = "parquet")]
pub(crate) use arrow_ipc::ArrowLayout;
#[cfg(feature = "parquet")]
pub use arrow_record::ArrowRecord;
pub use cell::{Cell, CellKind};
pub use compression::Compression;
pub use delimited::DelimitedRecord;
pub use error::{ColumnFlag, TableError};
pub use format::{NoSuchFormat, TableFormat};
pub(crate) use joined::join_parts;
pub use json_lines::JsonRecord;
pub use schema::ColumnDifference;
pub(crate) use source::{Connections, on_disk, stamp};
pub use webdataset::TarRecord;

use schema::Schema;
use source::TableSource;

/// A row as it stood in its table, kept so that it can be written byte for byte.
#[derive(Debug)]
#[non_exhaustive]
pub enum Record {
    /// A record of a delimited text table (CSV, TSV).
    Delimited(DelimitedRecord),
    /// A line of JSON.
    Json(JsonRecord),
    /// A row of an Arrow or Parquet table, with its batch.
    #[cfg(feature = "parquet")]
    Arrow(ArrowRecord),
    /// The row with this index (from 0) of a table whose columns are copied as they are in the file, so that nothing of
    /// it is held. Of several tables that become one, the rows are counted through.
    InFile(u64),
    /// The same with what its cells say, for a run that keeps them somewhere else, too.
    #[cfg(feature = "parquet")]
    InFileAndHere(u64, ArrowRecord),
    /// A row of what is no table yet, with a text for each column of the one that it becomes.
    Texts(Vec<Option<String>>),
    /// A sample of a tar.
    Tar(Box<TarRecord>),
    /// A record of one of several tables that stay apart.
    Part(PartRecord),
}

/// A record, and which of several tables it is of.
#[derive(Debug)]
pub struct PartRecord {
    /// The table, from 0.
    part: usize,
    record: Box<Record>,
}

impl Record {
    /// How much memory the record takes, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Delimited(record) => record.size(),
            Self::Json(record) => record.size(),
            #[cfg(feature = "parquet")]
            Self::Arrow(record) => record.size(),
            Self::InFile(_) => 0,
            #[cfg(feature = "parquet")]
            Self::InFileAndHere(_, record) => record.size(),
            Self::Texts(texts) => texts.iter().map(|text| text.as_ref().map_or(0, String::capacity)).sum(),
            Self::Tar(record) => record.size(),
            Self::Part(PartRecord { record, .. }) => record.size(),
        }
    }

    /// What its cells say, one for each column of the header; `None` for a null or a field that is not there. What is not
    /// UTF-8 becomes U+FFFD.
    pub fn texts(&self) -> Vec<Option<String>> {
        match self {
            Self::Delimited(record) => record.texts(),
            Self::Json(record) => record.texts(),
            #[cfg(feature = "parquet")]
            Self::Arrow(record) => record.texts(),
            Self::InFile(_) => Vec::new(),
            #[cfg(feature = "parquet")]
            Self::InFileAndHere(_, record) => record.texts(),
            Self::Texts(texts) => texts.clone(),
            Self::Tar(record) => record.texts(),
            Self::Part(PartRecord { record, .. }) => record.texts(),
        }
    }

    /// Whether it is a sample of a tar.
    pub(crate) fn is_sample(&self) -> bool {
        match self {
            Self::Tar(_) => true,
            Self::Part(PartRecord { record, .. }) => record.is_sample(),
            _ => false,
        }
    }

    /// Tells the name of each column, or of each field of a row that has its own, and what it says as JSON. `header` has
    /// the names of the columns.
    pub(crate) fn fields(&self, header: &[String], told: &mut dyn FnMut(&str, &str)) {
        match self {
            Self::Json(record) => record.fields(told),
            Self::Tar(record) => record.fields(told),
            Self::Part(PartRecord { record, .. }) => record.fields(header, told),
            _ => header.iter().zip(self.json()).for_each(|(name, value)| told(name, &value)),
        }
    }

    /// Its cells as JSON, a value for each column of the header.
    fn json(&self) -> Vec<String> {
        match self {
            #[cfg(feature = "parquet")]
            Self::Arrow(record) | Self::InFileAndHere(_, record) => record.json(),
            Self::Tar(record) => record.json(),
            Self::Part(PartRecord { record, .. }) => record.json(),
            _ => self.texts().into_iter().map(|text| serde_json::Value::from(text).to_string()).collect(),
        }
    }

    /// Whether the record has another number of fields than the header.
    pub fn is_ragged(&self) -> bool {
        self.delimited().is_some_and(DelimitedRecord::is_ragged)
    }

    /// Whether the record ends with its table, within a quote: it has all lines since then in one cell.
    pub fn has_open_quote(&self) -> bool {
        self.delimited().is_some_and(DelimitedRecord::has_open_quote)
    }

    /// Whether its texts can be read as they stand. What is not UTF-8 of them was replaced where it is read.
    pub fn is_utf8(&self) -> bool {
        self.delimited().is_none_or(DelimitedRecord::is_utf8)
    }

    /// What it is in a delimited table, alone or among several.
    fn delimited(&self) -> Option<&DelimitedRecord> {
        match self {
            Self::Delimited(record) => Some(record),
            Self::Part(PartRecord { record, .. }) => record.delimited(),
            _ => None,
        }
    }
}

/// How far a table was read: together, enough to guess how many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The rows that were read.
    pub rows: u64,
    /// The bytes of the input that were read.
    pub bytes_read: u64,
    /// The bytes that the input has; `None` where that is not known (a pipe).
    pub total_bytes: Option<u64>,
}

/// A table that is read.
pub trait ReadTable: Send {
    /// The next row; `None` after the last.
    ///
    /// # Errors
    ///
    /// What ends a run: the input cannot be read on. A row that merely lacks something is a [`Row`] all the same.
    fn read(&mut self) -> Result<Option<Row>, TableError>;

    /// How far the table was read.
    fn position(&self) -> Position;

    /// How many rows the table has, where it says so before its first one.
    fn total_rows(&self) -> Option<u64> {
        None
    }

    /// Lets the [`texts`](Record::texts) of its records be those of these columns, in a format whose rows name their own.
    fn keep_columns(&mut self, _names: &[String]) {}
}

/// A table that is written: the records that a reader of the same table gave, with the new cells in the order in which
/// [`Layout::added`] names their columns.
pub trait WriteTable: Send {
    /// Writes one record.
    ///
    /// # Errors
    ///
    /// What is written to fails.
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError>;

    /// Hands on what was written so far.
    ///
    /// # Errors
    ///
    /// What is written to fails.
    fn flush(&mut self) -> Result<(), TableError>;

    /// Ends the table before its last record, so that what was written so far can be read by itself.
    ///
    /// # Errors
    ///
    /// What is written to fails.
    fn finish_early(&mut self) -> Result<(), TableError> {
        self.flush()
    }

    /// Writes what comes after the last record, when the reader has given `None`, and flushes. Must be called, else the
    /// table is not whole.
    ///
    /// # Errors
    ///
    /// What is written to fails.
    fn finish(&mut self) -> Result<(), TableError>;
}

/// A table whose columns were found, before its first row.
pub struct OpenTable {
    /// Gives the rows.
    pub reader: Box<dyn ReadTable>,
    /// Makes the writer that belongs to this reader.
    pub layout: Layout,
}

/// What the written table looks like: the header of the one that was read, and where the new columns go.
#[derive(Debug)]
#[non_exhaustive]
pub enum Layout {
    /// Delimited text.
    Delimited(delimited::DelimitedLayout),
    /// JSON Lines.
    Json(json_lines::JsonLayout),
    /// A text table that is compressed.
    Compressed(Box<Layout>, compression::Compression),
    /// Another format than the table came in.
    Converted(converted::ConvertedLayout),
    /// Several tables, each in its own layout.
    Apart(several::apart::ApartLayout),
    /// Tar shards.
    Tar(webdataset::TarLayout),
    /// Parquet.
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::ParquetLayout>),
    /// Arrow.
    #[cfg(feature = "parquet")]
    Arrow(ArrowLayout),
}

impl Layout {
    /// The names of the added columns, in the order in which [`WriteTable::write`] takes their cells: the scores', then the
    /// error's if there is one, then those of diagnostics.
    pub fn added(&self) -> Vec<&str> {
        match self {
            Self::Delimited(layout) => layout.added().collect(),
            Self::Json(layout) => layout.added().collect(),
            Self::Compressed(layout, _) => layout.added(),
            Self::Converted(layout) => layout.added.iter().map(|column| column.name.as_str()).collect(),
            Self::Apart(layout) => layout.added.iter().map(String::as_str).collect(),
            Self::Tar(layout) => layout.added().collect(),
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => layout.added().collect(),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) => layout.added().collect(),
        }
    }

    /// The same columns in another format.
    fn converted(self, format: TableFormat) -> Self {
        let names = self.names();
        let (added, kept) = match self {
            Self::Delimited(layout) => layout.into_columns(),
            // A format without a header is not converted, and tables that stay apart neither.
            Self::Json(_) | Self::Apart(_) => Default::default(),
            Self::Compressed(layout, _) => return layout.converted(format),
            Self::Converted(layout) => (layout.added, layout.kept),
            Self::Tar(layout) => layout.into_columns(),
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => layout.into_columns(),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) => layout.into_columns(),
        };
        Self::Converted(converted::ConvertedLayout { names, added, kept, format })
    }

    /// The names of the columns of the table that was read.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Delimited(layout) => layout.names(),
            Self::Json(layout) => layout.names(),
            Self::Compressed(layout, _) => layout.names(),
            Self::Converted(layout) => layout.names.clone(),
            Self::Apart(layout) => layout.names.clone(),
            Self::Tar(layout) => layout.names(),
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => layout.names(),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) => layout.names(),
        }
    }

    /// The image's and the caption's column, where the options do not name them as they are called.
    #[cfg(feature = "parquet")]
    pub(crate) fn pair(&self) -> Option<[usize; 2]> {
        match self {
            Self::Tar(layout) => Some(layout.pair()),
            Self::Parquet(layout) => Some(layout.pair()),
            Self::Arrow(layout) => Some(layout.pair()),
            _ => None,
        }
    }

    /// Its columns, as far as another table's have to be the same to go into one with it; only their names where
    /// rows become texts on the way.
    fn schema(&self, becomes_texts: bool) -> Schema {
        match self {
            Self::Json(_) | Self::Tar(_) => Schema::PerRow,
            _ if becomes_texts => Schema::Names(self.names()),
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => layout.schema(),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) => layout.schema(),
            _ => Schema::Names(self.names()),
        }
    }

    /// Lets the writer take the rows of more tables than that of `name`, of which it is then told by what is returned.
    #[cfg_attr(not(feature = "parquet"), expect(unused_variables, reason = "only Arrow may have to refuse"))]
    fn join_more(&mut self, name: &str) -> Result<MoreSources, TableError> {
        match self {
            Self::Delimited(layout) => layout.join_more(),
            Self::Json(layout) => layout.join_more(),
            Self::Tar(layout) => layout.join_more(),
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => return Ok(MoreSources { parquet: Some(layout.sources()) }),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) if !layout.can_join() => {
                return Err(TableError::Dictionaries { name: name.to_owned() });
            }
            _ => {}
        }
        Ok(MoreSources::default())
    }

    /// Begins the table: its header goes to `out`, which should be buffered.
    ///
    /// # Errors
    ///
    /// `out` fails.
    pub fn writer<'a>(self, out: Box<dyn Write + Send + 'a>) -> Result<Box<dyn WriteTable + 'a>, TableError> {
        match self {
            Self::Delimited(layout) => Ok(Box::new(layout.writer(out)?)),
            Self::Json(layout) => Ok(Box::new(layout.writer(out)?)),
            Self::Compressed(layout, compression) => compression.writer(out, |out| layout.writer(out)),
            Self::Converted(layout) => layout.writer(out),
            Self::Apart(layout) => Ok(layout.writer()),
            Self::Tar(layout) => Ok(Box::new(layout.writer(out))),
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => layout.writer(out),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) => Ok(Box::new(layout.writer(out)?)),
        }
    }
}

/// Tells the writer of one table, made of several, what it has to know of those after the first: nothing, unless it copies
/// from their files.
#[derive(Debug, Default)]
struct MoreSources {
    #[cfg(feature = "parquet")]
    parquet: Option<parquet::Sources>,
}

impl MoreSources {
    /// Another table is read now.
    #[cfg_attr(not(feature = "parquet"), expect(unused_variables, reason = "only Parquet is copied from its file"))]
    fn add(&self, layout: Layout) {
        #[cfg(feature = "parquet")]
        if let (Layout::Parquet(layout), Some(sources)) = (layout, &self.parquet) {
            sources.add(*layout);
        }
    }
}

/// Opens the table of a run, reads its header and finds its columns. Of several tables, all are looked at, and the first
/// is begun.
///
/// # Errors
///
/// The input cannot be read, is no table that can be read, lacks a column that is needed or has one that would be added;
/// or several tables do not go into one. [`TableError::is_usage`] tells whether another command line mends it.
pub fn open(options: &ScoreOptions) -> Result<OpenTable, TableError> {
    match (&options.input, &options.output) {
        (Input::Several(parts), Output::Folder(_) | Output::InPlace) => several::apart::open(parts, options),
        (Input::File(path), Output::Folder(_)) => several::apart::open(&[Part::of_file(path)], options),
        (Input::Several(parts), _) => several::joined::open(parts, options).map(|table| compressed(table, options)),
        _ => open_single(options),
    }
}

/// The same for one table that becomes one.
fn open_single(options: &ScoreOptions) -> Result<OpenTable, TableError> {
    let (format, target) = (format_of(options)?, target_of(options)?);
    let is_converted = format != Some(target);
    let OpenTable { reader, layout } = open_keeping(options, format, is_converted)?;
    let layout = match is_converted {
        true => layout.converted(target),
        false => layout,
    };
    Ok(compressed(OpenTable { reader, layout }, options))
}

/// The table as its output's name says that it is compressed.
fn compressed(OpenTable { reader, layout }: OpenTable, options: &ScoreOptions) -> OpenTable {
    let layout = match options.output_file().and_then(Compression::of_path) {
        Some((compression, _)) => Layout::Compressed(Box::new(layout), compression),
        None => layout,
    };
    OpenTable { reader, layout }
}

/// The same for a table that is only read: its records have their [`texts`](Record::texts) with them, whatever the
/// format.
///
/// # Errors
///
/// As [`open`].
pub fn open_with_texts(options: &ScoreOptions) -> Result<OpenTable, TableError> {
    match &options.input {
        Input::Several(parts) => several::joined::open_keeping_all(parts, options, true),
        _ => open_keeping(options, format_of(options)?, true),
    }
}

/// Opens what is no several tables, or the part of it that is wanted; `format` is `None` for what is no table yet.
fn open_keeping(
    options: &ScoreOptions,
    format: Option<TableFormat>,
    keeps_rows: bool,
) -> Result<OpenTable, TableError> {
    let table = open_whole(options, format, keeps_rows)?;
    let Some(shard) = options.shard else { return Ok(table) };
    let is_file = matches!(&options.input, Input::File(_)) && options.input.read_once().is_none();
    let measure = match (format, table.reader.position().total_bytes) {
        // Whose part has been opened.
        (Some(TableFormat::Parquet), _) => return Ok(table),
        _ if !is_file => return Err(TableError::NoParts { name: options.input.to_string() }),
        (Some(TableFormat::Csv | TableFormat::Tsv | TableFormat::Jsonl), Some(bytes)) => part::Measure::Bytes(bytes),
        _ => part::Measure::Rows(part::count(open_whole(options, format, false)?)?),
    };
    Ok(part::part_of(table, shard, measure))
}

/// The same for batches of Arrow's that come from anywhere; `total_rows` is how many rows they have, where that is known.
#[cfg(feature = "parquet")]
pub(crate) fn open_batches(
    batches: Box<dyn arrow_array::RecordBatchReader + Send>,
    total_rows: Option<u64>,
    options: &ScoreOptions,
) -> Result<(Box<dyn ReadTable>, ArrowLayout), TableError> {
    let (reader, layout) = arrow_ipc::open_batches(batches, total_rows, options)?;
    Ok((Box::new(reader), layout))
}

fn open_whole(options: &ScoreOptions, format: Option<TableFormat>, keeps_rows: bool) -> Result<OpenTable, TableError> {
    if let Input::Pictures(folder) = &options.input {
        return pictures::open(folder, options);
    }
    let source = TableSource::open(options)?;
    let format = format.unwrap_or(TableFormat::Csv);
    let is_bytes = matches!(format, TableFormat::Parquet | TableFormat::Arrow | TableFormat::WebDataset);
    if is_bytes && !keeps_rows && options.output == Output::Stdout && io::stdout().is_terminal() {
        return Err(TableError::Terminal { format });
    }
    if matches!(format, TableFormat::Parquet | TableFormat::Arrow) {
        return open_typed(format, source, options, keeps_rows);
    }
    let fails = |source| TableError::Read { name: options.input.to_string(), source };
    let total_bytes = source.size();
    let input = source.read().map_err(fails)?;
    let named = match &options.input {
        Input::File(path) => Compression::of_path(path),
        _ => None,
    };
    let (input, total_bytes) = match named {
        // How much text there is, only its end tells.
        Some((compression, _)) => (compression.reader(input).map_err(fails)?, None),
        None => (input, total_bytes),
    };
    if format == TableFormat::Jsonl {
        let (reader, layout) = json_lines::open(input, total_bytes, options)?;
        return Ok(OpenTable { reader: Box::new(reader), layout: Layout::Json(layout) });
    }
    if format == TableFormat::WebDataset {
        let (reader, layout) = webdataset::open(input, total_bytes, options, keeps_rows)?;
        return Ok(OpenTable { reader: Box::new(reader), layout: Layout::Tar(layout) });
    }
    let delimiter = options.delimiter.or(format.delimiter()).unwrap_or(b',');
    let (reader, layout) = delimited::open(input, total_bytes, delimiter, options)?;
    Ok(OpenTable { reader: Box::new(reader), layout: Layout::Delimited(layout) })
}

/// Opens a table whose columns have types.
#[cfg(feature = "parquet")]
fn open_typed(
    format: TableFormat,
    source: TableSource,
    options: &ScoreOptions,
    keeps_rows: bool,
) -> Result<OpenTable, TableError> {
    let fails = |source| TableError::Read { name: options.input.to_string(), source };
    if format == TableFormat::Parquet {
        let Ok(file) = source.positioned() else {
            return Err(TableError::NotSeekable { name: options.input.to_string(), format });
        };
        let (reader, layout) = parquet::open(file, options, keeps_rows)?;
        return Ok(OpenTable { reader: Box::new(reader), layout: Layout::Parquet(Box::new(layout)) });
    }
    let (reader, layout) = match source.positioned() {
        Ok(file) => arrow_ipc::open_file(file.reader(), file.size(), options)?,
        Err(pipe) => arrow_ipc::open_stream(pipe.read().map_err(fails)?, None, None, options)?,
    };
    Ok(OpenTable { reader: Box::new(reader), layout: Layout::Arrow(layout) })
}

#[cfg(not(feature = "parquet"))]
fn open_typed(format: TableFormat, _: TableSource, options: &ScoreOptions, _: bool) -> Result<OpenTable, TableError> {
    Err(TableError::NotBuilt { name: options.input.to_string(), format })
}

/// The formats of one table and of what it becomes.
pub(crate) fn formats_of(options: &ScoreOptions) -> Result<[TableFormat; 2], TableError> {
    Ok([format_of(options)?.unwrap_or(TableFormat::Csv), target_of(options)?])
}

/// The format that one table becomes: what the output's name tells, else its own; CSV where neither does.
fn target_of(options: &ScoreOptions) -> Result<TableFormat, TableError> {
    let format = format_of(options)?;
    let named = match &options.output {
        Output::File(path) => output_format(path, format, options)?,
        _ => None,
    };
    Ok(named.or(format).unwrap_or(TableFormat::Csv))
}

/// The format that the options or the input's name tell, CSV where neither does; `None` for what is no table yet.
fn format_of(options: &ScoreOptions) -> Result<Option<TableFormat>, TableError> {
    let format = match (options.format, &options.input) {
        (_, Input::Pictures(_)) => return Ok(None),
        (Some(format), _) => format,
        (None, Input::Stdin | Input::Several(_)) => TableFormat::Csv,
        (None, Input::File(path)) => match TableFormat::of_path(path) {
            Ok(format) => format.unwrap_or(TableFormat::Csv),
            Err(TableError::UnknownFormat { .. }) if options.delimiter.is_some() => TableFormat::Csv,
            Err(error) => return Err(error),
        },
    };
    if options.delimiter.is_some() && format.delimiter().is_none() {
        return Err(TableError::NoDelimiter { name: options.input.to_string(), format });
    }
    Ok(Some(format))
}

/// The format that the output's name tells, if it tells one; it has to be one that the input can become.
fn output_format(
    path: &Path,
    format: Option<TableFormat>,
    options: &ScoreOptions,
) -> Result<Option<TableFormat>, TableError> {
    // What is no table yet becomes whatever text does.
    let format = format.unwrap_or(TableFormat::Csv);
    let output = || path.display().to_string();
    // A name that says nothing or nothing known is the user's business; one that would lie about the content is not.
    match TableFormat::of_path(path) {
        // A delimiter of one's own may be in a file of any such name.
        Ok(Some(named)) if options.delimiter.is_some() && named.delimiter().is_some() => Ok(None),
        Ok(Some(named)) if !format.becomes(named) => Err(TableError::OutputFormat { output: output(), named, format }),
        Ok(named) => Ok(named),
        Err(TableError::FormatNotYet { .. } | TableError::Compressed { .. }) => {
            Err(TableError::OutputNotYet { output: output(), format })
        }
        Err(_) => Ok(None),
    }
}

/// A writer was given a record of another format's reader.
fn foreign_record() -> TableError {
    TableError::Write(io::Error::other("the record comes from the reader of another format"))
}
