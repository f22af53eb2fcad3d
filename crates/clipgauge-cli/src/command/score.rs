//! `clipgauge score INPUT`: adds the score of each row to a table.

use clipgauge::pipeline::score_table;

use crate::args::ScoreArgs;
use crate::exit::{Ended, Usage};
use crate::{log, options, progress, signals};

pub(crate) fn run(args: ScoreArgs) -> Result<Ended, anyhow::Error> {
    let allow_failures = args.report.allow_failures;
    let is_quiet = args.report.screen.quiet;
    let (verbosity, when) = (args.report.screen.verbose, args.report.screen.progress);
    let options = options::score_options(args);

    let screen = progress::Screen::new(when, is_quiet, &options.output);
    log::start(verbosity, is_quiet, &screen);
    let cancel = signals::watch()?;

    let scored = score_table(&options, &screen, &cancel);
    screen.clear();
    match scored {
        Ok(summary) => {
            if !is_quiet {
                screen.print(&summary.to_string());
            }
            Ok(match cancel.cause() {
                Some(cause) if summary.interrupted => Ended::Cancelled(cause),
                _ if summary.failed > 0 && !allow_failures => Ended::SomeFailed,
                _ => Ended::Done,
            })
        }
        Err(error) if error.is_closed_pipe() => Ok(Ended::Done),
        Err(error) if error.is_usage() => Err(Usage(error.into()).into()),
        Err(error) => Err(error.into()),
    }
}
