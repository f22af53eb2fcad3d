//! Where a table's bytes come from: a pipe, a file, an object in a bucket. One of the hub is a file in the hub's cache.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

#[cfg(feature = "object-store")]
use crate::atomic::is_object;
use crate::hub::{self, HubFile, HubOptions};
use crate::objects::ObjectUrl;
#[cfg(feature = "object-store")]
use crate::objects::{ObjectTable, TableStores};
use crate::options::{Input, ScoreOptions};
use crate::source::FetchOptions;

use super::TableError;
#[cfg(feature = "parquet")]
use super::positioned::PositionedFile;

/// Holds the connections to the buckets of an input, which its tables share, from one of them to the next.
pub(crate) struct Connections {
    #[cfg(feature = "object-store")]
    _stores: Option<TableStores>,
}

impl Connections {
    /// Those of this input, made when they are first needed.
    #[cfg(feature = "object-store")]
    pub(crate) fn of(input: &Input, fetch: &FetchOptions) -> Self {
        let has_objects = input.files().any(is_object);
        // What is wrong is told when a table is opened.
        Self { _stores: has_objects.then(|| TableStores::new(fetch).ok()).flatten() }
    }

    /// There are none.
    #[cfg(not(feature = "object-store"))]
    pub(crate) fn of(_: &Input, _: &FetchOptions) -> Self {
        Self {}
    }
}

/// By what it is seen that a table is written to: its size, and when it was changed or what its store calls its content.
#[cfg_attr(not(feature = "object-store"), expect(unused_variables, reason = "only stores are asked"))]
pub(crate) fn stamp(path: &Path, fetch: &FetchOptions) -> Option<String> {
    #[cfg(feature = "object-store")]
    if let Some(url) = ObjectUrl::of_path(path) {
        let table = ObjectTable::find(&url.ok()?, fetch).ok()?;
        return Some(format!("{} {}", table.size(), table.version()));
    }
    let metadata = on_disk(path).metadata().ok()?;
    Some(format!("{} {:?}", metadata.len(), metadata.modified().ok()?))
}

/// Where a table lies on this machine: one of the hub in the hub's cache, once it was fetched.
pub(crate) fn on_disk(path: &Path) -> Cow<'_, Path> {
    let of_hub = || hub::cached(&HubFile::of_path(path)?.ok()?, &HubOptions::from_env());
    of_hub().map_or(Cow::Borrowed(path), Cow::Owned)
}

/// A table that is there, and of which nothing was read yet.
pub(super) enum TableSource {
    Stdin,
    /// What cannot be read twice: a named pipe, a device.
    Pipe(File),
    File(File, u64),
    #[cfg(feature = "object-store")]
    Object(ObjectTable),
}

impl TableSource {
    /// Opens the input of a run.
    pub(super) fn open(options: &ScoreOptions) -> Result<Self, TableError> {
        let Input::File(path) = &options.input else { return Ok(Self::Stdin) };
        let name = || options.input.to_string();
        if let Some(url) = ObjectUrl::of_path(path) {
            let url = url.map_err(|source| TableError::ObjectUrl { name: name(), source })?;
            return Self::object(&url, options);
        }
        let fails = |source| TableError::Read { name: name(), source };
        let file = File::open(on_disk(path)).map_err(fails)?;
        let metadata = file.metadata().map_err(fails)?;
        if metadata.is_dir() {
            return Err(TableError::IsFolder { name: name() });
        }
        Ok(if metadata.is_file() { Self::File(file, metadata.len()) } else { Self::Pipe(file) })
    }

    #[cfg(feature = "object-store")]
    fn object(url: &ObjectUrl, options: &ScoreOptions) -> Result<Self, TableError> {
        let found = ObjectTable::find(url, &options.fetch);
        found.map(Self::Object).map_err(|source| TableError::Read { name: url.to_string(), source })
    }

    #[cfg(not(feature = "object-store"))]
    fn object(url: &ObjectUrl, _: &ScoreOptions) -> Result<Self, TableError> {
        Err(TableError::NoObjectStores { name: url.to_string() })
    }

    /// How many bytes there are, if that is known.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Stdin | Self::Pipe(_) => None,
            Self::File(_, size) => Some(*size),
            #[cfg(feature = "object-store")]
            Self::Object(table) => Some(table.size()),
        }
    }

    /// Its bytes from the first to the last.
    pub(super) fn read(self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::Pipe(file) | Self::File(file, _) => Box::new(file),
            #[cfg(feature = "object-store")]
            Self::Object(table) => Box::new(table.read()?),
        })
    }

    /// Its bytes by their places, if they can be had so; else itself.
    #[cfg(feature = "parquet")]
    pub(super) fn positioned(self) -> Result<PositionedFile, Self> {
        match self {
            Self::File(file, size) => Ok(PositionedFile::new(file, size)),
            #[cfg(feature = "object-store")]
            Self::Object(table) => Ok(PositionedFile::of_object(table)),
            pipe => Err(pipe),
        }
    }
}
