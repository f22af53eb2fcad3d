//! What became of each row of a run, kept beside its output while it goes on: `OUT.journal`. A run that was ended, by
//! whatever, goes on from there; the table is read again from its start, finished rows are taken from the journal, and
//! the output is written whole as ever. So it works alike for every format.
//!
//! The file only grows: rows are appended as they are done, in any order, and given to the system within
//! [`PATIENCE`]. A process that goes on begins a new stretch at the end of what is whole and sound. With the output in
//! its place the journal goes; after a run with `--resume`, a small one stays that says so.

mod entry;
mod locked_file;
mod replay;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::atomic::{AtomicError, AtomicFile};
use crate::diagnostics::Diagnostics;
use crate::file_identity::FileIdentity;
use crate::filters::DropReason;
use crate::fingerprint::{Difference, Fingerprint, listed};
use crate::options::ScoreOptions;
use crate::row::{Row, RowError, RowErrorKind, RowImage};
use crate::stretch::Stretch;
use entry::{Begun, Entries, Entry, Kind, MAGIC, Resumed, RowDone};
use locked_file::LockedFile;

pub(crate) use replay::{Finished, MAX_ROWS_UNDER_WAY, Replay};

/// How long a row that is done waits to be given to the system, where no other comes.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// How many bytes wait at most.
const WRITE_BUFFER: usize = 256 << 10;

/// How much is read at once where a journal is read as a whole, in bytes.
const READ_BUFFER: usize = 256 << 10;

/// Where the journal of an output lies.
pub fn path_of(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

/// Where the journal of a run lies; `None` for one whose output is no regular file.
pub(crate) fn path(options: &ScoreOptions) -> Option<PathBuf> {
    // As the output does: through two names of one file, one journal is to be found.
    AtomicFile::place_of(options.output_file()?).map(|place| path_of(&place))
}

/// By which a row is known to be the same, whatever the table says of itself: a hash of its image's address or bytes and
/// of its caption.
pub(crate) fn row_hash(row: &Row) -> u64 {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: Option<&[u8]>| {
        let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
        hasher.update(&length.to_le_bytes());
        hasher.update(bytes.unwrap_or_default());
    };
    match &row.image {
        Some(RowImage::Bytes { bytes, .. }) => part(Some(bytes)),
        Some(RowImage::Address(address)) => part(Some(address.as_bytes())),
        Some(RowImage::Pixels(pixels)) => part(Some(pixels.rgb())),
        None => part(None),
    }
    part(row.caption.as_ref().map(|caption| caption.as_bytes()));
    let mut hash = [0; 8];
    hasher.finalize_xof().fill(&mut hash);
    u64::from_le_bytes(hash)
}

/// The places, from 0, of the rows that a journal has as finished: scored, or failed for good. In no order.
///
/// # Errors
///
/// The file is not there, cannot be read, or is no journal.
pub fn finished_rows(path: &Path) -> Result<Vec<u64>, JournalError> {
    let fails = |source| JournalError::Read { path: path.to_owned(), source };
    let mut entries = File::open(path).and_then(Stretch::of).map(BufReader::new).map_err(fails)?;
    if begin(&mut entries).map_err(fails)? != Beginning::Journal {
        return Err(JournalError::Foreign { path: path.to_owned() });
    }
    let (mut entries, mut rows) = (Entries::new(entries), std::collections::BTreeMap::new());
    while let Some(Entry { kind }) = entries.next().map_err(fails)? {
        let Some(Kind::Row(row)) = kind else { continue };
        let (index, columns) = (row.index, row.scores.len());
        rows.insert(index, replay::finished(row, columns).is_some());
    }
    Ok(rows.into_iter().filter_map(|(index, is_finished)| is_finished.then_some(index)).collect())
}

/// How a file begins that is to be a journal.
#[derive(Debug, PartialEq, Eq)]
enum Beginning {
    /// With nothing, or no more than a part of what it should.
    Nothing,
    Journal,
    /// With something else.
    Foreign,
}

fn begin(input: &mut impl Read) -> io::Result<Beginning> {
    let mut magic = Vec::new();
    input.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    Ok(match magic.as_slice() {
        magic if magic == MAGIC => Beginning::Journal,
        part if MAGIC.starts_with(part) => Beginning::Nothing,
        _ => Beginning::Foreign,
    })
}

/// A run that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The rows with scores.
    pub(crate) scored: u64,
    /// Those without, by kind.
    pub(crate) failed: Vec<(RowErrorKind, u64)>,
    /// The output.
    pub(crate) output: FileIdentity,
}

