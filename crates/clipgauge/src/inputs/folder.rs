//! What a folder stands for: its tables and those of the folders in it, or where there is none its pictures.
//!
//! Links are followed, since the Hugging Face cache is made of them. What is hidden is left alone, and so are the lists
//! of failed rows that earlier runs left.

use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::InputsError;
use crate::options::{Input, Part, TableFormat};
use crate::picture::is_picture;

/// The end of the name of a list of failed rows.
const ERRORS: &str = ".errors.csv";

/// The entries of a folder and those in it, sorted by name, without what is hidden.
pub(crate) fn walk(folder: &Path) -> impl Iterator<Item = walkdir::Result<DirEntry>> + use<> {
    let is_hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
    WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter().filter_entry(move |entry| !is_hidden(entry))
}

/// The tables of a folder, or the folder itself for its pictures.
pub(super) fn expand(folder: &Path) -> Result<Vec<Part>, InputsError> {
    let mut parts = Vec::new();
    let mut first: Option<(TableFormat, PathBuf)> = None;
    let mut has_pictures = false;
    for entry in walk(folder) {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        let path = entry.path();
        if entry.file_type().is_dir() || entry.file_name().to_string_lossy().ends_with(ERRORS) {
            continue;
        }
        let Ok(Some(format)) = TableFormat::of_path(path) else {
            has_pictures |= is_picture(path);
            continue;
        };
        match &first {
            Some((other, example)) if *other != format => {
                let examples = [example.clone(), path.to_owned()];
                return Err(InputsError::SeveralFormats { path: folder.to_owned(), examples });
            }
            Some(_) => {}
            None => first = Some((format, path.to_owned())),
        }
        let name = path.strip_prefix(folder).unwrap_or(path).to_owned();
        parts.push(Part { input: Input::File(path.to_owned()), name });
    }
    match (parts.is_empty(), has_pictures) {
        (false, _) => Ok(parts),
        (true, true) => Ok(vec![Part { input: Input::Pictures(folder.to_owned()), name: PathBuf::new() }]),
        (true, false) => Err(InputsError::EmptyFolder { path: folder.to_owned() }),
    }
}

/// A pattern for the tables of a folder that are like `example`.
pub(super) fn pattern(folder: &Path, example: &Path) -> String {
    let extension = example.extension().unwrap_or_default().to_string_lossy();
    folder.join("**").join(format!("*.{extension}")).display().to_string()
}

fn unreadable(folder: &Path, error: walkdir::Error) -> InputsError {
    let path = error.path().unwrap_or(folder).to_owned();
    InputsError::Read { path, source: io::Error::from(error) }
}
