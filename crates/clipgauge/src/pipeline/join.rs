//! The end of the way: what became of each row, put back into the order of the table and written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};

use tokio::sync::OwnedSemaphorePermit;

use super::ScoreTableError;
use super::compute::Values;
use super::rows::WriteRows;
use super::saving::Spooled;
use super::stop::Stop;
use crate::diagnostics::Diagnostics;
use crate::errors_file::ErrorsFile;
use crate::journal::{Done, JournalWriter};
use crate::progress::Progress;
use crate::row::{Row, RowError};
use crate::stats::{Stage, Stats};
use crate::table::Position;

/// A row's place in the table, and what it takes of the memory for rows.
pub(super) struct Ticket {
    index: u64,
    /// By which a journal knows the row again.
    hash: u64,
    position: Position,
    _admitted: OwnedSemaphorePermit,
}

impl Ticket {
    /// The ticket of the row `index` (from 0), read up to `position`.
    pub(super) fn new(index: u64, hash: u64, position: Position, admitted: OwnedSemaphorePermit) -> Self {
        Self { index, hash, position, _admitted: admitted }
    }

    /// Which row of the run it is, from 0.
    pub(super) fn index(&self) -> u64 {
        self.index
    }
}

/// What became of a row.
pub(super) struct Outcome {
    pub(super) row: Row,
    pub(super) ticket: Ticket,
    pub(super) values: Result<Values, RowError>,
    pub(super) diagnostics: Diagnostics,
    /// What is saved of its picture, if it is.
    pub(super) picture: Option<Spooled>,
    /// Whether an earlier run had it.
    pub(super) is_taken_over: bool,
}

impl Outcome {
    /// A row that failed before anything could be computed for it.
    pub(super) fn failed(row: Row, ticket: Ticket, error: RowError) -> Self {
        Self {
            row,
            ticket,
            values: Err(error),
            diagnostics: Diagnostics::default(),
            picture: None,
            is_taken_over: false,
        }
    }
}

/// What the other threads tell.
pub(super) enum Message {
    /// A row is done.
    Outcome(Box<Outcome>),
    /// Nothing can be computed, or kept of it.
    Broken(ScoreTableError),
    /// A computing thread has ended.
    WorkerGone {
        /// Whether by a panic; its rows are then lost and the run with them.
        panicked: bool,
    },
}

/// Rows of a table that follow each other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RowsOfTable {
    /// The number of the first, from 1.
    pub(super) first: Option<u64>,
    /// How many there are.
    pub(super) count: u64,
}

/// How a run ended.
pub(super) struct Finished {
    /// Whether before its last row, because that was asked for.
    pub(super) interrupted: bool,
    /// Where the failed rows are listed, if one failed.
    pub(super) errors: Option<PathBuf>,
    /// Which rows of the table they were.
    pub(super) rows: RowsOfTable,
    /// The journal, with all rows in it.
    pub(super) journal: Option<JournalWriter>,
}

/// What came of waiting for a message.
enum Waited {
    Message(Message),
    ForNothing,
    Closed,
}

/// The ordered join.
pub(super) struct Join<'a> {
    writer: Box<dyn WriteRows + 'a>,
    errors: ErrorsFile,
    journal: Option<JournalWriter>,
    stats: &'a Stats,
    progress: &'a dyn Progress,
    inbox: Receiver<Message>,
    sender: Option<Sender<Message>>,
    waiting: BTreeMap<u64, Outcome>,
    next: u64,
    /// The number in the table of the first row.
    first_row: Option<u64>,
    failure: Option<ScoreTableError>,
}

