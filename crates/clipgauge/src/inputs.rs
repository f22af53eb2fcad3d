//! From the words of a command line to the tables that they mean: files, patterns (`data/*.parquet`), ranges in braces
//! (`{00000..00041}.tar`), folders, addresses on the hub with any of these, and addresses of objects with any but folders.
//!
//! A name that is there is always itself, whatever characters are in it.

mod braces;
mod bucket;
mod folder;
mod hub;

pub(crate) use folder::walk;

use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, PatternError};

use crate::hub::{HubError, HubFile, HubFileError, HubOptions, RepoId};
use crate::objects::ObjectUrl;
use crate::options::{Input, Part};
use crate::source::FetchOptions;

/// How names are matched: `*` does not go beyond a folder, and what is hidden has to be named.
const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// What begins a pattern.
const WILDCARDS: [char; 3] = ['*', '?', '['];

/// Finds what words of a command line mean, in their order; what one pattern or folder stands for, sorted by name. `-`
/// is standard input. For patterns in buckets, these are asked as `fetch` says; for addresses on the hub, the hub that the
/// environment names. Nothing of a table is fetched yet.
///
/// Must not be called from within an asynchronous runtime.
///
/// # Errors
///
/// A pattern or folder without anything in it, a pattern that makes no sense, standard input beside others, or a hub or a
/// bucket that gives no answer.
pub fn expand<W: AsRef<Path>>(words: &[W], fetch: &FetchOptions) -> Result<Input, InputsError> {
    let mut parts = Vec::new();
    for word in words {
        expand_word(word.as_ref(), fetch, &mut parts)?;
    }
    if parts.len() > 1 && parts.iter().any(|part| part.input == Input::Stdin) {
        return Err(InputsError::StdinAmongOthers);
    }
    match <[Part; 1]>::try_from(parts) {
        Ok([part]) => Ok(part.input),
        Err(parts) => Ok(Input::Several(parts)),
    }
}

fn expand_word(word: &Path, fetch: &FetchOptions, parts: &mut Vec<Part>) -> Result<(), InputsError> {
    if word == Path::new("-") {
        parts.push(Part { input: Input::Stdin, name: PathBuf::new() });
        return Ok(());
    }
    if let Some(address) = word.to_str().filter(|word| ObjectUrl::is_meant(word)) {
        for address in braces::expand(address)? {
            parts.extend(bucket::expand(&address, fetch)?);
        }
        return Ok(());
    }
    if let Some(address) = word.to_str().filter(|word| HubFile::is_meant(word)) {
        parts.extend(hub::expand(address, &HubOptions::from_env())?);
        return Ok(());
    }
    match word.to_str().filter(|_| word.symlink_metadata().is_err()) {
        Some(pattern) => {
            for pattern in braces::expand(pattern)? {
                expand_pattern(&pattern, parts)?;
            }
            Ok(())
        }
        None => push(word, parts),
    }
}

fn expand_pattern(pattern: &str, parts: &mut Vec<Part>) -> Result<(), InputsError> {
    if !pattern.contains(WILDCARDS) || Path::new(pattern).symlink_metadata().is_ok() {
        return push(Path::new(pattern), parts);
    }
    let before = parts.len();
    let bad = |source| InputsError::Pattern { pattern: pattern.to_owned(), source };
    for path in glob::glob_with(pattern, MATCHING).map_err(bad)? {
        let path = path.map_err(|error| InputsError::Read { path: error.path().to_owned(), source: error.into() })?;
        if !path.is_dir() {
            parts.push(Part::of_file(&path));
        }
    }
    if parts.len() == before {
        return Err(InputsError::NoMatch { pattern: pattern.to_owned() });
    }
    Ok(())
}

/// A file as it is, and a folder as what is in it.
fn push(path: &Path, parts: &mut Vec<Part>) -> Result<(), InputsError> {
    if path.is_dir() {
        parts.extend(folder::expand(path)?);
    } else {
        parts.push(Part::of_file(path));
    }
    Ok(())
}

