//! The whole way of a table: rows, two lanes, an ordered join.

use std::io::{self, BufWriter, Write};

use crate::atomic::{AtomicError, AtomicFile};
use crate::cancel::Cancel;
use crate::errors_file::{self, ErrorsFile};
use crate::options::{Input, OptionsError, Output, ScoreOptions};
use crate::progress::Progress;
use crate::row::{RowError, RowErrorKind};
use crate::stats::{Outcome, Stats, Summary};
use crate::table::{self, Cell, TableError};

/// Why a table cannot be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreTableError {
    /// The options do not go together.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The output or the list of errors cannot be put in its place.
    #[error(transparent)]
    File(#[from] AtomicError),
}

impl ScoreTableError {
    /// Whether the command line is wrong rather than the world.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Options(_) => true,
            Self::Table(error) => error.is_usage(),
            Self::File(error) => error.is_usage(),
        }
    }

    /// Whether the reader of the output has gone away, which is no failure of anybody's.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Table(error) if error.is_closed_pipe())
    }
}

/// Reads a table, scores its rows and writes it with the scores.
///
/// # Errors
///
/// What makes every row impossible. A row that fails is part of the [`Summary`].
pub fn score_table(
    options: &ScoreOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Summary, ScoreTableError> {
    options.check()?;
    let table::OpenTable { mut reader, layout } = table::open(options)?;
    let mut file = match (&options.output, &options.input) {
        (Output::File(path), _) | (Output::InPlace, Input::File(path)) => Some(AtomicFile::create(path)?),
        (Output::Stdout | Output::InPlace, _) => None,
    };
    let out: Box<dyn Write + Send> = match &mut file {
        Some(file) => Box::new(file),
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let mut errors = ErrorsFile::new(errors_file::path(options))?;
    options.summary.as_deref().map_or(Ok(()), AtomicFile::check)?;
    let stats = Stats::new();
    let mut writer = layout.writer(out)?;
    while !cancel.is_requested() {
        let Some(row) = reader.read()? else { break };
        let error = row.error.unwrap_or_else(|| RowError::new(RowErrorKind::Unsupported, "no encoder yet"));
        stats.failed(error.kind);
        if row.record.is_ragged() {
            stats.ragged_row();
        }
        errors.add(row.number, row.image.as_deref(), &error)?;
        let cells = [Cell::Score(None), Cell::ErrorKind(Some(error.kind))];
        writer.write(row.record, &cells[..1 + usize::from(options.error_column.is_some())])?;
        progress.input(reader.position());
        progress.rows(stats.rows(), stats.failures());
    }
    let mut outcome = Outcome { interrupted: cancel.is_requested(), ..Outcome::default() };
    if outcome.interrupted {
        progress.message("ending; the rows under way are dropped, the finished ones are kept");
        writer.flush()?;
        drop(writer);
        outcome.partial = file.map(AtomicFile::keep_partial).transpose()?;
        outcome.errors = errors.keep_partial()?;
    } else {
        writer.finish()?;
        drop(writer);
        file.map(AtomicFile::commit).transpose()?;
        outcome.errors = errors.commit()?;
    }
    let summary = stats.summary(options, outcome);
    if let Some(path) = &options.summary {
        summary.write_to(path)?;
    }
    Ok(summary)
}
