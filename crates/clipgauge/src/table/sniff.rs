//! Tells text that can be read from the files that are most often given in its stead, by their first bytes.

use std::io::{Cursor, Read};

use crate::options::Input;

use super::TableError;

/// How many bytes [`check`] wants to see, unless the file is shorter.
const ENOUGH: u64 = 4;

/// The mark that some programs put before UTF-8 text.
const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// A text table from its first byte of text on.
pub(super) struct Text {
    /// The mark that stood before it, or nothing.
    pub(super) bom: &'static [u8],
    pub(super) rest: Box<dyn Read + Send>,
}

/// Looks at how a table begins, and refuses what is no text.
pub(super) fn begin(mut table: Box<dyn Read + Send>, input: &Input) -> Result<Text, TableError> {
    let mut start = Vec::new();
    let read = table.by_ref().take(ENOUGH).read_to_end(&mut start);
    read.map_err(|source| TableError::Read { name: input.to_string(), source })?;
    check(input, &start)?;
    let bom = if start.starts_with(UTF8_BOM) { UTF8_BOM } else { b"" };
    Ok(Text { bom, rest: Box::new(Cursor::new(start.split_off(bom.len())).chain(table)) })
}

/// Refuses a file that does not begin as UTF-8 (or any other superset of ASCII) can.
fn check(input: &Input, start: &[u8]) -> Result<(), TableError> {
    let through = |command: &str| format!("use `{}`", input.piped_through(command));
    let (what, remedy) = match start {
        // Before UTF-16, whose mark it begins with.
        [0xFF, 0xFE, 0, 0] | [0, 0, 0xFE, 0xFF] => ("UTF-32", through("iconv -f UTF-32 -t UTF-8")),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => ("UTF-16", through("iconv -f UTF-16 -t UTF-8")),
        // Without a byte order mark, the ASCII letters of a header still show every second byte as zero.
        [1..=255, 0, 1..=255, 0, ..] => ("UTF-16", through("iconv -f UTF-16LE -t UTF-8")),
        [0, 1..=255, 0, 1..=255, ..] => ("UTF-16", through("iconv -f UTF-16BE -t UTF-8")),
        [0x1F, 0x8B, ..] => ("a gzip file", through("gzip -dc")),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => ("a Zstandard file", through("zstd -dc")),
        [b'P', b'A', b'R', b'1', ..] => {
            ("a Parquet file", "give its own name, with --format parquet if that does not say so".to_owned())
        }
        [b'P', b'K', 3, 4, ..] => ("a zip or Excel file", "save it as CSV in UTF-8 first".to_owned()),
        _ => return Ok(()),
    };
    Err(TableError::NotText { name: input.to_string(), what, remedy })
}
