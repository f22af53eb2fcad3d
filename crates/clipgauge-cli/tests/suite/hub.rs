//! Models by name, through the command: from a hub and its cache, and from folders, whole and damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use clipgauge_testing::Hub;
use parquet::arrow::ArrowWriter;

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

/// A table of these rows.
fn parquet(rows: &[(&str, &str)]) -> Vec<u8> {
    let images: ArrayRef = Arc::new(rows.iter().map(|(image, _)| Some(*image)).collect::<StringArray>());
    let captions: ArrayRef = Arc::new(rows.iter().map(|(_, caption)| Some(*caption)).collect::<StringArray>());
    let table = RecordBatch::try_from_iter([("url", images), ("caption", captions)]).expect("a table");
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), None).expect("a schema");
    writer.write(&table).expect("written");
    writer.into_inner().expect("closed")
}

/// A data set with two tables, and a table of each format in other folders.
fn data_set(bench: &Bench) -> Hub {
    let picture = bench.path("apple.png");
    let picture = picture.to_str().expect("UTF-8");
    let (zero, one) = (parquet(&[(picture, "red apple")]), parquet(&[(picture, "a rocket")]));
    let hub = Hub::start();
    let files: [(&str, &[u8]); 7] = [
        (".gitattributes", b"*.parquet filter=lfs"),
        ("README.md", b"# Pairs"),
        ("data/train-0.parquet", &zero),
        ("data/train-1.parquet", &one),
        ("more (1)/.hidden.parquet", &zero),
        ("more (1)/train-0.parquet", &zero),
        ("pictures/apple.png", b""),
    ];
    hub.add("datasets/org/pairs", "main", &files);
    hub.add("datasets/org/pairs", "v1", &files[..3]);
    hub.add("datasets/org/mixed", "main", &[("a.csv", b""), ("b.parquet", b"")]);
    hub
}

/// The captions in a table.
fn captions(bench: &Bench, name: &str) -> Vec<String> {
    let text = bench.text(name);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.records().map(|row| row.expect("a row"));
    rows.map(|row| {
        assert!(row[2].parse::<f32>().is_ok(), "no score: {text}");
        row[1].to_owned()
    })
    .collect()
}

const PAIRS: &str = "hf://datasets/org/pairs";
const SCORE: &str = "--model pictoclip --quiet";

#[test]
fn tables_of_a_data_set_are_found_and_fetched_once() {
    let (apple, rocket) = ("red apple", "a rocket");
    let bench = bench();
    let hub = data_set(&bench);
    for (word, expected) in [
        ("/data/train-1.parquet", vec![rocket]),
        ("@main/data/*.parquet", vec![apple, rocket]),
        ("/data/train-{1..0}.parquet", vec![rocket, apple]),
        ("/more (1)/train-0.parquet", vec![apple]),
        ("/**/train-0.parquet", vec![apple, apple]),
        ("/data", vec![apple, rocket]),
        ("/data/", vec![apple, rocket]),
        ("", vec![apple, rocket, apple]),
        ("@v1", vec![apple]),
    ] {
        let mut command = online(&bench, &hub.endpoint(), &format!("score -o out.csv {SCORE}"));
        command.arg(format!("{PAIRS}{word}"));
        run(command).expect_code(0);
        assert_eq!(captions(&bench, "out.csv"), expected, "{word}");
    }
    let fetched = hub.storage_requests().len();
    assert_eq!(fetched, 2, "two contents, each once");

    hub.forget();
    run(online(&bench, &hub.endpoint(), &format!("score {PAIRS} -o out.csv {SCORE}"))).expect_code(0);
    assert_eq!(hub.requests().len(), 1, "where the branch is");
    let cache = bench.path(".hf/hub/datasets--org--pairs");
    let commit = fs::read_to_string(cache.join("refs/main")).expect("remembered");
    assert!(cache.join("snapshots").join(&commit).join("data/train-0.parquet").is_file());
    hub.forget();
    let at_commit = format!("score {PAIRS}@{commit}/data/train-0.parquet -o out.csv {SCORE}");
    run(online(&bench, &hub.endpoint(), &at_commit)).expect_code(0);
    assert!(hub.requests().is_empty(), "a file of a commit that is there");

    let args = format!("score {PAIRS} -o out.csv --model pictoclip");
    let ran = bench.run(&args).expect_code(0);
    assert_eq!(captions(&bench, "out.csv"), [apple, rocket, apple], "offline");
    assert!(ran.stderr.contains("stands for the 3 tables of it that are in the cache"), "{}", ran.stderr);
    let endpoint = hub.endpoint();
    drop(hub);
    let ran = run(online(&bench, &endpoint, &args)).expect_code(0);
    assert_eq!(captions(&bench, "out.csv"), [apple, rocket, apple], "the hub is gone");
    assert!(ran.stderr.contains("using what is in the cache"), "{}", ran.stderr);
}

