//! Where the reference implementations' files are: some in the repository, all of them where they were made.

use std::path::{Path, PathBuf};

use clipgauge_core::model_files::ModelFiles;

/// Folders or files `<golden>/<below>/*`, sorted: those in the repository, and those of the full set where it is there.
pub(crate) fn entries(below: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = roots()
        .iter()
        .filter_map(|root| std::fs::read_dir(root.join(below)).ok())
        .flatten()
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    assert!(!found.is_empty(), "no golden data in {below}");
    found.sort();
    found
}

/// The one in the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    repository().join("tests/golden").join(path)
}

/// The files of a golden model.
pub(crate) fn model(name: &str) -> ModelFiles {
    ModelFiles::Folder(file("models").join(name))
}

fn roots() -> [PathBuf; 2] {
    [file(""), repository().join("../shared/golden")]
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
