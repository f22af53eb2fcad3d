//! What a run is told: everything a user may choose about scoring a table, with the defaults.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::metric::Metric;

use crate::atomic::is_special;
use crate::disk_cache::CacheOptions;
use crate::source::FetchOptions;

pub use crate::scorer::DEFAULT_BATCH_SIZE;
pub use crate::table::TableFormat;
pub use clipgauge_core::precision::Precision;

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
            image_column: "url".to_owned(),
            caption_column: "caption".to_owned(),
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

    /// The names of all columns that are added: the scores', then the error's if there is one.
    pub(crate) fn added_names(&self) -> Vec<String> {
        self.score_columns().into_iter().map(|column| column.name).chain(self.error_column.clone()).collect()
    }

    /// Whether the options agree with each other. A run checks this before anything else.
    ///
    /// # Errors
    ///
    /// They do not, or one makes no sense.
    pub fn check(&self) -> Result<(), OptionsError> {
        if self.output == Output::InPlace && self.input == Input::Stdin {
            return Err(OptionsError::InPlaceOfStdin);
        }
        self.check_delimiter()?;
        for (flag, is_empty) in [("--model", self.models.is_empty()), ("--metric", self.metrics.is_empty())] {
            if is_empty {
                return Err(OptionsError::Missing { flag });
            }
        }
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

    /// No column may be two things.
    fn check_columns(&self) -> Result<(), OptionsError> {
        let mut columns =
            vec![("--image-column", self.image_column.clone()), ("--caption-column", self.caption_column.clone())];
        // A column may hold an image and be its caption, odd as that is; what is written is only itself.
        let read = columns.len();
        columns.extend(self.score_columns().into_iter().map(|column| ("--column", column.name)));
        columns.extend(self.error_column.clone().map(|column| ("--error-column", column)));
        for (index, (flag, column)) in columns.iter().enumerate().skip(read) {
            let Some((other, _)) = columns[..index].iter().find(|(_, other)| other == column) else { continue };
            return Err(match *other {
                "--column" if *flag == "--column" => OptionsError::Twice { column: column.clone() },
                other => OptionsError::SameColumn { column: column.clone(), flags: [other, flag] },
            });
        }
        Ok(())
    }

    /// No file may be written over another of the same run; only the table itself may take the input's place.
    fn check_paths(&self) -> Result<(), OptionsError> {
        let mut paths: Vec<(&'static str, PathBuf)> = Vec::new();
        let mut named = vec![];
        if let Input::File(path) = &self.input {
            named.push(("the input", path.clone()));
        }
        if let Output::File(path) = &self.output {
            named.push(("--output", path.clone()));
        }
        named.extend(crate::errors_file::path(self).map(|path| ("--errors", path)));
        named.extend(self.summary.clone().map(|path| ("--summary", path)));
        for (what, path) in named.into_iter().filter(|(_, path)| !is_special(path)) {
            let file = same_file_path(&path);
            let other =
                paths.iter().find(|(other, taken)| *taken == file && (*other, what) != ("the input", "--output"));
            if let Some((other, _)) = other {
                return Err(OptionsError::SamePath { path, names: [other, what] });
            }
            paths.push((what, file));
        }
        Ok(())
    }
}

/// A path by which one file is known whatever it is called; as given if the file is not there.
fn same_file_path(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// Options that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Standard input has no place to write to.
    #[error("--in-place needs a file, and standard input is none; use -o FILE, or leave it away for standard output")]
    InPlaceOfStdin,
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
    /// One file would be written over another.
    #[error("{} cannot be {} and {} at once; give one of them another name", path.display(), names[0], names[1])]
    SamePath {
        /// The file.
        path: PathBuf,
        /// What it would be.
        names: [&'static str; 2],
    },
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
    /// A file; relative paths start at its folder, those of a pipe (`/dev/stdin`, `<(…)`) at the working folder.
    File(PathBuf),
}

impl Input {
    /// Where relative paths in the table start; empty for the working folder.
    pub fn base(&self) -> &Path {
        match self {
            Self::Stdin => Path::new(""),
            Self::File(path) if is_special(path) => Path::new(""),
            Self::File(path) => path.parent().unwrap_or(Path::new("")),
        }
    }

    /// The shell command that scores what `command` makes of this input.
    pub(crate) fn piped_through(&self, command: &str) -> String {
        match self {
            Self::Stdin => format!("{command} | clipgauge score -"),
            Self::File(path) => format!("{command} {} | clipgauge score -", shell_word(&path.to_string_lossy())),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

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
    /// The input's own place, when the new table is whole.
    InPlace,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ScoreOptions {
        ScoreOptions::new(Input::File("in.csv".into()))
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let cases = [
            ("in place of a pipe", ScoreOptions { output: Output::InPlace, ..ScoreOptions::new(Input::Stdin) }),
            ("a quote between fields", ScoreOptions { delimiter: Some(b'"'), ..file() }),
            ("score over image", ScoreOptions { column: "url".into(), ..file() }),
            ("error over caption", ScoreOptions { error_column: Some("caption".into()), ..file() }),
            ("error over score", ScoreOptions { error_column: Some("similarity".into()), ..file() }),
            ("errors over input", ScoreOptions { errors: Some("./in.csv".into()), ..file() }),
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
    fn relative_paths_start_at_the_table() {
        assert_eq!(Input::Stdin.base(), Path::new(""));
        assert_eq!(Input::File("a/b.csv".into()).base(), Path::new("a"));
        assert_eq!(Input::File("b.csv".into()).base(), Path::new(""));
        #[cfg(unix)]
        assert_eq!(Input::File("/dev/null".into()).base(), Path::new(""));
    }
}