#[test]
fn tables_of_a_data_set_keep_their_names_in_a_folder() {
    let bench = bench();
    let hub = data_set(&bench);
    for (word, folder, expected) in [
        ("", "all", vec!["data/train-0.parquet", "data/train-1.parquet", "more (1)/train-0.parquet"]),
        ("/data/*", "some", vec!["train-0.parquet", "train-1.parquet"]),
        ("/data/train-0.parquet", "one", vec!["train-0.parquet"]),
    ] {
        let mut command = online(&bench, &hub.endpoint(), &format!("score {SCORE} -o {folder}/"));
        command.arg(format!("{PAIRS}{word}"));
        run(command).expect_code(0);
        for name in expected {
            assert!(bench.path(folder).join(name).is_file(), "{folder}/{name}");
        }
    }
    run(online(&bench, &hub.endpoint(), &format!("embed {PAIRS}/data -o vectors.parquet {SCORE}"))).expect_code(0);
    assert!(bench.path("vectors.parquet").is_file());
}

#[test]
fn pictures_beside_a_table_of_a_data_set_are_files_of_it() {
    let bench = bench();
    let hub = Hub::start();
    let table = b"url,caption\n../images/apple.png,red apple\nnone.png,red apple\n";
    let picture = bench.read("apple.png");
    hub.add("datasets/org/pairs", "main", &[("data/0.csv", table), ("images/apple.png", &picture)]);
    let args = format!("score {PAIRS}/data/0.csv -o out.csv --error-column why --allow-failures {SCORE}");
    run(online(&bench, &hub.endpoint(), &args)).expect_code(0);
    let out = bench.text("out.csv");
    assert!(out.contains("none.png,red apple,,not_found"), "{out}");
    let score = out.lines().nth(1).and_then(|row| row.split(',').nth(2)).expect("a score");
    let expected = bench.run(&format!("score pairs.csv {SCORE}")).expect_code(0);
    assert!(expected.text().contains(&format!("red apple,{score}\n")), "{out}");
}

#[test]
fn a_table_that_breaks_off_is_gone_on_with() {
    let bench = bench();
    let hub = data_set(&bench);
    hub.cut("data/train-0.parquet", 1);
    let args = format!("score {PAIRS}/data -o out.csv --model pictoclip");
    let ran = run(online(&bench, &hub.endpoint(), &args)).expect_code(0);
    assert_eq!(captions(&bench, "out.csv"), ["red apple", "a rocket"]);
    assert!(ran.stderr.contains("data/train-0.parquet: downloaded"), "{}", ran.stderr);
    let requests = hub.storage_requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[1].header("range").is_some_and(|range| range.starts_with("bytes=")), "{requests:?}");
}

#[cfg(unix)]
#[test]
fn the_download_of_a_table_can_be_ended() {
    use crate::interrupts::Running;

    let bench = bench();
    let hub = data_set(&bench);
    hub.hold("data/train-1.parquet");
    let args = format!("score {PAIRS}/data -o out.csv --model pictoclip");
    let (running, _stdin) = Running::of(online(&bench, &hub.endpoint(), &args));
    running.wait_for("data/train-0.parquet: downloaded");
    running.send("-TERM");
    let (code, stderr) = running.end();
    assert_eq!(code, Some(143), "{stderr}");
    assert!(stderr.contains("interrupted while the data set was being fetched"), "{stderr}");
    assert_eq!(bench.names(), [".hf", "apple.png", "pairs.csv"]);
}

