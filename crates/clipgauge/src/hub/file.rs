//! Addresses of files on the Hugging Face hub, as its own libraries write them: `hf://datasets/ORG/NAME@REV/path`.
//! Paths are taken as they stand.

use std::fmt;
use std::path::Path;

use crate::hub::name::{check_id, is_safe_path};
use crate::hub::repo::{DEFAULT_REVISION, Repo, RepoId, RepoKind};

/// Where a file of the hub is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubFile {
    pub(super) repo: Repo,
    pub(super) path: String,
}

/// A repository of the hub, and what of it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubPath {
    pub(crate) repo: Repo,
    /// A file, a folder or a pattern; empty for all of the repository.
    pub(crate) path: String,
}

impl HubFile {
    /// Whether a text begins as an address of the hub does. It may still not be one.
    pub fn is_meant(text: &str) -> bool {
        text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("hf://"))
    }

    /// Reads a path as an address, if it is meant as one.
    pub(crate) fn of_path(path: &Path) -> Option<Result<Self, HubFileError>> {
        path.to_str().filter(|path| Self::is_meant(path)).map(Self::parse)
    }

    /// Reads an address.
    ///
    /// # Errors
    ///
    /// It names no repository or no file, or one that the hub could not have.
    pub fn parse(text: &str) -> Result<Self, HubFileError> {
        HubPath::parse(text)?.file()
    }

    /// The file that a relative path beside this one names.
    ///
    /// # Errors
    ///
    /// It leads out of the repository, or to no file.
    pub fn beside(&self, path: &str) -> Result<Self, HubFileError> {
        let mut parts: Vec<&str> = self.path.split('/').collect();
        parts.pop();
        for part in path.split('/') {
            match part {
                "." => {}
                ".." => {
                    parts.pop().ok_or_else(|| HubFileError::Path { path: path.to_owned() })?;
                }
                part => parts.push(part),
            }
        }
        let path = parts.join("/");
        check_path(&path)?;
        Ok(Self { path, repo: self.repo.clone() })
    }

    /// The parts of the path of its URL at a hub, still to be escaped.
    pub(crate) fn url_parts(&self) -> impl Iterator<Item = &str> {
        self.repo.id.page().chain(["resolve", self.repo.revision.as_str()]).chain(self.path.split('/'))
    }
}

impl HubPath {
    /// Reads an address, of which the path is not looked at.
    pub(crate) fn parse(text: &str) -> Result<Self, HubFileError> {
        if !HubFile::is_meant(text) {
            return Err(HubFileError::Scheme);
        }
        let rest = &text[5..];
        let (kind, rest) = match rest.split_once('/') {
            Some(("datasets", rest)) => (RepoKind::Dataset, rest),
            Some(("models", rest)) => (RepoKind::Model, rest),
            Some(("spaces" | "buckets", _)) | None => return Err(HubFileError::Scheme),
            Some(_) => (RepoKind::Model, rest),
        };
        let (org, rest) = rest.split_once('/').ok_or(HubFileError::NoFile)?;
        let end = rest.find(['/', '@']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let name = format!("{org}/{name}");
        check_id(&name).map_err(|problem| HubFileError::Repository { id: name.clone(), problem })?;
        let (revision, path) = match rest.strip_prefix('@') {
            Some(rest) => revision(rest),
            None => (DEFAULT_REVISION.to_owned(), rest.strip_prefix('/').unwrap_or(rest)),
        };
        if !is_safe_path(&revision) {
            return Err(HubFileError::Revision { revision });
        }
        Ok(Self { repo: Repo { id: RepoId { kind, name }, revision }, path: path.to_owned() })
    }

    /// The file, if it is one that could be.
    pub(crate) fn file(self) -> Result<HubFile, HubFileError> {
        check_path(&self.path)?;
        let Self { repo, path } = self;
        Ok(HubFile { repo, path })
    }
}

/// As it was written, but for what may be left out.
impl fmt::Display for HubFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.repo, self.path)
    }
}

