//! Where the table goes: a file that appears when it is whole, or standard output as the rows come.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use super::ScoreTableError;
use crate::atomic::{AtomicFile, is_object, make_folder};
use crate::file_identity::FileIdentity;
use crate::options::{Input, Output, ScoreOptions};
use crate::table::TableError;

/// The output of a run under way.
pub(super) enum OutputFile {
    Stdout(BufWriter<Stdout>),
    File(AtomicFile),
    /// Several tables, each of which its writer puts in its place.
    Apart(PathBuf),
}

impl OutputFile {
    /// Opens what the options say.
    pub(super) fn open(options: &ScoreOptions) -> Result<Self, ScoreTableError> {
        if let Some(path) = options.output_file() {
            return Ok(Self::File(AtomicFile::create(path)?));
        }
        match (&options.output, &options.input) {
            (Output::Folder(folder), _) => Self::open_folder(folder),
            (Output::InPlace, Input::Several(_)) => {
                options.input.files().try_for_each(AtomicFile::check)?;
                Ok(Self::Apart(PathBuf::new()))
            }
            _ => Ok(Self::Stdout(BufWriter::new(io::stdout()))),
        }
    }

    fn open_folder(folder: &Path) -> Result<Self, ScoreTableError> {
        // A bucket has none.
        if !is_object(folder) {
            make_folder(folder)?;
        }
        // Whether any file could be put there.
        AtomicFile::check(&folder.join("clipgauge"))?;
        Ok(Self::Apart(folder.to_owned()))
    }

    /// By what the finished table will be known again; `None` for what is no regular file.
    pub(super) fn identity(&mut self) -> io::Result<Option<FileIdentity>> {
        match self {
            Self::Stdout(_) | Self::Apart(_) => Ok(None),
            Self::File(file) => file.written()?.map(FileIdentity::of).transpose(),
        }
    }

    /// Makes a finished table appear.
    pub(super) fn commit(self) -> Result<(), ScoreTableError> {
        match self {
            Self::Stdout(mut out) => Ok(out.flush().map_err(TableError::Write)?),
            Self::File(file) => Ok(file.commit()?),
            Self::Apart(_) => Ok(()),
        }
    }

    /// Keeps the rows of a table that is not finished where they cannot be taken for one that is, and says where.
    pub(super) fn keep_partial(self) -> Result<Option<PathBuf>, ScoreTableError> {
        match self {
            Self::Stdout(mut out) => {
                out.flush().map_err(TableError::Write)?;
                Ok(None)
            }
            Self::File(file) => Ok(file.keep_partial()?),
            // In their own places, there is no one place to name.
            Self::Apart(folder) => Ok(Some(folder).filter(|folder| !folder.as_os_str().is_empty())),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
            Self::Apart(_) => Err(io::Error::other("tables that stay apart are written to their own places")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            // What nobody sees before the end need not be handed on early.
            Self::File(_) | Self::Apart(_) => Ok(()),
        }
    }
}
