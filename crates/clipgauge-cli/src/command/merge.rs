//! `clipgauge merge PART… -o OUT`: puts the outputs of a table's parts together.

use std::io::{self, Write};

use clipgauge::merge::{self, Merged};

use crate::args::MergeArgs;
use crate::exit::{Ended, Usage};

pub(crate) fn run(args: &MergeArgs) -> Result<Ended, anyhow::Error> {
    let merged = match merge::merge(&args.parts, &args.output) {
        Ok(merged) => merged,
        Err(error) if error.is_usage() => return Err(Usage(error.into()).into()),
        Err(error) => return Err(error.into()),
    };
    if !args.quiet {
        // With standard error closed there is nobody to tell.
        let _ = writeln!(io::stderr(), "{}", summary(&merged));
    }
    Ok(Ended::Done)
}

fn summary(merged: &Merged) -> String {
    let Merged { parts, rows, scored, failed, errors } = merged;
    let mut summary = format!("{parts} parts, {rows} rows, {scored} scored");
    if !failed.is_empty() {
        let kinds: Vec<_> = failed.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        summary += &format!(", {} failed ({})", failed.values().sum::<u64>(), kinds.join(", "));
    }
    if let Some(errors) = errors {
        summary += &format!("\nfailed rows are listed in {}", errors.display());
    }
    summary
}
