//! What of the pictures of a table is kept: as they were fetched or made smaller, in WebDataset shards.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use serde::Serialize;

use crate::atomic::{AtomicError, is_object};
use crate::options::{OptionsError, Output, ScoreOptions};

/// How many pictures a shard has where nothing else is said, as in img2dataset.
pub const DEFAULT_SHARD_SIZE: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not zero");

/// Where the pictures of rows that are scored and pass the filters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveImages {
    /// The folder of the shards. It is made if it is not there.
    pub folder: PathBuf,
    /// The most pixels that the shorter edge may have: pictures with more are made smaller, and become JPEG. `None` to
    /// keep every picture as it was fetched.
    pub size: Option<NonZeroU32>,
    /// How many pictures a shard has; the last one may have fewer.
    pub shard_size: NonZeroUsize,
}

impl SaveImages {
    /// Every picture as it was fetched, in shards of [`DEFAULT_SHARD_SIZE`].
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, size: None, shard_size: DEFAULT_SHARD_SIZE }
    }

    /// Whether the other options leave something to be kept, and a place for it.
    pub(crate) fn check(&self, options: &ScoreOptions) -> Result<(), OptionsError> {
        // What an earlier run has is not fetched again, so that there would be no picture of it.
        let earlier = [("--resume", options.resume.resume), ("--retry-failed", options.resume.retry_failed)];
        if let Some((flag, _)) = earlier.into_iter().find(|(_, is_given)| *is_given) {
            return Err(OptionsError::Apart { flags: ["--save-images", flag] });
        }
        if is_object(&self.folder) {
            return Err(OptionsError::NotInBucket { flag: "--save-images", path: self.folder.clone() });
        }
        match &options.output {
            // Shards that are scored may have the names of those that are saved.
            Output::Folder(folder) if crate::options::same_file_path(folder) == self.place() => {
                Err(OptionsError::SamePath { path: folder.clone(), names: ["--output", "--save-images"] })
            }
            _ => Ok(()),
        }
    }

    fn place(&self) -> PathBuf {
        crate::options::same_file_path(&self.folder)
    }
}

/// What was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SavedImages {
    /// The folder of the shards.
    pub folder: PathBuf,
    /// How many pictures are in whole shards.
    pub images: u64,
    /// How many shards there are.
    pub shards: u64,
    /// The unfinished shard of a run that was interrupted.
    pub partial: Option<PathBuf>,
}

/// Why pictures cannot be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveImagesError {
    /// There are some already.
    #[error(
        "{} is there already, and saved pictures are not written over; name another folder with --save-images, or \
         remove them first",
        path.display()
    )]
    Taken {
        /// A shard.
        path: PathBuf,
    },
    /// Another process writes to the same shards.
    #[error("another run is saving pictures in {}; name another folder with --save-images", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A shard cannot be written.
    #[error(transparent)]
    File(#[from] AtomicError),
}

impl SaveImagesError {
    /// Whether another command line would mend it.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Taken { .. } | Self::Busy { .. } => true,
            Self::File(error) => error.is_usage(),
        }
    }
}
