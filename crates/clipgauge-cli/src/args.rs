//! The flags. Help, manual page and completions are all made from this file, those below it and the registries that
//! they name.

mod cache;
mod compare;
mod embed;
mod filters;
mod inputs;
mod merge;
mod models;
mod objects;
mod resume;
mod saving;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use clipgauge::core::metric::Metric;
use clipgauge::options::{DEFAULT_BATCH_SIZE, DEFAULT_MODEL, Precision, TableFormat};

use crate::value;

pub(crate) use cache::CacheArgs;
pub(crate) use compare::CompareArgs;
pub(crate) use embed::{EmbedArgs, EmbedFormat};
pub(crate) use inputs::InputArgs;
pub(crate) use merge::MergeArgs;
pub(crate) use models::{ModelsArgs, ModelsCommand};
pub(crate) use objects::ObjectArgs;
pub(crate) use resume::ResumeArgs;

/// What the command is called.
pub(crate) const NAME: &str = "clipgauge";

/// How well does each image match its caption?
///
/// Takes a table with an image and a caption in each row, and gives the same table with a column `similarity`: the
/// score of the two by a CLIP model, with the numbers of the reference implementations.
///
/// Works on the CPU; a GPU is not used.
#[derive(Debug, Parser)]
#[command(name = NAME, version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Score(Box<ScoreArgs>),
    Compare(Box<CompareArgs>),
    Embed(Box<EmbedArgs>),
    Merge(MergeArgs),
    Models(ModelsArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Add the score of each row to a table
///
/// The table is written with one more column, and is otherwise as it was, byte for byte. A row that cannot be scored
/// keeps an empty cell, is counted by the kind of its error and listed in the errors file; it never ends the run.
///
/// The model runs on the CPU; a GPU is not used.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    pub(crate) inputs: InputArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) resume: ResumeArgs,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
    #[command(flatten)]
    pub(crate) filters: filters::FilterArgs,
    #[command(flatten)]
    pub(crate) saving: saving::SavingArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) fetch: FetchArgs,
    #[command(flatten)]
    pub(crate) pictures: PictureArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Table")]
pub(crate) struct OutputArgs {
    /// Where the table goes, whole or not at all [default: standard output]
    ///
    /// A file that is there is replaced when the new one is whole. If the run is interrupted, the finished rows are in
    /// OUT.partial. A folder that is there, or a name that ends in a slash, takes each table under its own name; one file
    /// takes several inputs if their columns agree. An object (s3://bucket/scored.csv) appears when it is whole, too; of
    /// one that is not, nothing is kept.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Replace the input with the new table when that is whole
    #[arg(long, conflicts_with = "output")]
    pub(crate) in_place: bool,

    /// What the input is, where its name does not say
    #[arg(long, value_parser = value::member(TableFormat::ALL, TableFormat::name, |_| None))]
    pub(crate) format: Option<TableFormat>,

    /// The byte between two fields: `;`, `tab` [default: by the format]
    #[arg(long, value_name = "BYTE", value_parser = value::delimiter)]
    pub(crate) delimiter: Option<u8>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Columns")]
pub(crate) struct ColumnArgs {
    #[command(flatten)]
    pub(crate) read: ReadColumnArgs,

    /// The column that is added
    #[arg(long, value_name = "NAME", default_value = "similarity")]
    pub(crate) column: String,

    /// Also add a column with the kind of error of each row that fails
    #[arg(long, value_name = "NAME")]
    pub(crate) error_column: Option<String>,

    /// Replace columns of these names that are there already
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Also add columns that say why a score is what it is
    ///
    /// Their names begin with `clipgauge_`: tokens, truncated, width, height, bytes, content_hash, error_kind, fetch_ms
    /// and encode_ms. What is not known of a row is empty or null.
    #[arg(long)]
    pub(crate) diagnostics: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Columns")]
pub(crate) struct ReadColumnArgs {
    /// The column with the image: a path, a URL or a data: URI; in Parquet and Arrow also its bytes
    ///
    /// Without a column `url`, the only one of pictures as the Hugging Face libraries store them. In WebDataset shards the
    /// extension of the image; by default the first of jpg, jpeg, png, webp and others.
    #[arg(long, value_name = "NAME", default_value = "url")]
    pub(crate) image_column: String,

