//! How object stores are asked.

use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Fetching")]
pub(crate) struct ObjectArgs {
    /// Do not sign requests to object stores, whatever credentials there are
    ///
    /// For public buckets that those credentials do not open. Without any credentials, no request is signed anyway.
    #[arg(long)]
    pub(crate) no_sign_request: bool,
}