/// What is in a journal.
#[derive(Debug)]
struct Content {
    fingerprint: Fingerprint,
    /// The stretches of the processes that wrote it.
    runs: Vec<Range<u64>>,
    /// How many rows it has.
    rows: u64,
    /// The last word, if it is that of the end.
    ending: Option<Ending>,
    /// Where what is whole and sound ends.
    end: u64,
    /// What lies behind that, in bytes.
    useless: u64,
}

/// A journal that is locked for this process, before anything is written into it.
pub(crate) struct Journal {
    file: JournalFile,
    content: Option<Content>,
}

impl Journal {
    /// Opens and locks the journal, and reads what an earlier run wrote.
    ///
    /// # Errors
    ///
    /// Another process has it, the file cannot be opened or read, or is something else.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let fails = |source| JournalError::Read { path: path.to_owned(), source };
        let mut file = JournalFile { file: LockedFile::open(path)?, is_worthless: false };
        let size = file.file.size().map_err(fails)?;
        let mut input = BufReader::with_capacity(READ_BUFFER, file.file.stretch(0, size));
        match begin(&mut input).map_err(fails)? {
            Beginning::Foreign => return Err(JournalError::Foreign { path: path.to_owned() }),
            Beginning::Nothing => file.is_worthless = true,
            Beginning::Journal => {}
        }
        let content = if file.is_worthless { None } else { read(input, size).map_err(fails)? };
        Ok(Self { file, content })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.file.file.path
    }

    /// What decided the output of the run that it is of; `None` for a new one.
    pub(crate) fn fingerprint(&self) -> Option<&Fingerprint> {
        self.content.as_ref().map(|content| &content.fingerprint)
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.rows)
    }

    /// How many bytes at its end are of no use: the last row was being written, or the file is damaged.
    pub(crate) fn useless_bytes(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.useless)
    }

    /// What the run came to, if it came to its end and this is its output.
    pub(crate) fn ending_of(&self, output: &FileIdentity) -> Option<&Ending> {
        self.content.as_ref()?.ending.as_ref().filter(|ending| ending.output == *output)
    }

    /// Refuses to go on where what decides the output has changed.
    pub(crate) fn check(&self, now: &Fingerprint, is_whole: bool) -> Result<(), JournalError> {
        let Some(before) = self.fingerprint() else { return Ok(()) };
        match now.differences(before, is_whole) {
            none if none.is_empty() => Ok(()),
            differences => Err(JournalError::Changed { path: self.path().to_owned(), differences }),
        }
    }

    /// Puts a small journal in its place, for an output that is finished.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) fn shrink(self, fingerprint: &Fingerprint, ending: &Ending) -> Result<(), JournalError> {
        let path = self.path().to_owned();
        shrink(self, path, fingerprint, ending)
    }

    /// Begins the run, or goes on with it; a row has so many scores.
    ///
    /// # Errors
    ///
    /// The journal cannot be written.
    pub(crate) fn begin(
        mut self,
        fingerprint: &Fingerprint,
        goes_on: bool,
        columns: usize,
    ) -> Result<(Replay, JournalWriter), JournalError> {
        let file = self.file.file.clone();
        let fails = |source| JournalError::Write { path: file.path.clone(), source };
        let (mut start, mut head, mut runs) = (0, Vec::new(), Vec::new());
        match self.content.take().filter(|_| goes_on) {
            Some(content) => {
                (start, runs) = (content.end, content.runs);
                entry::append(&mut head, Kind::Resumed(Resumed {}));
            }
            None => head = beginning(fingerprint),
        }
        self.file.is_worthless = start == 0;
        file.cut(start).and_then(|()| file.write_all_at(&head, start)).and_then(|()| file.sync()).map_err(fails)?;
        let replay = Replay::new(&file, runs, columns);
        let place = start + head.len() as u64;
        let writer =
            JournalWriter { keeps_diagnostics: false, file: self.file, place, waiting: Vec::new(), oldest: None };
        Ok((replay, writer))
    }
}

