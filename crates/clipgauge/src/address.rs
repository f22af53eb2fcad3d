//! What an image cell means: a path, a URL, a data URI.

use std::path::{Path, PathBuf};

use crate::row::RowError;

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A file of this machine.
    File(PathBuf),
    /// `http://` or `https://`.
    Http(url::Url),
    /// A `data:` URI, whole.
    Data(String),
}

impl Address {
    /// Reads an image cell; relative paths start at `base`.
    pub fn parse(cell: &str, base: &Path) -> Result<Self, RowError> {
        Ok(Self::File(base.join(cell)))
    }
}
