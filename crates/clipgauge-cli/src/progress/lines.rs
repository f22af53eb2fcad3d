//! Progress where there is no terminal: a line now and then, which a log can keep.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration};

/// Decides when a line is due, and what it says.
pub(super) struct Lines {
    every: Duration,
    started: Instant,
    state: Mutex<State>,
}

struct State {
    due: Instant,
    expected_rows: Option<u64>,
    downloads: HashMap<String, Instant>,
}

impl Lines {
    /// A line each time so long has passed.
    pub(super) fn new(every: Duration) -> Self {
        let started = Instant::now();
        let state = State { due: started + every, expected_rows: None, downloads: HashMap::new() };
        Self { every, started, state: Mutex::new(state) }
    }

    /// So many rows are to be expected.
    pub(super) fn expect(&self, rows: Option<u64>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).expected_rows = rows;
    }

    /// The line about the rows, if one is due.
    pub(super) fn rows(&self, done: u64, failed: u64) -> Option<String> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now < state.due {
            return None;
        }
        state.due = now + self.every;
        Some(line(done, failed, state.expected_rows, now - self.started))
    }

    /// The line about a download, if one is due: at its start, now and then, and at its end.
    pub(super) fn download(&self, file: &str, done: u64, total: Option<u64>) -> Option<String> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let size = total.map_or_else(String::new, |total| format!(" of {}", HumanBytes(total)));
        if Some(done) == total {
            return state.downloads.remove(file).map(|_| format!("{file}: downloaded {}", HumanBytes(done)));
        }
        match state.downloads.get(file) {
            Some(due) if now < *due => return None,
            _ => state.downloads.insert(file.to_owned(), now + self.every),
        };
        Some(format!("{file}: downloading, {}{size}", HumanBytes(done)))
    }
}

fn line(done: u64, failed: u64, expected: Option<u64>, elapsed: Duration) -> String {
    let per_second = done as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let mut line = HumanCount(done).to_string();
    if let Some(expected) = expected {
        line += &format!(" of about {}", HumanCount(expected));
    }
    line += " rows";
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
        assert_eq!(line(0, 0, Some(10), seconds(0)), "0 of about 10 rows, 0.0 rows/s");
    }

    #[test]
    fn lines_come_only_when_due() {
        let lines = Lines::new(Duration::from_secs(3600));
        assert_eq!(lines.rows(1, 0), None);
        assert!(lines.download("a", 0, Some(10)).is_some());
        assert_eq!(lines.download("a", 5, Some(10)), None);
        assert!(lines.download("a", 10, Some(10)).is_some());
        assert_eq!(lines.download("a", 10, Some(10)), None);
        assert!(Lines::new(Duration::ZERO).rows(1, 0).is_some());
    }
}
