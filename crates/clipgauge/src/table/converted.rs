//! A table in another format than it came in: its cells are texts on the way, and the new columns what they are.
//!
//! Into Parquet, the columns of a text table are texts. Out of Parquet and Arrow, lists and structs become JSON, and
//! binaries nothing: a picture is no text.

use std::io::{self, Write};

#[cfg(feature = "parquet")]
use super::CellKind;
use super::columns::Added;
use super::kept::Kept;
use super::{Cell, Record, TableError, TableFormat, WriteTable};

/// What the written table looks like.
#[derive(Debug)]
pub struct ConvertedLayout {
    /// The columns of the table that was read.
    pub(super) names: Vec<String>,
    pub(super) added: Vec<Added>,
    /// Those of the table that was read that are written.
    pub(super) kept: Kept,
    pub(super) format: TableFormat,
}

/// Where a cell of the written table comes from.
#[derive(Debug, Clone, Copy)]
enum Source {
    Old(usize),
    New(usize),
}

impl ConvertedLayout {
    /// The names and sources of all columns, in the order in which they are written.
    fn columns(&self) -> Vec<(String, Source)> {
        let replaced = |old: usize| self.added.iter().position(|column| column.replaces == Some(old));
        let olds = self.names.iter().enumerate().map(|(old, name)| match replaced(old) {
            Some(new) => (name.clone(), Source::New(new)),
            None => (name.clone(), Source::Old(old)),
        });
        let news = self.added.iter().enumerate().filter(|(_, column)| column.replaces.is_none());
        self.kept
            .of(olds)
            .into_iter()
            .chain(news.map(|(new, column)| (column.name.clone(), Source::New(new))))
            .collect()
    }

    /// Begins the table.
    pub(super) fn writer<'a>(self, out: Box<dyn Write + Send + 'a>) -> Result<Box<dyn WriteTable + 'a>, TableError> {
        let (names, sources): (Vec<_>, Vec<_>) = self.columns().into_iter().unzip();
        match self.format {
            #[cfg(feature = "parquet")]
            TableFormat::Parquet => Ok(Box::new(IntoParquet::new(out, names, sources, &self.added)?)),
            TableFormat::Jsonl => {
                let names = names.into_iter().map(|name| serde_json::Value::from(name).to_string()).collect();
                Ok(Box::new(IntoLines { out, names, sources }))
            }
            other => {
                let mut writer = csv::WriterBuilder::new();
                writer.delimiter(other.delimiter().unwrap_or(b','));
                let mut writer = writer.from_writer(out);
                writer.write_record(&names).map_err(csv_error)?;
                Ok(Box::new(IntoText { writer, sources }))
            }
        }
    }
}

/// Writes CSV and TSV.
struct IntoText<W: Write> {
    writer: csv::Writer<W>,
    sources: Vec<Source>,
}

impl<W: Write + Send> WriteTable for IntoText<W> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        let mut texts = record.texts();
        for source in &self.sources {
            let text = match source {
                Source::Old(old) => texts.get_mut(*old).and_then(Option::take),
                Source::New(new) => cells.get(*new).and_then(Cell::text),
            };
            self.writer.write_field(text.unwrap_or_default()).map_err(csv_error)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(csv_error)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.writer.flush().map_err(TableError::Write)
    }

    fn finish(&mut self) -> Result<(), TableError> {
        self.flush()
    }
}

fn csv_error(error: csv::Error) -> TableError {
    TableError::Write(match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        other => io::Error::other(format!("{other:?}")),
    })
}

/// Writes JSON Lines.
struct IntoLines<W: Write> {
    out: W,
    /// The names, as JSON.
    names: Vec<String>,
    sources: Vec<Source>,
}

impl<W: Write + Send> WriteTable for IntoLines<W> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        let values = record.json();
        let mut line = b"{".to_vec();
        for (index, (name, source)) in self.names.iter().zip(&self.sources).enumerate() {
            line.extend_from_slice(if index > 0 { b", " } else { b"" });
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(b": ");
            match source {
                Source::Old(old) => line.extend_from_slice(values.get(*old).map_or("null", String::as_str).as_bytes()),
                Source::New(new) => match cells.get(*new) {
                    Some(cell) => cell.write_json(&mut line),
                    None => line.extend_from_slice(b"null"),
                },
            }
        }
        line.extend_from_slice(b"}\n");
        self.out.write_all(&line).map_err(TableError::Write)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.out.flush().map_err(TableError::Write)
    }

    fn finish(&mut self) -> Result<(), TableError> {
        self.flush()
    }
}

/// Writes Parquet.
#[cfg(feature = "parquet")]
struct IntoParquet<W: Write + Send> {
    /// Until it is finished.
    file: Option<crate::vectors::ParquetFile<W>>,
    sources: Vec<Source>,
}

#[cfg(feature = "parquet")]
impl<W: Write + Send> IntoParquet<W> {
    fn new(out: W, names: Vec<String>, sources: Vec<Source>, added: &[Added]) -> Result<Self, TableError> {
        use crate::vectors::{Column, ParquetFile, distinct};
        let column = |(name, source): (String, &Source)| match source {
            Source::New(new) => match added[*new].kind {
                CellKind::Number => Column::Number { name },
                CellKind::Count => Column::Count { name },
                CellKind::Truth => Column::Truth { name },
                CellKind::Text => Column::Text { name },
            },
            Source::Old(_) => Column::Text { name },
        };
        let columns = distinct(names).into_iter().zip(&sources).map(column).collect();
        let file = ParquetFile::new(out, columns, &[]).map_err(TableError::Write)?;
        Ok(Self { file: Some(file), sources })
    }
}

#[cfg(feature = "parquet")]
impl<W: Write + Send> WriteTable for IntoParquet<W> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        use crate::vectors::Value;
        let texts = record.texts();
        let added: Vec<Option<String>> = cells.iter().map(Cell::text).collect();
        let value = |source: &Source| match source {
            Source::Old(old) => Value::Text(texts.get(*old).and_then(Option::as_deref)),
            Source::New(new) => match cells[*new].kind() {
                CellKind::Number => Value::Number(cells[*new].number()),
                CellKind::Count => Value::Count(cells[*new].count()),
                CellKind::Truth => Value::Truth(cells[*new].truth()),
                CellKind::Text => Value::Text(added[*new].as_deref()),
            },
        };
        let values: Vec<_> = self.sources.iter().map(value).collect();
        self.file.as_mut().map_or(Ok(()), |file| file.write(&values)).map_err(TableError::Write)
    }

    /// A row group has to be whole before it can be handed on.
    fn flush(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), TableError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        file.finish().and_then(|mut out| out.flush()).map_err(TableError::Write)
    }

    fn finish_early(&mut self) -> Result<(), TableError> {
        self.finish()
    }
}
