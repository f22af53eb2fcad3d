//! Rows of which only the best are to be written: what was computed for each waits on the disk until all are scored, and
//! the table itself is read again.
//!
//! A row takes some 20 bytes of the disk for a score, and nothing of the memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::best::{Best, Scores};
use super::compute::Values;
use super::rows::{AddedColumns, WriteRows, drop_reason};
use super::saving::{ImageShards, Spooled, SpooledAt};
use crate::atomic::{is_object, is_special};
use crate::cancel::Cancel;
use crate::diagnostics::Diagnostics;
use crate::filters::{DropReason, Filters};
use crate::options::ScoreOptions;
use crate::row::RowError;
use crate::stats::{Stage, Stats};
use crate::table::{Cell, ReadTable, Record, TableError, WriteTable};

/// What is kept of a row.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Why it is not written, whether or not it is one of the best.
    reason: Option<DropReason>,
    /// Its first score, if it has one.
    score: Option<f32>,
    /// The cells of the columns that are added.
    cells: Vec<Cell>,
    /// Where its picture waits, if it is to be saved.
    picture: Option<SpooledAt>,
}

/// The file under way.
pub(super) struct Spool<'a> {
    file: BufWriter<File>,
    folder: PathBuf,
    /// The table.
    name: String,
    scores: Scores,
    columns: AddedColumns,
    filters: &'a Filters,
    stats: &'a Stats,
    buffer: Vec<u8>,
    /// What all pictures wait in.
    pictures: Option<Arc<File>>,
}

impl<'a> Spool<'a> {
    /// A spool beside the output, or where the system has room for a while. It has no name, and is gone with the process.
    ///
    /// # Errors
    ///
    /// The folder cannot be written to.
    pub(super) fn create(
        options: &'a ScoreOptions,
        columns: AddedColumns,
        stats: &'a Stats,
    ) -> Result<Self, TableError> {
        let output = options.output_file().filter(|path| !is_special(path) && !is_object(path));
        let folder = match output.and_then(Path::parent) {
            Some(folder) if folder == Path::new("") => PathBuf::from("."),
            Some(folder) => folder.to_owned(),
            None => std::env::temp_dir(),
        };
        let file = tempfile::tempfile_in(&folder).map_err(|source| fails(&folder, source))?;
        let higher_is_better = options.metrics.first().is_none_or(|metric| metric.higher_is_better());
        Ok(Self {
            file: BufWriter::new(file),
            folder,
            name: options.input.to_string(),
            scores: Scores::new(higher_is_better),
            columns,
            filters: &options.filters,
            stats,
            buffer: Vec::new(),
            pictures: None,
        })
    }

    /// Ends it, and finds out which rows are the best.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub(super) fn finish(self, fraction: f64) -> Result<SpooledRows, TableError> {
        let Self { file, folder, name, scores, pictures, .. } = self;
        let fails = |source| fails(&folder, source);
        let file = file.into_inner().map_err(|error| fails(error.into_error()))?;
        let best = Entries::of(&file)
            .and_then(|entries| {
                scores.best(fraction, entries.filter_map(|entry| entry.map(|entry| entry.score).transpose()))
            })
            .map_err(fails)?;
        Ok(SpooledRows { file, folder, name, best: Some(best), pictures })
    }

    /// Ends it before the best rows are known: all are taken for them.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub(super) fn finish_early(self) -> Result<SpooledRows, TableError> {
        let Self { file, folder, name, .. } = self;
        let file = file.into_inner().map_err(|error| fails(&folder, error.into_error()))?;
        Ok(SpooledRows { file, folder, name, best: None, pictures: None })
    }
}