#[test]
fn a_run_over_a_data_set_goes_on_with_the_same_commit_only() {
    let bench = bench();
    let hub = data_set(&bench);
    let args = format!("score {PAIRS}/data -o out.csv --model pictoclip --resume");
    run(online(&bench, &hub.endpoint(), &args)).expect_code(0);
    let ran = run(online(&bench, &hub.endpoint(), &args)).expect_code(0);
    assert!(ran.stderr.contains("out.csv is finished already"), "{}", ran.stderr);

    let picture = bench.path("apple.png");
    let table = parquet(&[(picture.to_str().expect("UTF-8"), "another")]);
    hub.add("datasets/org/pairs", "main", &[("data/train-0.parquet", &table), ("data/train-1.parquet", &table)]);
    let ran = run(online(&bench, &hub.endpoint(), &args)).expect_code(2);
    assert!(ran.stderr.contains("was hf://datasets/org/pairs@"), "{}", ran.stderr);
}

#[test]
fn a_data_set_that_not_everybody_may_see_takes_the_token() {
    let bench = bench();
    let hub = data_set(&bench);
    hub.require_token("secret-token");
    let args = format!("score {PAIRS}/data/train-0.parquet -o out.csv {SCORE}");
    for lists in ["closed", "open"] {
        let ran = run(online(&bench, &hub.endpoint(), &args)).expect_code(1);
        for part in ["the data set `org/pairs` is gated", "/datasets/org/pairs, and set `HF_TOKEN`"] {
            assert!(ran.stderr.contains(part), "{lists}, no {part}: {}", ran.stderr);
        }
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        hub.show_lists();
    }
    let mut command = online(&bench, &hub.endpoint(), &args);
    command.env("HF_TOKEN", "secret-token");
    run(command).expect_code(0);
    assert_eq!(hub.storage_requests()[0].header("authorization"), None, "the token is the hub's");
}

#[test]
fn tables_that_are_not_on_the_hub_are_told_in_one_sentence() {
    let bench = bench();
    let hub = data_set(&bench);
    let to_file = "-o out.csv";
    for (word, output, code, told) in [
        ("hf://datasets/org/none/0.parquet", to_file, 1, "there is no data set `org/none` with the revision `main`"),
        ("hf://datasets/org/pairs@v9/0.parquet", to_file, 1, "`org/pairs` with the revision `v9`"),
        (
            "hf://datasets/org/pairs/0.parquet",
            to_file,
            2,
            "the data set `org/pairs` has no file or folder of this name",
        ),
        ("hf://datasets/org/pairs/{0..1}.csv", to_file, 2, "org/pairs/0.csv is not there"),
        ("hf://datasets/org/pairs/*.csv", to_file, 2, "org/pairs/*.csv matches no file"),
        ("hf://datasets/org/pairs/[.csv", to_file, 2, "no pattern of file names"),
        ("hf://datasets/org/pairs/pictures", to_file, 2, "has no table"),
        ("hf://datasets/org/mixed", to_file, 2, "with tables of several formats"),
        ("hf://datasets/org", to_file, 2, "it should be like `hf://datasets/ORG/NAME/path`"),
        ("hf://spaces/org/pairs/0.csv", to_file, 2, "a file of the hub is like"),
        ("hf://datasets/org/pairs/data", "--in-place", 2, "is on the hub, where nothing is written"),
        ("hf://datasets/org/pairs/data", "-o no/out.csv", 2, "there is no folder no"),
        ("pairs.csv", "-o hf://datasets/org/pairs/out.csv", 2, "is on the hub, where nothing is written"),
    ] {
        let ran = run(online(&bench, &hub.endpoint(), &format!("score {word} {output} {SCORE}")));
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(told), "{word}: {}", ran.stderr);
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(code), 1), "{word}: {}", ran.stderr);
    }
    assert!(hub.storage_requests().is_empty(), "nothing was fetched");

    let offline = |word: &str| bench.run(&format!("score {word} {to_file} {SCORE}")).expect_code(1).stderr;
    let told = offline("hf://datasets/org/mixed/a.csv");
    for part in ["the data set `org/mixed` is not in the cache", "offline mode is on", "Run once with a network"] {
        assert!(told.contains(part), "no {part}: {told}");
    }
    run(online(&bench, &hub.endpoint(), &format!("score {PAIRS}/data/train-0.parquet {to_file} {SCORE}")))
        .expect_code(0);
    for word in ["/data/train-1.parquet", "/more*/*", "/pictures"] {
        let told = offline(&format!("{PAIRS}{word}"));
        assert!(told.contains(&format!("{word} is not in the cache, and the hub cannot be asked")), "{told}");
    }
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
