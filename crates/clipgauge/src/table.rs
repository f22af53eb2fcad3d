//! Tables as streams of rows: every format reads [`Row`]s and writes their records again with new cells.

use crate::row::{Row, RowErrorKind};

/// A row as it stood in its table, kept so that it can be written byte for byte.
#[derive(Debug)]
#[non_exhaustive]
pub enum Record {
    /// A record of a delimited text table (CSV, TSV).
    Delimited(()),
}

/// A cell of a column that is added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// A score; `None` where the row failed.
    Score(Option<f32>),
    /// The kind of failure; `None` where there is none.
    ErrorKind(Option<RowErrorKind>),
}

/// A table that is read.
pub trait ReadTable: Send {
    /// The next row; `None` after the last.
    fn read(&mut self) -> Result<Option<Row>, TableError>;
}

/// A table that is written: the records that a reader of the same format gave, with the new cells in the order in
/// which their columns were named.
pub trait WriteTable: Send {
    /// Writes one record.
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError>;

    /// Writes what comes after the last record. Must be called, else the table is not whole.
    fn finish(&mut self) -> Result<(), TableError>;
}

/// Why a table cannot be read or written. Ends the run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Reading fails.
    #[error("{name} cannot be read")]
    Read {
        /// The table.
        name: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Writing fails.
    #[error("the output cannot be written")]
    Write(#[source] std::io::Error),
}
