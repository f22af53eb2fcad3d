//! A folder of its own for each test, and the command run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Longer than any test's run, also where every core is busy.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The folder of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A folder to run the command in.
pub(crate) struct Bench {
    folder: TempDir,
}

/// What a run of the command came to.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder for the test") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file; returns the bench, to be chained.
    pub(crate) fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), content).expect("writable");
        self
    }

    /// Copies `pairs.csv` and its images from the examples.
    pub(crate) fn with_examples(self) -> Self {
        let examples = repository().join("examples");
        fs::create_dir(self.path("images")).expect("creatable");
        for image in fs::read_dir(examples.join("images")).expect("there") {
            let image = image.expect("an entry").path();
            fs::copy(&image, self.path("images").join(image.file_name().expect("a name"))).expect("copyable");
        }
        fs::copy(examples.join("pairs.csv"), self.path("pairs.csv")).expect("copyable");
        self
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}; there are {:?}", self.names()))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("UTF-8")
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("readable");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The command, to be run in the folder without anything of the user's own settings.
    pub(crate) fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("clipgauge"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("HF_HOME", self.path(".hf"))
            .env("HF_HUB_OFFLINE", "1")
            .env_remove("COLUMNS")
            .stdin(Stdio::null());
        command
    }

    /// Runs the command with words that are split at spaces.
    pub(crate) fn run(&self, args: &str) -> Ran {
        self.run_with_stdin(args, "")
    }

    pub(crate) fn run_with_stdin(&self, args: &str, stdin: impl Into<Vec<u8>>) -> Ran {
        let command = self.command(args.split_whitespace());
        let output = assert_cmd::Command::from_std(command).timeout(TIMEOUT).write_stdin(stdin).output();
        Ran::of(output.expect("the command can be run"))
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("UTF-8")
    }
}
