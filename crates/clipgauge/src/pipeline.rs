//! The whole way of a table: rows are read, images fetched, batches scored, rows joined in their order and written.
//!
//! ```text
//! read rows ─▶ fetch ─▶ compute (decode ─▶ preprocess ─▶ encode │ tokenize ─▶ encode ─▶ compare) ─▶ join ─▶ write
//!  a thread    tasks    a thread per core, see `encoding.rs`                                        the caller's thread
//! ```
//!
//! What is under way is bounded in bytes: rows between reading and writing, and images between fetching and scoring.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use clipgauge_core::encoder::Encoder;
use clipgauge_core::family::LoadOptions;
use clipgauge_core::metric::MetricError;
use clipgauge_core::precision::Precision;

use crate::atomic::AtomicFile;
use crate::cancel::Cancel;
#[cfg(feature = "parquet")]
use crate::embed::{EmbedOptions, Embedder};
use crate::errors_file::{self, ErrorsFile};
use crate::loading::{LoadedModel, load_with_tokenizer};
#[cfg(feature = "parquet")]
use crate::options::Output;
use crate::options::{OptionsError, ScoreOptions};
use crate::progress::Progress;
use crate::scorer::Scorer;
use crate::source::Sources;
use crate::stats::{Outcome, Stage, Stats, Summary};
use crate::table::{self, ReadTable};
use crate::vector_cache::VectorCache;
use crate::waiting::unless_cancelled;

mod compute;
mod computing;
mod connections;
mod error;
mod fetching;
mod join;
mod output;
mod queue;
mod rows;
pub mod session;
mod stop;
#[cfg(feature = "parquet")]
mod vectors;

use compute::Compute;
use computing::Computing;
use connections::Connections;
pub use error::ScoreTableError;
use fetching::Fetching;
use join::{Finished, Join};
use output::OutputFile;
use rows::{AddedColumns, ScoredRows, WriteRows};
use stop::Stop;
#[cfg(feature = "parquet")]
use vectors::{KeptColumns, Place, VectorOutput, VectorRows};

