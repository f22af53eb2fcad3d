//! Model folders that are incomplete, of another kind or hostile are refused by every family, in a sentence that names
//! the file and what is wrong in it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clipgauge_core::family::{self, ModelFamily};
use clipgauge_core::model_files::ModelFiles;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{golden, weights};

/// The longest that a refusal may take; most of it is reading what is right.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one family's folder is made of.
struct Kind {
    family: ModelFamily,
    folder: PathBuf,
    config: &'static str,
    weights: &'static str,
    torch: &'static str,
    /// The names of the text tower's section, its ids, its width and what picks its activation or pooling.
    text: [&'static str; 4],
    /// The name of the image tower's section, and of its layers.
    image: [&'static str; 2],
}

fn kinds() -> Vec<Kind> {
    let of = |family: ModelFamily| {
        let name = match family {
            ModelFamily::Clip => "models/clip-gelu",
            ModelFamily::OpenClip => "models/openclip-custom-text",
            ModelFamily::MetaClip2 => "families/metaclip2",
            ModelFamily::Siglip => "families/siglip",
            ModelFamily::SiglipNaflex => "families/siglip2-naflex",
            ModelFamily::ChineseClip => "families/chinese-clip",
            ModelFamily::AltClip => "families/altclip",
            other => panic!("{} has no folder to break", other.name()),
        };
        let folder = golden::file(name);
        match family {
            ModelFamily::OpenClip => Kind {
                family,
                folder,
                config: "open_clip_config.json",
                weights: "open_clip_model.safetensors",
                torch: "open_clip_pytorch_model.bin",
                text: ["model_cfg.text_cfg", "vocab_size", "width", "pool_type"],
                image: ["model_cfg.vision_cfg", "layers"],
            },
            _ => Kind {
                family,
                folder,
                config: "config.json",
                weights: "model.safetensors",
                torch: "pytorch_model.bin",
                text: ["text_config", "vocab_size", "hidden_size", "hidden_act"],
                image: ["vision_config", "num_hidden_layers"],
            },
        }
    };
    ModelFamily::ALL.iter().map(|family| of(*family)).collect()
}

/// A folder that is broken in one way.
struct Broken<'a> {
    kind: &'a Kind,
    folder: TempDir,
}

impl<'a> Broken<'a> {
    fn new(kind: &'a Kind) -> Self {
        let folder = TempDir::new().unwrap();
        for entry in fs::read_dir(&kind.folder).unwrap().flatten() {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        Self { kind, folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn without(self, file: &str) -> Self {
        fs::remove_file(self.path(file)).unwrap();
        self
    }

    fn with(self, file: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(file), content).unwrap();
        self
    }

    /// Sets a field of a section (`a.b`) of the configuration.
    fn set(self, section: &str, field: &str, value: Value) -> Self {
        let path = self.path(self.kind.config);
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let place = section.split('.').filter(|part| !part.is_empty()).fold(&mut config, |at, part| &mut at[part]);
        place[field] = value;
        fs::write(&path, config.to_string()).unwrap();
        self
    }

    /// Changes the weights' file.
    fn damage(self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let path = self.path(self.kind.weights);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        self
    }

    /// Puts a text in the place of another of the same length in the weights' header.
    fn rename(self, from: &str, to: &str) -> Self {
        assert_eq!(from.len(), to.len());
        self.damage(|bytes| {
            let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
            let at = at.unwrap_or_else(|| panic!("no {from}"));
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        })
    }

    fn refusal(&self) -> Result<String, String> {
        let start = Instant::now();
        let result = family::load(&ModelFiles::Folder(self.folder.path().to_owned()));
        if start.elapsed() > PATIENCE {
            return Err(format!("took {:?}", start.elapsed()));
        }
        match result {
            Ok(_) => Err("was loaded".to_owned()),
            Err(error) => Ok(error.to_string()),
        }
    }
}

/// What is broken, the file that the refusal names, and a part of what it says of it.
type Case<'a> = (&'static str, Broken<'a>, &'a str, String);

fn cases(kind: &Kind) -> Vec<Case<'_>> {
    let Kind { config, weights, torch, text: [text, ids, width, choice], image: [image, layers], .. } = *kind;
    let new = || Broken::new(kind);
    let said = str::to_owned;
    let overlap = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let overlapping = [&(overlap.len() as u64).to_le_bytes()[..], overlap.as_bytes(), &[0; 8]].concat();
    let pickle = weights::archive_that_runs("exit 1");
    let mut cases = vec![
        ("a configuration that is no JSON", new().with(config, "model:"), config, said("is not valid: expected value")),
        ("one that is a list", new().with(config, "[]"), config, said("it is not a JSON object")),
        ("one that is deep", new().with(config, "[".repeat(1 << 20)), config, said("recursion limit exceeded")),
        (
            "a section that is none",
            new().set("", text.split('.').next().unwrap(), json!(7)),
            config,
            said("is not an object"),
        ),
        ("no ids", new().set(text, ids, json!(0)), config, format!("`{text}.{ids}` is 0, not a whole number from 1")),
        ("half an id", new().set(text, ids, json!(0.5)), config, format!("`{text}.{ids}` is 0.5, not a whole number")),
        (
            "ids for terabytes",
            new().set(text, ids, json!(1_u64 << 45)),
            config,
            format!("`{text}.{ids}` is 35184372088832"),
        ),
        ("the most ids", new().set(text, ids, json!(1 << 20)), weights, said("` has the shape [")),
        ("the largest width", new().set(text, width, json!(1 << 20)), "", said("")),
        ("the most layers", new().set(image, layers, json!(1 << 20)), weights, said("` is missing")),
        (
            "an unknown choice",
            new().set(text, choice, json!("swish9")),
            config,
            format!("`{text}.{choice}` is `swish9`, which is not supported"),
        ),
        ("no weights", new().without(weights), weights, format!("`{weights} or {torch}` is not in")),
        (
            "weights that break off",
            new().damage(|bytes| bytes.truncate(bytes.len() / 2)),
            weights,
            said("where its header accounts for"),
        ),
        ("weights of nothing", new().with(weights, ""), weights, said("it ends before the header does")),
        (
            "a header of a terabyte",
            new().damage(|bytes| bytes[..8].copy_from_slice(&(1_u64 << 40).to_le_bytes())),
            weights,
            said("it claims a header of 1099511627776 bytes"),
        ),
        ("tensors over each other", new().with(weights, overlapping), weights, said("is not valid: invalid offset")),
        (
            "a missing tensor",
            new().rename("\"logit_scale\"", "\"logit_scalx\""),
            weights,
            said("`logit_scale` is missing"),
        ),
        (
            "a tensor of integers",
            new().rename("\"dtype\":\"F32\"", "\"dtype\":\"I32\""),
            weights,
            said("` is `I32`, which is not supported; supported: F32"),
        ),
        (
            "a pickle that runs something",
            new().without(weights).with(torch, pickle),
            torch,
            said("asks for `os.system`"),
        ),
    ];
    if kind.family != ModelFamily::OpenClip {
        cases.extend([
            ("no configuration", new().without(config), config, said("`config.json` is not in")),
            (
                "another kind of model",
                new().set("", "model_type", json!("bert")),
                config,
                said("`model_type` is `bert`, which is not supported; supported: clip"),
            ),
            ("a model of no kind", new().set("", "model_type", Value::Null), config, said("`model_type` is missing")),
            (
                "no preprocessing",
                new().without("preprocessor_config.json"),
                "preprocessor_config.json",
                said("is not in"),
            ),
            (
                "preprocessing that is none",
                new().with("preprocessor_config.json", "7"),
                "preprocessor_config.json",
                said(""),
            ),
        ]);
    }
    if kind.family != ModelFamily::SiglipNaflex {
        cases.push((
            "pictures of another size",
            new().set(image, "image_size", json!(64)),
            config,
            said("`image_size` is 64, but its pictures are preprocessed to "),
        ));
    }
    if kind.folder.join("tokenizer.json").exists() {
        cases.push(("a tokenizer that is none", new().with("tokenizer.json", "{}"), "tokenizer", said("is not valid")));
    }
    cases
}

#[test]
fn each_family_refuses_what_it_cannot_load() {
    let mut wrong = Vec::new();
    for kind in kinds() {
        let name = kind.family.name();
        assert!(Broken::new(&kind).refusal() == Err("was loaded".to_owned()), "{name} is broken without being broken");
        for (case, broken, file, part) in cases(&kind) {
            match broken.refusal() {
                Err(problem) => wrong.push(format!("{name}, {case}: {problem}")),
                Ok(told) if !told.contains(file) || !told.contains(&part) => {
                    wrong.push(format!("{name}, {case}: {told}"))
                }
                Ok(told) if told.lines().count() != 1 || told.len() > 600 => {
                    wrong.push(format!("{name}, {case}: {told}"))
                }
                Ok(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
