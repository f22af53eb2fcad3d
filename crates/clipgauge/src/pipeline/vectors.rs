//! The end of the way for a run that keeps vectors: a file or a folder that is no table that was read.

use std::path::PathBuf;

use super::compute::Values;
use super::rows::WriteRows;
use super::saving::Spooled;
use crate::atomic::folder::AtomicFolder;
use crate::atomic::{AtomicError, AtomicFile};
use crate::diagnostics::Diagnostics;
use crate::embed::{EmbedOptions, IMAGE_COLUMN, TEXT_COLUMN, VectorLayout};
use crate::row::RowError;
use crate::table::{Layout, Record, TableError};
use crate::vectors::{Column, FolderOptions, ParquetFile, Value, VectorFolder, distinct};

/// Where vectors will be, before their width is known.
pub(super) enum Place {
    File(AtomicFile),
    Folder(AtomicFolder),
}

impl Place {
    /// Opens what the options say.
    pub(super) fn open(options: &EmbedOptions) -> Result<Self, AtomicError> {
        match options.layout {
            VectorLayout::Parquet { .. } => AtomicFile::create(&options.output).map(Self::File),
            VectorLayout::Npy { .. } => AtomicFolder::create(&options.output).map(Self::Folder),
        }
    }
}

/// The columns of the table that was read, and which of them are kept.
pub(super) struct KeptColumns {
    names: Vec<String>,
    kept: Vec<usize>,
    image: usize,
    caption: usize,
}

impl KeptColumns {
    /// Finds them. A column of vectors or errors takes the place of one of its name only if that was allowed.
    pub(super) fn find(layout: &Layout, options: &EmbedOptions) -> Result<Self, TableError> {
        let names = layout.names();
        let place = |column: &str| names.iter().position(|name| name == column).unwrap_or_default();
        let named = || [place(&options.image_column), place(&options.caption_column)];
        let [image, caption] = layout.pair().unwrap_or_else(named);
        let mut kept: Vec<usize> = (0..names.len()).collect();
        if let VectorLayout::Parquet { .. } = options.layout {
            let added = [Some(IMAGE_COLUMN), Some(TEXT_COLUMN), options.error_column.as_deref()];
            let is_added = |name: &str| added.contains(&Some(name));
            if let Some(column) = names.iter().find(|name| is_added(name)).filter(|_| !options.overwrite) {
                return Err(TableError::VectorsExist { name: options.input.to_string(), column: column.clone() });
            }
            kept.retain(|&column| !is_added(&names[column]));
        }
        Ok(Self { names: distinct(names), kept, image, caption })
    }
}

/// Vectors under way.
pub(super) enum VectorOutput {
    Parquet { file: ParquetFile<AtomicFile>, columns: KeptColumns, normalize: bool, has_error: bool },
    Folder(Box<VectorFolder>),
}

impl VectorOutput {
    /// Begins the file or folder; `width` is how many numbers a vector has, `notes` go into the footers.
    pub(super) fn begin(
        place: Place,
        options: &EmbedOptions,
        columns: KeptColumns,
        width: usize,
        notes: Vec<(&'static str, String)>,
    ) -> Result<Self, AtomicError> {
        match (place, options.layout) {
            (Place::Folder(folder), VectorLayout::Npy { element, part_rows }) => {
                let KeptColumns { names, image, caption, .. } = columns;
                let options = FolderOptions { element, part_rows, width, columns: names, image, caption, notes };
                Ok(Self::Folder(Box::new(VectorFolder::new(folder, options)?)))
            }
            (Place::File(file), layout) => {
                let mut all: Vec<_> =
                    columns.kept.iter().map(|&column| Column::Text { name: columns.names[column].clone() }).collect();
                all.extend([IMAGE_COLUMN, TEXT_COLUMN].map(|name| Column::Vector { name: name.to_owned(), width }));
                all.extend(options.error_column.clone().map(|name| Column::Text { name }));
                let fails = |source| AtomicError::Write { path: options.output.clone(), source };
                let file = ParquetFile::new(file, all, &notes).map_err(fails)?;
                let normalize = layout == VectorLayout::Parquet { normalize: true };
                Ok(Self::Parquet { file, columns, normalize, has_error: options.error_column.is_some() })
            }
            (Place::Folder(_), VectorLayout::Parquet { .. }) => unreachable!("a Parquet file is no folder"),
        }
    }

    /// Makes what is finished appear.
    pub(super) fn commit(self, options: &EmbedOptions) -> Result<(), AtomicError> {
        match self {
            Self::Parquet { file, .. } => finished(file, options)?.commit(),
            Self::Folder(folder) => folder.commit(),
        }
    }

    /// Keeps the rows so far where they cannot be taken for all, and says where.
    pub(super) fn keep_partial(self, options: &EmbedOptions) -> Result<Option<PathBuf>, AtomicError> {
        match self {
            Self::Parquet { file, .. } => finished(file, options)?.keep_partial(),
            Self::Folder(folder) => folder.keep_partial().map(Some),
        }
    }
}

fn finished(file: ParquetFile<AtomicFile>, options: &EmbedOptions) -> Result<AtomicFile, AtomicError> {
    file.finish().map_err(|source| AtomicError::Write { path: options.output.clone(), source })
}

/// Rows with their vectors.
pub(super) struct VectorRows<'a>(pub(super) &'a mut VectorOutput);

impl WriteRows for VectorRows<'_> {
    fn write(
        &mut self,
        record: Record,
        values: Result<&Values, &RowError>,
        _: &Diagnostics,
        _: Option<Spooled>,
    ) -> Result<(), TableError> {
        let vectors = match values {
            Ok(Values::Vectors(vectors)) => Ok(vectors),
            Ok(Values::Scores(_) | Values::Image(_) | Values::Dropped(_)) => {
                unreachable!("a run that keeps vectors computes those of pairs and drops no rows")
            }
            Err(error) => Err(error),
        };
        let texts = record.texts();
        let cell = |column: usize| texts.get(column).and_then(Option::as_deref);
        let written = match (&mut *self.0, vectors) {
            (VectorOutput::Folder(folder), Ok(vectors)) => {
                folder.write(&(0..texts.len()).map(cell).collect::<Vec<_>>(), vectors)
            }
            // There is no null in an array.
            (VectorOutput::Folder(_), Err(_)) => Ok(()),
            (VectorOutput::Parquet { file, columns, normalize, has_error }, vectors) => {
                let normalized = vectors.ok().filter(|_| *normalize).map(|vectors| vectors.normalized());
                let shown = normalized.as_ref().or(vectors.ok());
                let mut values: Vec<_> = columns.kept.iter().map(|&column| Value::Text(cell(column))).collect();
                values.push(Value::Vector(shown.map(|vectors| &*vectors.image)));
                values.push(Value::Vector(shown.map(|vectors| &*vectors.text)));
                if *has_error {
                    values.push(Value::Text(vectors.err().map(|error| error.kind.name())));
                }
                file.write(&values)
            }
        };
        written.map_err(TableError::Write)
    }

    /// A row group has to be whole before it can be handed on.
    fn flush(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    /// What is written is finished where it is put in its place.
    fn finish(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn finish_early(&mut self) -> Result<(), TableError> {
        Ok(())
    }
}
