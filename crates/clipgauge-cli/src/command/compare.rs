//! `clipgauge compare A B`: prints the score of two things.

use std::io::{self, Write};

use clipgauge::compare::{Comparison, Item, compare};
use serde::Serialize;

use crate::args::CompareArgs;
use crate::exit::{Ended, Usage};
use crate::{log, options, progress, signals};

/// A line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    a: &'a str,
    b: &'a str,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

pub(crate) fn run(args: &CompareArgs) -> Result<Ended, anyhow::Error> {
    let screen = progress::Screen::of_downloads(args.screen.progress, args.screen.quiet);
    log::start(args.screen.verbose, args.screen.quiet, &screen);
    let cancel = signals::watch()?;

    let items = [&args.a, &args.b].map(|argument| Item::parse(argument));
    let compared = compare(&items, &options::compare_options(args), &screen, &cancel);
    screen.clear();
    let comparisons = match (compared, cancel.cause()) {
        (Ok(comparisons), _) => comparisons,
        (Err(_), Some(cause)) => return Ok(Ended::Cancelled(cause)),
        (Err(error), None) if error.is_usage() => return Err(Usage(error.into()).into()),
        (Err(error), None) => return Err(error.into()),
    };
    let mut lines = String::new();
    for comparison in &comparisons {
        if args.json {
            lines += &serde_json::to_string(&Line { a: &args.a, b: &args.b, comparison })?;
        } else {
            lines += &comparison.to_string();
        }
        lines.push('\n');
    }
    io::stdout().write_all(lines.as_bytes())?;
    Ok(Ended::Done)
}
