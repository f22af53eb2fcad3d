//! The list of rows that failed, a CSV file with the columns `row,url,kind,message`.
//!
//! It is there if and only if a row failed: the first failure creates it, and a run without one removes the list that
//! an earlier run left.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::address::is_base64;
use crate::atomic::{AtomicError, AtomicFile, is_special};
use crate::options::{Input, Output, ScoreOptions};
use crate::row::RowError;

/// The header, by which a list of an earlier run is known.
const HEADER: [&str; 4] = ["row", "url", "kind", "message"];

/// How much of a picture in the cell itself is listed, in characters.
const INLINE_CHARACTERS: usize = 64;

/// Where the failed rows of a run are listed: what `--errors` says, else `OUT.errors.csv` beside the output (in place:
/// the input); `None` for a table that goes to standard output or a device.
pub fn path(options: &ScoreOptions) -> Option<PathBuf> {
    let table = match (&options.errors, &options.output, &options.input) {
        (Some(path), ..) => return Some(path.clone()),
        (None, Output::File(path), _) | (None, Output::InPlace, Input::File(path)) => path,
        (None, Output::Stdout, _) | (None, Output::InPlace, Input::Stdin) => return None,
    };
    if is_special(table) {
        return None;
    }
    let mut name = table.as_os_str().to_owned();
    name.push(".errors.csv");
    Some(PathBuf::from(name))
}

/// The list under way.
pub struct ErrorsFile {
    path: Option<PathBuf>,
    list: Option<csv::Writer<AtomicFile>>,
}

impl ErrorsFile {
    /// A list at `path`, or none. Nothing is written before the first failure.
    ///
    /// # Errors
    ///
    /// The list could not be created there.
    pub fn new(path: Option<PathBuf>) -> Result<Self, AtomicError> {
        if let Some(path) = &path {
            AtomicFile::check(path)?;
        }
        Ok(Self { path, list: None })
    }

    /// Adds a row: its number from 1, and its image cell if it has one.
    ///
    /// # Errors
    ///
    /// The list cannot be written.
    pub fn add(&mut self, row: u64, url: Option<&str>, error: &RowError) -> Result<(), AtomicError> {
        let Some(path) = &self.path else { return Ok(()) };
        let list = match &mut self.list {
            Some(list) => list,
            None => {
                let mut list = csv::Writer::from_writer(AtomicFile::create(path)?);
                list.write_record(HEADER).map_err(|error| fails(path, error))?;
                self.list.insert(list)
            }
        };
        let (row, url) = (row.to_string(), shortened(url.unwrap_or_default()));
        list.write_record([row.as_str(), &url, error.kind.name(), &error.message]).map_err(|error| fails(path, error))
    }

    /// Puts the list in its place and returns where; without a failure, removes an earlier run's.
    ///
    /// # Errors
    ///
    /// The list cannot be written, or the earlier one not removed.
    pub fn commit(self) -> Result<Option<PathBuf>, AtomicError> {
        let Some(path) = self.path else { return Ok(None) };
        match self.list {
            Some(list) => {
                finished(list, &path)?.commit()?;
                Ok(Some(path))
            }
            None => {
                remove_earlier(&path).map_err(|source| AtomicError::Write { path, source })?;
                Ok(None)
            }
        }
    }

    /// Puts the list of an unfinished run at `PATH.partial`, beside the finished rows, and returns where; what stands at
    /// its place stays.
    ///
    /// # Errors
    ///
    /// The list cannot be written.
    pub fn keep_partial(self) -> Result<Option<PathBuf>, AtomicError> {
        match (self.path, self.list) {
            (Some(path), Some(list)) => finished(list, &path)?.keep_partial(),
            _ => Ok(None),
        }
    }
}

/// The cell as it is listed: of a `data:` URI or base64, which have the picture in them, the beginning is enough.
fn shortened(url: &str) -> Cow<'_, str> {
    match url.char_indices().nth(INLINE_CHARACTERS) {
        Some((end, _)) if url.starts_with("data:") || is_base64(url.trim()) => Cow::Owned(format!("{}…", &url[..end])),
        _ => Cow::Borrowed(url),
    }
}

