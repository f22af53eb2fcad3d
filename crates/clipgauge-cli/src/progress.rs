//! What a person sees on standard error while a run works: a bar on a terminal, plain lines elsewhere.

mod lines;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clipgauge::options::Output;
use clipgauge::progress::Progress;
use clipgauge::table::Position;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::args::ProgressWhen;

use lines::Lines;

/// How often the bar moves while nothing happens, so that its clock runs.
const TICK: Duration = Duration::from_millis(200);

/// How often a line is printed where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);
/// The same with `--progress always`.
const ALWAYS_EVERY: Duration = Duration::from_secs(1);

/// The bar of the rows, as long as nobody knows how many there are.
const WITHOUT_END: &str = "{human_pos} rows{msg}, {rate}, {elapsed}";
/// The same when that can be guessed.
const WITH_END: &str = "{bar:30} {human_pos}/~{human_len} rows{msg}, {rate}, {eta} left";
/// The bar of a download.
const DOWNLOAD: &str = "{bar:30} {msg} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";

/// Standard error, shared by the progress, the log and the summary. Clones are the same screen.
#[derive(Clone)]
pub(crate) struct Screen {
    shows: Arc<Shows>,
}

enum Shows {
    Bars(Bars),
    Lines(Lines),
    Nothing { is_quiet: bool },
}

impl Screen {
    /// What is shown: nothing when quiet, never, or when rows and progress would meet on one terminal.
    pub(crate) fn new(when: ProgressWhen, is_quiet: bool, output: &Output) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let meets_rows = *output == Output::Stdout && is_terminal && io::stdout().is_terminal();
        let shows = match when {
            _ if is_quiet || meets_rows => Shows::Nothing { is_quiet },
            ProgressWhen::Never => Shows::Nothing { is_quiet },
            ProgressWhen::Auto | ProgressWhen::Always if is_terminal => Shows::Bars(Bars::new()),
            ProgressWhen::Auto => Shows::Lines(Lines::new(EVERY)),
            ProgressWhen::Always => Shows::Lines(Lines::new(ALWAYS_EVERY)),
        };
        Self { shows: Arc::new(shows) }
    }

    /// Downloads alone, for a command without rows.
    pub(crate) fn of_downloads(when: ProgressWhen, is_quiet: bool) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let shows = match when {
            _ if is_quiet => Shows::Nothing { is_quiet },
            ProgressWhen::Never => Shows::Nothing { is_quiet },
            ProgressWhen::Auto | ProgressWhen::Always if is_terminal => Shows::Bars(Bars::of_downloads()),
            ProgressWhen::Auto => Shows::Lines(Lines::new(EVERY)),
            ProgressWhen::Always => Shows::Lines(Lines::new(ALWAYS_EVERY)),
        };
        Self { shows: Arc::new(shows) }
    }

    /// Prints a line, above the bars if there are some.
    pub(crate) fn print(&self, text: &str) {
        match &*self.shows {
            Shows::Bars(bars) => bars.all.suspend(|| print(text)),
            Shows::Lines(_) | Shows::Nothing { .. } => print(text),
        }
    }

    /// Takes the bars away, and lets no more lines come.
    pub(crate) fn clear(&self) {
        match &*self.shows {
            Shows::Bars(bars) => {
                bars.rows.finish_and_clear();
                // A terminal that cannot be cleared keeps the bar.
                let _ = bars.all.clear();
            }
            Shows::Lines(lines) => lines.stop(),
            Shows::Nothing { .. } => {}
        }
    }
}

/// With standard error closed there is nobody to tell, and the run goes on.
fn print(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

impl Progress for Screen {
    fn rows(&self, done: u64, failed: u64) {
        match &*self.shows {
            Shows::Bars(bars) => {
                bars.rows.set_position(done);
                if bars.failed.swap(failed, Ordering::Relaxed) != failed {
                    bars.rows.set_message(format!(", {} failed", HumanCount(failed)));
                }
            }
            Shows::Lines(lines) => lines.rows(done, failed),
            Shows::Nothing { .. } => {}
        }
    }

    fn input(&self, position: Position) {
        match &*self.shows {
            Shows::Bars(bars) => {
                if let Some(rows) = expected_rows(position) {
                    bars.expect(rows);
                }
            }
            Shows::Lines(lines) => lines.expect(expected_rows(position)),
            Shows::Nothing { .. } => {}
        }
    }

    fn download(&self, file: &str, done: u64, total: Option<u64>) {
        match &*self.shows {
            Shows::Bars(bars) => bars.download(file, done, total),
            Shows::Lines(lines) => lines.download(file, done, total),
            Shows::Nothing { .. } => {}
        }
    }

    fn message(&self, text: &str) {
        if !matches!(*self.shows, Shows::Nothing { is_quiet: true }) {
            self.print(text);
        }
    }
}

/// How many rows the table has, if those to come are as long as those that were read.
fn expected_rows(position: Position) -> Option<u64> {
    let total = position.total_bytes.filter(|_| position.bytes_read > 0)?;
    let rows = u128::from(position.rows) * u128::from(total) / u128::from(position.bytes_read);
    u64::try_from(rows).ok().map(|rows| rows.max(position.rows))
}

struct Bars {
    all: MultiProgress,
    rows: ProgressBar,
    failed: AtomicU64,
    downloads: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let rows = all.add(ProgressBar::no_length());
        rows.set_style(style(WITHOUT_END));
        rows.enable_steady_tick(TICK);
        Self { all, rows, failed: AtomicU64::new(0), downloads: Mutex::default() }
    }

    /// The same without the bar of the rows.
    fn of_downloads() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { all, rows: ProgressBar::hidden(), failed: AtomicU64::new(0), downloads: Mutex::default() }
    }

    fn expect(&self, rows: u64) {
        if self.rows.length().is_none() {
            self.rows.set_style(style(WITH_END));
        }
        self.rows.set_length(rows);
    }

    fn download(&self, file: &str, done: u64, total: Option<u64>) {
        let mut downloads = self.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = downloads.entry(file.to_owned()).or_insert_with(|| {
            // Above that of the rows, where there is one.
            let bar = self.all.insert(0, ProgressBar::no_length());
            bar.set_style(style(DOWNLOAD));
            bar.set_message(file.to_owned());
            bar
        });
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
        if Some(done) == total {
            bar.finish_and_clear();
            downloads.remove(file);
        }
    }
}

/// A style with `rate`, the rows per second in short. The templates are ours, and a test reads each, so that the plain
/// style is never seen.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).with_key(
        "rate",
        |state: &ProgressState, out: &mut dyn fmt::Write| {
            // The bar is drawn without it rather than not at all.
            let _ = write!(out, "{:.1} rows/s", state.per_sec());
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_read() {
        for template in [WITHOUT_END, WITH_END, DOWNLOAD] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn rows_to_come_are_expected_to_be_like_those_that_came() {
        let position = |rows, bytes_read, total_bytes| Position { rows, bytes_read, total_bytes };
        assert_eq!(expected_rows(position(10, 1000, Some(5000))), Some(50));
        assert_eq!(expected_rows(position(10, 5000, Some(5000))), Some(10));
        assert_eq!(expected_rows(position(0, 20, Some(5000))), Some(0));
        assert_eq!(expected_rows(position(10, 1000, None)), None);
        assert_eq!(expected_rows(position(0, 0, Some(0))), None);
        // A file that grew while it was read.
        assert_eq!(expected_rows(position(10, 2000, Some(1000))), Some(10));
    }
}
