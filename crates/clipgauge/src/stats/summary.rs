//! What a run says at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::distribution::Distribution;
use super::timings::Timings;
use super::{Stage, Stats};
use crate::atomic::{AtomicError, AtomicFile};
use crate::filters::{DropReason, Filters};
use crate::options::{Output, ScoreColumn, ScoreOptions};
use crate::row::RowErrorKind;
use crate::save_images::SavedImages;

/// What came of a run, besides its counts.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The id of each model, in their order, if it came from the hub.
    pub model_ids: Vec<Option<String>>,
    /// The commit of each model, in their order, if it came from the hub.
    pub revisions: Vec<Option<String>>,
    /// Whether the run was ended before its last row.
    pub interrupted: bool,
    /// Where the finished rows of an interrupted run are.
    pub partial: Option<PathBuf>,
    /// Where the failed rows are listed, if one failed.
    pub errors: Option<PathBuf>,
    /// Where an interrupted run has left what a later one can go on with.
    pub journal: Option<PathBuf>,
    /// Why there was nothing to do, if there was not.
    pub nothing_to_do: Option<String>,
    /// What pictures were saved, if they were to be.
    pub saved: Option<SavedImages>,
}

/// What a run amounts to. Is written as JSON by `--summary`; `Display` is for people.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// The rows that are done.
    pub rows: u64,
    /// Those with a score, or in a run that keeps vectors with those.
    pub scored: u64,
    /// Those without.
    pub failed: u64,
    /// Those that were taken over from an earlier run.
    pub taken_over: u64,
    /// Those without, by the kind of error; kinds that did not occur are left out.
    pub failures: BTreeMap<&'static str, u64>,
    /// The rows that were written: all but those that filters dropped.
    pub written: u64,
    /// Those that filters dropped, by the reason; reasons that did not occur are left out.
    pub dropped: BTreeMap<&'static str, u64>,
    /// The captions that were longer than the model reads.
    pub truncated_captions: u64,
    /// The rows with another number of fields than the header.
    pub ragged_rows: u64,
    /// The row with a quote that is never closed, so that all lines behind it are part of its cell.
    pub open_quote_row: Option<u64>,
    /// The rows with bytes that are no UTF-8, which were read as U+FFFD.
    pub not_utf8_rows: u64,
    /// The rows with a score that is NaN, which only broken weights or an encoder of one's own give.
    pub not_numbers: u64,
    /// The columns of scores, in their order.
    pub scores: Vec<ScoreSummary>,
    /// What the run was told.
    pub options: RunOptions,
    /// What ran.
    pub versions: Versions,
    /// How long it took.
    pub seconds: Seconds,
    /// Where the time went.
    pub timings: Timings,
    /// Whether the run was ended before its last row.
    pub interrupted: bool,
    /// Where the finished rows of an interrupted run are.
    pub partial: Option<PathBuf>,
    /// Where the failed rows are listed, if one failed and there is a list.
    pub errors: Option<PathBuf>,
    /// Where an interrupted run has left what a later one can go on with.
    pub journal: Option<PathBuf>,
    /// Why there was nothing to do, if there was not: an earlier run had done it all.
    pub nothing_to_do: Option<String>,
    /// What pictures were saved, if they were to be.
    pub saved: Option<SavedImages>,
}

/// One column of scores.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ScoreSummary {
    /// The column's name.
    pub column: String,
    /// The model as it was named.
    pub model: String,
    /// The id that the name stands for, if it is one of the hub.
    pub model_id: Option<String>,
    /// The commit of the model, if it came from the hub.
    pub revision: Option<String>,
    /// The name of the metric.
    pub metric: &'static str,
    /// The distribution of the scores, if there is one.
    pub quantiles: Option<Quantiles>,
}

/// The distribution of the scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantiles {
    /// The least.
    pub min: f32,
    /// 5 % are below.
    pub p5: f64,
    /// 25 % are below.
    pub p25: f64,
    /// Half are below.
    pub median: f64,
    /// 75 % are below.
    pub p75: f64,
    /// 95 % are below.
    pub p95: f64,
    /// The greatest.
    pub max: f32,
    /// The mean.
    pub mean: f64,
    /// Whether the quantiles are exact; beyond a million rows they are within 1/4096 of their size.
    pub exact: bool,
}