/// Why words of a command line mean no tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputsError {
    /// Nothing has a name like this.
    #[error("{pattern} matches no file; look for a slip in it, and quote it only if the shell is not to expand it")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// The pattern makes no sense.
    #[error("{pattern} is no pattern of file names; `*`, `?`, `[a-z]` and `**` stand for others")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        #[source]
        source: PatternError,
    },
    /// The braces stand for too many names.
    #[error("{pattern} stands for more than {} names; give fewer at once", braces::MAX_NAMES)]
    TooMany {
        /// The pattern.
        pattern: String,
    },
    /// There is nothing in a folder that could be scored.
    #[error("{} is a folder without a table or a picture; name another, or a file in it", path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The tables of a folder are of several formats, of which one may be made of the other.
    #[error(
        "{} is a folder with tables of several formats, like {} and {}; name those that you mean, e.g. '{}'",
        path.display(), examples[0].display(), examples[1].display(), folder::pattern(path, &examples[0])
    )]
    SeveralFormats {
        /// The folder.
        path: PathBuf,
        /// A table of one format, and one of another.
        examples: [PathBuf; 2],
    },
    /// It looks like an address on the hub and is none.
    #[error("{address} cannot be read")]
    HubFile {
        /// The address.
        address: String,
        /// What is wrong with it.
        #[source]
        source: HubFileError,
    },
    /// The hub has the repository, and nothing of this name in it.
    #[error("{address} is not there: the {repo} has no file or folder of this name; look for a slip in it")]
    NotOnHub {
        /// The address.
        address: String,
        /// The repository.
        repo: RepoId,
    },
    /// There is nothing that could be scored in a folder of the hub.
    #[error("{address} has no table; of pictures in folders, fetch the folder first with `hf download`, and name that")]
    NoTables {
        /// The address.
        address: String,
    },
    /// The hub cannot be asked, and nothing of this name is in the cache.
    #[error("{address} is not in the cache, and the hub cannot be asked for it; run once with a network")]
    NotInCache {
        /// The address.
        address: String,
    },
    /// The hub has no such repository, gives it only to some, or cannot be asked.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Standard input can only be read alone.
    #[error("standard input cannot be one of several inputs; write it to a file first, or give it alone")]
    StdinAmongOthers,
    /// A folder cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The folder, or what is in it.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl InputsError {
    /// Whether the command line is wrong rather than the world.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Read { .. } | Self::NotInCache { .. } | Self::Hub(_))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn bench(names: &[&str]) -> tempfile::TempDir {
        let bench = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = bench.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("creatable");
            fs::write(path, "").expect("writable");
        }
        bench
    }

    /// The files that words in the bench mean, and their names in a folder that they go to.
    fn expanded(bench: &tempfile::TempDir, words: &[&str]) -> Result<Vec<(String, String)>, InputsError> {
        let words: Vec<_> = words.iter().map(|word| bench.path().join(word)).collect();
        let relative = |path: &Path| {
            let path = path.strip_prefix(bench.path()).expect("in the bench");
            path.to_string_lossy().replace('\\', "/")
        };
        let input = expand(&words, &FetchOptions::default())?;
        let names = input.names().map(|name| name.to_string_lossy().replace('\\', "/"));
        Ok(input.files().map(relative).zip(names).collect())
    }

    #[test]
    fn words_become_files_in_order() {
        let bench =
            bench(&["b.csv", "a.csv", "d/2.csv", "d/1.csv", "d/e/3.csv", "d/.4.csv", "[x].csv", "x.csv", "{1..2}.csv"]);
        for (words, files) in [
            (vec!["b.csv", "a.csv"], vec!["b.csv", "a.csv"]),
            (vec!["d/*.csv"], vec!["d/1.csv", "d/2.csv"]),
            (vec!["d/**/*.csv"], vec!["d/1.csv", "d/2.csv", "d/e/3.csv"]),
            (vec!["b.csv", "d/?.csv"], vec!["b.csv", "d/1.csv", "d/2.csv"]),
            (vec!["d/{2,1}.csv"], vec!["d/2.csv", "d/1.csv"]),
            (vec!["d/{1..3}.csv"], vec!["d/1.csv", "d/2.csv", "d/3.csv"]),
            (vec!["{d,d/e}/*.csv"], vec!["d/1.csv", "d/2.csv", "d/e/3.csv"]),
            (vec!["no such.csv"], vec!["no such.csv"]),
            // Names that are there.
            (vec!["[x].csv"], vec!["[x].csv"]),
            (vec!["{1..2}.csv"], vec!["{1..2}.csv"]),
        ] {
            let found = expanded(&bench, &words).expect("files");
            assert_eq!(found.iter().map(|(file, _)| file).collect::<Vec<_>>(), files, "{words:?}");
        }
    }

    #[test]
    fn folders_have_their_tables() {
        let bench = bench(&[
            "t/b.csv",
            "t/de/a.csv.gz",
            "t/readme.md",
            "t/.x.csv",
            "t/.git/y.csv",
            "t/b.csv.errors.csv",
            "p/a.jpg",
        ]);
        let found = expanded(&bench, &["t"]).expect("tables");
        assert_eq!(
            found,
            [("t/b.csv", "b.csv"), ("t/de/a.csv.gz", "de/a.csv.gz")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        let pictures = expand(&[bench.path().join("p")], &FetchOptions::default()).expect("pictures");
        assert_eq!(pictures, Input::Pictures(bench.path().join("p")));
    }

    #[test]
    fn what_means_nothing_is_told() {
        let bench = bench(&["e/readme.md", "m/0.tar", "m/0.parquet", "a.csv"]);
        for (words, told) in [
            (vec!["a*.tsv"], "a*.tsv matches no file"),
            (vec!["a.csv", "{0..1}*.csv"], "0*.csv matches no file"),
            (vec!["[.csv"], "[.csv is no pattern"),
            (vec!["{0..99999999}.csv"], "stands for more than"),
            (vec!["e"], "without a table or a picture"),
            (vec!["m"], "with tables of several formats"),
        ] {
            let error = expanded(&bench, &words).expect_err("nothing");
            assert!(error.is_usage() && error.to_string().contains(told), "{error}");
        }
        let error = expand(&["-", "a.csv"], &FetchOptions::default()).expect_err("two readers");
        assert!(matches!(error, InputsError::StdinAmongOthers), "{error}");
        assert_eq!(expand(&["-"], &FetchOptions::default()).expect("alone"), Input::Stdin);
    }

    #[test]
    fn addresses_of_objects_are_no_names_of_files() {
        let files = |word: &str| {
            let input = expand(&[word], &FetchOptions::default()).expect("nothing is asked");
            input.files().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        for (word, expected) in [
            ("s3://b/t/{08..10}.tar", vec!["s3://b/t/08.tar", "s3://b/t/09.tar", "s3://b/t/10.tar"]),
            ("gs://{a,b}/1.csv", vec!["gs://a/1.csv", "gs://b/1.csv"]),
            ("az://b/a b.csv", vec!["az://b/a b.csv"]),
            // Told when it is opened.
            ("s3://b//*.csv", vec!["s3://b//*.csv"]),
        ] {
            assert_eq!(files(word), expected, "{word}");
        }
    }
}
