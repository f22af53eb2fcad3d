//! What a run is told: everything a user may choose about scoring a table, with the defaults.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::metric::Metric;

use crate::atomic::{is_object, is_special};
use crate::diagnostics::COLUMNS;
use crate::disk_cache::CacheOptions;
use crate::filters::{Filters, FiltersError};
use crate::hub::HubFile;
use crate::source::FetchOptions;
use crate::table::{CellKind, ColumnFlag};

pub use crate::resume::ResumeOptions;
pub use crate::save_images::SaveImages;
pub use crate::scorer::DEFAULT_BATCH_SIZE;
pub use crate::shard::Shard;
pub use crate::table::TableFormat;
pub use clipgauge_core::precision::Precision;

/// The column with the image's address where none is named.
pub const DEFAULT_IMAGE_COLUMN: &str = "url";

/// The column with the caption where none is named.
pub const DEFAULT_CAPTION_COLUMN: &str = "caption";

/// The model that is used when none is named.
pub const DEFAULT_MODEL: &str = "openai/clip-vit-base-patch32";

/// Everything about one run over one table.
#[derive(Debug, Clone)]
pub struct ScoreOptions {
    /// Where the table is.
    pub input: Input,
    /// Where the table with its new column goes.
    pub output: Output,
    /// The field separator of a delimited table; `None` to take it from the format.
    pub delimiter: Option<u8>,
    /// What the input is, where its name does not say.
    pub format: Option<TableFormat>,
    /// The column with the image's address.
    pub image_column: String,
    /// The column with the caption.
    pub caption_column: String,
    /// The column that is added; with several models or metrics, what the names of the columns begin with.
    pub column: String,
    /// Whether a column of that name may be replaced.
    pub overwrite: bool,
    /// The column that gets the kind of error, if one is wanted.
    pub error_column: Option<String>,
    /// Where failed rows are listed; `None` for the default place of the output.
    pub errors: Option<PathBuf>,
    /// Where the summary goes as JSON.
    pub summary: Option<PathBuf>,
    /// The models, at least one: a bundled one, a folder or a hub id each.
    pub models: Vec<String>,
    /// The metrics, at least one. Each model is compared by each.
    pub metrics: Vec<Metric>,
    /// Whether captions are put in lower case and lose their punctuation first, as SigLIP 2 was trained and its
    /// tokenizer on the hub does not do.
    pub canonicalize_captions: bool,
    /// How many encoders work at once; `None` for one per core.
    pub threads: Option<NonZeroUsize>,
    /// How many rows an encoder takes at once. Never changes a score.
    pub batch_size: NonZeroUsize,
    /// What the model's linear layers are computed in.
    pub precision: Precision,
    /// Limits of fetching.
    pub fetch: FetchOptions,
    /// Limits of decoding.
    pub decode: DecodeOptions,
    /// What is taken over from an earlier run.
    pub resume: ResumeOptions,
    /// The part of the table that is scored; `None` for all of it.
    pub shard: Option<Shard>,
    /// Which rows and columns are taken and written.
    pub filters: Filters,
    /// Whether columns are added that say [what is known](crate::diagnostics) of each row.
    pub diagnostics: bool,
    /// Where the pictures of rows that pass are kept, if they are.
    pub save_images: Option<SaveImages>,
    /// Where vectors are kept from one run to the next, if they are.
    pub cache: Option<CacheOptions>,
}

impl ScoreOptions {
    /// The defaults, for a table that goes to standard output.
    pub fn new(input: Input) -> Self {
        Self {
            input,
            output: Output::Stdout,
            delimiter: None,
            format: None,
            image_column: DEFAULT_IMAGE_COLUMN.to_owned(),
            caption_column: DEFAULT_CAPTION_COLUMN.to_owned(),
            column: "similarity".to_owned(),
            overwrite: false,
            error_column: None,
            errors: None,
            summary: None,
            models: vec![DEFAULT_MODEL.to_owned()],
            metrics: vec![Metric::default()],
            canonicalize_captions: false,
            threads: None,
            batch_size: DEFAULT_BATCH_SIZE,
            precision: Precision::default(),
            fetch: FetchOptions::default(),
            decode: DecodeOptions::default(),
            resume: ResumeOptions::default(),
            shard: None,
            filters: Filters::default(),
            diagnostics: false,
            save_images: None,
            cache: None,
        }
    }

