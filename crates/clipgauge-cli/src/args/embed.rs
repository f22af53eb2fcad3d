//! The flags of `clipgauge embed`.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use clipgauge::options::{DEFAULT_MODEL, TableFormat};
use clipgauge::vectors::NpyType;

use super::{FetchArgs, PictureArgs, ReadColumnArgs, ReportArgs, WorkArgs};
use crate::value;

/// Keep the vectors of a table's images and captions
///
/// Parquet has the columns of the table, and the vectors in `image_embedding` and `text_embedding`, null where a row
/// failed. `--format npy` gives the folder of clip-retrieval, with normalised vectors and without rows that failed.
///
/// The model runs on the CPU; a GPU is not used.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct EmbedArgs {
    /// The table; `-` for standard input
    ///
    /// CSV or TSV in UTF-8 with a header, JSON Lines, Parquet or Arrow; by its name, or --input-format. Relative paths of images start at the table's folder (for standard input at
    /// the working folder); http and https URLs, objects in buckets (s3://, gs://, az://, abfss://) and data: URIs work
    /// too. The table may be an object as well: s3://bucket/pairs.parquet.
    #[arg(value_name = "INPUT", value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,

    #[command(flatten)]
    pub(crate) output: EmbedOutputArgs,
    #[command(flatten)]
    pub(crate) columns: EmbedColumnArgs,
    #[command(flatten)]
    pub(crate) model: EmbedModelArgs,
    #[command(flatten)]
    pub(crate) fetch: FetchArgs,
    #[command(flatten)]
    pub(crate) pictures: PictureArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Vectors")]
pub(crate) struct EmbedOutputArgs {
    /// The Parquet file, or for `--format npy` the folder; appears whole or not at all
    ///
    /// A file that is there is replaced when the new one is whole; a folder only if it is empty. If the run is
    /// interrupted, the finished rows are in OUT.partial.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::AnyPath)]
    pub(crate) output: PathBuf,

    /// What the vectors are kept in
    #[arg(long, value_enum, default_value_t = EmbedFormat::Parquet)]
    pub(crate) format: EmbedFormat,

    /// Bring the vectors in Parquet to length 1; they are as the model gives them otherwise
    #[arg(long)]
    pub(crate) normalize: bool,

    /// How arrays store a number [default: f16, as clip-retrieval does]
    #[arg(long, value_parser = value::member(NpyType::ALL, NpyType::name, |_| None))]
    pub(crate) dtype: Option<NpyType>,

    /// The most rows of an array [default: 1000000]
    #[arg(long, value_name = "N")]
    pub(crate) part_rows: Option<NonZeroU64>,

    /// What the input is, where its name does not say
    #[arg(long, value_parser = value::member(TableFormat::ALL, TableFormat::name, |_| None))]
    pub(crate) input_format: Option<TableFormat>,

    /// The byte between two fields: `;`, `tab` [default: by the format]
    #[arg(long, value_name = "BYTE", value_parser = value::delimiter)]
    pub(crate) delimiter: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmbedFormat {
    /// A file with the table's columns and two of vectors
    Parquet,
    /// A folder with arrays of numpy, as clip-retrieval writes it
    Npy,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Columns")]
pub(crate) struct EmbedColumnArgs {
    #[command(flatten)]
    pub(crate) read: ReadColumnArgs,

    /// Also add a column with the kind of error of each row that fails, in Parquet
    #[arg(long, value_name = "NAME")]
    pub(crate) error_column: Option<String>,

    /// Replace columns of the added ones' names that are there already
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct EmbedModelArgs {
    /// The model: `pictoclip` (bundled), a folder, or an id of the Hugging Face hub
    #[arg(long, value_name = "MODEL", default_value = DEFAULT_MODEL)]
    pub(crate) model: String,

    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

const EXAMPLES: &str = "\
Examples:
  clipgauge embed pairs.csv -o vectors.parquet
  clipgauge embed pairs.csv -o vectors.parquet --normalize --error-column why
  clipgauge embed pairs.csv -o embeddings --format npy
  clipgauge embed examples/pairs.csv -o vectors.parquet --model pictoclip      (no download, for a first try)

Exit codes:
  0    all rows have vectors (or --allow-failures)
  3    some rows failed
  2    the command line is wrong: a flag, a column, a path
  1    the run was not possible: no model, no disk space
  130  ended by ctrl-C
  143  ended by SIGTERM";
