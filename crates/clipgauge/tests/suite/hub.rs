//! Models from a hub: what is fetched, what is kept, and what happens when either fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use clipgauge::cancel::{Cancel, Cause};
use clipgauge::hub::{self, HubError, HubOptions, ResolvedModel, Token};
use clipgauge::progress::{Progress, Silent};
use clipgauge::table::Position;
use clipgauge_core::model_files::ModelFiles;
use clipgauge_testing::Hub;
use tempfile::TempDir;

const MODEL: &str = "org/clip";

/// Names and contents.
type Files<'a> = &'a [(&'a str, &'a [u8])];

/// What every model of these tests has beside its weights.
const TEXTS: Files =
    &[("config.json", b"{}"), ("preprocessor_config.json", b"{ }"), ("tokenizer.json", b"{\n}"), ("README.md", b"#")];

fn weights() -> Vec<u8> {
    (0..100_000u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

/// A hub with one model, and an empty cache.
struct Fixture {
    hub: Hub,
    commit: String,
    cache: TempDir,
    options: HubOptions,
}

impl Fixture {
    fn new() -> Self {
        Self::with(&[("model.safetensors", &weights()), ("pytorch_model.bin", b"not wanted")])
    }

    fn with(weights: Files) -> Self {
        let hub = Hub::start();
        let files: Vec<_> = TEXTS.iter().chain(weights).copied().collect();
        let commit = hub.add(MODEL, "main", &files);
        let cache = tempfile::tempdir().unwrap();
        let options = HubOptions {
            endpoint: hub.endpoint(),
            retries: 2,
            retry_delay: Duration::from_millis(5),
            ..HubOptions::new(cache.path().to_owned())
        };
        Self { hub, commit, cache, options }
    }

    fn resolve(&self, name: &str) -> Result<ResolvedModel, HubError> {
        hub::resolve(name, &self.options, &Silent, &Cancel::new())
    }

    fn own(&self) -> std::path::PathBuf {
        self.cache.path().join("models--org--clip")
    }

    /// The file in which the weights arrive.
    fn partial(&self) -> std::path::PathBuf {
        let mut blobs = fs::read_dir(self.own().join("blobs")).unwrap().flatten().map(|entry| entry.path());
        blobs.find(|path| path.extension().is_some_and(|ending| ending == "incomplete")).expect("a partial file")
    }
}

fn folder(model: &ResolvedModel) -> &Path {
    match &model.files {
        ModelFiles::Folder(folder) => folder,
        ModelFiles::Bundled(_) => panic!("{} is bundled", model.name),
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[track_caller]
fn assert_error(found: Result<ResolvedModel, HubError>, parts: &[&str]) -> HubError {
    let error = found.expect_err("it should fail");
    let message = error.to_string();
    let mut rest = message.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("`{part}` is not (in this order) in: {message}"));
        rest = &rest[at + part.len()..];
    }
    error
}

#[test]
fn a_model_is_fetched_into_the_layout_of_the_python_package() {
    let fixture = Fixture::new();
    let model = fixture.resolve(MODEL).unwrap();
    assert_eq!(model.name, MODEL);
    assert_eq!(model.revision.as_ref(), Some(&fixture.commit));

    let snapshot = fixture.own().join("snapshots").join(&fixture.commit);
    assert_eq!(folder(&model), snapshot);
    let wanted = ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"];
    assert_eq!(names(&snapshot), wanted.map(str::to_owned).into(), "one set of weights, and no README");
    assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
    assert_eq!(fs::read_to_string(fixture.own().join("refs/main")).unwrap(), fixture.commit);
    assert!(fixture.own().join(".no_exist").join(&fixture.commit).join("vocab.txt").is_file());

    // From `git hash-object` and `sha256sum`.
    let config = "9e26dfeeb6e641a33dae4961196235bdb965b21b";
    let blobs = names(&fixture.own().join("blobs"));
    assert!(blobs.contains(config), "{blobs:?}");
    assert_eq!(blobs.len(), 4, "nothing is left over: {blobs:?}");
    assert!(fixture.cache.path().join(".locks/models--org--clip").join(format!("{config}.lock")).is_file());
    #[cfg(unix)]
    assert_eq!(fs::read_link(snapshot.join("config.json")).unwrap(), Path::new("../../blobs").join(config));
}

#[test]
fn what_is_in_the_cache_is_not_fetched_again() {
    let fixture = Fixture::new();
    let at_commit = format!("{MODEL}@{}", fixture.commit);
    fixture.resolve(MODEL).unwrap();
    fixture.hub.forget();

    let model = fixture.resolve(&at_commit).unwrap();
    assert_eq!(model.revision.as_ref(), Some(&fixture.commit));
    assert!(fixture.hub.requests().is_empty(), "of a commit, all is known");

    fixture.resolve(MODEL).unwrap();
    assert_eq!(fixture.hub.requests().len(), 1, "of a branch, its commit has to be asked for");
    assert!(fixture.hub.storage_requests().is_empty());
}

#[test]
fn a_branch_that_has_moved_is_followed_and_shares_contents() {
    let fixture = Fixture::new();
    let old = fixture.resolve(MODEL).unwrap();
    let weights = weights();
    let files: Vec<_> = TEXTS.iter().copied().chain([("model.safetensors", &*weights), ("vocab.txt", b"a")]).collect();
    let commit = fixture.hub.add(MODEL, "main", &files);
    fixture.hub.forget();

    let new = fixture.resolve(MODEL).unwrap();
    assert_eq!(new.revision.as_ref(), Some(&commit));
    assert!(folder(&new).join("vocab.txt").is_file() && folder(&old).join("config.json").is_file());
    assert_eq!(fs::read(folder(&new).join("model.safetensors")).unwrap(), weights);
    assert!(fixture.hub.storage_requests().is_empty(), "the weights are the same");
}

#[test]
fn revisions() {
    let fixture = Fixture::new();
    let commit = fixture.hub.add(MODEL, "refs/pr/1", &[("config.json", b"{}"), ("model.safetensors", b"other")]);
    let model = fixture.resolve("org/clip@refs/pr/1").unwrap();
    assert_eq!(model.revision, Some(commit));
    assert_eq!(fs::read(folder(&model).join("model.safetensors")).unwrap(), b"other");

    let error = assert_error(fixture.resolve("org/clip@v9"), &["no model `org/clip`", "revision `v9`"]);
    assert!(matches!(error, HubError::NotFound { .. }));
    assert_error(fixture.resolve("org/other"), &["no model `org/other`", "revision `main`"]);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let fixture = Fixture::new();
    fixture.hub.cut("model.safetensors", 3);
    let model = fixture.resolve(MODEL).unwrap();
    assert_eq!(fs::read(folder(&model).join("model.safetensors")).unwrap(), weights());

    let ranges: Vec<_> =
        fixture.hub.storage_requests().iter().map(|request| request.header("range").map(str::to_owned)).collect();
    let expected = [None, Some("bytes=50000-"), Some("bytes=75000-"), Some("bytes=87500-")];
    assert_eq!(ranges, expected.map(|range| range.map(str::to_owned)));
}

#[test]
fn a_download_goes_on_in_another_run() {
    let mut fixture = Fixture::new();
    fixture.hub.cut("model.safetensors", 1);
    fixture.options.retries = 0;
    let parts =
        ["`org/clip` is not in the cache", "`model.safetensors` broke off after 50000 of 100000 bytes", "Run once"];
    assert_error(fixture.resolve(MODEL), &parts);
    assert_eq!(fs::metadata(fixture.partial()).unwrap().len(), 50_000);
    assert!(!fixture.own().join("refs/main").exists(), "never taken for whole");
    fixture.hub.forget();

    let model = fixture.resolve(MODEL).unwrap();
    assert_eq!(fs::read(folder(&model).join("model.safetensors")).unwrap(), weights());
    let [request] = fixture.hub.storage_requests().try_into().unwrap();
    assert_eq!(request.header("range"), Some("bytes=50000-"));
    assert_eq!(fixture.hub.requests().iter().filter(|request| request.path.contains("/resolve/")).count(), 1);
}

#[test]
fn a_server_without_ranges_sends_the_whole_again() {
    let fixture = Fixture::new();
    fixture.hub.ignore_ranges();
    fixture.hub.cut("model.safetensors", 1);
    let model = fixture.resolve(MODEL).unwrap();
    assert_eq!(fs::read(folder(&model).join("model.safetensors")).unwrap(), weights());
}

#[test]
fn partial_files_of_no_use_are_begun_anew() {
    for (name, left_over) in [("too long", vec![0; 100_001]), ("whole, with wrong contents", vec![0; 100_000])] {
        let mut fixture = Fixture::new();
        fixture.options.retries = 0;
        fixture.hub.cut("model.safetensors", 1);
        fixture.resolve(MODEL).expect_err(name);
        fs::write(fixture.partial(), left_over).unwrap();
        let model = fixture.resolve(MODEL).expect(name);
        assert_eq!(fs::read(folder(&model).join("model.safetensors")).unwrap(), weights(), "{name}");
    }
}

#[test]
fn wrong_contents_are_fetched_once_more_and_then_refused() {
    let fixture = Fixture::new();
    fixture.hub.tamper("model.safetensors", 1);
    let model = fixture.resolve(MODEL).unwrap();
    assert_eq!(fs::read(folder(&model).join("model.safetensors")).unwrap(), weights());

    let fixture = Fixture::new();
    fixture.hub.tamper("model.safetensors", 2);
    let error = assert_error(fixture.resolve(MODEL), &["`model.safetensors`", "`org/clip`", "other contents"]);
    assert!(matches!(error, HubError::Corrupt { .. }));
    assert_eq!(names(&fixture.own().join("blobs")).len(), 3, "nothing of it is kept");
    assert_eq!(fixture.hub.storage_requests().len(), 2);
}

#[test]
fn shards() {
    let index =
        br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}"#;
    let fixture = Fixture::with(&[
        ("model.safetensors.index.json", index),
        ("model-1.safetensors", b"one"),
        ("model-2.safetensors", b"two"),
        ("model-3.safetensors", b"not named"),
    ]);
    let model = fixture.resolve(MODEL).unwrap();
    assert_eq!(fs::read(folder(&model).join("model-2.safetensors")).unwrap(), b"two");
    assert!(!folder(&model).join("model-3.safetensors").exists());
    fixture.hub.forget();
    fixture.resolve(&format!("{MODEL}@{}", fixture.commit)).unwrap();
    assert!(fixture.hub.requests().is_empty());

    // A shard that is lost is fetched again.
    fs::remove_file(fs::canonicalize(folder(&model).join("model-1.safetensors")).unwrap()).unwrap();
    let model = fixture.resolve(MODEL).unwrap();
    assert_eq!(fs::read(folder(&model).join("model-1.safetensors")).unwrap(), b"one");
}

#[test]
fn models_that_cannot_be_used() {
    let cases: [(&str, Files, &str); 4] = [
        ("no weights", &[("model.onnx", b"")], "has no weights that can be used"),
        (
            "a shard outside of the folder",
            &[
                ("model.safetensors.index.json", br#"{"weight_map": {"a": "../../../x.safetensors"}}"#),
                ("../../../x.safetensors", b""),
            ],
            "`../../../x.safetensors`, which would lie outside",
        ),
        (
            "a shard that is missing",
            &[("model.safetensors.index.json", br#"{"weight_map": {"a": "model-1.safetensors"}}"#)],
            "`model-1.safetensors`, which it does not have",
        ),
        ("an index that is none", &[("model.safetensors.index.json", b"{}")], "no index of weights"),
    ];
    for (name, files, message) in cases {
        let fixture = Fixture::with(files);
        let error = fixture.resolve(MODEL).expect_err(name);
        assert!(error.to_string().contains(message), "{name}: {error}");
    }
}

#[test]
fn offline() {
    let mut fixture = Fixture::new();
    fixture.options.offline = true;
    let parts = ["`org/clip` is not in the cache", "offline", "Run once with a network", "./folder", "pictoclip"];
    assert_error(fixture.resolve(MODEL), &parts);
    assert!(fixture.hub.requests().is_empty());

    fixture.options.offline = false;
    fixture.resolve(MODEL).unwrap();
    fixture.hub.forget();
    fixture.options.offline = true;
    assert_eq!(fixture.resolve(MODEL).unwrap().revision.as_ref(), Some(&fixture.commit));
    assert_eq!(
        fixture.resolve(&format!("{MODEL}@{}", fixture.commit)).unwrap().revision.as_ref(),
        Some(&fixture.commit)
    );
    assert!(fixture.hub.requests().is_empty());
    assert_error(fixture.resolve("org/clip@v9"), &["not in the cache", "offline"]);
}

#[test]
fn without_a_connection_the_cache_serves() {
    let mut fixture = Fixture::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let working = std::mem::replace(&mut fixture.options.endpoint, format!("http://{free}"));
    let parts = ["`org/clip` is not in the cache", "no connection to 127.0.0.1", "Run once", "./folder", "pictoclip"];
    assert_error(fixture.resolve(MODEL), &parts);

    let broken = std::mem::replace(&mut fixture.options.endpoint, working);
    fixture.resolve(MODEL).unwrap();
    fixture.options.endpoint = broken;
    assert_eq!(fixture.resolve(MODEL).unwrap().revision.as_ref(), Some(&fixture.commit));
}

#[test]
fn a_hub_that_fails() {
    let fixture = Fixture::new();
    fixture.hub.answer_with(Some(503));
    assert_error(fixture.resolve(MODEL), &["`org/clip` is not in the cache", "127.0.0.1 answers 503", "Run once"]);
    assert_eq!(fixture.hub.requests().len(), 3, "tried, and tried again twice");
    fixture.hub.answer_with(None);
    fixture.resolve(MODEL).unwrap();
    fixture.hub.forget();
    fixture.hub.answer_with(Some(503));
    fixture.resolve(MODEL).unwrap();
    assert_eq!(fixture.hub.requests().len(), 1, "with all at hand, it is not worth waiting for");
    fixture.hub.answer_with(Some(204));
    assert_error(fixture.resolve(MODEL), &["does not answer as a model hub does", "HF_ENDPOINT"]);
}

#[test]
fn what_python_has_left_out_is_fetched() {
    let fixture = Fixture::new();
    fixture.resolve(MODEL).unwrap();
    // As after `AutoModel.from_pretrained`, which asks for no tokenizer.
    let snapshot = fixture.own().join("snapshots").join(&fixture.commit);
    fs::remove_file(snapshot.join("tokenizer.json")).unwrap();
    fs::remove_dir_all(fixture.own().join(".no_exist")).unwrap();
    let at_commit = format!("{MODEL}@{}", fixture.commit);

    fixture.resolve(&at_commit).unwrap();
    assert!(snapshot.join("tokenizer.json").is_file());
    fixture.hub.forget();
    fixture.resolve(&at_commit).unwrap();
    assert!(fixture.hub.requests().is_empty());
}

#[test]
fn weights_of_another_kind_that_are_there_serve() {
    let fixture = Fixture::new();
    fixture.resolve(MODEL).unwrap();
    let snapshot = fixture.own().join("snapshots").join(&fixture.commit);
    fs::rename(snapshot.join("model.safetensors"), snapshot.join("pytorch_model.bin")).unwrap();
    fixture.hub.forget();
    fixture.resolve(MODEL).unwrap();
    assert!(fixture.hub.storage_requests().is_empty());
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let mut fixture = Fixture::new();
    fixture.hub.require_token("secret");
    let error = assert_error(fixture.resolve(MODEL), &["`org/clip` is gated", "/org/clip", "HF_TOKEN"]);
    assert!(matches!(error, HubError::Denied { is_gated: true, has_token: false, .. }));
    fixture.options.token = Token::new("wrong");
    let error = assert_error(fixture.resolve(MODEL), &["your account may not see it"]);
    assert!(!format!("{error} {error:?} {:?}", fixture.options).contains("wrong"));
    fixture.hub.forget();

    fixture.options.token = Token::new("secret");
    fixture.resolve(MODEL).unwrap();
    for request in fixture.hub.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer secret"), "{request:?}");
    }
    let [elsewhere] = fixture.hub.storage_requests().try_into().unwrap();
    assert_eq!(elsewhere.header("authorization"), None);

    fixture.options.token = Token::new("bad\u{7f}\nvalue");
    assert_error(fixture.resolve(MODEL), &["HF_TOKEN"]);
}

#[test]
fn a_token_that_has_expired_leaves_the_cache() {
    let fixture = Fixture::new();
    fixture.resolve(MODEL).unwrap();
    fixture.hub.require_token("secret");
    assert_eq!(fixture.resolve(MODEL).unwrap().revision.as_ref(), Some(&fixture.commit));
}

#[test]
fn many_at_once_download_once() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| fixture.resolve(MODEL))).collect();
        for thread in threads {
            let model = thread.join().unwrap().unwrap();
            assert_eq!(fs::read(folder(&model).join("model.safetensors")).unwrap(), weights());
        }
    });
    assert_eq!(fixture.hub.storage_requests().len(), 1);
}

