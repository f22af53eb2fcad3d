//! What a run is told: everything a user may choose about scoring a table, with the defaults.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::metric::Metric;

use crate::source::FetchOptions;

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
    /// The column that is added.
    pub column: String,
    /// Whether a column of that name may be replaced.
    pub overwrite: bool,
    /// The column that gets the kind of error, if one is wanted.
    pub error_column: Option<String>,
    /// Where failed rows are listed; `None` for the default place of the output.
    pub errors: Option<PathBuf>,
    /// Where the summary goes as JSON.
    pub summary: Option<PathBuf>,
    /// The model: a bundled one, a folder or a hub id.
    pub model: String,
    /// The metric.
    pub metric: Metric,
    /// How many encoders work at once; `None` for one per core.
    pub threads: Option<NonZeroUsize>,
    /// How many rows an encoder takes at once. Never changes a score.
    pub batch_size: NonZeroUsize,
    /// Limits of fetching.
    pub fetch: FetchOptions,
    /// Limits of decoding.
    pub decode: DecodeOptions,
}

/// Where a table comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input; relative paths start at the working folder.
    Stdin,
    /// A file; relative paths start at its folder.
    File(PathBuf),
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

/// Formats of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableFormat {
    /// Comma-separated.
    Csv,
    /// Tab-separated.
    Tsv,
}
