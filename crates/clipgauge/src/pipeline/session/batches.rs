//! Tables in memory: batches of Arrow's, scored as a table in a file is.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_schema::SchemaRef;

use super::Session;
use crate::atomic::AtomicFile;
use crate::cancel::Cancel;
use crate::errors_file::ErrorsFile;
use crate::options::{OptionsError, Output, ScoreOptions};
use crate::pipeline::join::Finished;
use crate::pipeline::rows::{AddedColumns, ScoredRows};
use crate::pipeline::selection::select;
use crate::pipeline::spool::Spool;
use crate::pipeline::{Places, ScoreTableError, with_choices};
use crate::progress::Progress;
use crate::stats::{Outcome, Stats, Summary};
use crate::table::{self, ArrowLayout, ReadTable, TableError};

/// A table that was scored in memory.
#[derive(Debug)]
pub struct ScoredBatches {
    /// The columns of the batches.
    pub schema: SchemaRef,
    /// The batches that were read, less empty ones and dropped rows, with the added columns.
    pub batches: Vec<RecordBatch>,
    /// What it came to.
    pub summary: Summary,
}

impl Session {
    /// Scores a table in memory, as [`score_table`](crate::pipeline::score_table) does one in a file: `options` say how
    /// its columns are called, which are added and which rows are chosen. Models, metrics and limits are the session's.
    ///
    /// # Errors
    ///
    /// As [`score`](Self::score), and those of the columns and filters; or an option is about files.
    pub fn score_batches(
        &self,
        batches: Box<dyn RecordBatchReader + Send>,
        options: &ScoreOptions,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<ScoredBatches, ScoreTableError> {
        let options = self.of_table(options);
        check(&options)?;
        let stats = Arc::new(Stats::new(options.score_columns().len()));
        let mut batches = Batches::of(batches, &options)?;
        let (reader, layout) = batches.open(&options)?;
        let errors = ErrorsFile::new(options.errors.clone())?;
        options.summary.as_deref().map_or(Ok(()), AtomicFile::check)?;
        let (schema, mut scored) = (layout.written_schema(), Vec::new());
        let (columns, places) = (AddedColumns::of(&options), Places::only(errors));
        let scorer = with_choices(self.scorer.clone(), &options);
        let run = self.run(&stats, progress, cancel);
        let Finished { errors, interrupted, .. } = match options.filters.top_fraction {
            None => {
                let writer = layout.batches(|batch| scored.push(batch));
                let rows = ScoredRows::new(writer, columns, &options.filters, &stats, None);
                run.all(reader, scorer, Box::new(rows), places)?
            }
            Some(fraction) => {
                let mut spool = Spool::create(&options, columns, &stats)?;
                let finished = run.all(reader, scorer, Box::new(&mut spool), places)?;
                let is_whole = !finished.interrupted && {
                    let (reader, _) = batches.open(&options)?;
                    let writer = layout.batches(|batch| scored.push(batch));
                    spool.finish(fraction)?.write(reader, writer, None, &stats, cancel)?
                };
                Finished { interrupted: !is_whole, ..finished }
            }
        };
        if interrupted {
            return Err(ScoreTableError::Cancelled);
        }
        let (model_ids, revisions) = (self.model_ids.clone(), self.revisions.clone());
        let summary = stats.summary(&options, Outcome { model_ids, revisions, errors, ..Outcome::default() });
        if let Some(path) = &options.summary {
            summary.write_to(path)?;
        }
        Ok(ScoredBatches { schema, batches: scored, summary })
    }

    /// The options of a table, with what is the session's.
    fn of_table(&self, options: &ScoreOptions) -> ScoreOptions {
        let ScoreOptions {
            models,
            metrics,
            canonicalize_captions,
            threads,
            batch_size,
            precision,
            fetch,
            decode,
            cache,
            ..
        } = self.options.clone();
        ScoreOptions {
            models,
            metrics,
            canonicalize_captions,
            threads,
            batch_size,
            precision,
            fetch,
            decode,
            cache,
            ..options.clone()
        }
    }
}

/// Refuses what is about files.
fn check(options: &ScoreOptions) -> Result<(), OptionsError> {
    let of_files = [
        ("--in-place", options.output == Output::InPlace),
        ("--output", matches!(options.output, Output::File(_) | Output::Folder(_))),
        ("--format", options.format.is_some()),
        ("--delimiter", options.delimiter.is_some()),
        ("--resume", options.resume.resume),
        ("--retry-failed", options.resume.retry_failed),
        ("--shard", options.shard.is_some()),
        ("--save-images", options.save_images.is_some()),
    ];
    match of_files.into_iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(OptionsError::OfFiles { flag }),
        None => options.check_in_memory(),
    }
}

/// The batches of a table.
enum Batches {
    /// Read as they are needed, once.
    Once(Option<Box<dyn RecordBatchReader + Send>>),
    /// All of them, where rows are counted or read again.
    All { schema: SchemaRef, batches: Vec<RecordBatch>, rows: u64 },
}

impl Batches {
    fn of(batches: Box<dyn RecordBatchReader + Send>, options: &ScoreOptions) -> Result<Self, TableError> {
        if options.filters.reads_again().is_none() {
            return Ok(Self::Once(Some(batches)));
        }
        let schema = batches.schema();
        let batches = batches.collect::<Result<Vec<_>, _>>().map_err(|source| TableError::Damaged {
            name: options.input.to_string(),
            what: "Arrow",
            row: None,
            source: crate::vectors::of_arrow(source),
        })?;
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        Ok(Self::All { schema, batches, rows })
    }

    /// The chosen rows from the first one on.
    fn open(&mut self, options: &ScoreOptions) -> Result<(Box<dyn ReadTable>, ArrowLayout), TableError> {
        let (batches, rows): (Box<dyn RecordBatchReader + Send>, _) = match self {
            Self::Once(batches) => (batches.take().expect("it is read once"), None),
            Self::All { schema, batches, rows } => {
                let again = batches.clone().into_iter().map(Ok);
                (Box::new(RecordBatchIterator::new(again, Arc::clone(schema))), Some(*rows))
            }
        };
        let (reader, layout) = table::open_batches(batches, rows, options)?;
        Ok((select(reader, options)?, layout))
    }
}
