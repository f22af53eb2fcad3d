//! The whole way of a table: rows are read, images fetched, batches scored, rows joined in their order and written.
//!
//! ```text
//! read rows ─▶ fetch ─▶ compute (decode ─▶ preprocess ─▶ encode │ tokenize ─▶ encode ─▶ compare) ─▶ join ─▶ write
//!  a thread    tasks    a thread per core, see `encoding.rs`                                        the caller's thread
//! ```
//!
//! With `--top-fraction`, what is computed waits on the disk (`spool.rs`) and the table is read again to be written.
//!
//! What is under way is bounded in bytes: rows between reading and writing, and images between fetching and scoring.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::encoder::Encoder;
use clipgauge_core::family::LoadOptions;
use clipgauge_core::metric::MetricError;
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::precision::Precision;

use crate::atomic::AtomicFile;
use crate::cancel::Cancel;
use crate::disk_cache::{CacheError, DiskCache, Identity};
#[cfg(feature = "parquet")]
use crate::embed::{EmbedOptions, Embedder};
use crate::errors_file::{self, ErrorsFile};
use crate::hub::{self, HubFile, HubOptions};
use crate::journal::{self, JournalWriter};
use crate::loading::{LoadedModel, load_with_tokenizer};
use crate::options::{OptionsError, Output, ScoreOptions};
use crate::progress::Progress;
use crate::scorer::Scorer;
use crate::stats::{Outcome, Stage, Stats, Summary};
use crate::table::{self, Connections, OpenTable, ReadTable, TableError};
use crate::vector_cache::VectorCache;
use crate::waiting::unless_cancelled;

mod best;
mod compute;
mod computing;
mod continuation;
mod earlier;
mod error;
mod fetching;
mod join;
mod known;
mod live_sources;
mod output;
mod queue;
mod rows;
mod saving;
mod selection;
pub mod session;
mod spool;
mod stop;
#[cfg(feature = "parquet")]
mod vectors;

use compute::Compute;
use computing::{Computing, Kept};
use continuation::Continuation;
pub use earlier::EarlierError;
pub use error::ScoreTableError;
use fetching::{Fetching, Rows};
use join::{Finished, Join};
use known::KnownRows;
use live_sources::LiveSources;
use output::OutputFile;
use rows::{AddedColumns, ScoredRows, WriteRows};
use saving::{ImageShards, Saver};
use selection::select;
use spool::Spool;
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
    let _connections = Connections::of(&options.input, &options.fetch);
    fetch_tables(options, progress, cancel)?;
    tracing::info!(input = %options.input, "opening the table");
    let continuation = match Continuation::find(options, &stats, progress, cancel)? {
        Continuation::Begin(begin) => begin,
        Continuation::Finished { why } => {
            let summary = stats.summary(options, Outcome { nothing_to_do: Some(why), ..Outcome::default() });
            options.summary.as_deref().map_or(Ok(()), |path| summary.write_to(path))?;
            return Ok(summary);
        }
    };
    let table = unless_cancelled(cancel, move || open_selected(&for_input))??;
    let mut output = unless_cancelled(cancel, move || OutputFile::open(&for_output))??;
    let mut shards = match &options.save_images {
        Some(saved) => Some(ImageShards::create(options, saved)?),
        None => None,
    };
    let saver = options.save_images.as_ref().map(|saved| Saver::new(options, saved, table.layout.names()));
    let errors = ErrorsFile::new(errors_file::path(options))?.with_inputs(options.input.is_several());
    options.summary.as_deref().map_or(Ok(()), AtomicFile::check)?;
    let sources = LiveSources::new(&options.fetch)?;
    let cache = options.cache.as_ref().map(DiskCache::open).transpose()?;
    let Loaded { scorer, model_ids, revisions, identities, files } =
        stats.time(Stage::Load, || load_scorer(options, progress, cancel))?;
    let scorer = with_choices(scorer, options);

    let (known, journal, closing) = continuation.begin(options, &identities, progress)?;
    let run = Run {
        base: options.input.base(),
        threads: options.threads,
        sources,
        cache: vector_cache(cache, &files, options.precision, &options.decode)?,
        stats: &stats,
        progress,
        cancel,
    };
    let places = Places { known, errors, journal, saver };
    let work = |reader, writer: Box<dyn WriteRows + '_>| run.all(reader, scorer, writer, places);
    let finished = write_table(&run, options, table, &mut output, shards.as_mut(), work);
    let Finished { errors, interrupted, rows, journal } = match finished {
        Ok(finished) => finished,
        Err(error) => {
            // What is finished is not lost with what failed. It may be the disk that failed: then it is.
            let _ = shards.map(ImageShards::keep_partial);
            if stats.rows() > 0
                // Until all are scored, nothing is written.
                && options.filters.top_fraction.is_none()
                && let Ok(Some(partial)) = output.keep_partial()
            {
                let can_resume =
                    options.save_images.is_none() && journal::path(options).is_some_and(|path| path.exists());
                let more = if can_resume { ", and --resume goes on after them" } else { "" };
                progress
                    .message(&format!("the rows finished before the run failed are in {}{more}", partial.display()));
            }
            return Err(error);
        }
    };
    let mut outcome = Outcome { model_ids, revisions, interrupted, errors, ..Outcome::default() };
    if interrupted {
        outcome.saved = shards.map(ImageShards::keep_partial).transpose()?;
        // Until all are scored, the best are written nowhere but where nobody takes them for all of them.
        let has_rows = options.filters.top_fraction.is_none() || matches!(output, OutputFile::File(_));
        outcome.partial = output.keep_partial()?.filter(|_| has_rows);
        // Pictures of rows that it has would not be fetched again.
        let journal = journal.filter(|_| options.save_images.is_none());
        outcome.journal = journal.map(|journal| journal.path().to_owned());
    } else {
        // Before the table: where that is, all pictures are.
        outcome.saved = shards.map(ImageShards::finish).transpose()?;
        closing.close(options, output, journal, rows, &stats)?;
    }
    let summary = stats.summary(options, outcome);
    if let Some(path) = &options.summary {
        summary.write_to(path)?;
    }
    Ok(summary)
}

