//! How a run goes on where an earlier one of the same output was ended, and what it leaves for one that goes on after it.

use std::io;
use std::path::Path;

use super::ScoreTableError;
use super::earlier::{self, EarlierError, EarlierScores};
use super::join::RowsOfTable;
use super::known::KnownRows;
use super::output::OutputFile;
use crate::atomic::{AtomicError, AtomicFile, is_same_file, remove_leftovers};
use crate::cancel::Cancel;
use crate::errors_file;
use crate::file_identity::FileIdentity;
use crate::fingerprint::Fingerprint;
use crate::journal::{self, Ending, Journal, JournalError, JournalWriter};
use crate::options::{Input, ResumeOptions, ScoreOptions};
use crate::progress::Progress;
use crate::shard::{self, Shard, ShardNote};
use crate::stats::Stats;
use crate::table::{self, TableError};
use crate::waiting::unless_cancelled;

/// The field of a run that only does the failed rows of an output again.
const RETRY: &str = "--retry-failed";

/// What there is to go on with.
pub(super) enum Continuation {
    /// The output is there, and nothing is to be done.
    Finished {
        /// What to say of it.
        why: String,
    },
    /// There is something to be done.
    Begin(Box<Begin>),
}

/// A run before its first row.
#[derive(Default)]
pub(super) struct Begin {
    /// `None` for an output that is no file.
    journal: Option<Journal>,
    fingerprint: Fingerprint,
    /// Whether the rows of the journal are of use.
    goes_on: bool,
    /// Of an output that is there and finished, what decided it.
    finished: Option<Fingerprint>,
}

impl Continuation {
    /// Looks for what an earlier run left, and refuses what does not belong to this one. What is finished is counted in
    /// `stats`.
    pub(super) fn find(
        options: &ScoreOptions,
        stats: &Stats,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Self, ScoreTableError> {
        let (Some(path), Some(output)) = (journal::path(options), options.output_file()) else {
            return Ok(Self::Begin(Box::default()));
        };
        AtomicFile::check(output)?;
        let journal = Journal::open(&path)?;
        // With the lock on the journal, nobody else is writing them.
        remove_leftovers(output);
        if options.errors.is_none() {
            remove_leftovers(&errors_file::path_of(output));
        }
        let of = options.clone();
        let fingerprint = unless_cancelled(cancel, move || Fingerprint::of(&of))?;
        let fingerprint = fingerprint.map_err(|source| TableError::Read { name: options.input.to_string(), source })?;
        let finished = journal.fingerprint().and_then(|before| {
            let ending = journal.ending_of(&FileIdentity::at(output).ok()?)?;
            Some((before.without(RETRY), ending.clone()))
        });
        let found = Found { options, output, journal, fingerprint, finished, progress };
        match options.resume {
            ResumeOptions { retry_failed: true, .. } => found.retry(stats, cancel),
            ResumeOptions { resume: true, .. } => found.resume(stats),
            _ => Ok(found.anew()),
        }
    }
}

/// What is there when a run begins.
struct Found<'a> {
    options: &'a ScoreOptions,
    output: &'a Path,
    journal: Journal,
    fingerprint: Fingerprint,
    /// If the output is there and whole, what decided it and what it came to.
    finished: Option<(Fingerprint, Ending)>,
    progress: &'a dyn Progress,
}

impl Found<'_> {
    fn anew(self) -> Continuation {
        if self.finished.is_none() && self.journal.rows() > 0 && self.options.save_images.is_none() {
            let (rows, path) = (self.journal.rows(), self.journal.path().display());
            self.progress.message(&format!("beginning anew; --resume would have gone on with {rows} rows of {path}"));
        }
        self.begin(false, None)
    }

    fn resume(self, stats: &Stats) -> Result<Continuation, ScoreTableError> {
        let Some((before, ending)) = &self.finished else {
            self.journal.check(&self.fingerprint, false)?;
            let (useless, path) = (self.journal.useless_bytes(), self.journal.path().display());
            if useless > 0 {
                self.progress
                    .message(&format!("the last {useless} bytes of {path} are no whole row: they are left out"));
            }
            let goes_on = self.journal.fingerprint().is_some();
            return Ok(self.begin(goes_on, None));
        };
        // The output may have taken the input's place.
        let is_in_place = matches!(&self.options.input, Input::File(input) if is_same_file(input, self.output));
        let of = |fingerprint: &Fingerprint| match is_in_place {
            true => fingerprint.without_input(),
            false => fingerprint.clone(),
        };
        refuse(self.journal.path(), &of(&self.fingerprint), &of(before), false)?;
        stats.restore(ending.scored, &ending.failed);
        let why = format!("{} is finished already", self.output.display());
        if self.journal.rows() > 0 {
            // The process that put the output in its place was killed before it could do this.
            self.journal.shrink(before, ending)?;
        }
        Ok(Continuation::Finished { why })
    }

    /// For a run that only does the failed rows again.
    fn retry(mut self, stats: &Stats, cancel: &Cancel) -> Result<Continuation, ScoreTableError> {
        let output = self.output.display();
        let of = FileIdentity::at(self.output);
        let of = of.map_err(|_| EarlierError::NotThere { output: output.to_string() })?;
        if let Some((before, _)) = &self.finished {
            // Whether it is of this input is looked at row by row.
            refuse(self.journal.path(), &self.fingerprint.without_input(), &before.without_input(), false)?;
        }
        self.fingerprint.add(RETRY, format_args!("given for the output {}", of.sample));
        let goes_on = self.options.resume.resume && self.finished.is_none() && self.journal.fingerprint().is_some();
        if goes_on {
            self.journal.check(&self.fingerprint, false)?;
        }
        let counted = Stats::new(self.options.score_columns().len());
        match earlier::count_failed(self.options, &counted, cancel)? {
            Some(0) => {
                earlier::count_failed(self.options, stats, cancel)?;
                return Ok(Continuation::Finished { why: format!("no row of {output} has failed") });
            }
            Some(failed) => {
                let rows = failed + counted.rows();
                self.progress.message(&format!("{failed} of the {rows} rows of {output} are done again"));
            }
            None => {}
        }
        let finished = self.finished.take().map(|(before, _)| before);
        Ok(self.begin(goes_on, finished))
    }

    fn begin(self, goes_on: bool, finished: Option<Fingerprint>) -> Continuation {
        let Self { journal, fingerprint, .. } = self;
        Continuation::Begin(Box::new(Begin { journal: Some(journal), fingerprint, goes_on, finished }))
    }
}

