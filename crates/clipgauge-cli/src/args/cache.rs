//! Where vectors are kept from one run to the next.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::value;

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct CacheArgs {
    /// Keep the vectors of images and captions in a folder, for the runs to come
    ///
    /// Those that another run has kept there are not computed again, as long as the model's files, --precision, what is
    /// done to pictures, the version of clipgauge and the kind of processor are the same. Never changes a score. Several
    /// runs may use one folder at once, and it may be removed at any time between them.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) cache: Option<PathBuf>,

    /// About how many bytes --cache may have; what was used longest ago goes first
    #[arg(long, value_name = "SIZE", default_value = "10GB", value_parser = value::bytes, requires = "cache")]
    pub(crate) cache_size: u64,
}