/// Brings tables that are on the hub into its cache.
fn fetch_tables(options: &ScoreOptions, progress: &dyn Progress, cancel: &Cancel) -> Result<(), ScoreTableError> {
    let files: Vec<_> = options.input.files().filter_map(HubFile::of_path).filter_map(Result::ok).collect();
    if files.is_empty() {
        return Ok(());
    }
    // What is wrong with the output is not to be told after hours.
    if let Output::File(path) = &options.output {
        AtomicFile::check(path)?;
    }
    Ok(hub::fetch(&files, &HubOptions::from_env(), progress, cancel)?)
}

/// Opens a table of which only the chosen rows are read.
fn open_selected(options: &ScoreOptions) -> Result<OpenTable, TableError> {
    let OpenTable { reader, layout } = table::open(options)?;
    Ok(OpenTable { reader: select(reader, options)?, layout })
}

/// Writes the table to `output`: as `work` takes the rows their way, or the best of them after that.
fn write_table(
    run: &Run<'_>,
    options: &ScoreOptions,
    table: OpenTable,
    output: &mut OutputFile,
    shards: Option<&mut ImageShards>,
    work: impl FnOnce(Box<dyn ReadTable>, Box<dyn WriteRows + '_>) -> Result<Finished, ScoreTableError>,
) -> Result<Finished, ScoreTableError> {
    let columns = AddedColumns::of(options);
    let Some(fraction) = options.filters.top_fraction else {
        let rows = table.layout.writer(Box::new(output))?;
        return work(table.reader, Box::new(ScoredRows::new(rows, columns, &options.filters, run.stats, shards)));
    };
    let before = stamps(options);
    let mut spool = Spool::create(options, columns, run.stats)?;
    let finished = work(table.reader, Box::new(&mut spool))?;
    let spooled = match (finished.interrupted, &*output) {
        (false, _) => spool.finish(fraction)?,
        // Those that were scored are not lost; but who reads a pipe, or finds a whole table among others, would take
        // them for the best.
        (true, OutputFile::File(_)) => spool.finish_early()?,
        (true, OutputFile::Stdout(_) | OutputFile::Apart(_)) => return Ok(finished),
    };
    tracing::info!("writing the best rows");
    // Whose samples wait already.
    let OpenTable { reader, layout } = open_selected(&ScoreOptions { save_images: None, ..options.clone() })?;
    let is_whole = spooled.write(reader, layout.writer(Box::new(output))?, shards, run.stats, run.cancel)?;
    if stamps(options) != before {
        return Err(TableError::Changed { name: options.input.to_string() }.into());
    }
    Ok(Finished { interrupted: finished.interrupted || !is_whole, ..finished })
}

/// By which tables that were written to meanwhile are known.
fn stamps(options: &ScoreOptions) -> Vec<Option<String>> {
    options.input.files().map(|path| table::stamp(path, &options.fetch)).collect()
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
    let _connections = Connections::of(&options.input, &options.fetch);
    let reading = ScoreOptions { output: Output::Stdout, error_column: None, ..run_options.clone() };
    fetch_tables(&reading, progress, cancel)?;
    let table = unless_cancelled(cancel, move || table::open_with_texts(&reading))??;
    let columns = KeptColumns::find(&table.layout, options)?;
    let for_place = options.clone();
    let place = unless_cancelled(cancel, move || Place::open(&for_place))??;
    let errors = ErrorsFile::new(errors_file::path(&run_options))?.with_inputs(options.input.is_several());
    options.summary.as_deref().map_or(Ok(()), AtomicFile::check)?;
    let sources = LiveSources::new(&options.fetch)?;
    let cache = options.cache.as_ref().map(DiskCache::open).transpose()?;
    let load_options = loading(options.threads, options.precision);
    let LoadedModel { encoder, id, revision, files, .. } =
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
        sources,
        cache: vector_cache(cache, &[files], options.precision, &options.decode)?,
        stats: &stats,
        progress,
        cancel,
    };
    let rows = Box::new(VectorRows(&mut output));
    let Finished { errors, interrupted, .. } = run.all(table.reader, embedder, rows, Places::only(errors))?;
    let partial = if interrupted {
        output.keep_partial(options)?
    } else {
        output.commit(options)?;
        None
    };
    let (model_ids, revisions) = (vec![id], vec![revision]);
    let outcome = Outcome { model_ids, revisions, interrupted, partial, errors, ..Outcome::default() };
    let summary = stats.summary(&run_options, outcome);
    if let Some(path) = &options.summary {
        summary.write_to(path)?;
    }
    Ok(summary)
}

