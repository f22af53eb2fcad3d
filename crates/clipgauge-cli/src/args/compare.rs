//! The flags of `clipgauge compare`.

use clap::Args;
use clipgauge::core::metric::Metric;
use clipgauge::options::DEFAULT_MODEL;

use super::{FetchArgs, PictureArgs, PrecisionArgs, ScreenArgs, metric_help};
use crate::value;

/// Compare two images, two texts, or an image with a text
///
/// Prints the bare number: the score that a table gets for the same image and caption. Two images or two texts are
/// compared by the same metric between their own two vectors.
///
/// The model runs on the CPU; a GPU is not used.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CompareArgs {
    /// An image (a path, a URL, a data: URI), or a text as `text:a red apple`
    ///
    /// Everything behind `text:` is the text as it stands; nothing behind it is the empty text. A file whose name
    /// begins with `text:` is `./text:…`.
    #[arg(value_name = "A")]
    pub(crate) a: String,

    /// The other, an image or a text
    #[arg(value_name = "B")]
    pub(crate) b: String,

    /// Print an object in JSON with what the number is, one a line
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) model: CompareModelArgs,
    #[command(flatten)]
    pub(crate) fetch: FetchArgs,
    #[command(flatten)]
    pub(crate) pictures: PictureArgs,
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct CompareModelArgs {
    /// The model: `pictoclip` (bundled), a folder, or an id of the Hugging Face hub; a line for each, if repeated
    #[arg(long = "model", value_name = "MODEL", default_value = DEFAULT_MODEL)]
    pub(crate) models: Vec<String>,

    /// How the two vectors are compared; a line for each, if repeated
    #[arg(
        long = "metric",
        value_name = "METRIC",
        default_value = Metric::default().name(),
        value_parser = value::member(Metric::ALL, Metric::name, metric_help),
    )]
    pub(crate) metrics: Vec<Metric>,

    /// Put texts in lower case and drop their punctuation first, as SigLIP 2 was trained
    #[arg(long)]
    pub(crate) canonicalize_captions: bool,

    #[command(flatten)]
    pub(crate) precision: PrecisionArgs,
}

const EXAMPLES: &str = "\
Examples:
  clipgauge compare cat.jpg 'text:a sleeping cat'
  clipgauge compare cat.jpg https://example.org/other-cat.jpg
  clipgauge compare 'text:a cat' 'text:eine Katze' --model ./my-model
  clipgauge compare cat.jpg 'text:a cat' --model pictoclip --model openai/clip-vit-base-patch32
  clipgauge compare cat.jpg 'text:a cat' --metric logit --json

Exit codes:
  0    the two are compared
  2    the command line is wrong: a flag, a metric that the model does not have
  1    not possible: an image or a model cannot be had or used
  130  ended by ctrl-C
  143  ended by SIGTERM";
