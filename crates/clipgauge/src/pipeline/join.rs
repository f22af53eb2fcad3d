//! The end of the way: what became of each row, put back into the order of the table and written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};

use tokio::sync::OwnedSemaphorePermit;

use super::ScoreTableError;
use super::compute::Values;
use super::rows::WriteRows;
use super::stop::Stop;
use crate::errors_file::ErrorsFile;
use crate::progress::Progress;
use crate::row::{Row, RowError};
use crate::scorer::ScoreError;
use crate::stats::{Stage, Stats};
use crate::table::{Position, TableError};

/// A row's place in the table, and what it takes of the memory for rows.
pub(super) struct Ticket {
    index: u64,
    position: Position,
    _admitted: OwnedSemaphorePermit,
}

impl Ticket {
    /// The ticket of the row `index` (from 0), read up to `position`.
    pub(super) fn new(index: u64, position: Position, admitted: OwnedSemaphorePermit) -> Self {
        Self { index, position, _admitted: admitted }
    }
}

/// What became of a row.
pub(super) struct Outcome {
    pub(super) row: Row,
    pub(super) ticket: Ticket,
    pub(super) values: Result<Values, RowError>,
    pub(super) is_truncated: bool,
}

impl Outcome {
    /// A row that failed before anything could be computed for it.
    pub(super) fn failed(row: Row, ticket: Ticket, error: RowError) -> Self {
        Self { row, ticket, values: Err(error), is_truncated: false }
    }
}

/// What the other threads tell.
pub(super) enum Message {
    /// A row is done.
    Outcome(Box<Outcome>),
    /// Nothing can be computed.
    Broken(ScoreError),
    /// A computing thread has ended.
    WorkerGone {
        /// Whether by a panic; its rows are then lost and the run with them.
        panicked: bool,
    },
}

/// How a run ended.
pub(super) struct Finished {
    /// Whether before its last row, because that was asked for.
    pub(super) interrupted: bool,
    /// Where the failed rows are listed, if one failed.
    pub(super) errors: Option<PathBuf>,
}

/// The ordered join.
pub(super) struct Join<'a> {
    writer: Box<dyn WriteRows + 'a>,
    errors: ErrorsFile,
    stats: &'a Stats,
    progress: &'a dyn Progress,
    inbox: Receiver<Message>,
    sender: Option<Sender<Message>>,
    waiting: BTreeMap<u64, Outcome>,
    next: u64,
    failure: Option<ScoreTableError>,
}

impl<'a> Join<'a> {
    pub(super) fn new(
        writer: Box<dyn WriteRows + 'a>,
        errors: ErrorsFile,
        stats: &'a Stats,
        progress: &'a dyn Progress,
    ) -> Self {
        let (sender, inbox) = mpsc::channel();
        let (waiting, next, failure) = (BTreeMap::new(), 0, None);
        Self { writer, errors, stats, progress, inbox, sender: Some(sender), waiting, next, failure }
    }

    /// Where messages go.
    pub(super) fn inbox(&self) -> Sender<Message> {
        self.sender.clone().expect("before the run")
    }

    /// Writes rows in their order until all are written, or the run is to end and `workers` threads have ended.
    pub(super) fn run(&mut self, mut workers: usize, stop: &Stop) {
        // Own no sender, so that the inbox closes when the others are gone.
        self.sender = None;
        if let Err(error) = self.join(&mut workers, stop) {
            self.failure = Some(error);
            stop.fail();
        }
    }

    fn join(&mut self, workers: &mut usize, stop: &Stop) -> Result<(), ScoreTableError> {
        loop {
            let message = match self.inbox.try_recv() {
                Ok(message) => message,
                Err(_) => {
                    // Nothing to do for a moment: let readers of a pipe have what is there.
                    self.writer.flush()?;
                    let Ok(message) = self.inbox.recv() else { return Ok(()) };
                    message
                }
            };
            match message {
                Message::Outcome(outcome) => {
                    self.waiting.insert(outcome.ticket.index, *outcome);
                    self.write_ready()?;
                }
                Message::Broken(error) => return Err(error.into()),
                Message::WorkerGone { panicked } => {
                    *workers -= 1;
                    if panicked {
                        // Its rows are lost. The panic goes on where the thread is joined.
                        stop.fail();
                    }
                    if *workers == 0 && stop.is_requested() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Writes the rows that come next and are here.
    fn write_ready(&mut self) -> Result<(), ScoreTableError> {
        while let Some(outcome) = self.waiting.remove(&self.next) {
            self.next += 1;
            let Outcome { row, ticket, values, is_truncated } = outcome;
            if is_truncated {
                self.stats.truncated_caption();
            }
            if row.record.is_ragged() {
                self.stats.ragged_row();
            }
            match &values {
                Ok(values) => self.stats.scored(values.scores()),
                Err(error) => {
                    self.stats.failed(error.kind);
                    self.errors.add(row.number, row.image_name(), error)?;
                }
            }
            self.stats.time(Stage::Write, || self.writer.write(row.record, values.as_ref()))?;
            self.progress.rows(self.stats.rows(), self.stats.failures());
            self.progress.input(ticket.position);
        }
        Ok(())
    }

    /// Ends the table that was written, and puts the list of errors in its place; that of an interrupted run, beside it.
    pub(super) fn finish(mut self, read: Result<(), TableError>, stop: &Stop) -> Result<Finished, ScoreTableError> {
        if let Some(error) = self.failure.take() {
            // What is finished may still be of use. It may be the disk that failed: then it is not.
            let _ = self.writer.finish_early();
            return Err(error);
        }
        if stop.is_cancelled() {
            self.writer.finish_early()?;
            return Ok(Finished { interrupted: true, errors: self.errors.keep_partial()? });
        }
        if let Err(error) = read {
            self.writer.finish_early()?;
            return Err(error.into());
        }
        // A lost row would end the table early, with all that came after it left out.
        assert!(self.waiting.is_empty(), "row {} was lost on its way", self.next + 1);
        self.writer.finish()?;
        Ok(Finished { interrupted: false, errors: self.errors.commit()? })
    }
}