    /// The columns with scores, in their order: one for each model and metric.
    ///
    /// One alone has the name of [`column`](Self::column). Of several, each has what tells it from the others behind a
    /// colon: its model as it was named, its metric, or both.
    pub fn score_columns(&self) -> Vec<ScoreColumn<'_>> {
        let column = |model, metric: Metric| {
            let mut name = self.column.clone();
            if self.models.len() > 1 {
                name = format!("{name}:{model}");
            }
            if self.metrics.len() > 1 {
                name = format!("{name}:{metric}");
            }
            ScoreColumn { name, model, metric }
        };
        self.models.iter().flat_map(|model| self.metrics.iter().map(move |metric| column(model, *metric))).collect()
    }

    /// Whether columns of the added ones' names may be there: if that was allowed, or the output is gone on with where the
    /// input is.
    pub(crate) fn replaces_columns(&self) -> bool {
        self.overwrite || (self.resume.retry_failed && self.output == Output::InPlace)
    }

    /// The one file that the table goes to; `None` for standard output, a folder, and several tables in their own places.
    pub(crate) fn output_file(&self) -> Option<&Path> {
        match (&self.output, &self.input) {
            (Output::File(path), _) | (Output::InPlace, Input::File(path)) => Some(path),
            (Output::Stdout | Output::Folder(_) | Output::InPlace, _) => None,
        }
    }

    /// The object that the table goes to, for what only a file on a disk can have: a journal, a note beside it.
    pub(crate) fn output_object(&self) -> Option<&Path> {
        self.output_file().filter(|path| is_object(path))
    }

    /// All columns that are added: the scores', then the error's if there is one, then those of diagnostics.
    pub fn added_columns(&self) -> Vec<AddedColumn> {
        let added = |name, kind, flag| AddedColumn { name, kind, flag };
        let scores = self.score_columns().into_iter().map(|column| column.name);
        let scores = scores.map(|name| added(name, CellKind::Number, ColumnFlag::Score));
        let error = self.error_column.clone().map(|name| added(name, CellKind::Text, ColumnFlag::Error));
        let known = COLUMNS.iter().filter(|_| self.diagnostics);
        let known = known.map(|(name, kind)| added((*name).to_owned(), *kind, ColumnFlag::Diagnostics));
        scores.chain(error).chain(known).collect()
    }

    /// Whether the options agree with each other. A run checks this before anything else.
    ///
    /// # Errors
    ///
    /// They do not, or one makes no sense.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.check_places()?;
        self.check_delimiter()?;
        self.check_in_memory()?;
        self.resume.check(self)?;
        self.save_images.as_ref().map_or(Ok(()), |saved| saved.check(self))?;
        if self.shard.is_some() && !matches!(self.output, Output::File(_)) {
            return Err(OptionsError::NoPartFile);
        }
        if let (Some(_), Some(path)) = (self.shard, self.output_object()) {
            return Err(OptionsError::NotInBucket { flag: "--shard", path: path.to_owned() });
        }
        if let (Some(_), Some(what)) = (self.shard, self.no_one_table()) {
            return Err(OptionsError::OneTable { flag: "--shard", what });
        }
        // These are about a whole table.
        let whole = [self.filters.top_fraction.map(|_| "--top-fraction"), self.filters.limits()];
        if let (Some(_), Some(flag)) = (self.shard, whole.into_iter().flatten().next()) {
            return Err(OptionsError::Apart { flags: ["--shard", flag] });
        }
        self.check_filters()
    }

    /// The same for a table in memory, which can be read again; what is about files is left out.
    pub(crate) fn check_in_memory(&self) -> Result<(), OptionsError> {
        for (flag, is_empty) in [("--model", self.models.is_empty()), ("--metric", self.metrics.is_empty())] {
            if is_empty {
                return Err(OptionsError::Missing { flag });
            }
        }
        self.filters.check()?;
        self.check_columns()?;
        self.check_paths()
    }

    /// The same for a run that adds no score.
    #[cfg(feature = "parquet")]
    pub(crate) fn check_without_scores(&self) -> Result<(), OptionsError> {
        self.check_delimiter()?;
        self.check_columns()?;
        self.check_paths()
    }

    fn check_delimiter(&self) -> Result<(), OptionsError> {
        match self.delimiter {
            Some(delimiter @ (b'"' | b'\n' | b'\r')) => {
                Err(OptionsError::Delimiter { delimiter: char::from(delimiter) })
            }
            _ => Ok(()),
        }
    }

    fn check_filters(&self) -> Result<(), OptionsError> {
        // Which rows are taken is about all tables. Some would be replaced before others are looked at, or never.
        let across = self.filters.limits().or(self.filters.top_fraction.map(|_| "--top-fraction"));
        if let (Some(flag), true) = (across, self.replaces_several()) {
            return Err(OptionsError::ReplacesSome { flag });
        }
        match (self.filters.reads_again(), self.input.read_once()) {
            (Some(flag), Some(input)) => Err(FiltersError::OnlyOnce { flag, input: input.to_string() }.into()),
            _ => Ok(()),
        }
    }

    /// Whether several tables are to be in their own places, one after the other.
    fn replaces_several(&self) -> bool {
        match &self.output {
            Output::InPlace => self.input.is_several(),
            Output::Folder(folder) => {
                let mut places = self.input.files().zip(self.input.names());
                places.any(|(input, name)| same_file_path(&folder.join(name)) == same_file_path(input))
            }
            Output::Stdout | Output::File(_) => false,
        }
    }

    /// Why the input is not one table of rows that can be told from each other by their places; `None` if it is.
    pub(crate) fn no_one_table(&self) -> Option<&'static str> {
        let format = |path: &Path| self.format.or_else(|| TableFormat::of_path(path).ok().flatten());
        match &self.input {
            Input::Several(_) => Some("several inputs"),
            Input::Pictures(_) => Some("a folder of pictures"),
            Input::File(path) if format(path) == Some(TableFormat::WebDataset) => Some("WebDataset shards"),
            Input::Stdin if self.format == Some(TableFormat::WebDataset) => Some("WebDataset shards"),
            Input::Stdin | Input::File(_) => None,
        }
    }

    /// No column may be two things.
    fn check_columns(&self) -> Result<(), OptionsError> {
        let mut columns =
            vec![("--image-column", self.image_column.clone()), ("--caption-column", self.caption_column.clone())];
        // A column may hold an image and be its caption, odd as that is; what is written is only itself.
        let read = columns.len();
        columns.extend(self.added_columns().into_iter().map(|column| (column.flag.name(), column.name)));
        for (index, (flag, column)) in columns.iter().enumerate().skip(read) {
            let Some((other, _)) = columns[..index].iter().find(|(_, other)| other == column) else { continue };
            return Err(match *other {
                "--column" if *flag == "--column" => OptionsError::Twice { column: column.clone() },
                other => OptionsError::SameColumn { column: column.clone(), flags: [other, flag] },
            });
        }
        Ok(())
    }

    /// Whether each table has a place to go to.
    fn check_places(&self) -> Result<(), OptionsError> {
        match (&self.output, &self.input) {
            (Output::InPlace, Input::Stdin) => Err(OptionsError::InPlaceOfStdin),
            (Output::InPlace, Input::Pictures(folder)) => {
                Err(OptionsError::InPlaceOfPictures { folder: folder.clone() })
            }
            (Output::Folder(folder), Input::Stdin | Input::Pictures(_)) => {
                Err(OptionsError::NoName { input: self.input.to_string(), folder: folder.clone() })
            }
            _ => self.check_names(),
        }
    }

    /// No two tables may have one name in the folder that they go to.
    fn check_names(&self) -> Result<(), OptionsError> {
        let (Output::Folder(folder), Input::Several(parts)) = (&self.output, &self.input) else { return Ok(()) };
        let mut taken: HashMap<&Path, &Part> = HashMap::new();
        for part in parts {
            if let Input::Pictures(_) | Input::Stdin = part.input {
                return Err(OptionsError::NoName { input: part.input.to_string(), folder: folder.clone() });
            }
            if let Some(other) = taken.insert(&part.name, part) {
                return Err(OptionsError::SameName {
                    inputs: [other.input.to_string(), part.input.to_string()],
                    path: folder.join(&part.name),
                });
            }
        }
        Ok(())
    }

    /// No file may be written over another of the same run; only the table itself may take the input's place.
    fn check_paths(&self) -> Result<(), OptionsError> {
        let is_file = |path: &Path| !is_special(path);
        let mut tables: HashMap<PathBuf, &Path> = HashMap::new();
        for input in self.input.files().filter(|path| is_file(path)) {
            tables.insert(same_file_path(input), input);
        }
        let mut outputs: HashMap<PathBuf, (PathBuf, &'static str)> = HashMap::new();
        let mut named: Vec<(&'static str, PathBuf, Option<&Path>)> = Vec::new();
        match (&self.output, &self.input) {
            (Output::File(path), Input::File(input)) => named.push(("--output", path.clone(), Some(input))),
            (Output::File(path), _) => named.push(("--output", path.clone(), None)),
            (Output::Folder(folder), _) => {
                let files = self.input.files().zip(self.input.names());
                named.extend(files.map(|(input, name)| ("--output", folder.join(name), Some(input))));
            }
            (Output::InPlace, _) => {
                named.extend(self.input.files().map(|input| ("--output", input.to_owned(), Some(input))))
            }
            (Output::Stdout, _) => {}
        }
        named.extend(crate::journal::path(self).map(|path| ("the journal of the output", path, None)));
        named.extend(crate::errors_file::path(self).map(|path| ("--errors", path, None)));
        named.extend(self.summary.clone().map(|path| ("--summary", path, None)));
        for (what, path, own) in named.into_iter().filter(|(_, path, _)| is_file(path)) {
            if path.to_str().is_some_and(HubFile::is_meant) {
                return Err(OptionsError::OnHub { path });
            }
            let file = same_file_path(&path);
            let own = own.map(same_file_path);
            if tables.contains_key(&file) && own.as_ref() != Some(&file) {
                return Err(OptionsError::SamePath { path, names: ["the input", what] });
            }
            if let Some((path, other)) = outputs.insert(file, (path.clone(), what)) {
                return Err(match other == what {
                    true => OptionsError::OutputTwice { path },
                    false => OptionsError::SamePath { path, names: [other, what] },
                });
            }
        }
        Ok(())
    }
}

/// A path by which one file is known whatever it is called; as given if the file is not there.
pub(crate) fn same_file_path(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// Options that do not go together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Two flags that do not go together.
    #[error("{} and {} do not go together; leave one of them away", flags[0], flags[1])]
    Apart {
        /// The flags.
        flags: [&'static str; 2],
    },
    /// Vectors that cannot be named, as nothing says what made them.
    #[error("--cache names vectors by the files of their model, which an encoder of one's own has not; leave it away")]
    UnnamedVectors,
    /// What is about files, for a table in memory.
    #[error("{flag} is about tables in files, and this one is in memory; leave it away")]
    OfFiles {
        /// The flag.
        flag: &'static str,
    },
    /// Filters that make no sense, or not with this table.
    #[error(transparent)]
    Filters(#[from] FiltersError),
    /// Standard input has no place to write to.
    #[error("--in-place needs a file, and standard input is none; use -o FILE, or leave it away for standard output")]
    InPlaceOfStdin,
    /// There is no file that a run could go on with.
    #[error("{flag} needs a file that it goes on with; name the output with -o FILE")]
    NoOutputFile {
        /// The flag.
        flag: &'static str,
    },
    /// What a run needs beside its output cannot be in a bucket.
    #[error(
        "{flag} needs an output on a disk, and {} is an object; write to a file, and copy it there when it is whole",
        path.display()
    )]
    NotInBucket {
        /// The flag.
        flag: &'static str,
        /// The object.
        path: PathBuf,
    },
    /// The hub is only read.
    #[error("{} is on the hub, where nothing is written; name a file or a folder with -o", path.display())]
    OnHub {
        /// What would be written.
        path: PathBuf,
    },
    /// What is done to rows of one table.
    #[error(
        "{flag} is for one table, and the input is {what}; leave it away, or give one table of text, Parquet or Arrow"
    )]
    OneTable {
        /// The flag.
        flag: &'static str,
        /// What the input is.
        what: &'static str,
    },
    /// Some of several tables would be replaced without their rows, and others stay.
    #[error(
        "{flag} is about the rows of all tables, which cannot be in their own places then; name a folder with -o DIR/"
    )]
    ReplacesSome {
        /// The flag.
        flag: &'static str,
    },
    /// A part of a table has no file of its own.
    #[error("--shard makes a part of a table, which needs a file of its own; name it with -o FILE")]
    NoPartFile,
    /// Pictures in a folder are no table that could be replaced.
    #[error("--in-place needs a table, and {} is a folder of pictures; use -o FILE", folder.display())]
    InPlaceOfPictures {
        /// The folder.
        folder: PathBuf,
    },
    /// What has no file name cannot keep it in a folder.
    #[error("{} is a folder, and {input} has no file name to keep in it; name a file with -o", folder.display())]
    NoName {
        /// The input.
        input: String,
        /// The folder.
        folder: PathBuf,
    },
    /// Two inputs would become one file.
    #[error("{} and {} would both be {}; give them in runs of their own", inputs[0], inputs[1], path.display())]
    SameName {
        /// The inputs.
        inputs: [String; 2],
        /// The file.
        path: PathBuf,
    },
    /// A delimiter that means something else.
    #[error("{delimiter:?} cannot be a delimiter: it quotes fields or ends rows; choose another byte")]
    Delimiter {
        /// The delimiter.
        delimiter: char,
    },
    /// There is nothing to score with.
    #[error("{flag} is given no value; give it one")]
    Missing {
        /// The flag.
        flag: &'static str,
    },
    /// Rows that failed are not written at all.
    #[error(
        "{flag} has no place in a folder of arrays, where rows that fail are left out; drop it, or use --format parquet"
    )]
    NoFailedRows {
        /// The flag.
        flag: &'static str,
    },
    /// A model and metric are given more than once.
    #[error("the column `{column}` would be there twice; give each --model and each --metric once")]
    Twice {
        /// The column.
        column: String,
    },
    /// One column would be two things.
    #[error("the column `{column}` cannot be {} and {} at once; give one of them another name", flags[0], flags[1])]
    SameColumn {
        /// The column.
        column: String,
        /// The flags that name it.
        flags: [&'static str; 2],
    },
    /// Two tables would be written to one place.
    #[error("{} would be the output of two tables; name each table once, and two of one name in runs of their own", path.display())]
    OutputTwice {
        /// The place.
        path: PathBuf,
    },
    /// One file would be written over another.
    #[error("{} cannot be {} and {} at once; give one of them another name", path.display(), names[0], names[1])]
    SamePath {
        /// The file.
        path: PathBuf,
        /// What it would be.
        names: [&'static str; 2],
    },
}

/// A column that is added to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: CellKind,
    /// The flag that asks for it.
    pub flag: ColumnFlag,
}

