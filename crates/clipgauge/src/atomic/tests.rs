//! What stands in the folder after each way in which a file can end.

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("writable");
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("readable")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("readable");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn begin(&self, name: &str) -> AtomicFile {
        let mut file = AtomicFile::create(&self.path(name)).expect("creatable");
        file.write_all(b"new").expect("writable");
        file
    }
}

#[test]
fn a_committed_file_is_there_and_nothing_else() {
    let folder = Folder::new();
    folder.put("out.csv", "old");
    let file = folder.begin("out.csv");
    assert_eq!(folder.text("out.csv"), "old");
    file.commit().expect("committable");
    assert_eq!(folder.text("out.csv"), "new");
    assert_eq!(folder.names(), ["out.csv"]);
}

#[test]
fn a_dropped_file_leaves_no_trace() {
    let folder = Folder::new();
    folder.put("out.csv", "old");
    drop(folder.begin("out.csv"));
    drop(folder.begin("other.csv"));
    AtomicFile::check(&folder.path("third.csv")).expect("creatable");
    assert_eq!(folder.text("out.csv"), "old");
    assert_eq!(folder.names(), ["out.csv"]);
}

#[test]
fn an_unfinished_file_is_kept_under_another_name() {
    let folder = Folder::new();
    folder.put("out.csv", "old");
    folder.put("out.csv.partial", "older");
    let kept = folder.begin("out.csv").keep_partial().expect("keepable").expect("a file");
    assert_eq!(kept, folder.path("out.csv.partial"));
    assert_eq!(folder.text("out.csv"), "old");
    assert_eq!(folder.text("out.csv.partial"), "new");
    assert_eq!(folder.names(), ["out.csv", "out.csv.partial"]);
}

#[test]
fn two_at_once_do_not_meet() {
    let folder = Folder::new();
    let (first, second) = (folder.begin("out.csv"), folder.begin("out.csv"));
    first.commit().expect("committable");
    second.commit().expect("committable");
    assert_eq!(folder.names(), ["out.csv"]);
}

#[test]
fn folders_that_are_not_there_are_named() {
    let folder = Folder::new();
    let missing = AtomicFile::create(&folder.path("no/out.csv")).expect_err("no such folder");
    assert!(missing.is_usage() && missing.to_string().contains("there is no folder"), "{missing}");
    let itself = AtomicFile::create(folder.0.path()).expect_err("a folder");
    assert!(itself.is_usage() && itself.to_string().contains("it is a folder"), "{itself}");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn permissions_of_a_replaced_file_stay_and_new_ones_are_as_usual() {
        let folder = Folder::new();
        folder.put("usual", "");
        folder.put("out.csv", "old");
        fs::set_permissions(folder.path("out.csv"), Permissions::from_mode(0o640)).expect("settable");
        folder.begin("out.csv").commit().expect("committable");
        folder.begin("new.csv").commit().expect("committable");
        assert_eq!(mode(&folder.path("out.csv")), 0o640);
        assert_eq!(mode(&folder.path("new.csv")), mode(&folder.path("usual")));
    }

    #[test]
    fn links_stay_and_what_they_point_to_is_replaced() {
        let folder = Folder::new();
        fs::create_dir(folder.path("data")).expect("creatable");
        folder.put("data/real.csv", "old");
        symlink("data/real.csv", folder.path("out.csv")).expect("linkable");
        symlink("data/later.csv", folder.path("dangling.csv")).expect("linkable");
        folder.begin("out.csv").commit().expect("committable");
        folder.begin("dangling.csv").commit().expect("committable");
        assert_eq!(folder.text("data/real.csv"), "new");
        assert_eq!(folder.text("data/later.csv"), "new");
        assert!(folder.path("out.csv").is_symlink() && folder.path("dangling.csv").is_symlink());
    }

    #[test]
    fn a_circle_of_links_is_an_error() {
        let folder = Folder::new();
        symlink("b", folder.path("a")).expect("linkable");
        symlink("a", folder.path("b")).expect("linkable");
        assert!(matches!(AtomicFile::create(&folder.path("a")), Err(AtomicError::Write { .. })));
    }

    #[test]
    fn devices_are_written_to_and_stay_devices() {
        let null = Path::new("/dev/null");
        let before = fs::metadata(null).expect("there").rdev();
        AtomicFile::check(null).expect("writable");
        let mut file = AtomicFile::create(null).expect("writable");
        file.write_all(b"x").expect("writable");
        file.commit().expect("writable");
        assert_eq!(fs::metadata(null).expect("still there").rdev(), before);
    }

    #[test]
    fn a_link_to_a_device_is_written_to() {
        let folder = Folder::new();
        symlink("/dev/null", folder.path("out.csv")).expect("linkable");
        folder.begin("out.csv").commit().expect("writable");
        assert!(folder.path("out.csv").is_symlink());
        assert_eq!(folder.names(), ["out.csv"]);
    }

    #[test]
    fn a_full_disk_leaves_no_file() {
        // `/dev/full` takes nothing, as a disk without room.
        let Ok(mut file) = AtomicFile::create(Path::new("/dev/full")) else { return };
        let written = file.write_all(&[0; 2 * WRITE_BUFFER]);
        assert!(written.is_err() || matches!(file.commit(), Err(AtomicError::Write { .. })));
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_takes_no_file_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    folder.put("out.csv", "old");
    let long = "x".repeat(250);
    let error = AtomicFile::create(&folder.path(&long)).expect_err("too long with its ending");
    assert!(matches!(error, AtomicError::Create { .. }), "{error:?}");

    fs::set_permissions(folder.0.path(), Permissions::from_mode(0o555)).expect("settable");
    let created = AtomicFile::create(&folder.path("out.csv"));
    fs::set_permissions(folder.0.path(), Permissions::from_mode(0o755)).expect("settable");
    // Root may write everywhere.
    let Err(AtomicError::Create { folder: named, source, .. }) = created else { return };
    assert_eq!(named, folder.0.path());
    assert_eq!(source.to_string(), "permission denied");
}

#[test]
fn what_killed_processes_left_is_removed_and_nothing_else() {
    let folder = Folder::new();
    let mut kept =
        ["out.csv", "out.csv.partial", "out.csv.abc.partial", "out.csv.abcde-.partial", "out.csv.abcdef", "mine.csv"];
    for name in kept.iter().chain(&["out.csv.abcdef.partial", "out.csv.A1b2C3.partial"]) {
        folder.put(name, "");
    }
    // As a process that is killed: nothing is dropped.
    std::mem::forget(folder.begin("out.csv"));
    remove_leftovers(&folder.path("out.csv"));
    kept.sort_unstable();
    assert_eq!(folder.names(), kept);
}
