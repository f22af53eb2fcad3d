//! Why a model cannot be loaded: one error for every file of a model folder.

use std::borrow::Cow;
use std::io;

/// A model folder that cannot be used: which file, which field of it, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file that the model needs is not there.
    #[error("`{file}` is not in {place}")]
    MissingFile {
        /// The file's name, or the names of which one is needed.
        file: Cow<'static, str>,
        /// Where it was looked for.
        place: String,
    },
    /// A file cannot be read.
    #[error("{file} cannot be read")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any real one of its kind.
    #[error("{file} has {size} bytes, more than the {limit} that such a file may have")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file is not of the format that its name says.
    #[error("{file} is not valid: {problem}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: Cow<'static, str>,
    },
    /// A field of a file has a value that makes no sense, or none at all.
    #[error("{file}: `{field}` {problem}")]
    Field {
        /// The file.
        file: String,
        /// The field, or the tensor's name.
        field: String,
        /// What is wrong with it.
        problem: Cow<'static, str>,
    },
    /// The model is whole but of a kind that this program does not know.
    #[error("{file}: `{field}` is `{value}`, which is not supported; supported: {supported}")]
    Unsupported {
        /// The file.
        file: String,
        /// The field.
        field: String,
        /// What it says.
        value: String,
        /// What it may say.
        supported: Cow<'static, str>,
    },
}
