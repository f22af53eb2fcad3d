//! `-v`: what the libraries say about their work, on standard error, between the lines of the progress.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::progress::Screen;

/// Starts the log: warnings, with `-v` what is done, with `-vv` in detail; with `--quiet` only errors.
pub(crate) fn start(verbosity: u8, is_quiet: bool, screen: &Screen) {
    let level = match verbosity {
        0 if is_quiet => LevelFilter::ERROR,
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(verbosity > 1)
        .without_time()
        .with_writer(Lines { screen: screen.clone() })
        .init();
}

struct Lines {
    screen: Screen,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { screen: &self.screen, text: Vec::new() }
    }
}

/// One event, printed when it is whole so that no bar runs through it.
struct Line<'a> {
    screen: &'a Screen,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.screen.print(String::from_utf8_lossy(&self.text).trim_end());
    }
}
