//! The list of rows that failed, a CSV file with the columns `row,url,kind,message`, and of several inputs `input`.
//!
//! It is there if and only if a row failed: the first failure creates it, and a run without one removes the list that
//! an earlier run left.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::address::is_base64;
use crate::atomic::{AtomicError, AtomicFile, is_object, is_special};
use crate::options::{Output, ScoreOptions};
use crate::row::RowError;

/// The header, by which a list of an earlier run is known.
const HEADER: [&str; 4] = ["row", "url", "kind", "message"];

/// The column behind them where there are several inputs: the one that the row is of, in which it has its number.
const INPUT: &str = "input";

/// What a list in a folder is called that has no name of its own (`.`).
const IN_FOLDER: &str = "clipgauge.errors.csv";

/// How much of a picture in the cell itself is listed, in characters.
const INLINE_CHARACTERS: usize = 64;

/// Where the failed rows of a run are listed: what `--errors` says, else `OUT.errors.csv` beside the output (in place:
/// the input); `None` for a table that goes to standard output or a device, and for several in their own places.
pub fn path(options: &ScoreOptions) -> Option<PathBuf> {
    let table = match (&options.errors, &options.output) {
        (Some(path), _) => return Some(path.clone()),
        // Without a slash at its end.
        (None, Output::Folder(folder)) => match folder.file_name().map(|name| folder.with_file_name(name)) {
            // Beside a bucket there is nothing.
            Some(beside) if is_object(&beside) == is_object(folder) => beside,
            _ => return Some(folder.join(IN_FOLDER)),
        },
        (None, _) => options.output_file()?.to_owned(),
    };
    (!is_special(&table)).then(|| path_of(&table))
}

/// Where the failed rows of a table are listed, where nothing else is said.
pub(crate) fn path_of(table: &Path) -> PathBuf {
    let mut name = table.as_os_str().to_owned();
    name.push(".errors.csv");
    PathBuf::from(name)
}

/// How every list begins.
pub(crate) fn header() -> String {
    HEADER.join(",") + "\n"
}

/// The list under way.
pub struct ErrorsFile {
    path: Option<PathBuf>,
    has_inputs: bool,
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
        Ok(Self { path, has_inputs: false, list: None })
    }

    /// Sets whether rows are of several inputs, which are then listed, too.
    #[must_use]
    pub fn with_inputs(self, has_inputs: bool) -> Self {
        Self { has_inputs, ..self }
    }

    /// Adds a row: its number from 1, its image cell if it has one, and the one of several inputs that it is of.
    ///
    /// # Errors
    ///
    /// The list cannot be written.
    pub fn add(
        &mut self,
        row: u64,
        url: Option<&str>,
        input: Option<&str>,
        error: &RowError,
    ) -> Result<(), AtomicError> {
        let Some(path) = &self.path else { return Ok(()) };
        let list = match &mut self.list {
            Some(list) => list,
            None => {
                let mut list = csv::Writer::from_writer(AtomicFile::create(path)?);
                list.write_record(HEADER.into_iter().chain(self.has_inputs.then_some(INPUT)))
                    .map_err(|error| fails(path, error))?;
                self.list.insert(list)
            }
        };
        let (row, url) = (row.to_string(), shortened(url.unwrap_or_default()));
        let cells = [row.as_str(), &url, error.kind.name(), &error.message];
        let input = self.has_inputs.then_some(input.unwrap_or_default());
        list.write_record(cells.into_iter().chain(input)).map_err(|error| fails(path, error))
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
    let headers = [header(), format!("{},{INPUT}\n", HEADER.join(","))];
    let mut start = Vec::new();
    let longest = headers.iter().map(String::len).max().unwrap_or_default();
    let read = File::open(path).and_then(|file| file.take(longest as u64).read_to_end(&mut start));
    match read {
        Ok(_) if headers.iter().any(|header| start.starts_with(header.as_bytes())) => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Input;
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
        list.add(3, Some("a, b.png"), None, &missing).expect("writable");
        list.add(7, None, None, &RowError::new(RowErrorKind::NoImage, "no image")).expect("writable");
        assert_eq!(list.commit().expect("committable"), Some(path.clone()));
        let text = fs::read_to_string(path).expect("readable");
        assert_eq!(
            text,
            "row,url,kind,message\n3,\"a, b.png\",not_found,\"no such file, \"\"a\"\"\"\n7,,no_image,no image\n"
        );
    }

    #[test]
    fn rows_of_several_inputs_name_theirs() {
        let folder = folder();
        let path = folder.path().join("list.csv");
        let mut list = ErrorsFile::new(Some(path.clone())).expect("creatable").with_inputs(true);
        list.add(3, Some("a"), Some("b.csv"), &RowError::new(RowErrorKind::Empty, "no byte")).expect("writable");
        list.commit().expect("committable");
        let text = fs::read_to_string(path).expect("readable");
        assert_eq!(text, "row,url,kind,message,input\n3,a,empty,no byte,b.csv\n");
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
        for (name, text, stays) in [
            ("old.csv", "row,url,kind,message\n1,a,empty,b\n", false),
            ("several.csv", "row,url,kind,message,input\n", false),
            ("other.csv", "url,caption\n", true),
        ] {
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
        list.add(1, None, None, &RowError::new(RowErrorKind::NoImage, "none")).expect("writable");
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
            (file("in.csv"), Output::Folder("d/out/".into()), None, Some("d/out.errors.csv")),
            (file("in.csv"), Output::Folder(".".into()), None, Some("./clipgauge.errors.csv")),
            (file("in.csv"), Output::Folder("s3://b/d/out/".into()), None, Some("s3://b/d/out.errors.csv")),
            (file("in.csv"), Output::Folder("s3://b/".into()), None, Some("s3://b/clipgauge.errors.csv")),
            (file("d/in.csv"), Output::InPlace, None, Some("d/in.csv.errors.csv")),
            (file("in.csv"), Output::InPlace, Some("e.csv"), Some("e.csv")),
        ];
        for (input, output, errors, expected) in cases {
            let options = ScoreOptions { output, errors: errors.map(PathBuf::from), ..ScoreOptions::new(input) };
            assert_eq!(path(&options), expected.map(PathBuf::from), "{options:?}");
        }
    }
}
