//! Why a model, or a table of a data set, cannot be had: each error says what it is about, the reason and, where there is one, the remedy.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;

use crate::client::cause;
use crate::client::retry::Retry;
use crate::hub::options::HubOptions;
use crate::hub::repo::{RepoId, RepoKind};

/// A model, or a file of a data set, that cannot be found or fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The name is no name of a model.
    #[error("`{name}` is no name of a model: {problem}")]
    Name {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The name begins as open_clip's do, and is none that the hub has a model for.
    #[error("`{name}` is no model of open_clip's that is known here{}", near_ones(near))]
    NoAlias {
        /// The name as given.
        name: String,
        /// Names that are like it.
        near: Vec<String>,
    },
    /// The name can only mean a folder, and there is none.
    #[error("there is no folder `{}`", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The name is that of a file.
    #[error("`{}` is a file: a model is named by the folder with its files", file.display())]
    File {
        /// The file.
        file: PathBuf,
    },
    /// The bundled model was left out when the program was built.
    #[error("`pictoclip` is not part of this program: it was built without the feature `pictoclip`")]
    NotBundled,
    /// The repository, or a file of it, is not in the cache, and the hub cannot be asked for it.
    #[error(
        "the {repo} is not in the cache ({}) and cannot be fetched: {reason}. Run once with a network{}",
        cache.display(), remedies(repo.kind)
    )]
    Unavailable {
        /// The repository.
        repo: RepoId,
        /// The cache.
        cache: PathBuf,
        /// What keeps it from being fetched.
        reason: Unreachable,
    },
    /// The hub gives the repository only to some.
    #[error("the {repo} {}", denial(repo.kind, *is_gated, *has_token, page))]
    Denied {
        /// The repository.
        repo: RepoId,
        /// Whether its terms have to be accepted.
        is_gated: bool,
        /// Whether a token was sent.
        has_token: bool,
        /// Its page.
        page: String,
    },
    /// The hub has no such repository, or the repository no such revision.
    #[error("there is no {repo} with the revision `{revision}` at {endpoint}")]
    NotFound {
        /// The repository.
        repo: RepoId,
        /// The revision.
        revision: String,
        /// The hub's address.
        endpoint: String,
    },
    /// The model has nothing that could be loaded.
    #[error("the model `{model}` has no weights that can be used; looked for {}", looked_for.join(", "))]
    NoWeights {
        /// The model's id.
        model: String,
        /// The files that would do.
        looked_for: &'static [&'static str],
    },
    /// The model names files that are not there, or that would not be in its folder.
    #[error("the model `{model}` is damaged: `{index}` names the file `{file}`, which {problem}")]
    Index {
        /// The model's id.
        model: String,
        /// The file that names it.
        index: &'static str,
        /// The file that is named.
        file: String,
        /// What is wrong with that.
        problem: &'static str,
    },
    /// The hub's answer is not what a hub would say.
    #[error("{url} does not answer as a model hub does: {problem} (`HF_ENDPOINT` says which hub is asked)")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        problem: &'static str,
        /// What the parser says.
        source: Option<serde_json::Error>,
    },
    /// What arrived is not what the hub said would.
    #[error("`{file}` of the {repo} arrived twice with other contents than the hub says ({etag})")]
    Corrupt {
        /// The repository.
        repo: RepoId,
        /// The file.
        file: String,
        /// The hash that it should have.
        etag: String,
    },
    /// The cache cannot be written: no room, or no right.
    #[error("the Hugging Face cache cannot be written: {} (`HF_HOME` sets another place)", path.display())]
    Cache {
        /// What could not be written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file's path is none that could be in the cache.
    #[error("{file} cannot be a file of this system")]
    Path {
        /// The file's address.
        file: String,
    },
    /// The hub's address is none.
    #[error("`{endpoint}` is no web address of a hub (`HF_ENDPOINT` sets it)")]
    Endpoint {
        /// The address as given.
        endpoint: String,
        /// What is wrong with it.
        source: Option<url::ParseError>,
    },
    /// The token cannot be sent.
    #[error("the token has characters that no token has (`HF_TOKEN` or `hf auth login` sets it)")]
    Token,
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The system gives no runtime for the requests.
    #[error("no requests can be made")]
    Runtime(#[source] io::Error),
    /// The run was asked to end meanwhile. What has arrived of a file is kept, and is gone on with next time.
    #[error("interrupted while the {kind} was being fetched")]
    Interrupted {
        /// What was being fetched.
        kind: RepoKind,
    },
}

impl HubError {
    pub(super) fn cache(path: &Path, source: io::Error) -> Self {
        Self::Cache { path: path.to_owned(), source }
    }

    /// The error of a repository that is not in the cache, and that this keeps from being fetched.
    pub(super) fn unavailable(repo: &RepoId, options: &HubOptions, reason: Unreachable) -> Self {
        Self::Unavailable { repo: repo.clone(), cache: options.cache.clone(), reason }
    }

    /// Whether it is no fault of the repository's or this machine's, so that an older copy of it serves.
    pub(super) fn is_the_hubs(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Denied { .. })
    }

    /// Whether, and when, trying again may help.
    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { reason, .. } => reason.retry(),
            _ => Retry::Never,
        }
    }
}