/// A column with scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreColumn<'a> {
    /// Its name.
    pub name: String,
    /// The model, as it was named.
    pub model: &'a str,
    /// The metric.
    pub metric: Metric,
}

/// Where a table comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input; relative paths start at the working folder.
    Stdin,
    /// A file; relative paths start at its folder, those of a pipe (`/dev/stdin`, `<(…)`) at the working folder. An
    /// address stands for an object in a bucket (`s3://…`) or a file of the hub (`hf://datasets/…`).
    File(PathBuf),
    /// The pictures of a folder and of those in it, each with its caption in a text file beside it.
    Pictures(PathBuf),
    /// Several of the others, one after the other; relative paths start at each one's own place.
    Several(Vec<Part>),
}

/// One of several inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it is.
    pub input: Input,
    /// What it is called in a folder that the tables go to: a relative path.
    pub name: PathBuf,
}

impl Part {
    /// A file, under its own name.
    pub fn of_file(path: &Path) -> Self {
        let name = path.file_name().map_or_else(PathBuf::new, PathBuf::from);
        Self { input: Input::File(path.to_owned()), name }
    }
}

impl Input {
    /// Where relative paths in the table start; empty for the working folder.
    pub fn base(&self) -> &Path {
        match self {
            Self::Stdin | Self::Several(_) => Path::new(""),
            Self::File(path) if is_special(path) => Path::new(""),
            Self::File(path) => path.parent().unwrap_or(Path::new("")),
            Self::Pictures(folder) => folder,
        }
    }

