//! `clipgauge models`, with a hub on this machine; and model folders that cannot be used.

use std::fs;
use std::path::{Path, PathBuf};

use clipgauge_testing::Hub;
use serde_json::Value;

use crate::bench::{Bench, Ran, repository};

const MODEL: &str = "org/siglip";

fn golden(path: &str) -> PathBuf {
    repository().join("tests/golden").join(path)
}

/// The command with this hub to ask.
fn run_with_hub(bench: &Bench, hub: &Hub, args: &str) -> Ran {
    let mut command = bench.command(args.split(' '));
    command.env("HF_HUB_OFFLINE", "0").env("HF_ENDPOINT", hub.endpoint());
    Ran::of(command.output().expect("the command can be run"))
}

fn json(ran: &Ran) -> Value {
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.text()))
}

#[test]
fn the_list_has_families_models_and_the_cache() {
    let (bench, hub) = (Bench::new(), Hub::start());
    hub.add_folder("google/siglip-base-patch16-224", &golden("families/siglip"));
    hub.add_folder(MODEL, &golden("families/siglip"));
    run_with_hub(&bench, &hub, "models fetch google/siglip-base-patch16-224").expect_code(0);
    run_with_hub(&bench, &hub, "models show org/siglip").expect_code(0);

    let ran = bench.run("models list").expect_code(0);
    let line = |name: &str| {
        let line = ran.text().lines().find(|line| line.contains(name));
        line.unwrap_or_else(|| panic!("no {name} in {}", ran.text()))
    };
    for part in ["151 M", "224×224", "77 tokens", "English"] {
        assert!(line("openai/clip-vit-base-patch32").contains(part), "{part}: {}", ran.text());
    }
    assert!(!line("openai/clip-vit-base-patch32").contains("cached"));
    assert!(line("google/siglip-base-patch16-224").contains("cached, 6"), "{}", ran.text());
    assert!(line("org/siglip").contains("in part cached, "), "{}", ran.text());

    let listed = json(&bench.run("models list --json").expect_code(0));
    assert_eq!(listed["bundled"], "pictoclip");
    assert_eq!(listed["models"][0]["id"], "openai/clip-vit-base-patch32");
    assert_eq!(listed["models"][0]["aliases"][0], "ViT-B/32");
    assert_eq!(listed["others"][0]["family"], "SigLIP");
}

#[test]
fn showing_fetches_no_weights() {
    let (bench, hub) = (Bench::new(), Hub::start());
    let commit = hub.add_folder(MODEL, &golden("families/siglip"));
    let shown = json(&run_with_hub(&bench, &hub, "models show hf-hub:org/siglip --json").expect_code(0));
    assert!(hub.storage_requests().is_empty(), "weights were asked for");
    assert_eq!(shown["name"], "hf-hub:org/siglip");
    assert_eq!((&shown["id"], &shown["revision"]), (&Value::from(MODEL), &Value::from(commit)));
    assert_eq!(shown["family"], "SigLIP");
    assert_eq!((&shown["text_tower"]["positions"], &shown["image_tower"]["image_size"]), (&64.into(), &32.into()));
    assert!(shown["weights"].is_null() && shown["logit_scale"].is_null());
    let text = bench.run("models show org/siglip").expect_code(0);
    assert!(text.text().contains("weights     not here; `clipgauge models fetch` gets them"), "{}", text.text());

    let ran = bench.run("models check org/siglip").expect_code(1);
    assert!(ran.stderr.contains("the model `org/siglip` is not in the cache"), "{}", ran.stderr);

    let fetched = run_with_hub(&bench, &hub, "models fetch org/siglip").expect_code(0);
    let folder = fetched.text().trim_end();
    assert!(Path::new(folder).join("model.safetensors").is_file(), "{folder}");
    let shown = json(&bench.run("models show org/siglip --json").expect_code(0));
    assert_eq!(shown["weights"]["number_types"][0]["name"], "F32");
    assert!(shown["weights"]["parameters"].as_u64() > Some(100_000), "{shown}");
    assert_eq!(shown["place"], folder);
}

#[test]
fn a_model_is_checked() {
    let bench = Bench::new();
    let checked = json(&bench.run("models check pictoclip --json").expect_code(0));
    assert_eq!(checked["picture_shape"], serde_json::json!([48, 48]));
    assert_eq!(checked["embedding_width"], 128);
    assert_eq!(checked["problems"], serde_json::json!([]));
    assert!(checked["cosine"].as_f64().is_some_and(|cosine| cosine.abs() < 1.0), "{checked}");
    assert!(checked["seconds"]["load"].as_f64() > Some(0.0), "{checked}");

    let folder = golden("models/clip-legacy-eos");
    let ran = bench.run(&format!("models check {}", folder.display())).expect_code(1);
    assert!(ran.text().contains("note        `eos_token_id` is 2"), "{}", ran.text());
    assert!(ran.stderr.contains("cannot score: there is no tokenizer"), "{}", ran.stderr);
}

