//! What a run that keeps vectors is told.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clipgauge_core::decode::DecodeOptions;

use crate::disk_cache::CacheOptions;
use crate::options::{DEFAULT_MODEL, Input, OptionsError, Output, Precision, ScoreOptions, TableFormat};
use crate::scorer::DEFAULT_BATCH_SIZE;
use crate::source::FetchOptions;
use crate::vectors::{DEFAULT_PART_ROWS, NpyType};

/// The column with the images' vectors.
pub const IMAGE_COLUMN: &str = "image_embedding";

/// The column with the captions' vectors.
pub const TEXT_COLUMN: &str = "text_embedding";

/// What the vectors are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorLayout {
    /// A Parquet file: the table's columns as texts, and two columns of vectors, null where a row failed.
    Parquet {
        /// Whether vectors are brought to length 1; else they are as the model gives them.
        normalize: bool,
    },
    /// A folder of numpy arrays as clip-retrieval has it: vectors of length 1, without the rows that failed.
    Npy {
        /// How a number is stored.
        element: NpyType,
        /// The most rows of a part.
        part_rows: NonZeroU64,
    },
}

impl VectorLayout {
    /// A folder as clip-retrieval writes it by itself.
    pub const NPY: Self = Self::Npy { element: NpyType::F16, part_rows: DEFAULT_PART_ROWS };
}

/// Everything about one run that keeps the vectors of a table. Fields without a word have those of [`ScoreOptions`].
#[derive(Debug, Clone)]
pub struct EmbedOptions {
    /// Where the table is.
    pub input: Input,
    /// The file or folder that appears when it is whole.
    pub output: PathBuf,
    /// What it is.
    pub layout: VectorLayout,
    /// The field separator of a delimited table; `None` to take it from the format.
    pub delimiter: Option<u8>,
    /// What the input is, where its name does not say.
    pub format: Option<TableFormat>,
    /// The column with the image's address.
    pub image_column: String,
    /// The column with the caption.
    pub caption_column: String,
    /// Whether columns of the added ones' names may be replaced.
    pub overwrite: bool,
    /// The column that gets the kind of error, if one is wanted; only in Parquet.
    pub error_column: Option<String>,
    /// Where failed rows are listed; `None` for `OUTPUT.errors.csv`.
    pub errors: Option<PathBuf>,
    /// Where the summary goes as JSON.
    pub summary: Option<PathBuf>,
    /// The model: a bundled one, a folder or a hub id.
    pub model: String,
    /// Whether captions are put in lower case and lose their punctuation first.
    pub canonicalize_captions: bool,
    /// How many encoders work at once; `None` for one per core.
    pub threads: Option<NonZeroUsize>,
    /// How many rows an encoder takes at once. Never changes a vector.
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

impl EmbedOptions {
    /// The defaults: the vectors of a table, raw, in a Parquet file.
    pub fn new(input: Input, output: PathBuf) -> Self {
        Self {
            input,
            output,
            layout: VectorLayout::Parquet { normalize: false },
            delimiter: None,
            format: None,
            image_column: "url".to_owned(),
            caption_column: "caption".to_owned(),
            overwrite: false,
            error_column: None,
            errors: None,
            summary: None,
            model: DEFAULT_MODEL.to_owned(),
            canonicalize_captions: false,
            threads: None,
            batch_size: DEFAULT_BATCH_SIZE,
            precision: Precision::default(),
            fetch: FetchOptions::default(),
            decode: DecodeOptions::default(),
            cache: None,
        }
    }

    /// Whether the options agree with each other. A run checks this before anything else.
    ///
    /// # Errors
    ///
    /// They do not.
    pub fn check(&self) -> Result<(), OptionsError> {
        if let Some(column) = &self.error_column {
            if matches!(self.layout, VectorLayout::Npy { .. }) {
                return Err(OptionsError::NoFailedRows { flag: "--error-column" });
            }
            if [IMAGE_COLUMN, TEXT_COLUMN].contains(&column.as_str()) {
                let flags = ["a column of vectors", "--error-column"];
                return Err(OptionsError::SameColumn { column: column.clone(), flags });
            }
        }
        for (flag, column) in [("--image-column", &self.image_column), ("--caption-column", &self.caption_column)] {
            if [IMAGE_COLUMN, TEXT_COLUMN].contains(&column.as_str()) {
                return Err(OptionsError::SameColumn { column: column.clone(), flags: [flag, "a column of vectors"] });
            }
        }
        self.run().check_without_scores()
    }

    /// The same run as one of scores, of which it has none.
    pub(crate) fn run(&self) -> ScoreOptions {
        ScoreOptions {
            output: Output::File(self.output.clone()),
            delimiter: self.delimiter,
            format: self.format,
            image_column: self.image_column.clone(),
            caption_column: self.caption_column.clone(),
            overwrite: self.overwrite,
            error_column: self.error_column.clone(),
            errors: self.errors.clone(),
            summary: self.summary.clone(),
            models: vec![self.model.clone()],
            metrics: Vec::new(),
            canonicalize_captions: self.canonicalize_captions,
            threads: self.threads,
            batch_size: self.batch_size,
            precision: self.precision,
            fetch: self.fetch.clone(),
            decode: self.decode.clone(),
            cache: self.cache.clone(),
            ..ScoreOptions::new(self.input.clone())
        }
    }
}
