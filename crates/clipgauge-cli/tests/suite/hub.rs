//! Models by name, through the command: from a hub and its cache, and from folders, whole and damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clipgauge_testing::Hub;

use crate::bench::{Bench, Ran, repository};

const TABLE: &str = "url,caption\napple.png,red apple\napple.png,a rocket\n";

fn bench() -> Bench {
    let picture = fs::read(repository().join("examples/images/03-1f34e-fluent-flat.png")).expect("readable");
    Bench::new().with("pairs.csv", TABLE).with("apple.png", picture)
}

/// The bundled model, as a folder.
fn pictoclip() -> PathBuf {
    repository().join("crates/clipgauge-pictoclip/model")
}

/// The command with a hub, or without a network where that hub is no more.
fn online(bench: &Bench, endpoint: &str, args: &str) -> Command {
    let mut command = bench.command(args.split(' '));
    command.env("HF_ENDPOINT", endpoint).env("HF_HUB_OFFLINE", "0").env("NO_PROXY", "*");
    command
}

fn run(mut command: Command) -> Ran {
    Ran::of(command.output().expect("the command can be run"))
}

#[test]
fn a_model_of_a_hub_is_fetched_once_and_used_from_the_cache() {
    let bench = bench();
    let hub = Hub::start();
    let commit = hub.add_folder("org/tiny", &pictoclip());
    let expected = bench.run("score pairs.csv --model pictoclip --quiet").expect_code(0).stdout;
    let args = "score pairs.csv --model org/tiny";

    // The download breaks off half-way, and goes on where it was.
    hub.cut("model.safetensors", 1);
    let ran = run(online(&bench, &hub.endpoint(), args)).expect_code(0);
    assert!(ran.stdout == expected, "other scores");
    assert!(ran.stderr.contains("model.safetensors: downloaded"), "{}", ran.stderr);
    let requests = hub.storage_requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].header("range").is_some_and(|range| range.starts_with("bytes=")), "{requests:?}");

    hub.forget();
    assert!(bench.run(&format!("{args} --summary s.json")).expect_code(0).stdout == expected, "offline");
    assert!(hub.requests().is_empty(), "offline means no request");
    assert!(bench.text("s.json").contains(&commit));
    assert!(run(online(&bench, &hub.endpoint(), args)).expect_code(0).stdout == expected, "from the cache");
    assert!(hub.storage_requests().is_empty(), "weights are fetched once");

    let endpoint = hub.endpoint();
    drop(hub);
    assert!(run(online(&bench, &endpoint, args)).expect_code(0).stdout == expected, "the hub is gone");
}

#[test]
fn images_on_the_hub_are_fetched_with_the_token_of_models() {
    let bench = bench();
    let picture = bench.read("apple.png");
    let hub = Hub::start();
    let large = "large.bin";
    hub.add("datasets/org/pictures", "main", &[("a/apple.png", &picture), (large, &picture)]);
    hub.add("datasets/org/pictures", "v2", &[("new.png", &picture)]);
    hub.require_token("secret-token");
    let table = "url,caption\n\
        hf://datasets/org/pictures/a/apple.png,red apple\n\
        hf://datasets/org/pictures@main/large.bin,red apple\n\
        hf://datasets/org/pictures@v2/new.png,red apple\n\
        hf://datasets/org/pictures/new.png,red apple\n\
        hf://datasets/org/none/new.png,red apple\n\
        hf://datasets/org,red apple\n";
    let bench = bench.with("hub.csv", table);
    let args = "score hub.csv --model pictoclip --quiet --allow-failures --error-column why --errors errors.csv";
    let expected = bench.run("score pairs.csv --model pictoclip --quiet").expect_code(0);
    let score = expected.text().lines().nth(1).and_then(|line| line.rsplit(',').next()).expect("a score").to_owned();

    let mut command = online(&bench, &hub.endpoint(), args);
    command.env("HF_TOKEN", "secret-token");
    let ran = run(command).expect_code(0);
    let ends: Vec<_> =
        ran.text().lines().skip(1).map(|line| line.split_once("red apple,").expect("a cell").1).collect();
    let good = format!("{score},");
    assert_eq!(ends, [&good, &good, &good, ",not_found", ",not_found", ",bad_address"], "{}", bench.text("errors.csv"));
    let elsewhere = hub.storage_requests();
    assert_eq!(elsewhere.len(), 1, "the large file");
    assert_eq!(elsewhere[0].header("authorization"), None, "the token is the hub's");

    let ran = run(online(&bench, &hub.endpoint(), args)).expect_code(0);
    assert_eq!(ran.text().matches(",http_status").count(), 5, "without the token: {}", ran.text());
    hub.forget();
    let ran = bench.run(args).expect_code(0);
    assert_eq!(ran.text().matches(",network").count(), 5, "offline: {}", ran.text());
    assert!(hub.requests().is_empty());
}

