//! What earlier processes wrote into a journal, row by row in the order of the table.
//!
//! Each process wrote its rows nearly in that order: a row that is done has at most [`MAX_ROWS_UNDER_WAY`] others before
//! it that are not. So each process' stretch is read that far ahead and no further, and memory does not grow with the
//! table. A row that lies further out of order, as nothing here writes it, is done again.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::ops::Range;

use super::JournalError;
use super::entry::{Entries, Kind, RowDone};
use super::locked_file::LockedFile;
use crate::diagnostics::Diagnostics;
use crate::filters::DropReason;
use crate::row::RowError;
use crate::stretch::Stretch;

/// The most rows that are between reading and writing at once in a run.
pub(crate) const MAX_ROWS_UNDER_WAY: u64 = 1 << 14;

/// How much of each stretch is read at once, in bytes.
const READ_BUFFER: usize = 16 << 10;

/// What became of a row in an earlier process.
#[derive(Debug, PartialEq)]
pub(crate) struct Finished {
    /// Its scores, or its failure.
    pub(crate) done: Result<Vec<f32>, RowError>,
    /// The filter that it needed no score for.
    pub(crate) dropped: Option<DropReason>,
    /// What else is known of it.
    pub(crate) diagnostics: Diagnostics,
}

/// Rows that are finished.
pub(crate) struct Replay {
    /// One for each process, the latest last.
    runs: Vec<Run>,
    /// How many scores a row has.
    columns: usize,
    path: std::path::PathBuf,
}

struct Run {
    /// `None` when it is read to its end.
    entries: Option<Entries<BufReader<Stretch>>>,
    ahead: BTreeMap<u64, RowDone>,
    /// No row that is still to be read is likely to come before this one.
    read_to: u64,
}

impl Replay {
    pub(super) fn new(file: &LockedFile, runs: Vec<Range<u64>>, columns: usize) -> Self {
        let run = |range: Range<u64>| {
            let input = BufReader::with_capacity(READ_BUFFER, file.stretch(range.start, range.end));
            Run { entries: Some(Entries::new(input)), ahead: BTreeMap::new(), read_to: 0 }
        };
        Self { runs: runs.into_iter().map(run).collect(), columns, path: file.path.clone() }
    }

    /// What became of the row `index`, which has this [hash](super::row_hash); `None` if it is to be done, be it again
    /// because its failure may have passed. Rows have to be asked for in their order.
    pub(crate) fn take(&mut self, index: u64, hash: u64) -> Result<Option<Finished>, JournalError> {
        let mut found = None;
        for run in &mut self.runs {
            let row = run.take(index);
            // What came later counts.
            found = row.map_err(|source| JournalError::Read { path: self.path.clone(), source })?.or(found);
        }
        // A process may have failed before it wrote a row, or have written thousands that are long past.
        self.runs.retain(|run| run.entries.is_some() || !run.ahead.is_empty());
        Ok(found.filter(|row| row.hash == hash).and_then(|row| finished(row, self.columns)))
    }
}

impl Run {
    fn take(&mut self, index: u64) -> std::io::Result<Option<RowDone>> {
        while self.read_to <= index
            && let Some(entries) = &mut self.entries
        {
            match entries.next()? {
                None => self.entries = None,
                Some(entry) => {
                    let Some(Kind::Row(row)) = entry.kind else { continue };
                    self.read_to = self.read_to.max(row.index.saturating_sub(MAX_ROWS_UNDER_WAY));
                    if row.index >= index {
                        self.ahead.insert(row.index, row);
                    }
                }
            }
        }
        while let Some(entry) = self.ahead.first_entry().filter(|entry| *entry.key() <= index) {
            let row = entry.remove();
            if row.index == index {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// What the row came to, if that is for good.
pub(super) fn finished(row: RowDone, columns: usize) -> Option<Finished> {
    let diagnostics = match &row.diagnostics {
        Some(bytes) => postcard::from_bytes(bytes).ok()?,
        None => Diagnostics { truncated: Some(row.is_truncated), ..Diagnostics::default() },
    };
    let dropped = match &row.dropped {
        Some(name) => Some(DropReason::of_name(name)?),
        None => None,
    };
    let done = row.done()?;
    let is_for_good = match &done {
        Ok(scores) => scores.len() == columns || dropped.is_some(),
        Err(error) => !error.kind.is_transient(),
    };
    is_for_good.then_some(Finished { done, dropped, diagnostics })
}