fn finished(list: csv::Writer<AtomicFile>, path: &Path) -> Result<AtomicFile, AtomicError> {
    list.into_inner().map_err(|error| fails(path, error.into_error().into()))
}

fn fails(path: &Path, error: csv::Error) -> AtomicError {
    let source = match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        other => io::Error::other(format!("{other:?}")),
    };
    AtomicError::Write { path: path.to_owned(), source }
}

/// Removes a list of an earlier run; a file that does not begin like one is somebody's and stays.
fn remove_earlier(path: &Path) -> io::Result<()> {
    let header = HEADER.join(",") + "\n";
    let mut start = vec![0; header.len()];
    match File::open(path).and_then(|mut file| file.read_exact(&mut start)) {
        Ok(()) if start == header.as_bytes() => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::RowErrorKind;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder for the test")
    }

    #[test]
    fn rows_are_listed_with_quotes_where_needed() {
        let folder = folder();
        let path = folder.path().join("list.csv");
        let mut list = ErrorsFile::new(Some(path.clone())).expect("creatable");
        assert!(!path.exists());
        let missing = RowError::new(RowErrorKind::NotFound, "no such file, \"a\"");
        list.add(3, Some("a, b.png"), &missing).expect("writable");
        list.add(7, None, &RowError::new(RowErrorKind::NoImage, "no image")).expect("writable");
        assert_eq!(list.commit().expect("committable"), Some(path.clone()));
        let text = fs::read_to_string(path).expect("readable");
        assert_eq!(
            text,
            "row,url,kind,message\n3,\"a, b.png\",not_found,\"no such file, \"\"a\"\"\"\n7,,no_image,no image\n"
        );
    }

    #[test]
    fn pictures_in_cells_are_listed_in_short() {
        let long = format!("https://example.org/{}", "x".repeat(5000));
        assert_eq!(shortened(&long), long);
        assert_eq!(shortened("data:,x"), "data:,x");
        for beginning in ["data:image/png;base64,", "/9j/4AAQ"] {
            let picture = format!("{beginning}{}", "A".repeat(5000));
            assert_eq!(shortened(&picture), format!("{}…", &picture[..INLINE_CHARACTERS]));
        }
    }

    #[test]
    fn without_a_failure_there_is_none_and_an_earlier_one_goes() {
        let folder = folder();
        for (name, text, stays) in
            [("old.csv", "row,url,kind,message\n1,a,empty,b\n", false), ("other.csv", "url,caption\n", true)]
        {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("writable");
            let list = ErrorsFile::new(Some(path.clone())).expect("creatable");
            assert_eq!(list.commit().expect("committable"), None);
            assert_eq!(path.exists(), stays, "{name}");
        }
        let path = folder.path().join("new.csv");
        ErrorsFile::new(Some(path.clone())).expect("creatable").commit().expect("committable");
        assert!(!path.exists());
    }

    #[test]
    fn a_dropped_list_leaves_what_was_there() {
        let folder = folder();
        let path = folder.path().join("list.csv");
        fs::write(&path, "before").expect("writable");
        let mut list = ErrorsFile::new(Some(path.clone())).expect("creatable");
        list.add(1, None, &RowError::new(RowErrorKind::NoImage, "none")).expect("writable");
        drop(list);
        assert_eq!(fs::read_to_string(path).expect("readable"), "before");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn its_place_follows_the_output() {
        let file = |name: &str| Input::File(PathBuf::from(name));
        let cases = [
            (file("in.csv"), Output::Stdout, None, None),
            (file("in.csv"), Output::Stdout, Some("e.csv"), Some("e.csv")),
            #[cfg(unix)]
            (file("in.csv"), Output::File("/dev/null".into()), None, None),
            (file("in.csv"), Output::File("d/out.csv".into()), None, Some("d/out.csv.errors.csv")),
            (file("d/in.csv"), Output::InPlace, None, Some("d/in.csv.errors.csv")),
            (file("in.csv"), Output::InPlace, Some("e.csv"), Some("e.csv")),
        ];
        for (input, output, errors, expected) in cases {
            let options = ScoreOptions { output, errors: errors.map(PathBuf::from), ..ScoreOptions::new(input) };
            assert_eq!(path(&options), expected.map(PathBuf::from), "{options:?}");
        }
    }
}
