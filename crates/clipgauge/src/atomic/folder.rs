//! Folders that appear whole or not at all: filled beside their place, synced, renamed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

use super::{AtomicError, folder_of, is_object, partial_path, sync_folder, without_path};

/// A folder under way. One that is not committed is removed.
///
/// Nothing that stands at its place is ever written over, but for an empty folder: other than a file, a folder may hold
/// anything.
#[derive(Debug)]
pub struct AtomicFolder {
    target: PathBuf,
    folder: TempDir,
}

impl AtomicFolder {
    /// Begins the folder that is to stand at `target`.
    ///
    /// # Errors
    ///
    /// The folder round it is not there or not writable, or something stands at `target`.
    pub fn create(target: &Path) -> Result<Self, AtomicError> {
        if is_object(target) {
            return Err(AtomicError::FolderOfObjects { path: target.to_owned() });
        }
        let round = folder_of(target);
        if !round.is_dir() {
            return Err(AtomicError::NoFolder { folder: round.to_owned(), path: target.to_owned() });
        }
        let Some(name) = target.file_name().filter(|_| !is_taken(target)) else {
            return Err(AtomicError::Taken { path: target.to_owned() });
        };
        let mut prefix = name.to_owned();
        prefix.push(".");
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".partial");
        #[cfg(unix)]
        {
            // Less the umask, as every new folder; `tempfile` alone would close it to others.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        let folder = builder.tempdir_in(round);
        let folder = folder.map_err(|source| AtomicError::Create {
            path: target.to_owned(),
            folder: round.to_owned(),
            source: without_path(source),
        })?;
        Ok(Self { target: target.to_owned(), folder })
    }

    /// Where it is filled.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where it will stand.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts the folder in its place. Its files must have been synced; folders in it are synced here.
    ///
    /// # Errors
    ///
    /// Something stands there by now, or the system refuses.
    pub fn commit(self) -> Result<(), AtomicError> {
        let target = self.target.clone();
        self.settle(&target)
    }

    /// Puts the unfinished folder at `TARGET.partial`, or where that is taken at `TARGET.2.partial` and so on, and
    /// returns that path.
    ///
    /// # Errors
    ///
    /// As [`AtomicFolder::commit`].
    pub fn keep_partial(self) -> Result<PathBuf, AtomicError> {
        let numbered = |number: u32| {
            let mut name = self.target.as_os_str().to_owned();
            name.push(format!(".{number}"));
            partial_path(Path::new(&name))
        };
        let mut places = std::iter::once(partial_path(&self.target)).chain((2..).map(numbered));
        let place = places.find(|place| !is_taken(place)).unwrap_or_else(|| partial_path(&self.target));
        self.settle(&place)?;
        Ok(place)
    }

    fn settle(self, place: &Path) -> Result<(), AtomicError> {
        let fails = |source| AtomicError::Write { path: place.to_owned(), source };
        sync_all(self.folder.path()).map_err(fails)?;
        // An empty folder is no loss; one that is not empty cannot be removed so.
        if place.is_dir() {
            fs::remove_dir(place).map_err(fails)?;
        }
        fs::rename(self.folder.path(), place).map_err(fails)?;
        // Moved away: there is nothing left to be removed.
        let _ = self.folder.keep();
        sync_folder(folder_of(place)).map_err(fails)
    }
}

/// Whether anything stands there but an empty folder.
fn is_taken(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::symlink_metadata(path).is_ok(),
        Err(_) => true,
    }
}

/// Makes the names in a folder, and in the folders in it, last through a power cut.
fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        }
    }
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("readable")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn filled(target: &Path) -> AtomicFolder {
        let folder = AtomicFolder::create(target).expect("creatable");
        fs::create_dir(folder.path().join("in")).expect("creatable");
        fs::write(folder.path().join("in/file"), "x").expect("writable");
        folder
    }

    #[test]
    fn a_folder_appears_when_it_is_committed_and_else_leaves_no_trace() {
        let bench = tempfile::tempdir().expect("a folder");
        let target = bench.path().join("out");
        drop(filled(&target));
        assert!(names(bench.path()).is_empty());
        let folder = filled(&target);
        assert!(!target.exists());
        folder.commit().expect("committed");
        assert_eq!(names(bench.path()), ["out"]);
        assert_eq!(fs::read_to_string(target.join("in/file")).expect("readable"), "x");
    }

    #[test]
    fn only_an_empty_folder_may_stand_there() {
        let bench = tempfile::tempdir().expect("a folder");
        let target = bench.path().join("out");
        fs::create_dir(&target).expect("creatable");
        filled(&target).commit().expect("committed");
        for taken in [&target, &target.join("in/file"), Path::new("/"), Path::new("..")] {
            let refused = AtomicFolder::create(taken).expect_err("taken");
            assert!(matches!(refused, AtomicError::Taken { .. }), "{}: {refused}", taken.display());
            assert!(refused.is_usage());
        }
    }

    #[test]
    fn what_is_unfinished_gets_a_place_of_its_own() {
        let bench = tempfile::tempdir().expect("a folder");
        let target = bench.path().join("out");
        for name in ["out.partial", "out.2.partial"] {
            assert_eq!(filled(&target).keep_partial().expect("kept"), bench.path().join(name));
        }
        assert_eq!(names(bench.path()), ["out.2.partial", "out.partial"]);
    }
}
