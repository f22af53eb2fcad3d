//! Where the table goes: a file that appears when it is whole, or standard output as the rows come.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::PathBuf;

use super::ScoreTableError;
use crate::atomic::AtomicFile;
use crate::options::{Input, Output, ScoreOptions};
use crate::table::TableError;

/// The output of a run under way.
pub(super) enum OutputFile {
    Stdout(BufWriter<Stdout>),
    File(AtomicFile),
}

impl OutputFile {
    /// Opens what the options say.
    pub(super) fn open(options: &ScoreOptions) -> Result<Self, ScoreTableError> {
        let path = match (&options.output, &options.input) {
            (Output::File(path), _) | (Output::InPlace, Input::File(path)) => path,
            (Output::Stdout | Output::InPlace, _) => return Ok(Self::Stdout(BufWriter::new(io::stdout()))),
        };
        Ok(Self::File(AtomicFile::create(path)?))
    }

    /// Makes a finished table appear.
    pub(super) fn commit(self) -> Result<(), ScoreTableError> {
        match self {
            Self::Stdout(mut out) => Ok(out.flush().map_err(TableError::Write)?),
            Self::File(file) => Ok(file.commit()?),
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
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            // What nobody sees before the end need not be handed on early.
            Self::File(_) => Ok(()),
        }
    }
}
