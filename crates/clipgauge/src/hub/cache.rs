//! The hub's cache on disk, laid out as `huggingface_hub` does (see its guide "Understand caching"): contents by their
//! hash in `blobs`, a folder of links to them for each commit in `snapshots`, branches and tags in `refs`, and what a
//! commit lacks in `.no_exist`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::hub::choice::{Part, is_usable};
use crate::hub::error::HubError;
use crate::hub::repo::{RepoId, RepoKind};

/// How many hexadecimal digits a commit has.
const COMMIT_LENGTH: usize = 40;

/// The part of the cache that belongs to one repository.
#[derive(Debug)]
pub(super) struct RepoCache {
    /// The cache of all repositories.
    all: PathBuf,
    /// The repository's own folder name.
    name: String,
}

impl RepoCache {
    pub(super) fn new(all: &Path, id: &RepoId) -> Self {
        Self { all: all.to_owned(), name: id.folder() }
    }

    fn own(&self) -> PathBuf {
        self.all.join(&self.name)
    }

    /// The folder with the files of a commit, under their names.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.own().join("snapshots").join(commit)
    }

    /// A file of a commit.
    pub(super) fn pointer(&self, commit: &str, file: &str) -> PathBuf {
        self.snapshot(commit).join(file)
    }

    /// Contents by their hash.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.own().join("blobs").join(etag)
    }

    /// Contents while they arrive.
    pub(super) fn partial(&self, etag: &str) -> PathBuf {
        self.own().join("blobs").join(format!("{etag}.incomplete"))
    }

    /// The file whose lock says who downloads these contents.
    pub(super) fn lock(&self, etag: &str) -> PathBuf {
        self.all.join(".locks").join(&self.name).join(format!("{etag}.lock"))
    }

    /// The commit that a revision stood for when it was last asked for; a commit stands for itself.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let commit = fs::read_to_string(self.reference(revision)).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| super::name::is_safe_path(commit))
    }

    /// Remembers what commit a revision stands for.
    pub(super) fn remember(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.reference(revision);
        let mut temporary = path.clone().into_os_string();
        temporary.push(format!(".{:08x}.tmp", fastrand::u32(..)));
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            // Renamed, so that nobody reads half of it.
            fs::write(&temporary, commit)?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|source| HubError::cache(&path, source))
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.own().join("refs").join(revision)
    }

    /// Whether it is known that a commit has no such file.
    pub(super) fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absence(commit, file).is_file()
    }

    /// Remembers that a commit has no such file.
    pub(super) fn remember_absent(&self, commit: &str, file: &str) -> io::Result<()> {
        let path = self.absence(commit, file);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::OpenOptions::new().create(true).append(true).open(path).map(drop)
    }

    fn absence(&self, commit: &str, file: &str) -> PathBuf {
        self.own().join(".no_exist").join(commit).join(file)
    }

    /// Gives contents their name in a commit: by a relative link, so that the cache can be moved; where links cannot be
    /// made, by moving them if they are new, else by a copy.
    pub(super) fn link(&self, etag: &str, commit: &str, file: &str, is_new: bool) -> Result<(), HubError> {
        let (blob, pointer) = (self.blob(etag), self.pointer(commit, file));
        // Out of the file's own folders, the commit and `snapshots`.
        let up = 2 + file.matches('/').count();
        let mut target = PathBuf::new();
        target.extend(std::iter::repeat_n("..", up));
        target.extend(["blobs", etag]);

        let link = || {
            fs::create_dir_all(pointer.parent().unwrap_or(&pointer))?;
            // One that leads nowhere would be in the way.
            if pointer.is_symlink() && !pointer.exists() {
                fs::remove_file(&pointer)?;
            }
            match symlink(&target, &pointer) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) if is_new => {
                    tracing::debug!(%error, "no links in this cache");
                    fs::rename(&blob, &pointer)
                }
                Err(error) => {
                    tracing::debug!(%error, "no links in this cache");
                    fs::copy(&blob, &pointer).map(drop)
                }
                Ok(()) => Ok(()),
            }
        };
        link().map_err(|source| HubError::cache(&pointer, source))
    }
}

/// A model that is in the cache, or a part of it.
#[derive(Debug)]
pub(crate) struct CachedModel {
    /// Its id.
    pub(crate) id: String,
    /// Bytes on disk, of all its commits.
    pub(crate) bytes: u64,
    /// The folders of its commits.
    pub(crate) snapshots: Vec<PathBuf>,
    /// The commits that can be loaded.
    pub(crate) usable: Vec<String>,
}

/// The models in a cache, sorted by id. What cannot be read is left out.
pub(crate) fn cached_models(all: &Path) -> Vec<CachedModel> {
    let mut models: Vec<_> = entries(all)
        .filter_map(|folder| {
            let id = folder.file_name()?.to_str()?.strip_prefix("models--")?.replace("--", "/");
            let cache = RepoCache::new(all, &RepoId { kind: RepoKind::Model, name: id.clone() });
            let snapshots: Vec<_> = entries(&folder.join("snapshots")).filter(|path| path.is_dir()).collect();
            let commits = snapshots.iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
            let usable = commits.filter(|commit| is_usable(&cache, commit, Part::All)).collect();
            let bytes = size(&folder.join("blobs")) + snapshots.iter().map(|folder| size(folder)).sum::<u64>();
            Some(CachedModel { id, bytes, snapshots, usable })
        })
        .collect();
    models.sort_by(|a, b| a.id.cmp(&b.id));
    models
}

/// Bytes of the files in a folder and those below it; links are not followed.
fn size(folder: &Path) -> u64 {
    let of = |path: PathBuf| match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => size(&path),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    };
    entries(folder).map(of).sum()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Whether a revision is the full name of a commit.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == COMMIT_LENGTH && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> RepoId {
        RepoId { kind: RepoKind::Model, name: name.to_owned() }
    }

    #[test]
    fn references_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let cache = RepoCache::new(folder.path(), &model("org/name"));
        let commit = "0123456789".repeat(4);
        assert_eq!(cache.commit("main"), None);
        assert_eq!(cache.commit(&commit).as_ref(), Some(&commit), "stands for itself");
        cache.remember("main", &commit).unwrap();
        cache.remember("refs/pr/1", &commit).unwrap();
        assert_eq!(cache.commit("main").as_ref(), Some(&commit));
        assert_eq!(fs::read_to_string(folder.path().join("models--org--name/refs/refs/pr/1")).unwrap(), commit);
        assert_eq!(
            fs::read_dir(folder.path().join("models--org--name/refs")).unwrap().count(),
            2,
            "nothing is left over"
        );
        fs::write(folder.path().join("models--org--name/refs/main"), "../../../etc").unwrap();
        assert_eq!(cache.commit("main"), None, "no commit");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_relative() {
        let folder = tempfile::tempdir().unwrap();
        let cache = RepoCache::new(folder.path(), &model("name"));
        fs::create_dir_all(cache.blob("e").parent().unwrap()).unwrap();
        fs::write(cache.blob("e"), "content").unwrap();
        for (file, target) in [("a.json", "../../blobs/e"), ("b/c.json", "../../../blobs/e")] {
            // Twice: somebody else may have been there.
            cache.link("e", "commit", file, true).unwrap();
            cache.link("e", "commit", file, false).unwrap();
            let pointer = folder.path().join("models--name/snapshots/commit").join(file);
            assert_eq!(fs::read_link(&pointer).unwrap(), Path::new(target));
            assert_eq!(fs::read(&pointer).unwrap(), b"content");
        }
    }
}
