//! The flags of `clipgauge merge`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Put the outputs of `clipgauge score --shard` together
///
/// The whole has the rows in the order of the table, in the parts' format. PART.shard.json beside each part says which
/// one it is: all have to be there, once, unchanged, and of runs with the same input and options. Lists of failed rows
/// (PART.errors.csv) become OUT.errors.csv.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct MergeArgs {
    /// The parts, in any order
    #[arg(value_name = "PART", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) parts: Vec<PathBuf>,

    /// Where the whole goes, whole or not at all
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// Only print errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  clipgauge score pairs.csv --shard 0/2 -o part-0.csv
  clipgauge score pairs.csv --shard 1/2 -o part-1.csv
  clipgauge merge part-*.csv -o scored.csv

Exit codes:
  0    the parts are together, failed rows or not
  2    a part is missing, there twice, changed or of another run
  1    a file cannot be read or written";