/// Scores a table.
///
/// Rows that fail are counted, listed and left without a score; they are not errors. A run that is cancelled keeps its
/// finished rows beside the output and says so in the summary.
///
/// # Errors
///
/// The run cannot begin, cannot go on, or was cancelled before its first row was read ([`ScoreTableError::is_interrupted`]).
pub fn score_table(
    options: &ScoreOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Summary, ScoreTableError> {
    // All that can fail is tried before the long part: first what costs nothing, last what may be downloaded.
    options.check()?;
    let stats = Arc::new(Stats::new(options.score_columns().len()));
    let (for_input, for_output) = (options.clone(), options.clone());
    tracing::info!(input = %options.input, "opening the table");
    let table = unless_cancelled(cancel, move || table::open(&for_input))??;
    let mut output = unless_cancelled(cancel, move || OutputFile::open(&for_output))??;
    let errors = ErrorsFile::new(errors_file::path(options))?;
    options.summary.as_deref().map_or(Ok(()), AtomicFile::check)?;
    let connections = Connections::new(Sources::new(options.fetch.clone())?).map_err(ScoreTableError::Threads)?;
    let Loaded { scorer, model_ids, revisions } = stats.time(Stage::Load, || load_scorer(options, progress, cancel))?;

    let columns = AddedColumns { scores: options.score_columns().len(), has_error: options.error_column.is_some() };
    let writer = ScoredRows::new(table.layout.writer(Box::new(&mut output))?, columns);
    let run = Run {
        base: options.input.base(),
        threads: options.threads,
        connections,
        cache: Arc::new(VectorCache::new()),
        stats: &stats,
        progress,
        cancel,
    };
    let Finished { errors, interrupted } = match run.all(table.reader, scorer, writer, errors) {
        Ok(finished) => finished,
        Err(error) => {
            // What is finished is not lost with what failed. It may be the disk that failed: then it is.
            if stats.rows() > 0
                && let Ok(Some(partial)) = output.keep_partial()
            {
                progress.message(&format!("the rows finished before the run failed are in {}", partial.display()));
            }
            return Err(error);
        }
    };
    let partial = if interrupted {
        output.keep_partial()?
    } else {
        output.commit()?;
        None
    };
    let summary = stats.summary(options, Outcome { model_ids, revisions, interrupted, partial, errors });
    if let Some(path) = &options.summary {
        summary.write_to(path)?;
    }
    Ok(summary)
}

/// Keeps the vectors of a table's images and captions.
///
/// As in [`score_table`], rows that fail are counted and listed, and a run that is cancelled keeps its finished rows
/// beside the output. One that fails leaves nothing.
#[cfg(feature = "parquet")]
pub fn embed_table(
    options: &EmbedOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Summary, ScoreTableError> {
    options.check()?;
    let run_options = options.run();
    let stats = Arc::new(Stats::new(0));
    // What is read keeps its format; what is written has one of its own.
    let reading = ScoreOptions { output: Output::Stdout, error_column: None, ..run_options.clone() };
    let table = unless_cancelled(cancel, move || table::open_with_texts(&reading))??;
    let columns = KeptColumns::find(&table.layout, options)?;
    let for_place = options.clone();
    let place = unless_cancelled(cancel, move || Place::open(&for_place))??;
    let errors = ErrorsFile::new(errors_file::path(&run_options))?;
    options.summary.as_deref().map_or(Ok(()), AtomicFile::check)?;
    let connections = Connections::new(Sources::new(options.fetch.clone())?).map_err(ScoreTableError::Threads)?;
    let load_options = loading(options.threads, options.precision);
    let LoadedModel { encoder, id, revision } =
        stats.time(Stage::Load, || load_with_tokenizer(&options.model, load_options, progress, cancel))?;
    let precision = options.precision.name().to_owned();
    let mut notes = vec![("clipgauge.model", options.model.clone()), ("clipgauge.precision", precision)];
    notes.extend(revision.clone().map(|revision| ("clipgauge.revision", revision)));
    let mut output = VectorOutput::begin(place, options, columns, encoder.spec().embedding_width, notes)?;
    let embedder = Embedder::new(encoder)
        .with_decode_options(options.decode.clone())
        .with_canonical_captions(options.canonicalize_captions)
        .with_batch_size(options.batch_size);

    let run = Run {
        base: options.input.base(),
        threads: options.threads,
        connections,
        cache: Arc::new(VectorCache::new()),
        stats: &stats,
        progress,
        cancel,
    };
    let Finished { errors, interrupted } = run.all(table.reader, embedder, VectorRows(&mut output), errors)?;
    let partial = if interrupted {
        Some(output.keep_partial(options)?)
    } else {
        output.commit(options)?;
        None
    };
    let outcome = Outcome { model_ids: vec![id], revisions: vec![revision], interrupted, partial, errors };
    let summary = stats.summary(&run_options, outcome);
    if let Some(path) = &options.summary {
        summary.write_to(path)?;
    }
    Ok(summary)
}

/// What the parts of a run share.
struct Run<'a> {
    base: &'a Path,
    threads: Option<NonZeroUsize>,
    connections: Connections,
    /// The vectors that were made before.
    cache: Arc<VectorCache>,
    stats: &'a Arc<Stats>,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

impl Run<'_> {
    /// Takes all rows their way.
    fn all(
        self,
        table: Box<dyn ReadTable>,
        compute: impl Compute + 'static,
        writer: impl WriteRows,
        errors: ErrorsFile,
    ) -> Result<Finished, ScoreTableError> {
        let stop = Stop::new(self.cancel);
        let compute: Arc<dyn Compute> = Arc::new(compute);
        let mut join = Join::new(Box::new(writer), errors, self.stats, self.progress);
        let fetching = Fetching::start(table, self.base, self.connections, join.inbox(), self.stats, &stop)?;
        let images = fetching.images();
        let computing = Computing::start(&compute, self.threads, images, join.inbox(), &self.cache, self.stats, &stop)?;
        join.run(computing.count(), &stop);
        let read = fetching.end();
        computing.end();
        join.finish(read, &stop)
    }
}

/// The models, put together with the metrics.
struct Loaded {
    scorer: Scorer,
    /// The id of each model, if it came from the hub.
    model_ids: Vec<Option<String>>,
    /// Its commit.
    revisions: Vec<Option<String>>,
}

/// Finds the models, loads them and puts them together with the metrics.
fn load_scorer(options: &ScoreOptions, progress: &dyn Progress, cancel: &Cancel) -> Result<Loaded, ScoreTableError> {
    let mut scorer: Option<Scorer> = None;
    let (mut model_ids, mut revisions) = (Vec::new(), Vec::new());
    let load_options = loading(options.threads, options.precision);
    for name in &options.models {
        let LoadedModel { encoder, id, revision } = load_with_tokenizer(name, load_options, progress, cancel)?;
        scorer = Some(put_together(scorer, encoder, options)?);
        model_ids.push(id);
        revisions.push(revision);
    }
    let scorer = scorer.ok_or(OptionsError::Missing { flag: "--model" })?;
    Ok(Loaded { scorer: set(scorer, options), model_ids, revisions })
}

/// Puts an encoder together with the metrics, and with the models before it.
fn put_together(
    before: Option<Scorer>,
    encoder: Arc<dyn Encoder>,
    options: &ScoreOptions,
) -> Result<Scorer, ScoreTableError> {
    let mut metrics = options.metrics.iter().map(|metric| metric.comparer(encoder.spec()));
    let first = metrics.next().ok_or(OptionsError::Missing { flag: "--metric" })??;
    let with_model = match before {
        Some(scorer) => scorer.with_model(Arc::clone(&encoder), first),
        None => Scorer::new(Arc::clone(&encoder), first),
    };
    Ok(metrics.try_fold(with_model, |scorer, metric| Ok::<_, MetricError>(scorer.with_metric(metric?)))?)
}

/// Sets what the options say about work with any model.
fn set(scorer: Scorer, options: &ScoreOptions) -> Scorer {
    scorer
        .with_decode_options(options.decode.clone())
        .with_canonical_captions(options.canonicalize_captions)
        .with_batch_size(options.batch_size)
}

/// How models are made ready by as many threads as are to work with them.
fn loading(threads: Option<NonZeroUsize>, precision: Precision) -> LoadOptions {
    let defaults = LoadOptions::default();
    LoadOptions { threads: threads.unwrap_or(defaults.threads), precision }
}
