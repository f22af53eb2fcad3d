//! The outputs of a table's parts put together: `clipgauge merge`.
//!
//! The note beside each part says which one it is, of what run, and how it ends; so nothing can be missing, twice, or of
//! another run unseen. Parts are copied and not computed on: text as bytes behind one header, Parquet as its column
//! chunks are encoded, Arrow batch by batch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::atomic::{AtomicError, AtomicFile, is_object, is_same_file};
use crate::errors_file;
use crate::file_identity::FileIdentity;
use crate::fingerprint::{Difference, listed};
use crate::shard::ShardNote;
use crate::shard::note;
use crate::table::{self, TableError, TableFormat};

/// The field that tells the parts of a run from each other.
const SHARD: &str = "--shard";

/// The most parts that an error lists.
const MAX_LISTED: usize = 20;

/// What the parts came to together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// How many parts there were.
    pub parts: usize,
    /// The rows of the table.
    pub rows: u64,
    /// Those with scores.
    pub scored: u64,
    /// Those without, by the kind of error.
    pub failed: BTreeMap<String, u64>,
    /// Where the failed rows are listed, if the parts had lists.
    pub errors: Option<PathBuf>,
}

/// A part and what it says of itself.
struct Part {
    path: PathBuf,
    note: ShardNote,
}

/// Puts all parts of a table together in the order of the table, in whatever order they are named.
///
/// # Errors
///
/// A part is missing, there twice, changed, or of another run; a file cannot be read or written.
pub fn merge(parts: &[PathBuf], output: &Path) -> Result<Merged, MergeError> {
    let mut parts = parts.iter().map(|path| Part::open(path)).collect::<Result<Vec<_>, _>>()?;
    parts.sort_by_key(|part| part.note.shard);
    check(&parts)?;
    let first = parts.first().ok_or(MergeError::NoParts)?;
    let format = format_of(first, output)?;
    for part in &parts {
        part.check_file()?;
        if is_same_file(&part.path, output) {
            return Err(MergeError::OutputIsPart { path: part.path.clone() });
        }
    }
    let paths: Vec<&Path> = parts.iter().map(|part| part.path.as_path()).collect();
    let mut whole = AtomicFile::create(output)?;
    table::join_parts(format, first.note.delimiter, &paths, output, &mut whole)?;
    let errors = errors_list(&paths, output)?;
    whole.commit()?;
    let errors = errors.map_or(Ok(None), |(list, path)| list.commit().map(|()| Some(path)))?;
    let mut failed = BTreeMap::new();
    for (kind, count) in parts.iter().flat_map(|part| &part.note.failed) {
        *failed.entry(kind.clone()).or_default() += count;
    }
    let sum = |of: fn(&ShardNote) -> u64| parts.iter().map(|part| of(&part.note)).sum();
    Ok(Merged { parts: parts.len(), rows: sum(|note| note.rows), scored: sum(|note| note.scored), failed, errors })
}

impl Part {
    fn open(path: &Path) -> Result<Self, MergeError> {
        if is_object(path) {
            return Err(MergeError::Object { part: path.to_owned(), note: note::path_of(path) });
        }
        let note = ShardNote::read(path);
        let note =
            note.map_err(|source| MergeError::NoNote { part: path.to_owned(), note: note::path_of(path), source })?;
        Ok(Self { path: path.to_owned(), note })
    }

    /// Makes sure that the file is the one that its note is of.
    fn check_file(&self) -> Result<(), MergeError> {
        let there = FileIdentity::at(&self.path);
        let there = there.map_err(|source| TableError::Read { name: self.path.display().to_string(), source })?;
        if there == self.note.output { Ok(()) } else { Err(MergeError::Changed { part: self.path.clone() }) }
    }
}

/// Makes sure that the parts, sorted, are all those of one run.
fn check(parts: &[Part]) -> Result<(), MergeError> {
    let Some(first) = parts.first() else { return Err(MergeError::NoParts) };
    for part in &parts[1..] {
        let of = |part: &Part| part.note.run.anywhere().without(SHARD);
        let mut differences = of(part).differences(&of(first), true);
        if part.note.of != first.note.of {
            let [before, now] = [first, part].map(|part| Some(format!("{} parts", part.note.of)));
            differences.push(Difference { name: "the whole".to_owned(), before, now });
        }
        if !differences.is_empty() {
            return Err(MergeError::OtherRun { parts: [first.path.clone(), part.path.clone()], differences });
        }
    }
    if let Some(pair) = parts.windows(2).find(|pair| pair[0].note.shard == pair[1].note.shard) {
        let parts = [pair[0].path.clone(), pair[1].path.clone()];
        return Err(MergeError::Twice { parts, shard: pair[0].note.shard, of: first.note.of });
    }
    let there: BTreeSet<u32> = parts.iter().map(|part| part.note.shard).collect();
    let missing: Vec<u32> = (0..first.note.of).filter(|shard| !there.contains(shard)).collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing { missing, of: first.note.of });
    }
    let mut next = 1;
    for part in parts {
        match part.note.first_row {
            Some(row) if row != next => return Err(MergeError::Gap { part: part.path.clone(), row, expected: next }),
            _ => next += part.note.rows,
        }
    }
    Ok(())
}

