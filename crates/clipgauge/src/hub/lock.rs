//! One download of the same contents at a time, over all processes that share a cache: a lock on a file that is left
//! in place, as the Python package `filelock` takes it (`flock`, or the like on Windows).

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::hub::error::HubError;
use crate::progress::Progress;

/// How often a lock that somebody else holds is tried.
const TICK: Duration = Duration::from_millis(100);

/// Waits for the lock at `path`, which lasts as long as the file that is returned.
pub(super) async fn acquire(path: &Path, progress: &dyn Progress) -> Result<File, HubError> {
    let file = open(path).map_err(|source| HubError::cache(path, source))?;
    let mut has_waited = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !has_waited {
                    progress.message("waiting for another process that downloads the same file");
                    has_waited = true;
                }
                tokio::time::sleep(TICK).await;
            }
            // Some network file systems have no locks. Two downloads at once would then show in the hash.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, path = %path.display(), "the cache cannot be locked");
                return Ok(file);
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // Writable for the group, so that users who share a cache can wait for each other.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o664);
    match options.open(path) {
        // Another user's: reading is enough to lock it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(path),
        opened => opened,
    }
}