    /// What of it can be read only once, if anything.
    pub(crate) fn read_once(&self) -> Option<&Self> {
        match self {
            Self::Stdin => Some(self),
            Self::File(path) => is_special(path).then_some(self),
            Self::Pictures(_) => None,
            Self::Several(parts) => parts.iter().find_map(|part| part.input.read_once()),
        }
    }

    /// Whether rows come from more than one place.
    pub fn is_several(&self) -> bool {
        matches!(self, Self::Several(_))
    }

    /// The files of tables that it is made of.
    pub fn files(&self) -> Box<dyn Iterator<Item = &Path> + '_> {
        match self {
            Self::Stdin | Self::Pictures(_) => Box::new(std::iter::empty()),
            Self::File(path) => Box::new(std::iter::once(path.as_path())),
            Self::Several(parts) => Box::new(parts.iter().flat_map(|part| part.input.files())),
        }
    }

    /// What each of its [`files`](Self::files) is called in a folder that they go to.
    pub(crate) fn names(&self) -> Box<dyn Iterator<Item = &Path> + '_> {
        match self {
            Self::Stdin | Self::Pictures(_) => Box::new(std::iter::empty()),
            Self::File(path) => Box::new(path.file_name().map(Path::new).into_iter()),
            Self::Several(parts) => Box::new(
                parts.iter().filter(|part| part.input.files().next().is_some()).map(|part| part.name.as_path()),
            ),
        }
    }

    /// The shell command that scores what `command` makes of this input.
    pub(crate) fn piped_through(&self, command: &str) -> String {
        match self {
            Self::File(path) => format!("{command} {} | clipgauge score -", shell_word(&path.to_string_lossy())),
            _ => format!("{command} | clipgauge score -"),
        }
    }
}