/// The format of the parts, which the whole keeps.
fn format_of(part: &Part, output: &Path) -> Result<TableFormat, MergeError> {
    let unknown = |_| MergeError::UnknownFormat { part: part.path.clone(), format: part.note.format.clone() };
    let format: TableFormat = part.note.format.parse().map_err(unknown)?;
    match TableFormat::of_path(output) {
        Ok(Some(named)) if named != format && !(named.delimiter().is_some() && format.delimiter().is_some()) => {
            Err(MergeError::OutputFormat { output: output.to_owned(), named, format })
        }
        // A name that says nothing, or nothing known, is the user's business.
        _ => Ok(format),
    }
}

/// The lists of failed rows behind one header, if a part has one.
fn errors_list(parts: &[&Path], output: &Path) -> Result<Option<(AtomicFile, PathBuf)>, MergeError> {
    let path = errors_file::path_of(output);
    let mut list = None;
    for part in parts {
        let of_part = errors_file::path_of(part);
        let fails = |source| TableError::Read { name: of_part.display().to_string(), source };
        let mut text = match File::open(&of_part) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(fails(error).into()),
        };
        let mut header = Vec::new();
        let length = errors_file::header().len() as u64;
        (&mut text).take(length).read_to_end(&mut header).map_err(fails)?;
        if header != errors_file::header().as_bytes() {
            continue;
        }
        let writes = |source| AtomicError::Write { path: path.clone(), source };
        let list = match &mut list {
            Some(list) => list,
            None => {
                let mut new = AtomicFile::create(&path)?;
                new.write_all(&header).map_err(writes)?;
                list.insert(new)
            }
        };
        io::copy(&mut text, list).map_err(writes)?;
    }
    Ok(list.map(|list| (list, path)))
}

/// Why parts cannot be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// No part was named.
    #[error("there is nothing to merge; name all parts of a table")]
    NoParts,
    /// A part is in a bucket.
    #[error("{} is an object, and parts are put together from a disk; fetch it and {} first", part.display(), note.display())]
    Object {
        /// The part.
        part: PathBuf,
        /// Where its note would be.
        note: PathBuf,
    },
    /// A file is no part, as far as one can see.
    #[error("{} is no part of a table: {} cannot be read; parts are written with --shard I/N", part.display(), note.display())]
    NoNote {
        /// The file.
        part: PathBuf,
        /// Where its note should be.
        note: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A part is not as its run left it.
    #[error("{} is not as its run left it; score that part again", part.display())]
    Changed {
        /// The part.
        part: PathBuf,
    },
    /// Two parts are of different runs.
    #[error("{} and {} are not of one run: {}; score all parts with the same input and options", parts[0].display(), parts[1].display(), listed(differences))]
    OtherRun {
        /// The parts.
        parts: [PathBuf; 2],
        /// In what they differ.
        differences: Vec<Difference>,
    },
    /// A part is there twice.
    #[error("{} and {} are both part {shard}/{of}; name each part once", parts[0].display(), parts[1].display())]
    Twice {
        /// The files.
        parts: [PathBuf; 2],
        /// The part.
        shard: u32,
        /// How many there are.
        of: u32,
    },
    /// Parts are missing.
    #[error("of {of} parts, {} {}; name all of them", if missing.len() == 1 { "one is missing:" } else { "some are missing:" }, shards(missing, *of))]
    Missing {
        /// Those that are missing.
        missing: Vec<u32>,
        /// How many there are.
        of: u32,
    },
    /// The parts do not follow each other.
    #[error("{} begins with row {row} of the table, and not with row {expected}; score all parts of one table", part.display())]
    Gap {
        /// The part.
        part: PathBuf,
        /// Its first row.
        row: u64,
        /// The row after the last of the part before it.
        expected: u64,
    },
    /// The whole would be written over a part.
    #[error("{} is a part, and cannot be the whole at once; name another file with -o", path.display())]
    OutputIsPart {
        /// The file.
        path: PathBuf,
    },
    /// The output's name says another format.
    #[error("{}: the parts are {format}, and the whole stays so and cannot become {named}; name the output .{format}", output.display())]
    OutputFormat {
        /// The output.
        output: PathBuf,
        /// The format that its name says.
        named: TableFormat,
        /// The format of the parts.
        format: TableFormat,
    },
    /// The parts have a format that this version does not know.
    #[error("{} is of the format `{format}`, which this version of clipgauge does not know; use the one that wrote it", part.display())]
    UnknownFormat {
        /// The part.
        part: PathBuf,
        /// Its format.
        format: String,
    },
    /// A part cannot be read, or the whole not be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be put in its place.
    #[error(transparent)]
    File(#[from] AtomicError),
}

impl MergeError {
    /// Whether another command line would mend it.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Table(error) => error.is_usage(),
            Self::File(error) => error.is_usage(),
            _ => true,
        }
    }
}

/// Parts as one types them, as many as can be read.
fn shards(missing: &[u32], of: u32) -> String {
    let listed: Vec<_> = missing.iter().take(MAX_LISTED).map(|shard| format!("{shard}/{of}")).collect();
    let more = match missing.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", listed.join(", "))
}
