//! The flags of runs that go on after others, or do a part of the work.

use clap::Args;
use clipgauge::options::Shard;

#[derive(Debug, Args)]
#[command(next_help_heading = "Long runs")]
pub(crate) struct ResumeArgs {
    /// Go on where a run with the same output was ended, by whatever
    ///
    /// While a run goes on, what became of its rows is in OUT.journal. Rows that have a score there, or that failed for
    /// good (404, no image), are not fetched or encoded again; failures that may pass (time-outs, DNS, 5xx) are. Without
    /// such a journal the run begins anew, and with a finished output there is nothing to do. Refused if the input, the
    /// model or an option that decides a score or a column is another one.
    #[arg(long)]
    pub(crate) resume: bool,

    /// Do only those rows again that have no score in the output that is there
    ///
    /// OUT has to be an output of INPUT. Its other scores stay as they are, and it is replaced when the new one is whole.
    #[arg(long)]
    pub(crate) retry_failed: bool,

    /// Score one part of the table: part I, from 0, of N
    ///
    /// The parts are contiguous rows, the same in every run; in Parquet, row groups. `clipgauge merge` puts their outputs
    /// together, which is what OUT.shard.json beside each is for.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
}
