//! Models are described without being loaded, and as they are.

use std::fs;
use std::path::Path;

use clipgauge_core::family::{self, Description};
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::spec::ModelSpec;
use tempfile::TempDir;

use crate::golden;

fn describe(folder: &Path) -> Description {
    family::describe(&ModelFiles::Folder(folder.to_owned()))
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// The files of a folder but its weights.
fn without_weights(folder: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let is_weights = name.ends_with(".safetensors") || name.ends_with(".bin") || name.ends_with(".index.json");
        if !is_weights && entry.path().is_file() {
            fs::copy(entry.path(), copy.path().join(name)).unwrap();
        }
    }
    copy
}

#[test]
fn a_description_is_that_of_the_loaded_model() {
    for folder in golden::entries("models").into_iter().chain(golden::entries("families")) {
        let name = folder.display();
        let described = describe(&folder);
        let encoder = family::load(&ModelFiles::Folder(folder.clone())).unwrap();
        let spec = encoder.spec();
        assert_eq!(described.family, spec.family.unwrap().name(), "{name}");
        assert_eq!(described.embedding_width, spec.embedding_width, "{name}");
        assert_eq!((&described.image, &described.text), (&spec.image, &spec.text), "{name}");
        assert_eq!((described.logit_scale, described.logit_bias), (spec.logit_scale, spec.logit_bias), "{name}");
        assert_eq!(described.has_tokenizer, spec.tokenizer.is_some(), "{name}");
        let weights = described.weights.as_ref().unwrap_or_else(|| panic!("{name}: no weights"));
        assert!(weights.parameters > 10_000 && weights.bytes >= weights.parameters * 2, "{name}: {weights:?}");

        let alone = family::spec(&ModelFiles::Folder(folder.clone())).unwrap();
        assert_eq!((&alone.image, &alone.text), (&spec.image, &spec.text), "{name}");
        assert_eq!((alone.logit_scale, alone.logit_bias), (spec.logit_scale, spec.logit_bias), "{name}");
        let tokens = |spec: &ModelSpec| spec.tokenizer.as_ref().map(|read| read.tokenize("a red apple").unwrap());
        assert_eq!((tokens(&alone), alone.embedding_width), (tokens(spec), spec.embedding_width), "{name}");

        let bare = without_weights(&folder);
        let alone = family::spec(&ModelFiles::Folder(bare.path().to_owned())).unwrap();
        assert_eq!((tokens(&alone), alone.logit_scale, alone.logit_bias), (tokens(spec), None, None), "{name}");
        let without = describe(bare.path());
        let mut expected = described;
        (expected.weights, expected.logit_scale, expected.logit_bias) = (None, None, None);
        assert_eq!(without, expected, "{name}");
    }
}

/// Of models with the defaults of their families, against open_clip's `docs/model_profile.csv` (ViT-B-32,
/// ViT-B-16-SigLIP).
#[test]
fn operations_are_counted_as_others_count_them() {
    for (family, preprocessor, tokens, operations) in
        [("clip", "models/clip-f16", (50, 77), (8.82, 5.96)), ("siglip", "families/siglip", (196, 64), (35.42, 11.02))]
    {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("config.json"), format!(r#"{{"model_type": "{family}"}}"#)).unwrap();
        let preprocessor = golden::file(preprocessor).join("preprocessor_config.json");
        let preprocessor = fs::read_to_string(preprocessor).unwrap().replace("32", "224");
        fs::write(folder.path().join("preprocessor_config.json"), preprocessor).unwrap();
        let described = describe(folder.path());
        assert_eq!((described.image_tower.tokens, described.text_tower.tokens), tokens, "{family}");
        // The profile has two decimals, and counts the projection of SigLIP's probe, which is the same for all pictures.
        for (flops, giga) in [(described.image_tower.flops, operations.0), (described.text_tower.flops, operations.1)] {
            assert!((flops as f64 / 1e9 / giga - 1.0_f64).abs() < 1e-3, "{family}: {flops}, not {giga} GFLOP");
        }
        let remarks = described.remarks();
        assert!(remarks.iter().any(|remark| remark.contains("no tokenizer")), "{remarks:?}");
        assert!(remarks.iter().any(|remark| remark.contains("defaults: ") && remark.contains(" more")), "{remarks:?}");
        let defaulted = &described.defaulted;
        for field in ["vision_config.hidden_size", "text_config.vocab_size"] {
            assert!(defaulted.iter().any(|name| name == field), "{field}: {defaulted:?}");
        }
    }
}

#[test]
fn what_is_stored_is_told() {
    for (model, number_type, remark) in [
        ("clip-f16", "F16", None),
        ("clip-bf16", "BF16", None),
        ("clip-legacy-eos", "F32", Some("`eos_token_id` is 2")),
        ("clip-pytorch-bin", "F32", None),
        ("clip-sharded", "F32", None),
    ] {
        let described = describe(&golden::file("models").join(model));
        let weights = described.weights.as_ref().expect("weights");
        assert_eq!(weights.number_types[0].name, number_type, "{model}");
        let remarks = described.remarks().join("; ");
        assert_eq!(remarks.contains("`eos_token_id`"), remark.is_some(), "{model}: {remarks}");
    }
}

/// A folder may be both, or look like both.
#[test]
fn a_folder_of_open_clip_is_known() {
    let folder = without_weights(&golden::file("models/openclip-custom-text"));
    let timm = r#"{"architecture": "vit_base_patch32_clip_224"}"#;
    fs::write(folder.path().join("config.json"), timm).unwrap();
    assert_eq!(describe(folder.path()).family, "OpenCLIP");

    let weights = golden::file("models/openclip-custom-text/open_clip_model.safetensors");
    fs::copy(weights, folder.path().join("open_clip_model.safetensors")).unwrap();
    fs::copy(golden::file("models/clip-f16/config.json"), folder.path().join("config.json")).unwrap();
    assert_eq!(describe(folder.path()).family, "OpenCLIP");
}
