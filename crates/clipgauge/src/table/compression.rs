//! Text tables that are compressed as a whole, known by the end of their names.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Cell, Record, TableError, WriteTable};

/// How much is gathered before it is compressed, in bytes.
const WRITE_BUFFER: usize = 64 << 10;

/// A compression that is undone on reading and done on writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `.gz`, and `.tgz`.
    Gzip,
    /// `.zst`.
    Zstandard,
}

impl Compression {
    /// What a file's name says, and the name without it.
    pub(super) fn of_path(path: &Path) -> Option<(Self, PathBuf)> {
        let compression = match path.extension()?.to_string_lossy().to_lowercase().as_str() {
            "gz" => Self::Gzip,
            "zst" => Self::Zstandard,
            "tgz" => return Some((Self::Gzip, path.with_extension("tar"))),
            _ => return None,
        };
        Some((compression, path.with_extension("")))
    }

    /// Undoes it on the way. Several files behind each other are read as one.
    pub(super) fn reader(self, input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Gzip => Ok(Box::new(MultiGzDecoder::new(BufReader::new(input)))),
            Self::Zstandard => Ok(Box::new(zstd::stream::read::Decoder::new(input)?)),
        }
    }

    /// Begins to do it on the way to `out`.
    pub(super) fn encoder<W: Write>(self, out: W) -> io::Result<Encoder<W>> {
        Ok(match self {
            Self::Gzip => Encoder::Gzip(GzEncoder::new(out, flate2::Compression::default())),
            Self::Zstandard => Encoder::Zstandard(zstd::stream::write::Encoder::new(out, 0)?),
        })
    }

    /// Begins a compressed table: `begin` gives the writer of the text.
    pub(super) fn writer<'a>(
        self,
        out: Box<dyn Write + Send + 'a>,
        begin: impl FnOnce(Box<dyn Write + Send + 'a>) -> Result<Box<dyn WriteTable + 'a>, TableError>,
    ) -> Result<Box<dyn WriteTable + 'a>, TableError> {
        let encoder = self.encoder(out).map_err(TableError::Write)?;
        let encoder = Arc::new(Mutex::new(Some(encoder)));
        let text = BufWriter::with_capacity(WRITE_BUFFER, Shared(Arc::clone(&encoder)));
        Ok(Box::new(CompressedWriter { table: begin(Box::new(text))?, encoder }))
    }
}

/// What is compressed on its way.
pub(super) enum Encoder<W: Write> {
    Gzip(GzEncoder<W>),
    Zstandard(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstandard(encoder) => encoder.write(bytes),
        }
    }

    /// What is handed on early is compressed badly.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Encoder<W> {
    /// Ends what is compressed.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.finish()?.flush(),
            Self::Zstandard(encoder) => encoder.finish()?.flush(),
        }
    }
}

type SharedEncoder<'a> = Arc<Mutex<Option<Encoder<Box<dyn Write + Send + 'a>>>>>;

/// The text's way into the encoder.
struct Shared<'a>(SharedEncoder<'a>);

impl Write for Shared<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(encoder) => encoder.write(bytes),
            None => Err(io::Error::other("the table is finished")),
        }
    }

    /// What is handed on early is compressed badly, and a file is not looked at before its end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A table whose text is compressed.
struct CompressedWriter<'a> {
    table: Box<dyn WriteTable + 'a>,
    /// Until the table is finished.
    encoder: SharedEncoder<'a>,
}

impl CompressedWriter<'_> {
    fn end(&mut self) -> Result<(), TableError> {
        let encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner).take();
        encoder.map_or(Ok(()), Encoder::finish).map_err(TableError::Write)
    }
}

impl WriteTable for CompressedWriter<'_> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        self.table.write(record, cells)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), TableError> {
        self.table.finish()?;
        self.end()
    }

    fn finish_early(&mut self) -> Result<(), TableError> {
        self.table.finish_early()?;
        self.end()
    }
}