/// For a person: of many inputs, the first.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) | Self::Pictures(path) => path.display().fmt(f),
            Self::Several(parts) => {
                let shown: Vec<_> = parts.iter().take(MAX_SHOWN).map(|part| part.input.to_string()).collect();
                f.write_str(&shown.join(", "))?;
                match parts.len().saturating_sub(MAX_SHOWN) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

/// The most inputs that are shown to a person.
const MAX_SHOWN: usize = 3;

/// A name as it can be typed in a shell.
pub(crate) fn shell_word(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.:/".contains(c));
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// Where a table goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output, row by row.
    Stdout,
    /// A file, which appears when it is whole.
    File(PathBuf),
    /// A folder in which each table keeps its name, and appears when it is whole.
    Folder(PathBuf),
    /// The input's own place, when the new table is whole.
    InPlace,
}

impl Output {
    /// A path: a folder that exists, or one that ends in a slash, takes the tables under their own names. A folder in a
    /// bucket is what objects' keys begin with.
    pub fn at(path: PathBuf) -> Self {
        let ends_in_slash =
            path.as_os_str().as_encoded_bytes().last().is_some_and(|last| std::path::is_separator(char::from(*last)));
        let is_folder = ends_in_slash || (!is_object(&path) && path.is_dir());
        if is_folder { Self::Folder(path) } else { Self::File(path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ScoreOptions {
        ScoreOptions::new(Input::File("in.csv".into()))
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let several = |names: [&str; 2]| {
            Input::Several(
                names
                    .iter()
                    .map(|path| Part {
                        input: Input::File(path.into()),
                        name: Path::new(path).file_name().expect("a name").into(),
                    })
                    .collect(),
            )
        };
        let cases = [
            (
                "two of one name",
                ScoreOptions {
                    output: Output::Folder("out".into()),
                    ..ScoreOptions::new(several(["a/1.csv", "b/1.csv"]))
                },
            ),
            (
                "one over another",
                ScoreOptions {
                    output: Output::File("b/2.csv".into()),
                    ..ScoreOptions::new(several(["a/1.csv", "b/2.csv"]))
                },
            ),
            ("no name", ScoreOptions { output: Output::Folder("out".into()), ..ScoreOptions::new(Input::Stdin) }),
            (
                "in place of pictures",
                ScoreOptions { output: Output::InPlace, ..ScoreOptions::new(Input::Pictures("a".into())) },
            ),
            ("in place of a pipe", ScoreOptions { output: Output::InPlace, ..ScoreOptions::new(Input::Stdin) }),
            ("a quote between fields", ScoreOptions { delimiter: Some(b'"'), ..file() }),
            ("score over image", ScoreOptions { column: "url".into(), ..file() }),
            ("error over caption", ScoreOptions { error_column: Some("caption".into()), ..file() }),
            ("error over score", ScoreOptions { error_column: Some("similarity".into()), ..file() }),
            ("errors over input", ScoreOptions { errors: Some("./in.csv".into()), ..file() }),
            (
                "in place on the hub",
                ScoreOptions {
                    output: Output::InPlace,
                    ..ScoreOptions::new(Input::File("hf://datasets/org/name/in.csv".into()))
                },
            ),
            ("onto the hub", ScoreOptions { output: Output::Folder("hf://datasets/org/name/".into()), ..file() }),
            ("summary over input", ScoreOptions { summary: Some("in.csv".into()), output: Output::InPlace, ..file() }),
            ("summary over errors", ScoreOptions { summary: Some("e".into()), errors: Some("e".into()), ..file() }),
            (
                "summary over output",
                ScoreOptions { summary: Some("o.csv".into()), output: Output::File("o.csv".into()), ..file() },
            ),
        ];
        for (name, options) in cases {
            assert!(options.check().is_err(), "{name}");
        }
    }

    #[test]
    fn the_output_may_take_the_place_of_the_input() {
        for output in [Output::InPlace, Output::File("in.csv".into()), Output::File("out.csv".into())] {
            assert_eq!(ScoreOptions { output, ..file() }.check(), Ok(()));
        }
    }

    #[test]
    fn several_tables_may_take_their_own_places() {
        let part = |path: &str| Part { input: Input::File(path.into()), name: path.into() };
        let input = Input::Several(vec![part("a.csv"), part("b.csv")]);
        for output in [Output::InPlace, Output::Folder("".into()), Output::Folder("out".into()), Output::Stdout] {
            assert_eq!(ScoreOptions { output, ..ScoreOptions::new(input.clone()) }.check(), Ok(()));
        }
        assert_eq!(input.to_string(), "a.csv, b.csv");
        let many = Input::Several(vec![part("a.csv"); 5]);
        assert_eq!(many.to_string(), "a.csv, a.csv, a.csv and 2 more");
    }

    #[test]
    fn relative_paths_start_at_the_table() {
        assert_eq!(Input::Stdin.base(), Path::new(""));
        assert_eq!(Input::File("a/b.csv".into()).base(), Path::new("a"));
        assert_eq!(Input::File("b.csv".into()).base(), Path::new(""));
        #[cfg(unix)]
        assert_eq!(Input::File("/dev/null".into()).base(), Path::new(""));
    }
}