/// Weights of NaN give no number.
#[test]
fn weights_that_are_no_numbers_are_found() {
    let bench = Bench::new();
    let folder = copy(&bench, "families/siglip");
    let weights = folder.join("model.safetensors");
    let mut bytes = fs::read(&weights).expect("readable");
    let length = bytes.len();
    bytes[length - 40_000..].fill(0xff);
    fs::write(&weights, bytes).expect("writable");
    let ran = bench.run("models check model").expect_code(1);
    assert!(ran.stderr.contains("has numbers that are none"), "{}", ran.stderr);
}

fn copy(bench: &Bench, model: &str) -> PathBuf {
    let folder = bench.path("model");
    fs::create_dir_all(&folder).expect("creatable");
    for entry in fs::read_dir(golden(model)).expect("readable").flatten() {
        fs::copy(entry.path(), folder.join(entry.file_name())).expect("writable");
    }
    folder
}

#[test]
fn names_that_are_none_are_told_with_what_is_near() {
    let bench = Bench::new();
    let ran = bench.run("models show open_clip:ViT-B-32/laion2b_s34b").expect_code(1);
    assert!(ran.stderr.contains("near ones are `open_clip:ViT-B-32/laion2b_s34b_b79k`"), "{}", ran.stderr);
    let ran = bench.run("models fetch ViT-B/32").expect_code(1);
    assert!(ran.stderr.contains("the model `openai/clip-vit-base-patch32` is not in the cache"), "{}", ran.stderr);
    bench.run("models").expect_code(2);
    bench.run("models fetch").expect_code(2);
}

/// Under a limit of memory that what a folder claims would burst.
#[cfg(unix)]
#[test]
fn folders_that_cannot_be_used_are_refused_in_bounded_memory() {
    /// What is done to a folder, and parts of what is told.
    type Case = (&'static str, fn(&Path), [&'static str; 2]);
    const CONFIG: &str = "config.json";
    const WEIGHTS: &str = "model.safetensors";
    const KIBIBYTES: u32 = 4 << 20;
    fn replace(folder: &Path, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(folder.join(file)).expect("readable");
        assert!(text.contains(from), "{text}");
        fs::write(folder.join(file), text.replace(from, to)).expect("writable");
    }
    let cases: &[Case] = &[
        (
            "no weights",
            |f| fs::remove_file(f.join(WEIGHTS)).expect("there"),
            ["model.safetensors or pytorch_model.bin", "is not in model"],
        ),
        (
            "an activation",
            |f| replace(f, CONFIG, "gelu_pytorch_tanh", "swish9"),
            ["model/config.json", "hidden_act` is `swish9`, which is not supported"],
        ),
        (
            "a header of a terabyte",
            |f| {
                let mut bytes = fs::read(f.join(WEIGHTS)).expect("readable");
                bytes[..8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
                fs::write(f.join(WEIGHTS), bytes).expect("writable");
            },
            ["model/model.safetensors", "claims a header of 1099511627776 bytes"],
        ),
        (
            "a vocabulary of billions",
            |f| replace(f, CONFIG, "\"vocab_size\": ", "\"vocab_size\": 9999999"),
            ["model/config.json", "vocab_size` is 9999999"],
        ),
        (
            "deep JSON",
            |f| fs::write(f.join(CONFIG), "[".repeat(1 << 20)).expect("writable"),
            ["model/config.json", "recursion limit"],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, break_it, parts) in cases {
        let bench = Bench::new().with("pairs.csv", "url,caption\na.png,a cat\n");
        break_it(&copy(&bench, "families/siglip"));
        let binary = bench.command([]).get_program().to_owned();
        for args in ["score pairs.csv -o out.csv --model model", "models check model", "models show model"] {
            // Showing does without weights.
            if *name == "no weights" && args.contains("show") {
                continue;
            }
            let mut command = std::process::Command::new("sh");
            let script = format!("ulimit -v {KIBIBYTES}; exec \"$0\" {args}");
            command.arg("-c").arg(script).arg(&binary).current_dir(bench.path("")).env("HF_HUB_OFFLINE", "1");
            let ran = Ran::of(command.output().expect("the command can be run"));
            let is_one_sentence =
                ran.stderr.lines().count() == 1 && ran.stderr.starts_with("error: the model `model` cannot be used: ");
            if ran.code != Some(1)
                || !is_one_sentence
                || !parts.iter().all(|part| ran.stderr.contains(part))
                || bench.path("out.csv").exists()
            {
                wrong.push(format!("{name}, {args}: {:?} {}", ran.code, ran.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
