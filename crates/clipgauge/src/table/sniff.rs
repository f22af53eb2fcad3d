//! Tells text that can be read from the files that are most often given in its stead, by their first bytes.

use crate::options::Input;

use super::TableError;

/// How many bytes [`check`] wants to see, unless the file is shorter.
pub(super) const ENOUGH: usize = 4;

/// The mark that some programs put before UTF-8 text.
pub(super) const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// Refuses a file that does not begin as UTF-8 (or any other superset of ASCII) can.
pub(super) fn check(input: &Input, start: &[u8]) -> Result<(), TableError> {
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