/// What a run was told, as far as it bears on its result or its speed. Values of `--header` may be secret and are left
/// out.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunOptions {
    /// The input, as it was named.
    pub input: String,
    /// The output's path; `None` for standard output.
    pub output: Option<PathBuf>,
    /// The column with the image's address.
    pub image_column: String,
    /// The column with the caption.
    pub caption_column: String,
    /// The column with the score.
    pub column: String,
    /// The column with the kind of error, if there is one.
    pub error_column: Option<String>,
    /// Whether captions were put in lower case and lost their punctuation first.
    pub canonicalize_captions: bool,
    /// What the model's linear layers were computed in.
    pub precision: &'static str,
    /// How many encoders worked at once; `None` for one per core.
    pub threads: Option<usize>,
    /// How many rows an encoder took at once.
    pub batch_size: usize,
    /// The most fetches at once.
    pub concurrency: usize,
    /// The most requests at once to one host.
    pub per_host: usize,
    /// The longest a fetch could take.
    pub timeout_seconds: f64,
    /// How often a fetch was tried again.
    pub retries: u32,
    /// The most bytes of a picture.
    pub max_bytes: u64,
    /// The most pixels of a picture.
    pub max_pixels: u64,
    /// Whether the orientation in EXIF was applied.
    pub apply_orientation: bool,
    /// What transparent pictures were laid over, as red, green and blue.
    pub background: Option<[u8; 3]>,
    /// Which rows and columns were taken and written.
    pub filters: Filters,
    /// Whether columns of diagnostics were added.
    pub diagnostics: bool,
}

/// What ran.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Versions {
    /// This crate.
    pub clipgauge: &'static str,
    /// The system and processor it was built for.
    pub target: String,
}

/// How long a run took.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Seconds {
    /// From start to end.
    pub total: f64,
    /// In each stage, over all threads: together, they may be more than the total.
    pub stages: BTreeMap<&'static str, f64>,
}

