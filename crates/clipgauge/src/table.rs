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
mod columns;
mod compression;
mod converted;
mod delimited;
mod error;
mod format;
mod json_lines;
pub(crate) mod number;
#[cfg(feature = "parquet")]
mod parquet;
mod scan;
mod sniff;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};

use crate::options::{Input, Output, ScoreOptions};
use crate::row::{Row, RowErrorKind};

#[cfg(feature = "parquet")]
pub use arrow_record::ArrowRecord;
pub use compression::Compression;
pub use delimited::DelimitedRecord;
pub use error::TableError;
pub use format::{NoSuchFormat, TableFormat};
pub use json_lines::JsonRecord;

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
    /// A row of which nothing is held, since the columns of its table are copied as they are in the file.
    InFile,
}

impl Record {
    /// How much memory the record takes, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Delimited(record) => record.size(),
            Self::Json(record) => record.size(),
            #[cfg(feature = "parquet")]
            Self::Arrow(record) => record.size(),
            Self::InFile => 0,
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
            Self::InFile => Vec::new(),
        }
    }

    /// Its cells as JSON, a value for each column of the header.
    fn json(&self) -> Vec<String> {
        match self {
            #[cfg(feature = "parquet")]
            Self::Arrow(record) => record.json(),
            _ => self.texts().into_iter().map(|text| serde_json::Value::from(text).to_string()).collect(),
        }
    }

    /// Whether the record has another number of fields than the header.
    pub fn is_ragged(&self) -> bool {
        match self {
            Self::Delimited(record) => record.is_ragged(),
            _ => false,
        }
    }
}

/// A cell of a column that is added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// A score; `None` where the row failed.
    Score(Option<f32>),
    /// The kind of failure; `None` where there is none.
    ErrorKind(Option<RowErrorKind>),
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
    /// Parquet.
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::ParquetLayout>),
    /// Arrow.
    #[cfg(feature = "parquet")]
    Arrow(arrow_ipc::ArrowLayout),
}

impl Layout {
    /// The names of the added columns, in the order in which [`WriteTable::write`] takes their cells: the scores',
    /// then the error's if there is one.
    pub fn added(&self) -> Vec<&str> {
        match self {
            Self::Delimited(layout) => layout.added().collect(),
            Self::Json(layout) => layout.added().collect(),
            Self::Compressed(layout, _) => layout.added(),
            Self::Converted(layout) => layout.added.iter().map(|column| column.name.as_str()).collect(),
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => layout.added().collect(),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) => layout.added().collect(),
        }
    }

    /// The same columns in another format.
    fn converted(self, format: TableFormat, scores: usize) -> Self {
        let names = self.names();
        let added = match self {
            Self::Delimited(layout) => layout.into_added(),
            // A format without a header is not converted.
            Self::Json(_) => Vec::new(),
            Self::Compressed(layout, _) => return layout.converted(format, scores),
            Self::Converted(layout) => layout.added,
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => layout.into_added(),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) => layout.into_added(),
        };
        Self::Converted(converted::ConvertedLayout { names, added, scores, format })
    }

    /// The names of the columns of the table that was read.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Delimited(layout) => layout.names(),
            Self::Json(layout) => layout.names(),
            Self::Compressed(layout, _) => layout.names(),
            Self::Converted(layout) => layout.names.clone(),
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => layout.names(),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) => layout.names(),
        }
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
            #[cfg(feature = "parquet")]
            Self::Parquet(layout) => layout.writer(out),
            #[cfg(feature = "parquet")]
            Self::Arrow(layout) => Ok(Box::new(layout.writer(out)?)),
        }
    }
}

/// Opens the table of a run, reads its header and finds its columns.
///
/// # Errors
///
/// The input cannot be read, is no table that can be read, lacks a column that is needed or has one that would be added.
/// [`TableError::is_usage`] tells whether another command line mends it.
pub fn open(options: &ScoreOptions) -> Result<OpenTable, TableError> {
    let (format, target) = formats_of(options)?;
    let OpenTable { reader, layout } = open_keeping(options, format, target != format)?;
    let layout = match target {
        _ if target == format => layout,
        target => layout.converted(target, options.score_columns().len()),
    };
    let named = match (&options.output, &options.input) {
        (Output::File(path), _) | (Output::InPlace, Input::File(path)) => Compression::of_path(path),
        _ => None,
    };
    let layout = match named {
        Some((compression, _)) => Layout::Compressed(Box::new(layout), compression),
        None => layout,
    };
    Ok(OpenTable { reader, layout })
}

/// The same for a table that is only read: its records have their [`texts`](Record::texts) with them, whatever the
/// format.
///
/// # Errors
///
/// As [`open`].
pub fn open_with_texts(options: &ScoreOptions) -> Result<OpenTable, TableError> {
    let (format, _) = formats_of(options)?;
    open_keeping(options, format, true)
}

