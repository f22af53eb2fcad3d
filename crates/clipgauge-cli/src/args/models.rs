//! The flags of `clipgauge models`.

use clap::{Args, Subcommand};

/// See what models there are, and what one is
///
/// A model is named as for `clipgauge score --model`: `pictoclip` (bundled), another tool's name for it (`ViT-B/32`,
/// `open_clip:ViT-B-32/laion2b_s34b_b79k`, `hf-hub:ORG/NAME`), a folder, or an id of the Hugging Face hub.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the well-known models, and those in the cache
    List(ListArgs),
    /// Show what a model is
    ///
    /// From its configuration and the headers of its weights. Of a model of the hub only small files are fetched; what
    /// stands in the weights alone is left out unless they are in the cache.
    Show(ModelArgs),
    /// Fetch a model into the cache, and print its folder
    Fetch(ModelArgs),
    /// Load a model, and have it encode a picture and a text
    ///
    /// Fetches it if need be. Ends with 1 if it cannot score.
    Check(ModelArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// The model
    #[arg(value_name = "MODEL")]
    pub(crate) model: String,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
