//! Which repository of the hub is meant: of what kind it is, what it is called, and at which revision.

use std::fmt;

use crate::hub::cache::is_commit;

/// The branch that is meant where no revision is named.
pub(super) const DEFAULT_REVISION: &str = "main";

/// The kinds of repositories that files are fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RepoKind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
}

impl RepoKind {
    /// What the hub and its cache call all of the kind.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }

    /// What stands before a name where several kinds may be meant; models have nothing there.
    pub(super) fn prefix(self) -> Option<&'static str> {
        match self {
            Self::Model => None,
            Self::Dataset => Some(self.plural()),
        }
    }
}

/// For a person.
impl fmt::Display for RepoKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Dataset => "data set",
        })
    }
}

/// A repository, at whatever revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepoId {
    /// Its kind.
    pub kind: RepoKind,
    /// `org/name`, or `name` alone.
    pub name: String,
}

impl RepoId {
    /// The folder of its own in the cache.
    pub(super) fn folder(&self) -> String {
        format!("{}--{}", self.kind.plural(), self.name.replace('/', "--"))
    }

    /// The parts of the path of its page.
    pub(super) fn page(&self) -> impl Iterator<Item = &str> {
        self.kind.prefix().into_iter().chain(self.name.split('/'))
    }
}

/// For a person.
impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

/// A repository at a branch, a tag or a commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Repo {
    pub(super) id: RepoId,
    pub(super) revision: String,
}

impl Repo {
    pub(super) fn model(name: &str, revision: &str) -> Self {
        Self { id: RepoId { kind: RepoKind::Model, name: name.to_owned() }, revision: revision.to_owned() }
    }

    /// The same repository at another revision.
    pub(crate) fn at(&self, revision: &str) -> Self {
        Self { id: self.id.clone(), revision: revision.to_owned() }
    }

    pub(crate) fn id(&self) -> &RepoId {
        &self.id
    }

    /// Whether what is in it can never change.
    pub(crate) fn is_at_commit(&self) -> bool {
        is_commit(&self.revision)
    }
}

/// As the beginning of its files' addresses, without a slash at the end.
impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hf://")?;
        if let Some(prefix) = self.id.kind.prefix() {
            write!(f, "{prefix}/")?;
        }
        write!(f, "{}@{}", self.id.name, self.revision.replace('/', "%2F"))
    }
}