#[test]
fn without_a_network_and_a_cache_there_are_three_remedies() {
    let endpoint = Hub::start().endpoint();
    let bench = bench();
    let ran = run(online(&bench, &endpoint, "score pairs.csv -o out.csv --model org/tiny")).expect_code(1);
    for part in ["`org/tiny`", "Run once with a network", "--model ./folder", "--model pictoclip"] {
        assert!(ran.stderr.contains(part), "no {part}: {}", ran.stderr);
    }
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert_eq!(bench.names(), ["apple.png", "pairs.csv"]);
}

#[cfg(unix)]
#[test]
fn a_download_can_be_ended() {
    use crate::interrupts::Running;

    let bench = bench();
    let hub = Hub::start();
    hub.add_folder("org/tiny", &pictoclip());
    hub.hold("model.safetensors");
    let args = "score pairs.csv -o out.csv --model org/tiny";
    let (running, _stdin) = Running::of(online(&bench, &hub.endpoint(), args));
    running.wait_for("config.json: downloaded");
    running.send("-TERM");
    let (code, stderr) = running.end();
    assert_eq!(code, Some(143), "{stderr}");
    assert!(stderr.contains("interrupted while the model was being fetched"), "{stderr}");
    assert_eq!(bench.names(), [".hf", "apple.png", "pairs.csv"]);
}

#[test]
fn damaged_folders_are_told_in_one_sentence() {
    type Damage = fn(&Path);
    fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
        fs::write(folder.join(name), content).expect("writable");
    }
    fn edit(folder: &Path, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(folder.join(name)).expect("readable");
        assert!(text.contains(from), "{name} has no {from}");
        write(folder, name, text.replace(from, to));
    }
    let cases: [(&str, Damage, &str); 9] = [
        ("no configuration", |m| fs::remove_file(m.join("config.json")).expect("there"), "config.json"),
        ("no weights", |m| fs::remove_file(m.join("model.safetensors")).expect("there"), "model.safetensors"),
        ("no preprocessing", |m| fs::remove_file(m.join("preprocessor_config.json")).expect("there"), "preprocessor"),
        (
            "no tokenizer",
            |m| ["tokenizer.json", "vocab.json", "merges.txt"].iter().for_each(|f| drop(fs::remove_file(m.join(f)))),
            "the model `model` has no tokenizer",
        ),
        ("no JSON", |m| write(m, "config.json", "{\"model_type\":"), "config.json is not valid"),
        (
            "no model type",
            |m| edit(m, "config.json", "\"model_type\": \"clip\"", "\"model_type\": \"bert\""),
            "`bert`, which is not supported",
        ),
        ("other shapes", |m| edit(m, "config.json", "\"projection_dim\": 128", "\"projection_dim\": 7"), "the shape"),
        (
            "cut weights",
            |m| {
                let weights = fs::read(m.join("model.safetensors")).expect("readable");
                write(m, "model.safetensors", &weights[..weights.len() / 2]);
            },
            "model.safetensors is not valid",
        ),
        (
            "a pointer",
            |m| write(m, "model.safetensors", "version https://git-lfs.github.com/spec/v1\n"),
            "git lfs pull",
        ),
    ];
    for (name, damage, told) in cases {
        let bench = bench();
        let folder = bench.path("model");
        fs::create_dir(&folder).expect("creatable");
        for file in fs::read_dir(pictoclip()).expect("there").flatten().filter(|entry| entry.path().is_file()) {
            fs::copy(file.path(), folder.join(file.file_name())).expect("copyable");
        }
        damage(&folder);
        let ran = bench.run("score pairs.csv -o out.csv --model model");
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(told), "{name}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{name}: {}", ran.stderr);
        assert_eq!(bench.names(), ["apple.png", "model", "pairs.csv"], "{name}");
    }
}