/// Remembers what it is told, and asks to end at the first byte if told so.
#[derive(Default)]
struct Watch {
    downloads: Mutex<Vec<(String, u64, Option<u64>)>>,
    cancel: Cancel,
    ends: bool,
}

impl Progress for Watch {
    fn rows(&self, _: u64, _: u64) {}
    fn input(&self, _: Position) {}
    fn message(&self, _: &str) {}

    fn download(&self, file: &str, done: u64, total: Option<u64>) {
        self.downloads.lock().unwrap().push((file.to_owned(), done, total));
        if self.ends && done > 0 {
            self.cancel.request(Cause::Interrupt);
        }
    }
}

#[test]
fn a_hub_that_sends_nothing_is_not_waited_for() {
    let mut fixture = Fixture::new();
    fixture.hub.hold("model.safetensors");
    fixture.options.stall_timeout = Duration::from_millis(100);
    fixture.options.retries = 1;
    assert_error(fixture.resolve(MODEL), &["not in the cache", "127.0.0.1 does not answer in time"]);
    assert_eq!(fixture.hub.storage_requests().len(), 2);
}

#[test]
fn progress_is_told() {
    let fixture = Fixture::new();
    fixture.hub.cut("model.safetensors", 1);
    let watch = Watch::default();
    hub::resolve(MODEL, &fixture.options, &watch, &watch.cancel).unwrap();
    let all = watch.downloads.into_inner().unwrap();
    let of_weights: Vec<_> = all.iter().filter(|(file, ..)| file == "model.safetensors").collect();
    assert!(of_weights.iter().all(|(_, done, total)| *total == Some(100_000) && *done <= 100_000));
    assert!(of_weights.is_sorted_by_key(|(_, done, _)| done), "it goes on where it was: {of_weights:?}");
    assert_eq!(of_weights.last().unwrap().1, 100_000);
    assert!(all.iter().any(|(file, done, total)| file == "config.json" && *done == 2 && *total == Some(2)));
}