    /// The column with the caption
    ///
    /// In WebDataset shards the extension of a member or a field of the .json; by default .txt, else the field `caption`.
    #[arg(long, value_name = "NAME", default_value = "caption")]
    pub(crate) caption_column: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// The model: `pictoclip` (bundled), a folder, or an id of the Hugging Face hub
    ///
    /// `clipgauge models list` shows some. Names that other tools have are known, too: `ViT-B/32`,
    /// `open_clip:ViT-B-32/laion2b_s34b_b79k`, `hf-hub:ORG/NAME`, `hf_clip:ORG/NAME`.
    ///
    /// A hub id may have a revision (ORG/NAME@REVISION); its files are kept in the Hugging Face cache and used from
    /// there. No other model ever takes the place of one that cannot be had. May be repeated: pictures are fetched and
    /// decoded once, and each model has a column of its own, `similarity:MODEL`.
    #[arg(long = "model", value_name = "MODEL", default_value = DEFAULT_MODEL)]
    pub(crate) models: Vec<String>,

    /// How the two vectors are compared
    ///
    /// May be repeated: each metric has a column of its own, `similarity:METRIC`.
    #[arg(
        long = "metric",
        value_name = "METRIC",
        default_value = Metric::default().name(),
        value_parser = value::member(Metric::ALL, Metric::name, metric_help),
    )]
    pub(crate) metrics: Vec<Metric>,

    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct PrecisionArgs {
    /// What the model's linear layers are computed in
    ///
    /// f32 gives the reference's scores. int8 is faster and takes less memory, and its scores differ a little: use the
    /// one or the other for all scores that are compared with each other.
    #[arg(
        long,
        default_value = Precision::default().name(),
        value_parser = value::member(Precision::ALL, Precision::name, |precision| Some(precision.help().to_owned())),
    )]
    pub(crate) precision: Precision,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct WorkArgs {
    /// Put captions in lower case and drop their punctuation first
    ///
    /// SigLIP 2 was trained so, and open_clip does it; the tokenizers of SigLIP 2 on the Hugging Face hub do not, and
    /// transformers follows them, as clipgauge does without this flag. Those of the first SigLIP do it by themselves.
    #[arg(long)]
    pub(crate) canonicalize_captions: bool,

    #[command(flatten)]
    pub(crate) precision: PrecisionArgs,

    /// How many encoders work at once [default: one per core]
    #[arg(long, value_name = "N", value_parser = value::at_least_one)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// How many rows an encoder takes at once; never changes a score
    #[arg(long, value_name = "N", default_value_t = DEFAULT_BATCH_SIZE, value_parser = value::at_least_one)]
    pub(crate) batch_size: NonZeroUsize,

    #[command(flatten)]
    pub(crate) cache: CacheArgs,
}