/// A revision and what is behind it. Slashes in it are escaped, but for the hub's own references.
fn revision(text: &str) -> (String, &str) {
    for own in ["refs/convert/", "refs/pr/"] {
        if let Some(rest) = text.strip_prefix(own) {
            let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
            return (format!("{own}{name}"), path);
        }
    }
    let (revision, path) = text.split_once('/').unwrap_or((text, ""));
    (revision.replace("%2F", "/").replace("%2f", "/"), path)
}

fn check_path(path: &str) -> Result<(), HubFileError> {
    if path.is_empty() {
        return Err(HubFileError::NoFile);
    }
    let is_bad =
        |part: &str| part.is_empty() || matches!(part, "." | "..") || part.chars().any(|c| c.is_ascii_control());
    if path.split('/').any(is_bad) {
        return Err(HubFileError::Path { path: path.to_owned() });
    }
    Ok(())
}

/// Why a text is no address of a file on the hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubFileError {
    /// It does not begin like one.
    #[error("a file of the hub is like `hf://datasets/ORG/NAME/path` or `hf://ORG/NAME/path`")]
    Scheme,
    /// It names no file.
    #[error("the address names no file in a repository; it should be like `hf://datasets/ORG/NAME/path`")]
    NoFile,
    /// It names no repository.
    #[error("`{id}` cannot be a repository: {problem}")]
    Repository {
        /// The id.
        id: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It names no revision.
    #[error("`{revision}` cannot be a branch, a tag or a commit")]
    Revision {
        /// What stands for it.
        revision: String,
    },
    /// It names a file that cannot be.
    #[error("`{path}` cannot be a file of a repository")]
    Path {
        /// The path.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_repository_may_be_meant() {
        for (text, repo, path) in [
            ("hf://datasets/org/name", "hf://datasets/org/name@main", ""),
            ("hf://datasets/org/name/", "hf://datasets/org/name@main", ""),
            ("hf://datasets/org/name@refs/convert/parquet", "hf://datasets/org/name@refs%2Fconvert%2Fparquet", ""),
            ("hf://datasets/org/name@v1/a*/?.csv", "hf://datasets/org/name@v1", "a*/?.csv"),
            ("hf://org/name@v1", "hf://org/name@v1", ""),
        ] {
            let HubPath { repo: found, path: rest } = HubPath::parse(text).expect(text);
            assert_eq!((found.to_string().as_str(), rest.as_str()), (repo, path), "{text}");
        }
    }

    #[test]
    fn addresses() {
        let cases = [
            ("hf://datasets/org/name/a b/1%.jpg", Ok("datasets org name resolve main a b 1%.jpg")),
            ("HF://datasets/org/name@v1.0/1.jpg", Ok("datasets org name resolve v1.0 1.jpg")),
            ("hf://datasets/org/name@refs%2Fpr%2F1/1.jpg", Ok("datasets org name resolve refs/pr/1 1.jpg")),
            (
                "hf://datasets/org/name@refs/convert/parquet/d/0.parquet",
                Ok("datasets org name resolve refs/convert/parquet d 0.parquet"),
            ),
            ("hf://org/name/a@b.jpg", Ok("org name resolve main a@b.jpg")),
            ("hf://datasets/org/name", Err("no file")),
            ("hf://datasets/org/name/", Err("no file")),
            ("hf://datasets/org/name@v1", Err("no file")),
            ("hf://datasets/org/na..me/1.jpg", Err("cannot be a repository")),
            ("hf://datasets/org/name@../1.jpg", Err("a branch")),
            ("hf://datasets/org/name/../1.jpg", Err("cannot be a file")),
            ("hf://datasets/org/name/a//1.jpg", Err("cannot be a file")),
            ("hf://spaces/org/name/1.jpg", Err("is like")),
        ];
        for (text, expected) in cases {
            match (HubFile::parse(text), expected) {
                (Ok(file), Ok(parts)) => {
                    assert_eq!(file.url_parts().collect::<Vec<_>>().join(" "), parts, "{text}");
                    assert_eq!(HubFile::parse(&file.to_string()), Ok(file), "{text}");
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
                (found, expected) => panic!("{text}: {found:?} instead of {expected:?}"),
            }
        }
    }
}
