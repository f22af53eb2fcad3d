//! The cells of columns that are added: what they hold, and how they are written where cells are text.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::number::write_f32;
use crate::row::RowErrorKind;

/// A cell of a column that is added.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// A score; `None` where the row failed.
    Score(Option<f32>),
    /// The kind of failure; `None` where there is none.
    ErrorKind(Option<RowErrorKind>),
    /// How many there are of something.
    Count(Option<u64>),
    /// Whether something is so.
    Truth(Option<bool>),
    /// A hash, written in hexadecimal digits.
    Hash(Option<[u8; 32]>),
    /// A time.
    Milliseconds(Option<f32>),
}

/// What a column that is added holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// 32-bit floats.
    Number,
    /// Whole numbers.
    Count,
    /// True or false.
    Truth,
    /// Text.
    Text,
}

impl Cell {
    /// What a column of such cells holds.
    pub fn kind(&self) -> CellKind {
        match self {
            Self::Score(_) | Self::Milliseconds(_) => CellKind::Number,
            Self::Count(_) => CellKind::Count,
            Self::Truth(_) => CellKind::Truth,
            Self::ErrorKind(_) | Self::Hash(_) => CellKind::Text,
        }
    }

    /// What it says as a number.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only columns with types tell numbers from texts"))]
    pub(super) fn number(&self) -> Option<f32> {
        match self {
            Self::Score(number) | Self::Milliseconds(number) => *number,
            _ => None,
        }
    }

    /// What it says as a whole number.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only columns with types tell numbers from texts"))]
    pub(super) fn count(&self) -> Option<i64> {
        match self {
            Self::Count(count) => count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
            _ => None,
        }
    }

    /// What it says as true or false.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only columns with types tell numbers from texts"))]
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Truth(truth) => *truth,
            _ => None,
        }
    }

    /// What it says as text, whatever it is; `None` for a null.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Score(None) | Self::Milliseconds(None) => None,
            Self::Score(Some(number)) | Self::Milliseconds(Some(number)) => {
                let mut text = Vec::new();
                write_f32(&mut text, *number);
                Some(String::from_utf8_lossy(&text).into_owned())
            }
            Self::ErrorKind(kind) => kind.map(|kind| kind.name().to_owned()),
            Self::Count(count) => count.map(|count| count.to_string()),
            Self::Truth(truth) => truth.map(|truth| truth.to_string()),
            Self::Hash(hash) => hash.map(|hash| blake3::Hash::from_bytes(hash).to_hex().to_string()),
        }
    }

    /// Writes it as a value of JSON, which has no number that is none.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let text = match self {
            Self::Score(number) | Self::Milliseconds(number) if number.is_some_and(|number| !number.is_finite()) => {
                None
            }
            _ => self.text(),
        };
        let written = match (self, text) {
            (_, None) => out.write_all(b"null"),
            // No name of a kind and no hash has a character that JSON would have to escape.
            (Self::ErrorKind(_) | Self::Hash(_), Some(text)) => write!(out, "\"{text}\""),
            (_, Some(text)) => out.write_all(text.as_bytes()),
        };
        debug_assert!(written.is_ok(), "a vector takes every byte");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_text_and_json() {
        let hash = [0xAB; 32];
        let cases = [
            (Cell::Score(Some(0.5)), Some("0.5".to_owned()), "0.5".to_owned()),
            (Cell::Score(Some(f32::NAN)), Some("NaN".to_owned()), "null".to_owned()),
            (Cell::Score(None), None, "null".to_owned()),
            (Cell::ErrorKind(Some(RowErrorKind::NotFound)), Some("not_found".to_owned()), "\"not_found\"".to_owned()),
            (Cell::Count(Some(77)), Some("77".to_owned()), "77".to_owned()),
            (Cell::Truth(Some(false)), Some("false".to_owned()), "false".to_owned()),
            (Cell::Hash(Some(hash)), Some("ab".repeat(32)), format!("\"{}\"", "ab".repeat(32))),
            (Cell::Milliseconds(Some(1.25)), Some("1.25".to_owned()), "1.25".to_owned()),
            (Cell::Hash(None), None, "null".to_owned()),
        ];
        for (cell, text, json) in cases {
            let mut out = Vec::new();
            cell.write_json(&mut out);
            assert_eq!((cell.text(), String::from_utf8(out).expect("ASCII")), (text, json), "{cell:?}");
        }
    }
}