/// How a journal begins.
fn beginning(fingerprint: &Fingerprint) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    entry::append(&mut head, Kind::Begun(Begun::new(fingerprint)));
    head
}

/// Reads a journal behind its magic; `None` for one whose first entry is not whole: then nothing was done.
fn read(input: impl Read, size: u64) -> io::Result<Option<Content>> {
    let magic = MAGIC.len() as u64;
    let mut entries = Entries::new(input);
    let Some(Entry { kind: Some(Kind::Begun(begun)) }) = entries.next()? else { return Ok(None) };
    let (mut starts, mut rows, mut ending) = (vec![magic + entries.read()], 0, None);
    let mut is_empty = true;
    while let Some(Entry { kind }) = entries.next()? {
        match kind {
            Some(Kind::Ended(ended)) => ending = ending_of(ended),
            Some(Kind::Row(_)) => (rows, ending, is_empty) = (rows + 1, None, false),
            Some(Kind::Resumed(_)) => {
                ending = None;
                // A process that came to no row leaves nothing to read.
                if is_empty {
                    starts.pop();
                }
                is_empty = true;
                starts.push(magic + entries.read());
            }
            Some(Kind::Begun(_)) | None => {}
        }
    }
    let end = magic + entries.read();
    let ends = starts.iter().copied().skip(1).chain([end]);
    let runs = starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect();
    let useless = size.saturating_sub(end);
    Ok(Some(Content { fingerprint: begun.fingerprint(), runs, rows, ending, end, useless }))
}

fn ending_of(ended: entry::Ended) -> Option<Ending> {
    let failed = ended.failed.iter().map(|failed| Some((RowErrorKind::of_name(&failed.kind)?, failed.count)));
    let output = FileIdentity { size: ended.output_size, sample: ended.output_sample };
    Some(Ending { scored: ended.scored, failed: failed.collect::<Option<_>>()?, output })
}

