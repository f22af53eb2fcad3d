//! What the commands that go over a table have in common: progress while it runs, a summary and an exit code at its end.

use clipgauge::cancel::Cancel;
use clipgauge::options::Output;
use clipgauge::pipeline::ScoreTableError;
use clipgauge::stats::Summary;

use crate::args::ReportArgs;
use crate::exit::{Ended, Usage};
use crate::progress::Screen;
use crate::{log, signals};

/// How a run is told of.
pub(crate) struct Reporting {
    allow_failures: bool,
    prints_timings: bool,
    is_quiet: bool,
    screen: Screen,
}

impl Reporting {
    /// What the flags say; `output` is where the rows go. Starts the log: there may be things to say of inputs, too.
    pub(crate) fn new(args: &ReportArgs, output: &Output) -> Self {
        let screen = Screen::new(args.screen.progress, args.screen.quiet, output);
        let is_quiet = args.screen.quiet;
        log::start(args.screen.verbose, is_quiet, &screen);
        Self { allow_failures: args.allow_failures, prints_timings: args.timings, is_quiet, screen }
    }

    /// Runs `work`, and says how it ended.
    pub(crate) fn run(
        self,
        work: impl FnOnce(&Screen, &Cancel) -> Result<Summary, ScoreTableError>,
    ) -> Result<Ended, anyhow::Error> {
        let Self { allow_failures, prints_timings, is_quiet, screen } = self;
        let cancel = signals::watch()?;
        let done = work(&screen, &cancel);
        screen.clear();
        match done {
            Ok(summary) => {
                if !is_quiet {
                    screen.print(&summary.to_string());
                }
                if prints_timings {
                    screen.print(&summary.timings.to_string());
                }
                Ok(match cancel.cause() {
                    Some(cause) if summary.interrupted => Ended::Cancelled(cause),
                    _ if summary.failed > 0 && !allow_failures => Ended::SomeFailed,
                    _ => Ended::Done,
                })
            }
            Err(error) if error.is_closed_pipe() => Ok(Ended::Done),
            Err(error) if error.is_interrupted() => {
                if !is_quiet {
                    screen.print(&error.to_string());
                }
                Ok(cancel.cause().map_or(Ended::Done, Ended::Cancelled))
            }
            Err(error) if error.is_usage() => Err(Usage(error.into()).into()),
            Err(error) => Err(error.into()),
        }
    }
}
