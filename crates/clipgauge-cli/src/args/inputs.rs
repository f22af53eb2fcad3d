//! What a run reads.

use std::path::PathBuf;

use clap::{Args, ValueHint};

#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// The table, or several; `-` for standard input
    ///
    /// CSV or TSV in UTF-8 with a header, JSON Lines, Parquet, Arrow or WebDataset shards; by its name, or by a flag. Relative paths of
    /// images start at the table's folder (for standard input at the working folder); http and https URLs, files of the
    /// Hugging Face hub (hf://), objects in buckets (s3://, gs://, az://, abfss://) and data: URIs work too.
    ///
    /// Several tables are read one after the other. Patterns in quotes are expanded, too: 'data/*.parquet',
    /// 'train-{000..041}.csv', 's3://bucket/train/*.tar', 'hf://datasets/ORG/NAME/data/*.parquet'. A folder, or a data
    /// set of the hub (hf://datasets/ORG/NAME), stands for the tables in it, or for its pictures with their captions in text
    /// files beside them (cat.jpg, cat.txt).
    #[arg(value_name = "INPUT", required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,
}
