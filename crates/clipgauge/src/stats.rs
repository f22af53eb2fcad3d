//! What a run amounts to: counts by kind, quantiles of the score, time per stage.
//!
//! [`Stats`] is filled in while a run works, from any thread; [`Summary`] is what it says at the end, to a person and as
//! JSON.

mod distribution;
mod summary;
mod timings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::filters::DropReason;
use crate::row::RowErrorKind;

use distribution::Distribution;

pub use summary::{Outcome, Quantiles, RunOptions, ScoreSummary, Seconds, Summary, Versions};
pub use timings::{Occupancy, StageTiming, Timings};

macro_rules! stages {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal;)*) => {
        /// The stages of a run, in the order in which a row goes through them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Stage {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Stage {
            /// Every stage.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in summaries.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

stages! {
    /// Models are found and made ready.
    Load = "load";
    /// Rows are read from the table.
    Read = "read";
    /// Bytes come from a disk or the network.
    Fetch = "fetch";
    /// Bytes become pixels.
    Decode = "decode";
    /// Pixels become what the model takes.
    Preprocess = "preprocess";
    /// Captions become tokens.
    Tokenize = "tokenize";
    /// Pictures become vectors.
    EncodeImages = "encode_images";
    /// Captions become vectors.
    EncodeTexts = "encode_texts";
    /// Vectors become scores.
    Compare = "compare";
    /// Rows are written.
    Write = "write";
}

/// Counts what happens in a run.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    scored: AtomicU64,
    failed: [AtomicU64; RowErrorKind::ALL.len()],
    taken_over: AtomicU64,
    /// Rows that needed no score, as their pictures let them drop.
    unscored: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    truncated_captions: AtomicU64,
    ragged_rows: AtomicU64,
    /// The number of the first row with a quote that is never closed; 0 if there is none.
    open_quote: AtomicU64,
    not_utf8_rows: AtomicU64,
    not_numbers: AtomicU64,
    nanoseconds: [AtomicU64; Stage::ALL.len()],
    items: [AtomicU64; Stage::ALL.len()],
    /// How many encoders there were.
    encoders: AtomicU64,
    /// Nanoseconds from their start to the last one's end, and over all of them those of waiting and of work.
    encoding: AtomicU64,
    waited: AtomicU64,
    worked: AtomicU64,
    /// One for each column of scores.
    scores: Vec<Mutex<Distribution>>,
}

impl Stats {
    /// Nothing happened yet, with so many columns of scores to come; the clock starts.
    pub fn new(columns: usize) -> Self {
        Self {
            started: Instant::now(),
            scored: AtomicU64::new(0),
            failed: [const { AtomicU64::new(0) }; _],
            taken_over: AtomicU64::new(0),
            unscored: AtomicU64::new(0),
            dropped: [const { AtomicU64::new(0) }; _],
            truncated_captions: AtomicU64::new(0),
            ragged_rows: AtomicU64::new(0),
            open_quote: AtomicU64::new(0),
            not_utf8_rows: AtomicU64::new(0),
            not_numbers: AtomicU64::new(0),
            nanoseconds: [const { AtomicU64::new(0) }; _],
            items: [const { AtomicU64::new(0) }; _],
            encoders: AtomicU64::new(0),
            encoding: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            worked: AtomicU64::new(0),
            scores: (0..columns).map(|_| Mutex::default()).collect(),
        }
    }

    /// A row got these scores, one for each column.
    pub fn scored(&self, scores: &[f32]) {
        add(&self.scored, 1);
        if scores.iter().any(|score| score.is_nan()) {
            add(&self.not_numbers, 1);
        }
        for (distribution, score) in self.scores.iter().zip(scores) {
            distribution.lock().unwrap_or_else(PoisonError::into_inner).add(*score);
        }
    }

    /// A row failed.
    pub fn failed(&self, kind: RowErrorKind) {
        add(&self.failed[kind as usize], 1);
    }

    /// A row was given up before it had a score, for what its picture is like.
    pub fn unscored(&self) {
        add(&self.unscored, 1);
    }

    /// A row is not written.
    pub fn dropped(&self, reason: DropReason) {
        add(&self.dropped[reason as usize], 1);
    }

    /// A caption was longer than the model reads, and was cut.
    pub fn truncated_caption(&self) {
        add(&self.truncated_captions, 1);
    }

    /// A row had another number of fields than the header.
    pub fn ragged_row(&self) {
        add(&self.ragged_rows, 1);
    }

    /// The last row of a table has a quote that is never closed.
    pub fn open_quote(&self, row: u64) {
        // The first of several tables counts; there is no harm in either.
        let _ = self.open_quote.compare_exchange(0, row, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A row has bytes that are no UTF-8.
    pub fn not_utf8_row(&self) {
        add(&self.not_utf8_rows, 1);
    }

    /// A stage worked for so long, on so many rows, pictures or captions. Times of threads that work at once add up.
    pub fn stage(&self, stage: Stage, items: usize, time: Duration) {
        add(&self.items[stage as usize], items as u64);
        add(&self.nanoseconds[stage as usize], timings::nanoseconds(time));
    }

    /// Does a stage's work for one row, picture or caption, and counts its time.
    pub fn time<R>(&self, stage: Stage, work: impl FnOnce() -> R) -> R {
        self.time_of(stage, 1, work)
    }

    /// Does a stage's work for so many at once, and counts its time.
    pub fn time_of<R>(&self, stage: Stage, items: usize, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        self.stage(stage, items, start.elapsed());
        result
    }

    /// Counts rows of an earlier run, of which only so much is known.
    pub fn restore(&self, scored: u64, failed: &[(RowErrorKind, u64)]) {
        add(&self.scored, scored);
        failed.iter().for_each(|(kind, count)| add(&self.failed[*kind as usize], *count));
    }

    /// A row was taken over from an earlier run.
    pub fn taken_over(&self) {
        add(&self.taken_over, 1);
    }

    /// How many rows have scores.
    pub fn scored_rows(&self) -> u64 {
        self.scored.load(Ordering::Relaxed)
    }

    /// How many rows failed by each kind that occurred.
    pub fn failures_by_kind(&self) -> Vec<(RowErrorKind, u64)> {
        let count = |kind: RowErrorKind| self.failed[kind as usize].load(Ordering::Relaxed);
        RowErrorKind::ALL.iter().map(|kind| (*kind, count(*kind))).filter(|(_, count)| *count > 0).collect()
    }

    /// How many rows are done.
    pub fn rows(&self) -> u64 {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        load(&self.scored) + load(&self.unscored) + self.failures()
    }

    /// How many rows failed.
    pub fn failures(&self) -> u64 {
        self.failed.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