impl WriteRows for Spool<'_> {
    fn write(
        &mut self,
        _: Record,
        values: Result<&Values, &RowError>,
        known: &Diagnostics,
        picture: Option<Spooled>,
    ) -> Result<(), TableError> {
        let reason = drop_reason(self.filters, values);
        reason.into_iter().for_each(|reason| self.stats.dropped(reason));
        let score = values.ok().and_then(|values| values.scores().first().copied());
        score.into_iter().for_each(|score| self.scores.add(score));
        let cells = if reason.is_some() { Vec::new() } else { self.columns.cells(values, known).collect() };
        let picture = picture.map(|Spooled { file, at }| {
            self.pictures.get_or_insert(file);
            at
        });
        let entry = Entry { reason, score, cells, picture };
        self.buffer.clear();
        let buffer = postcard::to_extend(&entry, std::mem::take(&mut self.buffer));
        self.buffer = buffer.map_err(|error| fails(&self.folder, io::Error::other(error)))?;
        // Far below 4 GiB: some numbers.
        let length = self.buffer.len() as u32;
        let written = self.file.write_all(&length.to_le_bytes()).and_then(|()| self.file.write_all(&self.buffer));
        written.map_err(|source| fails(&self.folder, source))
    }

    fn flush(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn finish_early(&mut self) -> Result<(), TableError> {
        Ok(())
    }
}

/// The entries of a spool, in their order.
struct Entries<R> {
    file: R,
    buffer: Vec<u8>,
}

impl<'a> Entries<BufReader<&'a File>> {
    fn of(mut file: &'a File) -> io::Result<Self> {
        file.rewind()?;
        Ok(Self { file: BufReader::new(file), buffer: Vec::new() })
    }
}

impl<R: Read> Entries<R> {
    fn read(&mut self) -> io::Result<Option<Entry>> {
        let mut length = [0; 4];
        match self.file.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        self.buffer.resize(u32::from_le_bytes(length) as usize, 0);
        self.file.read_exact(&mut self.buffer)?;
        postcard::from_bytes(&self.buffer).map(Some).map_err(io::Error::other)
    }
}

impl<R: Read> Iterator for Entries<R> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// A spool that is finished.
pub(super) struct SpooledRows {
    file: File,
    folder: PathBuf,
    name: String,
    /// `None` where all rows are written.
    best: Option<Best>,
    /// What the pictures wait in.
    pictures: Option<Arc<File>>,
}

impl SpooledRows {
    /// Writes the rows of `table`, which is the one that was scored, read anew, and their pictures to `shards`; says
    /// whether to its end.
    ///
    /// # Errors
    ///
    /// It is another table by now, or cannot be read or written.
    pub(super) fn write(
        self,
        mut table: Box<dyn ReadTable>,
        mut writer: Box<dyn WriteTable + '_>,
        mut shards: Option<&mut ImageShards>,
        stats: &Stats,
        cancel: &Cancel,
    ) -> Result<bool, TableError> {
        let Self { file, folder, name, mut best, pictures } = self;
        let changed = || TableError::Changed { name: name.clone() };
        let fails = |source| fails(&folder, source);
        let is_early = best.is_none();
        for entry in Entries::of(&file).map_err(fails)? {
            if !is_early && cancel.is_requested() {
                writer.finish_early()?;
                return Ok(false);
            }
            let Entry { reason, score, cells, picture } = entry.map_err(fails)?;
            let Some(row) = stats.time(Stage::Read, || table.read())? else { return Err(changed()) };
            // Equal scores are taken in their order, also those that another filter drops.
            let is_best = best.as_mut().is_none_or(|best| score.is_some_and(|score| best.takes(score)));
            if reason.is_some() {
                continue;
            }
            if is_best {
                if let (Some(shards), Some(file), Some(at)) = (&mut shards, &pictures, picture) {
                    shards.add(&Spooled { file: Arc::clone(file), at }).map_err(TableError::Place)?;
                }
                stats.time(Stage::Write, || writer.write(row.record, &cells))?;
            } else {
                stats.dropped(DropReason::TopFraction);
            }
        }
        if is_early {
            writer.finish_early()?;
        } else if table.read()?.is_some() {
            return Err(changed());
        } else {
            writer.finish()?;
        }
        Ok(true)
    }
}

fn fails(folder: &Path, source: io::Error) -> TableError {
    TableError::Spool { folder: folder.to_owned(), source }
}