fn near_ones(near: &[String]) -> String {
    match near {
        [] => "; `clipgauge models list` shows what is".to_owned(),
        near => format!("; near ones are `{}`", near.join("`, `")),
    }
}

/// What helps beside a network.
fn remedies(kind: RepoKind) -> &'static str {
    match kind {
        RepoKind::Model => {
            ", name a folder that has the model's files (`--model ./folder`), or use the small bundled model (`--model \
             pictoclip`)"
        }
        RepoKind::Dataset => ", or name files of this machine",
    }
}

fn denial(kind: RepoKind, is_gated: bool, has_token: bool, page: &str) -> String {
    match (is_gated, has_token) {
        (true, true) => format!("is gated, and your account may not see it: ask for access at {page}"),
        (true, false) => format!("is gated: ask for access at {page}, and set `HF_TOKEN` to a token of your account"),
        (false, true) => {
            "does not exist, or is private and the token (`HF_TOKEN`) is not one that may see it".to_owned()
        }
        (false, false) => format!("does not exist, or is private: for a private {kind}, set `HF_TOKEN`"),
    }
}

/// What keeps a repository from being fetched.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unreachable {
    /// The network is to be left alone.
    Offline,
    /// There is no connection, or no answer.
    Request {
        /// Who was asked.
        host: String,
        /// What went wrong.
        error: reqwest::Error,
    },
    /// The answer is no success.
    Status {
        /// Who was asked.
        host: String,
        /// The answer.
        status: StatusCode,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// One redirect after the other, or one to nowhere.
    Redirect {
        /// Who was asked.
        host: String,
    },
    /// A file ended before it was whole.
    BrokenOff {
        /// The file.
        file: String,
        /// How many of its bytes are here.
        done: u64,
        /// How many it has.
        total: Option<u64>,
        /// What went wrong, if more than an early end.
        error: Option<reqwest::Error>,
    },
}

impl Unreachable {
    fn retry(&self) -> Retry {
        match self {
            Self::Offline | Self::Redirect { .. } => Retry::Never,
            Self::Request { error, .. } if cause::is_untrusted(error) || error.is_builder() => Retry::Never,
            Self::Request { .. } | Self::BrokenOff { .. } => Retry::Soon,
            Self::Status { status, retry_after, .. } => Retry::of_status(*status, *retry_after),
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline => f.write_str("offline mode is on (`HF_HUB_OFFLINE`)"),
            Self::Request { host, error } if error.is_timeout() => write!(f, "{host} does not answer in time"),
            Self::Request { host, error } => write!(f, "no connection to {host}: {}", cause::root(error)),
            Self::Status { host, status, .. } => write!(f, "{host} answers {status}"),
            Self::Redirect { host } => write!(f, "{host} redirects to nowhere, or too often"),
            Self::BrokenOff { file, done, total, error } => {
                write!(f, "the download of `{file}` broke off after {done} ")?;
                match total {
                    Some(total) => write!(f, "of {total} bytes")?,
                    None => f.write_str("bytes")?,
                }
                match error {
                    Some(error) => write!(f, ": {}", cause::root(error)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Error for Unreachable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Request { error, .. } | Self::BrokenOff { error: Some(error), .. } => Some(error),
            _ => None,
        }
    }
}
