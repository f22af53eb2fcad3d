//! `clipgauge embed INPUT -o OUT`: keeps the vectors of a table's images and captions.

use clipgauge::options::Output;
use clipgauge::pipeline::embed_table;

use super::rows::Reporting;
use crate::args::EmbedArgs;
use crate::exit::Ended;
use crate::options;

pub(crate) fn run(args: EmbedArgs) -> Result<Ended, anyhow::Error> {
    let reporting = Reporting::new(&args.report, &Output::File(args.output.output.clone()));
    let options = options::embed_options(args)?;
    reporting.run(|screen, cancel| embed_table(&options, screen, cancel))
}
