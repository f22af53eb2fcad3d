//! A folder of pictures as a table: each with its path and the caption that is in a text file beside it, `cat.txt` for
//! `cat.jpg`.
//!
//! Such folders are what trainers of small models read (kohya's scripts, for one). Pictures come sorted by name, folder by
//! folder; other files are passed over, and so is what is hidden.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::inputs::walk;
use crate::options::{DEFAULT_IMAGE_COLUMN, ScoreOptions};
use crate::picture::is_picture;
use crate::row::{Row, RowError, RowErrorKind, RowImage};

use super::columns::Columns;
use super::converted::ConvertedLayout;
use super::{Layout, OpenTable, Position, ReadTable, Record, TableError, TableFormat};

/// The column with the picture's path.
const PATH: &str = "path";

/// The column with the caption.
const CAPTION: &str = "caption";

/// The extension of captions.
const CAPTION_EXTENSION: &str = "txt";

/// The most bytes that a caption may have.
const MAX_CAPTION: u64 = 1 << 20;

/// The mark that some programs put before UTF-8 text.
const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// Begins to go through a folder.
pub(super) fn open(folder: &Path, options: &ScoreOptions) -> Result<OpenTable, TableError> {
    let mut options = options.clone();
    if options.image_column == DEFAULT_IMAGE_COLUMN {
        options.image_column = PATH.to_owned();
    }
    let names = [PATH, CAPTION].map(str::to_owned).to_vec();
    let Columns { added, kept, .. } = Columns::find(&names, &options)?;
    let layout = Layout::Converted(ConvertedLayout { names, added, kept, format: TableFormat::Csv });
    let reader = PicturesReader { entries: Box::new(walk(folder)), folder: folder.to_owned(), rows: 0 };
    Ok(OpenTable { reader: Box::new(reader), layout })
}

/// Reads the pictures of a folder.
struct PicturesReader {
    entries: Box<dyn Iterator<Item = walkdir::Result<walkdir::DirEntry>> + Send>,
    folder: PathBuf,
    rows: u64,
}

impl ReadTable for PicturesReader {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        for entry in self.entries.by_ref() {
            let entry = entry.map_err(|error| TableError::Read {
                name: error.path().unwrap_or(&self.folder).display().to_string(),
                source: io::Error::from(error),
            })?;
            if !entry.file_type().is_dir() && is_picture(entry.path()) {
                self.rows += 1;
                return Ok(Some(row(entry.path(), &self.folder, self.rows)));
            }
        }
        Ok(None)
    }

    fn position(&self) -> Position {
        Position { rows: self.rows, bytes_read: 0, total_bytes: None }
    }
}

fn row(picture: &Path, folder: &Path, number: u64) -> Row {
    let relative = picture.strip_prefix(folder).unwrap_or(picture);
    let path = relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
    let (caption, failure) = match caption(&picture.with_extension(CAPTION_EXTENSION)) {
        Ok(caption) => (caption, None),
        Err(error) => (None, Some(error)),
    };
    let not_utf8 =
        || RowError::new(RowErrorKind::BadAddress, "the file's name is not UTF-8, so that it cannot be told");
    let error = relative.to_str().is_none().then(not_utf8).or(failure);
    // A name with a colon in it is no URL.
    let address = if path.contains(':') { format!("./{path}") } else { path.clone() };
    Row {
        number,
        image: Some(RowImage::Address(address)),
        caption: caption.clone(),
        error,
        origin: None,
        record: Record::Texts(vec![Some(path), caption]),
    }
}

/// The caption in a file, without the end of its last line; `None` if there is no such file.
fn caption(path: &Path) -> Result<Option<String>, RowError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_CAPTION + 1).read_to_end(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(RowError::new(RowErrorKind::Network, format!("the caption's file cannot be read: {error}")));
        }
        Ok(_) if text.len() as u64 > MAX_CAPTION => {
            let message = format!("the caption's file has more than the {MAX_CAPTION} bytes that are allowed");
            return Err(RowError::new(RowErrorKind::TooLarge, message));
        }
        Ok(_) => {}
    }
    Ok(Some(text_of(&text)))
}

/// What a text file says, without the end of its last line.
pub(super) fn text_of(text: &[u8]) -> String {
    let text = text.strip_prefix(UTF8_BOM).unwrap_or(text);
    let text = text.strip_suffix(b"\n").map_or(text, |line| line.strip_suffix(b"\r").unwrap_or(line));
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_is_its_file_without_the_last_line_s_end() {
        for (file, caption) in [
            (&b"a cat\n"[..], "a cat"),
            (b"a cat\r\n", "a cat"),
            (b"a cat\n\n", "a cat\n"),
            (b" a\ncat", " a\ncat"),
            (b"\xEF\xBB\xBFa cat", "a cat"),
            (b"\xff cat", "\u{fffd} cat"),
            (b"\n", ""),
            (b"", ""),
        ] {
            assert_eq!(text_of(file), caption);
        }
    }
}
