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

/// The tables among the files of a folder, all of one format.
pub(super) struct Tables<'a> {
    folder: &'a Path,
    pub(super) parts: Vec<Part>,
    first: Option<(TableFormat, PathBuf)>,
    has_pictures: bool,
}

impl<'a> Tables<'a> {
    pub(super) fn of(folder: &'a Path) -> Self {
        Self { folder, parts: Vec::new(), first: None, has_pictures: false }
    }

    /// Takes a file that is in the folder, or in one in it, if it is a table.
    pub(super) fn look_at(&mut self, path: &Path) -> Result<(), InputsError> {
        if path.as_os_str().to_string_lossy().ends_with(ERRORS) {
            return Ok(());
        }
        let Ok(Some(format)) = TableFormat::of_path(path) else {
            self.has_pictures |= is_picture(path);
            return Ok(());
        };
        match &self.first {
            Some((other, example)) if *other != format => {
                let examples = [example.clone(), path.to_owned()];
                return Err(InputsError::SeveralFormats { path: self.folder.to_owned(), examples });
            }
            Some(_) => {}
            None => self.first = Some((format, path.to_owned())),
        }
        let name = path.strip_prefix(self.folder).unwrap_or(path).to_owned();
        self.parts.push(Part { input: Input::File(path.to_owned()), name });
        Ok(())
    }
}

/// The tables of a folder, or the folder itself for its pictures.
pub(super) fn expand(folder: &Path) -> Result<Vec<Part>, InputsError> {
    let mut tables = Tables::of(folder);
    for entry in walk(folder) {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        if !entry.file_type().is_dir() {
            tables.look_at(entry.path())?;
        }
    }
    let Tables { parts, has_pictures, .. } = tables;
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