impl<'a> Join<'a> {
    pub(super) fn new(
        writer: Box<dyn WriteRows + 'a>,
        errors: ErrorsFile,
        journal: Option<JournalWriter>,
        stats: &'a Stats,
        progress: &'a dyn Progress,
    ) -> Self {
        let (sender, inbox) = mpsc::channel();
        let (waiting, next, first_row, failure) = (BTreeMap::new(), 0, None, None);
        Self {
            writer,
            errors,
            journal,
            stats,
            progress,
            inbox,
            sender: Some(sender),
            waiting,
            next,
            first_row,
            failure,
        }
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
                    match self.wait()? {
                        Waited::Message(message) => message,
                        Waited::ForNothing => continue,
                        Waited::Closed => return Ok(()),
                    }
                }
            };
            match message {
                Message::Outcome(outcome) => {
                    self.note(&outcome)?;
                    self.waiting.insert(outcome.ticket.index, *outcome);
                    self.write_ready()?;
                }
                Message::Broken(error) => return Err(error),
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

    /// Waits for a message, at most until the journal is to be written on.
    fn wait(&mut self) -> Result<Waited, ScoreTableError> {
        let Some((journal, patience)) = self.journal.as_mut().and_then(|journal| {
            let patience = journal.patience()?;
            Some((journal, patience))
        }) else {
            return Ok(self.inbox.recv().map_or(Waited::Closed, Waited::Message));
        };
        match self.inbox.recv_timeout(patience) {
            Ok(message) => Ok(Waited::Message(message)),
            Err(RecvTimeoutError::Disconnected) => Ok(Waited::Closed),
            Err(RecvTimeoutError::Timeout) => {
                journal.flush()?;
                Ok(Waited::ForNothing)
            }
        }
    }

    /// Puts what became of a row into the journal, before it is its turn to be written.
    fn note(&mut self, outcome: &Outcome) -> Result<(), ScoreTableError> {
        let Outcome { ticket, values, diagnostics, is_taken_over, .. } = outcome;
        if *is_taken_over {
            self.stats.taken_over();
            return Ok(());
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let done = match values {
            Ok(Values::Dropped(reason)) => Done::Dropped(*reason),
            Ok(values) => Done::Scored(values.scores()),
            Err(error) => Done::Failed(error),
        };
        Ok(journal.add(ticket.index, ticket.hash, done, diagnostics)?)
    }

    /// Writes the rows that come next and are here.
    fn write_ready(&mut self) -> Result<(), ScoreTableError> {
        while let Some(outcome) = self.waiting.remove(&self.next) {
            self.next += 1;
            let Outcome { row, ticket, values, diagnostics, picture, .. } = outcome;
            self.first_row.get_or_insert(row.number);
            if diagnostics.truncated == Some(true) {
                self.stats.truncated_caption();
            }
            if row.record.is_ragged() {
                self.stats.ragged_row();
            }
            if row.record.has_open_quote() {
                self.stats.open_quote(row.number);
            }
            if !row.record.is_utf8() {
                self.stats.not_utf8_row();
            }
            match &values {
                Ok(Values::Dropped(_)) => self.stats.unscored(),
                Ok(values) => self.stats.scored(values.scores()),
                Err(error) => {
                    self.stats.failed(error.kind);
                    self.errors.add(row.number, row.image_name(), row.input_name(), error)?;
                }
            }
            let values = values.as_ref();
            self.stats.time(Stage::Write, || self.writer.write(row.record, values, &diagnostics, picture))?;
            self.progress.rows(self.stats.rows(), self.stats.failures());
            self.progress.input(ticket.position);
        }
        Ok(())
    }

    /// Ends the table that was written, and puts the list of errors in its place; that of an interrupted run, beside it.
    pub(super) fn finish(
        mut self,
        read: Result<(), ScoreTableError>,
        stop: &Stop,
    ) -> Result<Finished, ScoreTableError> {
        if let Some(error) = self.failure.take() {
            // What is finished may still be of use. It may be the disk that failed: then it is not.
            let _ = self.writer.finish_early();
            return Err(error);
        }
        let rows = RowsOfTable { first: self.first_row, count: self.next };
        if stop.is_cancelled() {
            self.writer.finish_early()?;
            self.journal.as_mut().map_or(Ok(()), JournalWriter::flush)?;
            let errors = self.errors.keep_partial()?;
            return Ok(Finished { interrupted: true, errors, rows, journal: self.journal });
        }
        if let Err(error) = read {
            self.writer.finish_early()?;
            return Err(error);
        }
        // A lost row would end the table early, with all that came after it left out.
        assert!(self.waiting.is_empty(), "row {} was lost on its way", self.next + 1);
        self.writer.finish()?;
        Ok(Finished { interrupted: false, errors: self.errors.commit()?, rows, journal: self.journal })
    }
}
