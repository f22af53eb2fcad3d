//! `clipgauge score INPUT`: adds the score of each row to a table.

use clipgauge::pipeline::score_table;

use super::rows::Reporting;
use crate::args::ScoreArgs;
use crate::exit::Ended;
use crate::options;

pub(crate) fn run(args: ScoreArgs) -> Result<Ended, anyhow::Error> {
    let output = options::place(&args.output);
    let reporting = Reporting::new(&args.report, &output);
    let options = options::score_options(args)?;
    reporting.run(|screen, cancel| score_table(&options, screen, cancel))
}
