//! The whole way of a table: rows are read, images fetched, batches scored, rows joined in their order and written.
//!
//! ```text
//! read rows ─▶ fetch ─▶ score (decode ─▶ preprocess ─▶ encode │ tokenize ─▶ encode ─▶ compare) ─▶ join ─▶ write
//!  a thread    tasks    a thread per core, see `scorer.rs`                                        the caller's thread
//! ```
//!
//! What is under way is bounded in bytes: rows between reading and writing, and images between fetching and scoring.

use std::sync::Arc;

use clipgauge_core::encoder::Encoder;
use clipgauge_core::family;
use clipgauge_core::metric::MetricError;

use crate::atomic::AtomicFile;
use crate::cancel::Cancel;
use crate::errors_file::{self, ErrorsFile};
use crate::hub::{self, HubOptions};
use crate::options::{OptionsError, ScoreOptions};
use crate::progress::Progress;
use crate::scorer::Scorer;
use crate::source::Sources;
use crate::stats::{Outcome, Stage, Stats, Summary};
use crate::table;

mod error;
mod fetching;
mod join;
mod output;
mod scoring;
mod stop;

pub use error::ScoreTableError;
use fetching::Fetching;
use join::{AddedColumns, Finished, Join};
use output::OutputFile;
use scoring::Scoring;
use stop::Stop;

/// Scores a table.
///
/// Rows that fail are counted, listed and left without a score; they are not errors. A run that is cancelled keeps its
/// finished rows beside the output and says so in the summary.
pub fn score_table(
    options: &ScoreOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Summary, ScoreTableError> {
    // All that can fail is tried before the long part: first what costs nothing, last what may be downloaded.
    options.check()?;
    let stats = Arc::new(Stats::new(options.score_columns().len()));
    let table = table::open(options)?;
    let mut output = OutputFile::open(options)?;
    let errors = ErrorsFile::new(errors_file::path(options))?;
    options.summary.as_deref().map_or(Ok(()), AtomicFile::check)?;
    let sources = Sources::new(options.fetch.clone())?;
    let (scorer, revisions) = stats.time(Stage::Load, || load_scorer(options, progress, cancel))?;

    let stop = Stop::new(cancel);
    let columns = AddedColumns { scores: options.score_columns().len(), has_error: options.error_column.is_some() };
    let writer = table.layout.writer(Box::new(&mut output))?;
    let mut join = Join::new(writer, errors, &stats, progress, columns);
    let mut fetching = Fetching::start(table.reader, options.input.base(), sources, join.inbox(), &stats, &stop)?;
    let scoring = Scoring::start(&scorer, options.threads, fetching.images(), join.inbox(), &stats, &stop)?;
    join.run(scoring.count(), &stop);
    let read = fetching.end();
    scoring.end();

    let Finished { errors, interrupted } = match join.finish(read, &stop) {
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
    let summary = stats.summary(options, Outcome { revisions, interrupted, partial, errors });
    if let Some(path) = &options.summary {
        summary.write_to(path)?;
    }
    Ok(summary)
}

/// Finds the models, loads them and puts them together with the metrics. Gives each model's commit, too, if it has one.
fn load_scorer(
    options: &ScoreOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Scorer, Vec<Option<String>>), ScoreTableError> {
    let mut scorer: Option<Scorer> = None;
    let mut revisions = Vec::with_capacity(options.models.len());
    for name in &options.models {
        let model = hub::resolve(name, &HubOptions::from_env(), progress, cancel)?;
        let load = |source| ScoreTableError::Load { model: name.clone(), source };
        let encoder: Arc<dyn Encoder> = family::load(&model.files).map_err(load)?.into();
        let mut metrics = options.metrics.iter().map(|metric| metric.comparer(encoder.spec()));
        let first = metrics.next().ok_or(OptionsError::Missing { flag: "--metric" })??;
        let with_model = match scorer {
            Some(scorer) => scorer.with_model(Arc::clone(&encoder), first),
            None => Scorer::new(Arc::clone(&encoder), first),
        };
        scorer =
            Some(metrics.try_fold(with_model, |scorer, metric| Ok::<_, MetricError>(scorer.with_metric(metric?)))?);
        revisions.push(model.revision);
    }
    let scorer = scorer.ok_or(OptionsError::Missing { flag: "--model" })?;
    let scorer = scorer
        .with_decode_options(options.decode.clone())
        .with_canonical_captions(options.canonicalize_captions)
        .with_batch_size(options.batch_size);
    Ok((scorer, revisions))
}
