//! What is known of a row besides its score, so that one can see why the score is what it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::row::RowErrorKind;
use crate::table::{Cell, CellKind};

/// What is known of one row; `None` for what is not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// How many tokens the caption has for the first model, special ones included, before it is cut.
    pub tokens: Option<u64>,
    /// Whether the caption is longer than a model takes, and was cut.
    pub truncated: Option<bool>,
    /// The picture's columns of pixels, after it was turned as its EXIF orientation says.
    pub width: Option<u32>,
    /// Its rows of pixels.
    pub height: Option<u32>,
    /// The bytes of its file.
    pub bytes: Option<u64>,
    /// The BLAKE3 hash of these bytes.
    pub content_hash: Option<[u8; 32]>,
    /// How long fetching took, its waiting and its retries included, in milliseconds.
    pub fetch_ms: Option<f32>,
    /// The row's share of the time that its batch took from bytes to scores, in milliseconds.
    pub encode_ms: Option<f32>,
}

/// The columns of diagnostics, in their order, and what they hold. Their prefix keeps them apart from columns that tables
/// of images often have (img2dataset's `width`, say).
pub const COLUMNS: [(&str, CellKind); 9] = [
    ("clipgauge_tokens", CellKind::Count),
    ("clipgauge_truncated", CellKind::Truth),
    ("clipgauge_width", CellKind::Count),
    ("clipgauge_height", CellKind::Count),
    ("clipgauge_bytes", CellKind::Count),
    ("clipgauge_content_hash", CellKind::Text),
    ("clipgauge_error_kind", CellKind::Text),
    ("clipgauge_fetch_ms", CellKind::Number),
    ("clipgauge_encode_ms", CellKind::Number),
];

impl Diagnostics {
    /// The cells of a row, in the order of [`COLUMNS`]; `error` is the kind of its failure.
    pub(crate) fn cells(&self, error: Option<RowErrorKind>) -> [Cell; COLUMNS.len()] {
        [
            Cell::Count(self.tokens),
            Cell::Truth(self.truncated),
            Cell::Count(self.width.map(u64::from)),
            Cell::Count(self.height.map(u64::from)),
            Cell::Count(self.bytes),
            Cell::Hash(self.content_hash),
            Cell::ErrorKind(error),
            Cell::Milliseconds(self.fetch_ms),
            Cell::Milliseconds(self.encode_ms),
        ]
    }
}

/// A time in milliseconds, to the microsecond.
pub(crate) fn milliseconds(time: Duration) -> f32 {
    (time.as_micros() as f64 / 1e3) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_what_its_column_holds() {
        let cells = Diagnostics::default().cells(None);
        for (cell, (name, kind)) in cells.iter().zip(COLUMNS) {
            assert_eq!(cell.kind(), kind, "{name}");
        }
    }
}
