//! Progress where there is no terminal: a line now and then, which a log can keep.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration};

use super::print;

/// Prints how far the run is, each time so long has passed: also while nothing happens, so that a run that waits can be
/// told from one that hangs.
pub(super) struct Lines {
    shared: Arc<Shared>,
}

struct Shared {
    every: Duration,
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Default)]
struct State {
    /// Done and failed rows; `None` until the first row is done.
    rows: Option<(u64, u64)>,
    expected_rows: Option<u64>,
    /// When the next line about each download is due.
    downloads: HashMap<String, Instant>,
    is_stopped: bool,
}

impl Lines {
    pub(super) fn new(every: Duration) -> Self {
        let shared = Arc::new(Shared { every, state: Mutex::default(), stopped: Condvar::new() });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || for_thread.print_now_and_then());
        Self { shared }
    }

    pub(super) fn expect(&self, rows: Option<u64>) {
        self.shared.lock().expected_rows = rows;
    }

    pub(super) fn rows(&self, done: u64, failed: u64) {
        self.shared.lock().rows = Some((done, failed));
    }

    /// Prints a line about a download if one is due: at its start, now and then, and at its end.
    pub(super) fn download(&self, file: &str, done: u64, total: Option<u64>) {
        let line = self.shared.lock().download(file, done, total, Instant::now(), self.shared.every);
        if let Some(line) = line {
            print(&line);
        }
    }

    /// No more lines.
    pub(super) fn stop(&self) {
        self.shared.lock().is_stopped = true;
        self.shared.stopped.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print_now_and_then(&self) {
        let started = Instant::now();
        let mut state = self.lock();
        while !state.is_stopped {
            let waited = self.stopped.wait_timeout(state, self.every);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if let (true, false, Some((done, failed))) = (timeout.timed_out(), state.is_stopped, state.rows) {
                // Under the lock, so that no line comes after `stop`.
                print(&line(done, failed, state.expected_rows, started.elapsed()));
            }
        }
    }
}

impl State {
    fn download(&mut self, file: &str, done: u64, total: Option<u64>, now: Instant, every: Duration) -> Option<String> {
        if Some(done) == total {
            return self.downloads.remove(file).map(|_| format!("{file}: downloaded {}", HumanBytes(done)));
        }
        if self.downloads.get(file).is_some_and(|due| now < *due) {
            return None;
        }
        self.downloads.insert(file.to_owned(), now + every);
        let size = total.map_or_else(String::new, |total| format!(" of {}", HumanBytes(total)));
        Some(format!("{file}: downloading, {}{size}", HumanBytes(done)))
    }
}

fn line(done: u64, failed: u64, expected: Option<u64>, elapsed: Duration) -> String {
    let per_second = done as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let mut line = HumanCount(done).to_string();
    if let Some(expected) = expected {
        line += &format!(" of about {}", HumanCount(expected));
    }
    line += if done == 1 && expected.is_none() { " row" } else { " rows" };
    if failed > 0 {
        line += &format!(", {} failed", HumanCount(failed));
    }
    line += &format!(", {per_second:.1} rows/s");
    if let (Some(expected), 1..) = (expected, done) {
        let left = Duration::from_secs_f64(expected.saturating_sub(done) as f64 / per_second);
        line += &format!(", {} left", HumanDuration(left));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let seconds = Duration::from_secs;
        assert_eq!(line(1200, 0, None, seconds(60)), "1,200 rows, 20.0 rows/s");
        assert_eq!(
            line(1200, 3, Some(4800), seconds(60)),
            "1,200 of about 4,800 rows, 3 failed, 20.0 rows/s, 3 minutes left"
        );
        assert_eq!(line(1, 0, None, seconds(2)), "1 row, 0.5 rows/s");
        assert_eq!(line(0, 0, Some(10), seconds(0)), "0 of about 10 rows, 0.0 rows/s");
    }

    #[test]
    fn a_download_is_told_at_its_start_now_and_then_and_at_its_end() {
        let (start, every) = (Instant::now(), Duration::from_secs(10));
        let mut state = State::default();
        let mut at = |seconds, done| state.download("a", done, Some(2048), start + Duration::from_secs(seconds), every);
        assert_eq!(at(0, 0).as_deref(), Some("a: downloading, 0 B of 2.00 KiB"));
        assert_eq!(at(9, 500), None);
        assert_eq!(at(10, 1024).as_deref(), Some("a: downloading, 1.00 KiB of 2.00 KiB"));
        assert_eq!(at(11, 2048).as_deref(), Some("a: downloaded 2.00 KiB"));
        assert_eq!(at(12, 2048), None);
    }
}
