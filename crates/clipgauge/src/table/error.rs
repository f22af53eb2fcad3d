//! Why a table cannot be read or written. Each message names the thing, the reason and the remedy, in that order.

use std::io;
use std::path::PathBuf;

use crate::atomic::AtomicError;
use crate::objects::ObjectUrlError;
use crate::options::{DEFAULT_CAPTION_COLUMN, shell_word};

use super::scan::MAX_RECORD;
use super::{ColumnDifference, TableFormat};

/// Why a table cannot be read or written. Ends the run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Reading fails.
    #[error("{name} cannot be read")]
    Read {
        /// The table.
        name: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Writing fails.
    #[error("the output cannot be written")]
    Write(#[source] io::Error),
    /// One of several tables cannot be put in its place.
    #[error(transparent)]
    Place(AtomicError),
    /// Several tables of different formats would go into one.
    #[error(
        "{first} is {}, and {name} {}: they do not go into one table; name a folder, as in -o DIR/, to keep them apart",
        formats[0], formats[1]
    )]
    FormatsDiffer {
        /// The first table.
        first: String,
        /// The one that differs.
        name: String,
        /// Their formats.
        formats: [TableFormat; 2],
    },
    /// Several tables with different columns would go into one.
    #[error(
        "{name} and {first} do not go into one table: {difference}; name a folder, as in -o DIR/, to keep them apart"
    )]
    ColumnsDiffer {
        /// The first table.
        first: String,
        /// The one that differs.
        name: String,
        /// The first difference.
        difference: Box<ColumnDifference>,
    },
    /// Several tables would need several dictionaries in one file.
    #[error(
        "{name} has a column with a dictionary, of which an Arrow file can have only one; name a folder, as in -o DIR/"
    )]
    Dictionaries {
        /// The table.
        name: String,
    },
    /// It looks like an object's address and is none.
    #[error("{name} cannot be read")]
    ObjectUrl {
        /// The address.
        name: String,
        /// What is wrong with it.
        #[source]
        source: ObjectUrlError,
    },
    /// This build does without object stores.
    #[error("{name}: this build of clipgauge has no object stores; build it with the feature `object-store`")]
    NoObjectStores {
        /// The table.
        name: String,
    },
    /// A folder was given for a table.
    #[error("{name} is a folder; name a table in it")]
    IsFolder {
        /// The folder.
        name: String,
    },
    /// The name says a format that no version so far reads.
    #[error("{name}: {format} tables cannot be read yet; convert it to CSV first")]
    FormatNotYet {
        /// The table.
        name: String,
        /// The format.
        format: &'static str,
    },
    /// The name says that the table is compressed.
    #[error("{name}: compressed tables cannot be read or written; use `{command}`")]
    Compressed {
        /// The table.
        name: String,
        /// What undoes the compression on the way.
        command: String,
    },
    /// The name says nothing that is known.
    #[error("{name}: `.{extension}` says no table format; say what it is, e.g. with --format csv")]
    UnknownFormat {
        /// The table.
        name: String,
        /// Its extension.
        extension: String,
    },
    /// The output's name says another format than it would have.
    #[error("{output}: the table stays {format}, as it came, and cannot become {named}; name the output .{format}")]
    OutputFormat {
        /// The output.
        output: String,
        /// The format that its name says.
        named: TableFormat,
        /// The input's format.
        format: TableFormat,
    },
    /// The output's name says something that no version so far writes.
    #[error(
        "{output}: the table stays {format}, as it came, and is not compressed or converted; name the output .{format}"
    )]
    OutputNotYet {
        /// The output.
        output: String,
        /// The input's format.
        format: TableFormat,
    },
    /// The bytes are those of another kind of file.
    #[error("{name} is {what}, not UTF-8 text; {remedy}")]
    NotText {
        /// The table.
        name: String,
        /// What it looks like.
        what: &'static str,
        /// What to do.
        remedy: String,
    },
    /// The bytes are those of another kind of file.
    #[error("{name} is {what}, not a tar; {remedy}")]
    NotTar {
        /// The table.
        name: String,
        /// What it looks like.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// None of the first samples has a picture.
    #[error("{name}: none of the first samples has {}{}; choose one with --image-column EXTENSION", extension(image.as_deref(), "a picture"), members_there(extensions))]
    NoPictures {
        /// The table.
        name: String,
        /// The extension that was asked for.
        image: Option<String>,
        /// The extensions that are there.
        extensions: Vec<String>,
    },
    /// None of the first samples has a caption.
    #[error("{name}: none of the first samples has {} or a field `{caption}` in its JSON{}; choose one with --caption-column", extension((caption != DEFAULT_CAPTION_COLUMN).then_some(caption), "a `.txt`"), members_there(extensions))]
    NoCaptions {
        /// The table.
        name: String,
        /// The field or extension that was asked for.
        caption: String,
        /// The extensions that are there.
        extensions: Vec<String>,
    },
    /// There is no header.
    #[error("{name} is empty; a table begins with a header that names its columns")]
    NoHeader {
        /// The table.
        name: String,
    },
    /// A needed column is not there.
    #[error("{name} has no column `{column}`; {} {}", flag.remedy(nearest.as_deref()), columns_there(there))]
    MissingColumn {
        /// The table.
        name: String,
        /// The column.
        column: String,
        /// The flag that says which column it is.
        flag: ColumnFlag,
        /// The columns that are there, in order.
        there: Vec<String>,
        /// The one that may be meant.
        nearest: Option<String>,
    },
    /// A needed column cannot hold what it is to hold.
    #[error("{name}: the column `{column}` is of type {data_type}, which is no {}; choose another with {} NAME", flag.needs(), flag.name())]
    ColumnType {
        /// The table.
        name: String,
        /// The column.
        column: String,
        /// Its type.
        data_type: String,
        /// The flag that says which column it is.
        flag: ColumnFlag,
    },
    /// This build does without the format.
    #[error("{name}: this build of clipgauge has no {format} tables; build it with the feature `parquet`")]
    NotBuilt {
        /// The table.
        name: String,
        /// The format.
        format: TableFormat,
    },
    /// The format has to be read from a file's end.
    #[error("{name} is no file, and {format} tables cannot be read from a pipe; give the file's name")]
    NotSeekable {
        /// The table.
        name: String,
        /// The format.
        format: TableFormat,
    },
    /// Parts that are to be put together have other columns.
    #[error("{name} has other columns than {first}; score all parts with the same options")]
    OtherColumns {
        /// The part.
        name: String,
        /// The first part.
        first: String,
    },
    /// A table without a known length cannot be divided.
    #[error("{name} is no file, and where its parts begin is not known before its end; give a file's name for --shard")]
    NoParts {
        /// The table.
        name: String,
    },
    /// The format is bytes that a terminal cannot show.
    #[error("{format} is nothing for a terminal; name a file with -o, or send the output elsewhere")]
    Terminal {
        /// The format.
        format: TableFormat,
    },
    /// The file breaks the rules of its format.
    #[error("{name} cannot be read as {what}{}", row.map_or_else(String::new, |row| format!(" from row {row} on")))]
    Damaged {
        /// The table.
        name: String,
        /// The format.
        what: &'static str,
        /// The first row that cannot be read, from 1; `None` if it is the whole.
        row: Option<u64>,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// The table is not as it was when it was read before.
    #[error("{name} was changed while it was read twice; run again when nobody writes to it")]
    Changed {
        /// The table.
        name: String,
    },
    /// What has to wait on the disk finds no place there.
    #[error("scores cannot be kept in {} until the best are known; make room there", folder.display())]
    Spool {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What has to wait on the disk until it is its turn finds no place there.
    #[error("pictures cannot be laid aside in {} until it is their turn; make room there", folder.display())]
    ImageSpool {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A needed column is there more than once.
    #[error("{name} has {count} columns `{column}`; rename all but one, or choose another with {} NAME", flag.name())]
    DuplicateColumn {
        /// The table.
        name: String,
        /// The column.
        column: String,
        /// How often it is there.
        count: usize,
        /// The flag that says which column it is.
        flag: ColumnFlag,
    },
    /// A column that would be added is there already.
    #[error("{name} has a column `{column}` already; {}, or replace it with --overwrite", flag.choose())]
    ColumnExists {
        /// The table.
        name: String,
        /// The column.
        column: String,
        /// The flag that says what it is called.
        flag: ColumnFlag,
    },
    /// A column of vectors or their errors is there already.
    #[error("{name} has a column `{column}` already; rename it, or replace it with --overwrite")]
    VectorsExist {
        /// The table.
        name: String,
        /// The column.
        column: String,
    },
    /// There are lines, but none has an object.
    #[error("{name} has no JSON object in any of its first lines; say what it is, e.g. with --format csv ({reason})")]
    NoObjects {
        /// The table.
        name: String,
        /// What is wrong with the first line.
        reason: String,
    },
    /// A delimiter was given for a format without one.
    #[error("{name}: {format} tables have no delimiter; drop --delimiter, or say what it is with --format csv")]
    NoDelimiter {
        /// The table.
        name: String,
        /// The format.
        format: TableFormat,
    },
    /// A line is longer than any table's.
    #[error("{name}: row {row} is longer than {} MiB; look for line feeds that are missing", MAX_RECORD >> 20)]
    LineTooLong {
        /// The table.
        name: String,
        /// The row's number from 1.
        row: u64,
    },
    /// A record is longer than any table's.
    #[error("{name}: {} is longer than {} MiB; look for a quote at its start that is never closed", place(*row), MAX_RECORD >> 20)]
    RecordTooLong {
        /// The table.
        name: String,
        /// The row's number from 1; `None` for the header.
        row: Option<u64>,
    },
}

impl TableError {
    /// Whether the command line is wrong rather than the world.
    pub fn is_usage(&self) -> bool {
        if let Self::Place(error) = self {
            return error.is_usage();
        }
        !matches!(
            self,
            Self::Read { .. }
                | Self::Damaged { .. }
                | Self::Changed { .. }
                | Self::Spool { .. }
                | Self::ImageSpool { .. }
                | Self::Write(_)
                | Self::RecordTooLong { .. }
                | Self::LineTooLong { .. }
        )
    }

    /// Whether the reader of the output has gone away, which is no failure of anybody's.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The flags that name columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnFlag {
    /// The column with the image's address.
    Image,
    /// The column with the caption.
    Caption,
    /// The column with the score.
    Score,
    /// The column with the kind of error.
    Error,
    /// The columns that are written.
    Keep,
    /// The columns of diagnostics.
    Diagnostics,
}

impl ColumnFlag {
    /// The flag on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "--image-column",
            Self::Caption => "--caption-column",
            Self::Score => "--column",
            Self::Error => "--error-column",
            Self::Keep => "--keep-columns",
            Self::Diagnostics => "--diagnostics",
        }
    }

    /// What to do about a column of a name that is taken.
    fn choose(self) -> String {
        match self {
            // Their names cannot be chosen.
            Self::Diagnostics => format!("rename it, leave {} away", self.name()),
            _ => format!("choose another name with {} NAME", self.name()),
        }
    }

    fn needs(self) -> &'static str {
        match self {
            Self::Image => "image: that is a text with its address, a binary, or a struct of `bytes` and `path`",
            _ => "text",
        }
    }

    fn remedy(self, nearest: Option<&str>) -> String {
        match nearest {
            Some(column) => format!("did you mean {} {}?", self.name(), shell_word(column)),
            None if self == Self::Keep => format!("leave it away in {}.", self.name()),
            None => format!("name it with {} NAME.", self.name()),
        }
    }
}

fn extension(asked: Option<&str>, usual: &str) -> String {
    asked.map_or_else(|| usual.to_owned(), |extension| format!("a member `.{extension}`"))
}

fn members_there(extensions: &[String]) -> String {
    let listed: Vec<_> = extensions.iter().take(MAX_LISTED).map(|extension| format!("`.{extension}`")).collect();
    if listed.is_empty() { String::new() } else { format!(" (there are {})", listed.join(", ")) }
}

fn place(row: Option<u64>) -> String {
    row.map_or_else(|| "the header".to_owned(), |row| format!("row {row}"))
}

/// The most columns that an error lists.
const MAX_LISTED: usize = 20;

fn columns_there(names: &[String]) -> String {
    let listed: Vec<_> = names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    let more = match names.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("There {} {}{more}", if names.len() == 1 { "is only" } else { "are" }, listed.join(", "))
}