/// The same for batches of Arrow's that come from anywhere.
#[cfg(feature = "parquet")]
pub(crate) fn open_batches(
    batches: Box<dyn arrow_array::RecordBatchReader + Send>,
    options: &ScoreOptions,
) -> Result<(Box<dyn ReadTable>, arrow_ipc::ArrowLayout), TableError> {
    let (reader, layout) = arrow_ipc::open_batches(batches, options)?;
    Ok((Box::new(reader), layout))
}

fn open_keeping(options: &ScoreOptions, format: TableFormat, keeps_rows: bool) -> Result<OpenTable, TableError> {
    let name = options.input.to_string();
    let fails = |source| TableError::Read { name: name.clone(), source };
    let (file, total_bytes) = match &options.input {
        Input::Stdin => (None, None),
        Input::File(path) => {
            let file = File::open(path).map_err(fails)?;
            let metadata = file.metadata().map_err(fails)?;
            if metadata.is_dir() {
                return Err(TableError::IsFolder { name });
            }
            (Some(file), metadata.is_file().then_some(metadata.len()))
        }
    };
    if matches!(format, TableFormat::Parquet | TableFormat::Arrow) {
        if !keeps_rows && options.output == Output::Stdout && io::stdout().is_terminal() {
            return Err(TableError::Terminal { format });
        }
        return open_typed(format, file, total_bytes, options, keeps_rows);
    }
    let input: Box<dyn Read + Send> = match file {
        Some(file) => Box::new(file),
        None => Box::new(io::stdin()),
    };
    let named = match &options.input {
        Input::File(path) => Compression::of_path(path),
        Input::Stdin => None,
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
    let delimiter = options.delimiter.or(format.delimiter()).unwrap_or(b',');
    let (reader, layout) = delimited::open(input, total_bytes, delimiter, options)?;
    Ok(OpenTable { reader: Box::new(reader), layout: Layout::Delimited(layout) })
}

/// Opens a table whose columns have types.
#[cfg(feature = "parquet")]
fn open_typed(
    format: TableFormat,
    file: Option<File>,
    total_bytes: Option<u64>,
    options: &ScoreOptions,
    keeps_rows: bool,
) -> Result<OpenTable, TableError> {
    if format == TableFormat::Parquet {
        let (Some(file), Some(_)) = (file, total_bytes) else {
            return Err(TableError::NotSeekable { name: options.input.to_string(), format });
        };
        let (reader, layout) = parquet::open(file, options, keeps_rows)?;
        return Ok(OpenTable { reader: Box::new(reader), layout: Layout::Parquet(Box::new(layout)) });
    }
    let (reader, layout) = match (file, total_bytes) {
        (Some(file), Some(total_bytes)) => arrow_ipc::open_file(file, total_bytes, options)?,
        (Some(pipe), None) => arrow_ipc::open_stream(Box::new(pipe), None, None, options)?,
        (None, _) => arrow_ipc::open_stream(Box::new(io::stdin()), None, None, options)?,
    };
    Ok(OpenTable { reader: Box::new(reader), layout: Layout::Arrow(layout) })
}

#[cfg(not(feature = "parquet"))]
fn open_typed(
    format: TableFormat,
    _: Option<File>,
    _: Option<u64>,
    options: &ScoreOptions,
    _: bool,
) -> Result<OpenTable, TableError> {
    Err(TableError::NotBuilt { name: options.input.to_string(), format })
}

/// The format that the options or the input's name tell, CSV where neither does; and the one that the output's name
/// tells, the same where it tells none.
fn formats_of(options: &ScoreOptions) -> Result<(TableFormat, TableFormat), TableError> {
    let format = match (options.format, &options.input) {
        (Some(format), _) => format,
        (None, Input::Stdin) => TableFormat::Csv,
        (None, Input::File(path)) => match TableFormat::of_path(path) {
            Ok(format) => format.unwrap_or(TableFormat::Csv),
            Err(TableError::UnknownFormat { .. }) if options.delimiter.is_some() => TableFormat::Csv,
            Err(error) => return Err(error),
        },
    };
    if options.delimiter.is_some() && format.delimiter().is_none() {
        return Err(TableError::NoDelimiter { name: options.input.to_string(), format });
    }
    // A name that says nothing or nothing known is the user's business; one that would lie about the content is not.
    if let Output::File(path) = &options.output {
        match TableFormat::of_path(path) {
            // A delimiter of one's own may be in a file of any such name.
            Ok(Some(named)) if options.delimiter.is_some() && named.delimiter().is_some() => {}
            Ok(Some(named)) if named != format => {
                if !format.becomes(named) {
                    return Err(TableError::OutputFormat { output: path.display().to_string(), named, format });
                }
                return Ok((format, named));
            }
            Err(TableError::FormatNotYet { .. } | TableError::Compressed { .. }) => {
                return Err(TableError::OutputNotYet { output: path.display().to_string(), format });
            }
            _ => {}
        }
    }
    Ok((format, format))
}

/// A writer was given a record of another format's reader.
fn foreign_record() -> TableError {
    TableError::Write(io::Error::other("the record comes from the reader of another format"))
}