impl Stats {
    /// What the run amounts to, now that it has ended.
    pub fn summary(&self, options: &ScoreOptions, outcome: Outcome) -> Summary {
        let failures: BTreeMap<_, _> = RowErrorKind::ALL
            .iter()
            .map(|kind| (kind.name(), self.failed[*kind as usize].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let scored = self.scored.load(Ordering::Relaxed);
        let failed = failures.values().sum();
        let rows = self.rows();
        let dropped: BTreeMap<_, _> = DropReason::ALL
            .iter()
            .map(|reason| (reason.name(), self.dropped[*reason as usize].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let stages = Stage::ALL
            .iter()
            .map(|stage| (stage.name(), self.nanoseconds[*stage as usize].load(Ordering::Relaxed) as f64 / 1e9))
            .collect();
        Summary {
            rows,
            scored,
            failed,
            taken_over: self.taken_over.load(Ordering::Relaxed),
            failures,
            written: rows.saturating_sub(dropped.values().sum()),
            dropped,
            truncated_captions: self.truncated_captions.load(Ordering::Relaxed),
            ragged_rows: self.ragged_rows.load(Ordering::Relaxed),
            open_quote_row: Some(self.open_quote.load(Ordering::Relaxed)).filter(|row| *row > 0),
            not_utf8_rows: self.not_utf8_rows.load(Ordering::Relaxed),
            not_numbers: self.not_numbers.load(Ordering::Relaxed),
            scores: self.scores(options, &outcome),
            options: RunOptions::from(options),
            versions: Versions {
                clipgauge: env!("CARGO_PKG_VERSION"),
                target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            },
            seconds: Seconds { total: self.started.elapsed().as_secs_f64(), stages },
            timings: self.timings(),
            interrupted: outcome.interrupted,
            partial: outcome.partial,
            errors: outcome.errors,
            journal: outcome.journal,
            nothing_to_do: outcome.nothing_to_do,
            saved: outcome.saved,
        }
    }

    fn scores(&self, options: &ScoreOptions, outcome: &Outcome) -> Vec<ScoreSummary> {
        let columns = options.score_columns().into_iter().enumerate();
        let summary = |(index, column): (usize, ScoreColumn<'_>)| ScoreSummary {
            column: column.name,
            model: column.model.to_owned(),
            model_id: outcome.model_ids.get(index / options.metrics.len()).cloned().flatten(),
            revision: outcome.revisions.get(index / options.metrics.len()).cloned().flatten(),
            metric: column.metric.name(),
            quantiles: self.scores.get(index).and_then(quantiles),
        };
        columns.map(summary).collect()
    }
}

fn quantiles(scores: &Mutex<Distribution>) -> Option<Quantiles> {
    let scores = scores.lock().unwrap_or_else(PoisonError::into_inner);
    let (mean, min, max) = scores.mean_min_max()?;
    let [p5, p25, median, p75, p95] = scores.quantiles([0.05, 0.25, 0.5, 0.75, 0.95])?;
    Some(Quantiles { min, p5, p25, median, p75, p95, max, mean, exact: scores.is_exact() })
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "min {:.4}, 5% {:.4}, 25% {:.4}, median {:.4}, 75% {:.4}, 95% {:.4}, max {:.4}, mean {:.4}",
            self.min, self.p5, self.p25, self.median, self.p75, self.p95, self.max, self.mean
        )
    }
}

impl Summary {
    /// Writes the summary as JSON, whole or not at all.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write_to(&self, path: &Path) -> Result<(), AtomicError> {
        let mut file = AtomicFile::create(path)?;
        serde_json::to_writer_pretty(&mut file, self)
            .map_err(io::Error::from)
            .and_then(|()| file.write_all(b"\n"))
            .map_err(|source| AtomicError::Write { path: path.to_owned(), source })?;
        file.commit()
    }
}

impl From<&ScoreOptions> for RunOptions {
    fn from(options: &ScoreOptions) -> Self {
        Self {
            input: options.input.to_string(),
            output: match &options.output {
                Output::Stdout => None,
                Output::File(path) | Output::Folder(path) => Some(path.clone()),
                Output::InPlace => Some(PathBuf::from(options.input.to_string())),
            },
            image_column: options.image_column.clone(),
            caption_column: options.caption_column.clone(),
            column: options.column.clone(),
            error_column: options.error_column.clone(),
            canonicalize_captions: options.canonicalize_captions,
            precision: options.precision.name(),
            threads: options.threads.map(usize::from),
            batch_size: options.batch_size.get(),
            concurrency: options.fetch.concurrency,
            per_host: options.fetch.per_host,
            timeout_seconds: options.fetch.timeout.as_secs_f64(),
            retries: options.fetch.retries,
            max_bytes: options.fetch.max_bytes,
            max_pixels: options.decode.max_pixels,
            apply_orientation: options.decode.apply_orientation,
            background: options.decode.background,
            filters: options.filters.clone(),
            diagnostics: options.diagnostics,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        // A run without columns of scores keeps vectors.
        let done = if self.scores.is_empty() { "embedded" } else { "scored" };
        if let Some(why) = &self.nothing_to_do {
            write!(f, "{why}: ")?;
        }
        write!(f, "{}, {} {done}", plural(self.rows, "row", "rows"), self.scored)?;
        if self.failed > 0 {
            // The most frequent first; equals by name.
            let mut kinds: Vec<_> = self.failures.iter().collect();
            kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let kinds: Vec<_> = kinds.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            write!(f, ", {} failed ({})", self.failed, kinds.join(", "))?;
        }
        if self.taken_over > 0 {
            write!(f, ", {} of them before", self.taken_over)?;
        }
        if self.nothing_to_do.is_none() {
            write!(f, ", in {:.1} s", self.seconds.total)?;
        }
        if self.nothing_to_do.is_none() && self.rows > self.taken_over && self.seconds.total > 0.0 {
            write!(f, " ({:.1} rows/s)", (self.rows - self.taken_over) as f64 / self.seconds.total)?;
        }
        for reason in DropReason::ALL {
            if let Some(count) = self.dropped.get(reason.name()) {
                write!(f, "\ndropped {}: {count}", reason.phrase())?;
            }
        }
        if !self.dropped.is_empty() {
            write!(f, "\n{} written", plural(self.written, "row", "rows"))?;
        }
        for score in &self.scores {
            let Some(quantiles) = &score.quantiles else { continue };
            write!(f, "\n{} of {}", score.metric, score.model)?;
            if let Some(id) = score.model_id.as_ref().filter(|id| !score.model.starts_with(id.as_str())) {
                write!(f, " ({id})")?;
            }
            if let Some(revision) = &score.revision {
                write!(f, "@{revision}")?;
            }
            write!(f, ": {quantiles}")?;
        }
        if self.not_numbers > 0 {
            write!(
                f,
                "\n{} NaN for a score: are the model's weights whole?",
                plural(self.not_numbers, "row has", "rows have")
            )?;
        }
        if self.truncated_captions > 0 {
            let captions = plural(self.truncated_captions, "caption was", "captions were");
            write!(f, "\n{captions} longer than the model reads, and {done} by the beginning")?;
        }
        if self.ragged_rows > 0 {
            let rows = plural(self.ragged_rows, "row has", "rows have");
            write!(f, "\n{rows} more or fewer fields than the header")?;
        }
        if let Some(row) = self.open_quote_row {
            write!(f, "\nrow {row} has a quote that is never closed: all lines behind it are part of its cell")?;
        }
        if self.not_utf8_rows > 0 {
            let rows = plural(self.not_utf8_rows, "row is", "rows are");
            write!(
                f,
                "\n{rows} not UTF-8, and read with \u{fffd} for what is not: convert the table first (iconv -t UTF-8)"
            )?;
        }
        if let Some(SavedImages { folder, images, shards, partial }) = &self.saved {
            let (images, shards) = (plural(*images, "picture", "pictures"), plural(*shards, "shard", "shards"));
            write!(f, "\n{images} saved in {shards} of {}", folder.display())?;
            if let Some(partial) = partial {
                write!(f, ", and more in {}", partial.display())?;
            }
        }
        if let Some(errors) = &self.errors {
            write!(f, "\nfailed rows are listed in {}", errors.display())?;
        }
        if let Some(partial) = &self.partial {
            write!(f, "\nended early; the finished rows are in {}", partial.display())?;
            if self.journal.is_some() {
                f.write_str(", and --resume goes on after them")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::Input;

    fn stats() -> Stats {
        let stats = Stats::new(1);
        for score in [0.5, -0.25, 0.25] {
            stats.scored(&[score]);
        }
        for kind in [RowErrorKind::Truncated, RowErrorKind::NotFound, RowErrorKind::NotFound] {
            stats.failed(kind);
        }
        stats.truncated_caption();
        stats.ragged_row();
        stats.open_quote(6);
        stats.open_quote(2);
        stats.not_utf8_row();
        stats.stage(Stage::Fetch, 1, Duration::from_millis(1500));
        stats.stage(Stage::Fetch, 1, Duration::from_millis(500));
        stats
    }

    fn options() -> ScoreOptions {
        let mut options = ScoreOptions::new(Input::File("a/pairs.csv".into()));
        options.fetch.headers.push(("Authorization".to_owned(), "Bearer secret".to_owned()));
        options
    }

    #[test]
    fn a_person_reads_what_happened() {
        let stats = stats();
        assert_eq!((stats.rows(), stats.failures()), (6, 3));
        let outcome = Outcome {
            model_ids: vec![Some("openai/clip-vit-base-patch32".to_owned())],
            revisions: vec![Some("abc".to_owned())],
            errors: Some("out.csv.errors.csv".into()),
            partial: Some("out.csv.partial".into()),
            interrupted: true,
            journal: Some("out.csv.journal".into()),
            nothing_to_do: None,
            saved: None,
        };
        let mut summary = stats.summary(&options(), outcome);
        summary.seconds.total = 2.0;
        assert_eq!(
            summary.to_string(),
            "6 rows, 3 scored, 3 failed (2 not_found, 1 truncated), in 2.0 s (3.0 rows/s)\n\
             cosine of openai/clip-vit-base-patch32@abc: min -0.2500, 5% -0.2000, 25% 0.0000, median 0.2500, 75% 0.3750, \
             95% 0.4750, max 0.5000, mean 0.1667\n\
             1 caption was longer than the model reads, and scored by the beginning\n\
             1 row has more or fewer fields than the header\n\
             row 6 has a quote that is never closed: all lines behind it are part of its cell\n\
             1 row is not UTF-8, and read with \u{fffd} for what is not: convert the table first (iconv -t UTF-8)\n\
             failed rows are listed in out.csv.errors.csv\n\
             ended early; the finished rows are in out.csv.partial, and --resume goes on after them"
        );
        let mut empty = Stats::new(1).summary(&options(), Outcome::default());
        empty.seconds.total = 0.04;
        assert_eq!(empty.to_string(), "0 rows, 0 scored, in 0.0 s");
    }

    #[test]
    fn the_json_has_it_all_but_secrets() {
        let summary = stats().summary(&options(), Outcome::default());
        let text = serde_json::to_string(&summary).expect("serializable");
        assert!(!text.contains("secret"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["failures"], serde_json::json!({ "not_found": 2, "truncated": 1 }));
        assert_eq!(json["scores"][0]["quantiles"]["median"], 0.25);
        assert_eq!(json["scores"][0]["quantiles"]["exact"], true);
        assert_eq!(json["seconds"]["stages"]["fetch"], 2.0);
        assert_eq!(json["options"]["input"], "a/pairs.csv");
        assert_eq!(json["scores"][0]["model"], "openai/clip-vit-base-patch32");
        assert_eq!(json["interrupted"], false);
    }
}
