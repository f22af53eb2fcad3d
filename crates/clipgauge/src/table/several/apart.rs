//! Several tables that stay several: each is written under its own name, and appears when it is whole.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::atomic::{AtomicFile, is_object};
use crate::options::{Input, Output, Part, ScoreOptions};
use crate::table::{Cell, Layout, OpenTable, PartRecord, ReadTable, Record, TableError, WriteTable, open_single};

use super::{OpenPart, SeveralReader, can_be_checked, check};

/// Opens tables that stay apart.
pub(in crate::table) fn open(parts: &[Part], options: &ScoreOptions) -> Result<OpenTable, TableError> {
    let begun = Queue::default();
    let opener = Apart { options: options.clone(), begun: Arc::clone(&begun) };
    let reader = SeveralReader::begin(parts, opener, true)?;
    for part in parts.iter().skip(1).filter(|part| can_be_checked(part)) {
        let options = part_options(part, options);
        check(&options, || open_single(&options).map(drop))?;
    }
    let layout = ApartLayout::new(begun);
    Ok(OpenTable { reader: Box::new(reader), layout: Layout::Apart(layout) })
}

/// The options of one of the tables, with its own place.
fn part_options(part: &Part, options: &ScoreOptions) -> ScoreOptions {
    let output = match (&options.output, &part.input) {
        (Output::Folder(folder), _) => Output::File(folder.join(&part.name)),
        (_, Input::File(path)) => Output::File(path.clone()),
        (output, _) => output.clone(),
    };
    ScoreOptions { input: part.input.clone(), output, ..options.clone() }
}

/// What the reader has begun, and the writer not yet.
type Queue = Arc<Mutex<VecDeque<Begun>>>;

#[derive(Debug)]
struct Begun {
    target: PathBuf,
    layout: Layout,
}

/// Opens each table, and tells the writer of it before its first row comes.
struct Apart {
    options: ScoreOptions,
    begun: Queue,
}

impl OpenPart for Apart {
    fn open(&mut self, part: &Part) -> Result<(Box<dyn ReadTable>, Vec<String>), TableError> {
        let options = part_options(part, &self.options);
        let OpenTable { reader, layout } = open_single(&options)?;
        let Output::File(target) = options.output else { unreachable!("inputs without a place are refused") };
        let names = layout.names();
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push_back(Begun { target, layout });
        Ok((reader, names))
    }
}

/// What the written tables look like.
#[derive(Debug)]
pub struct ApartLayout {
    /// The columns of the first.
    pub(in crate::table) names: Vec<String>,
    pub(in crate::table) added: Vec<String>,
    begun: Queue,
}

impl ApartLayout {
    fn new(begun: Queue) -> Self {
        let (names, added) = match begun.lock().unwrap_or_else(PoisonError::into_inner).front() {
            Some(Begun { layout, .. }) => (layout.names(), layout.added().into_iter().map(str::to_owned).collect()),
            None => Default::default(),
        };
        Self { names, added, begun }
    }

    /// Gives what writes the tables.
    pub(in crate::table) fn writer<'a>(self) -> Box<dyn WriteTable + 'a> {
        Box::new(ApartWriter { begun: self.begun, current: None, finished: 0 })
    }
}

/// Writes one table after the other.
struct ApartWriter {
    begun: Queue,
    current: Option<Current>,
    /// How many tables are whole.
    finished: usize,
}

struct Current {
    table: Box<dyn WriteTable>,
    file: SharedFile,
}

impl ApartWriter {
    /// Begins the next table, if there is one.
    fn begin_next(&mut self) -> Result<bool, TableError> {
        let next = self.begun.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(Begun { target, layout }) = next else { return Ok(false) };
        let file = SharedFile::create(&target)?;
        let table = layout.writer(Box::new(file.clone()))?;
        self.current = Some(Current { table, file });
        Ok(true)
    }

    /// Makes the current table appear, if there is one.
    fn finish_current(&mut self) -> Result<(), TableError> {
        let Some(Current { mut table, file }) = self.current.take() else { return Ok(()) };
        table.finish()?;
        drop(table);
        self.finished += 1;
        file.into_inner().map_or(Ok(()), AtomicFile::commit).map_err(TableError::Place)
    }

    /// Goes on to the table `part`; those before it are whole, even if they got no row.
    fn go_to(&mut self, part: usize) -> Result<&mut Current, TableError> {
        while self.finished < part {
            if self.current.is_none() && !self.begin_next()? {
                break;
            }
            self.finish_current()?;
        }
        if self.current.is_none() {
            self.begin_next()?;
        }
        self.current.as_mut().ok_or_else(crate::table::foreign_record)
    }
}

impl WriteTable for ApartWriter {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        let Record::Part(PartRecord { part, record }) = record else { return Err(crate::table::foreign_record()) };
        self.go_to(part)?.table.write(*record, cells)
    }

    /// What nobody sees before the end need not be handed on early.
    fn flush(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), TableError> {
        self.finish_current()?;
        while self.begin_next()? {
            self.finish_current()?;
        }
        Ok(())
    }

    /// The tables that are whole stay; the rows of the one under way are kept beside its place.
    fn finish_early(&mut self) -> Result<(), TableError> {
        let Some(Current { mut table, file }) = self.current.take() else { return Ok(()) };
        table.finish_early()?;
        drop(table);
        file.into_inner().map_or(Ok(()), |file| file.keep_partial().map(drop)).map_err(TableError::Place)
    }
}

/// A file that its table writes to, and that is put in its place when the table is whole.
#[derive(Clone)]
struct SharedFile(Arc<Mutex<AtomicFile>>);

impl SharedFile {
    fn create(target: &Path) -> Result<Self, TableError> {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty() && !is_object(target));
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(TableError::Write)?;
        }
        Ok(Self(Arc::new(Mutex::new(AtomicFile::create(target).map_err(TableError::Place)?))))
    }

    /// The file, when its table is gone.
    fn into_inner(self) -> Option<AtomicFile> {
        Arc::into_inner(self.0).map(|file| file.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for SharedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