impl Begin {
    /// Begins the journal, or goes on with it, now that it is known which models the names stand for.
    pub(super) fn begin(
        self,
        options: &ScoreOptions,
        identities: &[String],
        progress: &dyn Progress,
    ) -> Result<(KnownRows, Option<JournalWriter>, Closing), ScoreTableError> {
        let Self { journal, mut fingerprint, goes_on, finished } = self;
        fingerprint.add_models(&options.models, identities);
        let Some(journal) = journal else {
            return Ok((KnownRows::default(), None, Closing { fingerprint, keeps_journal: false }));
        };
        if goes_on {
            journal.check(&fingerprint, true)?;
            progress.message(&format!("going on with {} rows of {}", journal.rows(), journal.path().display()));
        }
        if let Some(before) = &finished {
            let now = fingerprint.without_input().without(RETRY);
            refuse(journal.path(), &now, &before.without_input(), true)?;
        }
        let earlier = options.resume.retry_failed.then(|| EarlierScores::open(options)).transpose()?;
        let (replay, writer) = journal.begin(&fingerprint, goes_on, options.score_columns().len())?;
        // Whoever has a journal beside a finished output asked for it once.
        let keeps_journal = options.resume.resume || finished.is_some();
        let closing = Closing { fingerprint: fingerprint.without(RETRY), keeps_journal };
        let writer = writer.with_diagnostics(options.diagnostics);
        Ok((KnownRows::new(Some(replay), earlier), Some(writer), closing))
    }
}

fn refuse(path: &Path, now: &Fingerprint, before: &Fingerprint, is_whole: bool) -> Result<(), JournalError> {
    match now.differences(before, is_whole) {
        none if none.is_empty() => Ok(()),
        differences => Err(JournalError::Changed { path: path.to_owned(), differences }),
    }
}

/// What is to be done when all rows are.
pub(super) struct Closing {
    /// What decided the output.
    fingerprint: Fingerprint,
    /// Whether a small journal stays, by which the output is known to be finished.
    keeps_journal: bool,
}

impl Closing {
    /// Puts the output in its place, and its journal away. Whenever this is cut off, what is there can be gone on with.
    pub(super) fn close(
        self,
        options: &ScoreOptions,
        mut output: OutputFile,
        journal: Option<JournalWriter>,
        rows: RowsOfTable,
        stats: &Stats,
    ) -> Result<(), ScoreTableError> {
        let Some(mut journal) = journal else { return output.commit() };
        let fails = |source: io::Error| AtomicError::Write { path: journal.path().to_owned(), source };
        let Some(identity) = output.identity().map_err(fails)? else { return output.commit() };
        if let (Some(shard), Some(part)) = (options.shard, options.output_file()) {
            self.note(shard, options, &identity, rows, stats)?.write(part)?;
        }
        let ending = Ending { scored: stats.scored_rows(), failed: stats.failures_by_kind(), output: identity };
        journal.end(&ending)?;
        output.commit()?;
        if self.keeps_journal {
            journal.shrink(&self.fingerprint, &ending)?
        } else {
            journal.remove()?
        }
        Ok(())
    }

    /// What the part of a table says of itself.
    fn note(
        &self,
        shard: Shard,
        options: &ScoreOptions,
        output: &FileIdentity,
        rows: RowsOfTable,
        stats: &Stats,
    ) -> Result<ShardNote, TableError> {
        let [_, format] = table::formats_of(options)?;
        let failed = stats.failures_by_kind().into_iter().map(|(kind, count)| (kind.name().to_owned(), count));
        Ok(ShardNote {
            version: shard::note::VERSION,
            shard: shard.index(),
            of: shard.count().get(),
            format: format.name().to_owned(),
            delimiter: options.delimiter.or(format.delimiter()),
            first_row: rows.first,
            rows: rows.count,
            scored: stats.scored_rows(),
            failed: failed.collect(),
            output: output.clone(),
            run: self.fingerprint.clone(),
        })
    }
}