#[test]
fn a_download_ends_when_asked_to() {
    let fixture = Fixture::new();
    fixture.hub.hold("model.safetensors");
    let watch = Watch { ends: true, ..Watch::default() };
    let found = hub::resolve(MODEL, &fixture.options, &watch, &watch.cancel);
    assert!(matches!(found, Err(HubError::Interrupted { .. })), "{found:?}");
}

#[test]
fn caches_that_cannot_be_written() {
    let fixture = Fixture::new();
    // A file where a folder has to be.
    fs::write(fixture.own(), "").unwrap();
    let error = assert_error(fixture.resolve(MODEL), &["cache cannot be written", "models--org--clip", "HF_HOME"]);
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn addresses_that_are_no_hub() {
    let mut fixture = Fixture::new();
    for endpoint in ["huggingface.co", "ftp://example.com"] {
        fixture.options.endpoint = endpoint.to_owned();
        assert_error(fixture.resolve(MODEL), &[endpoint, "HF_ENDPOINT"]);
    }
}

#[test]
fn names_that_are_no_ids() {
    let fixture = Fixture::new();
    let bundled = fixture.resolve("pictoclip").unwrap();
    assert!(bundled.files.contains("config.json") && bundled.revision.is_none());
    let local = fixture.resolve(fixture.cache.path().to_str().unwrap()).unwrap();
    assert_eq!(folder(&local), fixture.cache.path());
    assert!(matches!(fixture.resolve("./no/such/folder"), Err(HubError::NoFolder { .. })));
    assert!(matches!(fixture.resolve("org/na..me"), Err(HubError::Name { .. })));
    assert!(fixture.hub.requests().is_empty());
}
