//! The shards in their folder, each of which appears when it is full, or at the end of the run.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::PathBuf;

use crate::atomic::{AtomicError, AtomicFile, make_folder};
use crate::options::ScoreOptions;
use crate::save_images::{SaveImages, SaveImagesError, SavedImages};
use crate::table::webdataset::write_end;

use super::Spooled;

/// What the names of shards end in.
const TAR: &str = ".tar";

/// How many digits their numbers have at least, as in img2dataset.
const DIGITS: usize = 5;

/// The shards under way.
pub(in crate::pipeline) struct ImageShards {
    saved: SaveImages,
    /// What names begin with: the part of the table, if it is one.
    prefix: String,
    current: Option<Current>,
    /// How many are whole, and how many pictures are in them.
    shards: u64,
    images: u64,
}

struct Current {
    file: AtomicFile,
    images: u64,
    written: u64,
}

impl ImageShards {
    /// Makes the folder if need be, and begins the first shard, so that what can fail fails now.
    ///
    /// # Errors
    ///
    /// There are shards already, somebody else is writing them, or nothing can be written there.
    pub(in crate::pipeline) fn create(options: &ScoreOptions, saved: &SaveImages) -> Result<Self, SaveImagesError> {
        let prefix = options.shard.map_or_else(String::new, |shard| {
            // As many digits as the last part's number has, so that names sort as parts do.
            let digits = (shard.count().get() - 1).to_string().len();
            format!("{:0digits$}-", shard.index())
        });
        let mut shards = Self { saved: saved.clone(), prefix, current: None, shards: 0, images: 0 };
        make_folder(&saved.folder)?;
        shards.clear()?;
        shards.current = Some(shards.begin()?);
        Ok(shards)
    }

    /// Refuses a folder with shards that would be written over, and removes what is left of killed runs.
    fn clear(&self) -> Result<(), SaveImagesError> {
        let folder = &self.saved.folder;
        let fails = |source| AtomicError::Write { path: folder.clone(), source };
        let paths =
            fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>());
        // In their order, so that the first one is named.
        let paths: BTreeSet<PathBuf> = paths.map_err(fails)?;
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(rest) = name.strip_prefix(&self.prefix) else { continue };
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            match rest[digits..].strip_prefix(TAR) {
                Some("" | ".partial") if digits >= DIGITS => return Err(SaveImagesError::Taken { path }),
                Some(rest) if digits >= DIGITS && rest.ends_with(".partial") => {
                    let is_locked =
                        File::open(&path).map(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
                    if is_locked.unwrap_or(false) {
                        return Err(SaveImagesError::Busy { folder: folder.clone() });
                    }
                    let removed = fs::remove_file(&path);
                    tracing::info!(path = %path.display(), ?removed, "removing the unfinished shard of an earlier run");
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.saved.folder.join(format!("{}{:0DIGITS$}{TAR}", self.prefix, self.shards))
    }

    fn begin(&self) -> Result<Current, AtomicError> {
        let mut file = AtomicFile::create(&self.path())?;
        let written = file.written().map_err(|source| AtomicError::Write { path: self.path(), source })?;
        // By which another run knows that this one is alive. Where there are no locks, it does not.
        if let Some(Err(TryLockError::Error(error))) = written.map(File::try_lock) {
            tracing::warn!(%error, path = %self.path().display(), "the shard cannot be locked");
        }
        Ok(Current { file, images: 0, written: 0 })
    }

    /// Puts a sample into the shard that is its own.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub(in crate::pipeline) fn add(&mut self, sample: &Spooled) -> Result<(), AtomicError> {
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.begin()?,
        };
        let copied = io::copy(&mut sample.bytes(), &mut current.file);
        current.written += copied.map_err(|source| AtomicError::Write { path: self.path(), source })?;
        current.images += 1;
        if current.images < self.saved.shard_size.get() as u64 {
            self.current = Some(current);
            return Ok(());
        }
        self.commit(current)
    }

    fn commit(&mut self, current: Current) -> Result<(), AtomicError> {
        let Current { file, images, .. } = self.ended(current)?;
        file.commit()?;
        self.shards += 1;
        self.images += images;
        Ok(())
    }

    fn ended(&self, mut current: Current) -> Result<Current, AtomicError> {
        let ended = write_end(current.written, &mut current.file).and_then(|()| current.file.flush());
        ended.map_err(|source| AtomicError::Write { path: self.path(), source })?;
        Ok(current)
    }

    /// Makes the last shard appear, if there is anything in it.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub(in crate::pipeline) fn finish(mut self) -> Result<SavedImages, AtomicError> {
        if let Some(current) = self.current.take().filter(|current| current.images > 0) {
            self.commit(current)?;
        }
        Ok(self.saved(None))
    }

    /// Keeps what is in the last shard where it cannot be taken for a whole one.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub(in crate::pipeline) fn keep_partial(mut self) -> Result<SavedImages, AtomicError> {
        let Some(current) = self.current.take().filter(|current| current.images > 0) else {
            return Ok(self.saved(None));
        };
        let place = self.ended(current)?.file.keep_partial()?;
        Ok(self.saved(place))
    }

    fn saved(&self, partial: Option<PathBuf>) -> SavedImages {
        SavedImages { folder: self.saved.folder.clone(), images: self.images, shards: self.shards, partial }
    }
}