fn metric_help(metric: Metric) -> Option<String> {
    let range = metric.range();
    let bound = |bound: f32| bound.to_string().replace("inf", "∞");
    let (lowest, highest) = (bound(*range.start()), bound(*range.end()));
    let better = if metric.higher_is_better() { "" } else { ", lower is better" };
    Some(format!("{}, from {lowest} to {highest}{better}; {}", metric.formula(), metric.description()))
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Fetching")]
pub(crate) struct FetchArgs {
    /// The most pictures fetched at once
    #[arg(long, value_name = "N", default_value = "64", value_parser = value::at_least_one)]
    pub(crate) concurrency: NonZeroUsize,

    /// The most requests at once to one host
    #[arg(long, value_name = "N", default_value = "16", value_parser = value::at_least_one)]
    pub(crate) per_host: NonZeroUsize,

    /// The least time between two requests to one host [default: none]
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    pub(crate) per_host_interval: Option<Duration>,

    /// After how many requests in a row without an answer a host is taken to be down; 0 for never
    ///
    /// Its rows then fail at once as host_down, but for one every ten seconds that tries whether it is back.
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) host_failures: u32,

    /// The longest that fetching a picture may take, retries included
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::duration)]
    pub(crate) timeout: Duration,

    /// The longest that making a connection may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = value::duration)]
    pub(crate) connect_timeout: Duration,

    /// How often a fetch is tried again after a failure that may pass
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) retries: u32,

    /// The most bytes that a picture's file may have
    #[arg(long, value_name = "SIZE", default_value = "50MB", value_parser = value::bytes)]
    pub(crate) max_bytes: u64,

    /// A header line sent with each request, as 'Name: value'; may be repeated
    #[arg(long = "header", value_name = "LINE", value_parser = value::header)]
    pub(crate) headers: Vec<(String, String)>,

    /// The User-Agent sent with each request [default: one that names clipgauge]
    #[arg(long, value_name = "TEXT")]
    pub(crate) user_agent: Option<String>,

    /// Use pictures even if their server asks not to
    ///
    /// Without it, a picture whose X-Robots-Tag header says noai, noimageai, noindex or noimageindex, to all or to the
    /// name that --user-agent begins with, fails as opted_out.
    #[arg(long)]
    pub(crate) ignore_opt_outs: bool,

    #[command(flatten)]
    pub(crate) objects: ObjectArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct PictureArgs {
    /// The most pixels that a picture may have
    #[arg(long, value_name = "N", default_value = "100M", value_parser = value::count)]
    pub(crate) max_pixels: u64,

    /// Do not turn pictures as their EXIF orientation says
    ///
    /// transformers' load_image turns them, and so does clipgauge; open_clip and a bare Image.open do not.
    #[arg(long)]
    pub(crate) ignore_exif: bool,

    /// Lay transparent pictures over this colour: white, #fff
    ///
    /// Without it, transparency is dropped as Pillow's convert("RGB") does.
    #[arg(long, value_name = "COLOR", value_parser = value::color)]
    pub(crate) background: Option<[u8; 3]>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
pub(crate) struct ReportArgs {
    /// Where rows that fail are listed, as CSV [default: OUT.errors.csv]
    ///
    /// In place, INPUT.errors.csv; with the table on standard output, nowhere. Without a failure there is no such file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) errors: Option<PathBuf>,

    /// Also write the summary as JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) summary: Option<PathBuf>,

    /// Also print where the time went: each stage, and how busy the encoders were
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) timings: bool,

    /// Exit with 0 even if rows failed
    #[arg(long)]
    pub(crate) allow_failures: bool,

    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
pub(crate) struct ScreenArgs {
    /// When to show progress, on standard error
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ProgressWhen::Auto)]
    pub(crate) progress: ProgressWhen,

    /// Only print errors
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Log what is done; -vv in detail
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressWhen {
    /// A bar on a terminal, elsewhere a line every ten seconds
    Auto,
    /// A bar on a terminal, elsewhere a line every second
    Always,
    /// Nothing
    Never,
}

/// Print a script that completes the flags in a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// Print a manual page
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command that the page is about [default: clipgauge itself]
    pub(crate) command: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  clipgauge score pairs.csv > scored.csv
  clipgauge score pairs.csv -o scored.csv --summary summary.json
  clipgauge score laion.tsv --image-column URL --caption-column TEXT -o scored.tsv
  clipgauge score 'data/*.parquet' -o all.parquet           (one table; -o scored/ keeps them apart)
  clipgauge score pairs.csv --in-place --column b32 --error-column why
  clipgauge score pairs.parquet -o scored.parquet --resume
  clipgauge score s3://bucket/pairs.parquet -o s3://bucket/scored.parquet
  clipgauge score examples/pairs.csv --model pictoclip      (no download, for a first try)
  clipgauge score pairs.csv --min-score 0.28 --keep-columns id,url -o good.csv
  clipgauge score laion.parquet --min-score 0.28 --save-images shards -o good.parquet
  gzip -dc pairs.csv.gz | clipgauge score - | gzip > scored.csv.gz

Exit codes:
  0    all rows are scored (or --allow-failures)
  3    some rows failed
  2    the command line is wrong: a flag, a column, a path
  1    the run was not possible: no model, no disk space
  130  ended by ctrl-C
  143  ended by SIGTERM";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_make_sense_to_clap() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_metric_is_in_the_help_with_its_formula() {
        let mut command = Cli::command();
        let help = command.find_subcommand_mut("score").expect("a command").render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for metric in Metric::ALL {
            let line = format!("{}: {}", metric.name(), metric_help(*metric).expect("help"));
            assert!(help.contains(&line.split_whitespace().collect::<Vec<_>>().join(" ")), "{line} is not in {help}");
        }
    }
}