/// What became of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Done<'a> {
    /// It has these scores.
    Scored(&'a [f32]),
    /// It needs none, as a filter drops it.
    Dropped(DropReason),
    /// It failed.
    Failed(&'a RowError),
}

/// A journal that is written.
pub(crate) struct JournalWriter {
    keeps_diagnostics: bool,
    file: JournalFile,
    /// Where what waits goes.
    place: u64,
    waiting: Vec<u8>,
    /// When the first of what waits came.
    oldest: Option<Instant>,
}

impl JournalWriter {
    /// Keeps all that is known of each row, if it will be asked for.
    pub(crate) fn with_diagnostics(mut self, keeps_diagnostics: bool) -> Self {
        self.keeps_diagnostics = keeps_diagnostics;
        self
    }

    /// Notes what became of a row.
    ///
    /// # Errors
    ///
    /// The disk is full, most often.
    pub(crate) fn add(
        &mut self,
        index: u64,
        hash: u64,
        done: Done<'_>,
        diagnostics: &Diagnostics,
    ) -> Result<(), JournalError> {
        let mut row = RowDone::new(index, hash, done, diagnostics.truncated == Some(true));
        if self.keeps_diagnostics {
            row.diagnostics = Some(postcard::to_stdvec(diagnostics).expect("numbers can be written to memory"));
        }
        entry::append(&mut self.waiting, Kind::Row(row));
        let oldest = self.oldest.get_or_insert_with(Instant::now);
        if self.waiting.len() >= WRITE_BUFFER || oldest.elapsed() >= PATIENCE { self.flush() } else { Ok(()) }
    }

    /// How long what waits may wait on; `None` if nothing does.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.oldest.map(|oldest| PATIENCE.saturating_sub(oldest.elapsed()))
    }

    /// Gives what waits to the system.
    ///
    /// # Errors
    ///
    /// As [`JournalWriter::add`].
    pub(crate) fn flush(&mut self) -> Result<(), JournalError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let file = &self.file.file;
        let written = file.write_all_at(&self.waiting, self.place);
        written.map_err(|source| JournalError::Write { path: file.path.clone(), source })?;
        self.place += self.waiting.len() as u64;
        self.file.is_worthless = false;
        self.waiting.clear();
        self.oldest = None;
        Ok(())
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.file.file.path
    }

    /// Notes that all rows are done, just before the output is put in its place: from then on, whoever finds that output
    /// knows it.
    ///
    /// # Errors
    ///
    /// As [`JournalWriter::add`].
    pub(crate) fn end(&mut self, ending: &Ending) -> Result<(), JournalError> {
        entry::append(&mut self.waiting, ended(ending));
        self.flush()
    }

    /// Removes the journal, since the output is in its place.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub(crate) fn remove(self) -> Result<(), JournalError> {
        let file = &self.file.file;
        file.remove().map_err(|source| JournalError::Write { path: file.path.clone(), source })
    }

    /// Puts a small journal in its place, by which the finished output is known.
    ///
    /// # Errors
    ///
    /// As [`JournalWriter::add`].
    pub(crate) fn shrink(mut self, fingerprint: &Fingerprint, ending: &Ending) -> Result<(), JournalError> {
        self.flush()?;
        let path = self.path().to_owned();
        shrink(self, path, fingerprint, ending)
    }
}

/// Puts a journal at `path` that has nothing but its beginning and its end; `lock` is that of the one that is there.
fn shrink<T>(lock: T, path: PathBuf, fingerprint: &Fingerprint, ending: &Ending) -> Result<(), JournalError> {
    let mut text = beginning(fingerprint);
    entry::append(&mut text, ended(ending));
    // A file that is open cannot be replaced there.
    let _lock = (!cfg!(windows)).then_some(lock);
    let mut small = AtomicFile::create(&path)?;
    small.write_all(&text).map_err(|source| JournalError::Write { path, source })?;
    Ok(small.commit()?)
}

fn ended(ending: &Ending) -> Kind {
    let failed =
        ending.failed.iter().map(|(kind, count)| entry::Failed { kind: kind.name().to_owned(), count: *count });
    Kind::Ended(entry::Ended {
        scored: ending.scored,
        failed: failed.collect(),
        output_size: ending.output.size,
        output_sample: ending.output.sample.clone(),
    })
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        // Where that fails, these rows are done again.
        let _ = self.flush();
    }
}

/// The file, which is removed if there is nothing in it that anybody could use.
struct JournalFile {
    file: LockedFile,
    is_worthless: bool,
}

impl Drop for JournalFile {
    fn drop(&mut self) {
        if self.is_worthless {
            // An empty file that stays does no harm.
            let _ = self.file.remove();
        }
    }
}

/// Why a run cannot be continued, or its journal not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process writes the same output.
    #[error("{} is locked: another process writes that output; wait for it, or name another", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
    },
    /// A file of the journal's name is something else.
    #[error("{} is there and is no journal of this version of clipgauge; move it away, or name another output", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What decides the output is not what it was.
    #[error(
        "the run of {} cannot go on: {}; run it as it was begun, or without --resume to begin anew",
        path.display(), listed(differences)
    )]
    Changed {
        /// The journal.
        path: PathBuf,
        /// What is not as it was.
        differences: Vec<Difference>,
    },
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The journal.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The journal.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It cannot be put in its place.
    #[error(transparent)]
    Place(#[from] AtomicError),
}

impl JournalError {
    /// Whether another command line would mend it.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Foreign { .. } | Self::Changed { .. } => true,
            Self::Place(error) => error.is_usage(),
            Self::Read { .. } | Self::Write { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests;