/// What a run takes over from an earlier one, and what it leaves besides its output.
struct Places {
    known: KnownRows,
    errors: ErrorsFile,
    journal: Option<JournalWriter>,
    saver: Option<Saver>,
}

impl Places {
    /// Those of a run that is not gone on with.
    fn only(errors: ErrorsFile) -> Self {
        Self { known: KnownRows::default(), errors, journal: None, saver: None }
    }
}

/// What the parts of a run share.
struct Run<'a> {
    base: &'a Path,
    threads: Option<NonZeroUsize>,
    sources: LiveSources,
    /// The vectors that were made before.
    cache: Arc<VectorCache>,
    stats: &'a Arc<Stats>,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

impl Run<'_> {
    /// Takes all rows their way.
    fn all(
        &self,
        table: Box<dyn ReadTable>,
        compute: impl Compute + 'static,
        writer: Box<dyn WriteRows + '_>,
        places: Places,
    ) -> Result<Finished, ScoreTableError> {
        let Places { known, errors, journal, saver } = places;
        let stop = Stop::new(self.cancel);
        let compute: Arc<dyn Compute> = Arc::new(compute);
        let mut join = Join::new(writer, errors, journal, self.stats, self.progress);
        let sources = self.sources.clone();
        let encoders = self.threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let rows = Rows { table, known, base: self.base };
        let fetching = Fetching::start(rows, sources, encoders, join.inbox(), self.stats, &stop)?;
        let images = fetching.images();
        let kept = Kept { cache: Arc::clone(&self.cache), saver };
        let computing = Computing::start(&compute, kept, encoders, images, join.inbox(), self.stats, &stop)?;
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
    /// Which one it is.
    identities: Vec<String>,
    /// What it was made of.
    files: Vec<ModelFiles>,
}

/// Finds the models, loads them and puts them together with the metrics.
fn load_scorer(options: &ScoreOptions, progress: &dyn Progress, cancel: &Cancel) -> Result<Loaded, ScoreTableError> {
    let mut scorer: Option<Scorer> = None;
    let (mut model_ids, mut revisions) = (Vec::new(), Vec::new());
    let (mut identities, mut all_files) = (Vec::new(), Vec::new());
    let load_options = loading(options.threads, options.precision);
    for name in &options.models {
        let LoadedModel { encoder, id, revision, identity, files } =
            load_with_tokenizer(name, load_options, progress, cancel)?;
        scorer = Some(put_together(scorer, encoder, options)?);
        model_ids.push(id);
        revisions.push(revision);
        identities.push(identity);
        all_files.push(files);
    }
    let scorer = scorer.ok_or(OptionsError::Missing { flag: "--model" })?;
    Ok(Loaded { scorer: set(scorer, options), model_ids, revisions, identities, files: all_files })
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

/// Sets what the options say about the rows of one table.
fn with_choices(scorer: Scorer, options: &ScoreOptions) -> Scorer {
    scorer.with_picture_limits(options.filters.pictures).with_counted_tokens(options.diagnostics)
}

/// Vectors that are made, with those on a disk if there is a cache of them.
fn vector_cache(
    disk: Option<DiskCache>,
    models: &[ModelFiles],
    precision: Precision,
    decode: &DecodeOptions,
) -> Result<Arc<VectorCache>, CacheError> {
    let Some(disk) = disk else { return Ok(Arc::new(VectorCache::new())) };
    let identities = models.iter().map(|files| Identity::of(files, precision, decode));
    let identities = identities.collect::<Result<_, _>>().map_err(CacheError::Model)?;
    Ok(Arc::new(VectorCache::with_disk(disk, identities)))
}

/// How models are made ready by as many threads as are to work with them.
fn loading(threads: Option<NonZeroUsize>, precision: Precision) -> LoadOptions {
    let defaults = LoadOptions::default();
    LoadOptions { threads: threads.unwrap_or(defaults.threads), precision }
}
