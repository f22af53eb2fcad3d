//! Every family from text and picture to score, against the reference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clipgauge_core::conformance;
use clipgauge_core::decode::{DecodeOptions, decode};
use clipgauge_core::family;
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::pixels::PixelBatch;
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::tokenize::TokenBatch;
use serde::Deserialize;

use crate::golden;
use crate::tensors::{Tensors, cosine};

/// From our own decoding, and from the reference's pixels.
const MAX_DIFFERENCE: f64 = 0.004;
const MAX_DIFFERENCE_FROM_PIXELS: f64 = 1e-5;

#[derive(Deserialize)]
struct Expected {
    cosine: f64,
    logit: f64,
    input_ids: Vec<u32>,
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// The ids of a text as the reference pads them.
fn padded(ids: &[u32], like: &[u32]) -> Vec<u32> {
    let pad = like.last().copied().unwrap_or_default();
    ids.iter().copied().chain(std::iter::repeat(pad)).take(like.len().max(ids.len())).collect()
}

fn wide(row: &[f32]) -> impl Iterator<Item = f64> {
    row.iter().map(|&value| f64::from(value))
}

#[test]
fn scores_are_the_reference_s() {
    let mut failures = Vec::new();
    for folder in golden::entries("families") {
        let family = name(&folder);
        let encoder = family::load(&ModelFiles::Folder(folder.clone())).unwrap_or_else(|e| panic!("{family}: {e}"));
        let spec = encoder.spec();
        let tokenizer = spec.tokenizer.as_ref().unwrap_or_else(|| panic!("{family} has no tokenizer"));
        let expected: Vec<Expected> =
            serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
        let tensors = Tensors::read(&folder.join("expected.safetensors"));
        let mut table = csv::Reader::from_path(folder.join("pairs.csv")).unwrap();
        for (index, (row, expected)) in table.records().zip(&expected).enumerate() {
            let row = row.unwrap();
            let ids = tokenizer.tokenize(&row[1]).unwrap().ids;
            if padded(&ids, &expected.input_ids) != expected.input_ids {
                failures.push(format!("{family} row {index}: {:?} is {ids:?}, not {:?}", &row[1], expected.input_ids));
                continue;
            }
            let text = encoder.encode_texts(&TokenBatch::from_iter([ids.as_slice()])).unwrap();
            let pixels = decode(&std::fs::read(folder.join(&row[0])).unwrap(), &DecodeOptions::default()).unwrap();
            let ours = preprocess([&pixels], &spec.image);
            for (pixels, tolerance) in
                [(reference_pixels(&ours, &tensors, index), MAX_DIFFERENCE_FROM_PIXELS), (ours.clone(), MAX_DIFFERENCE)]
            {
                let image = encoder.encode_images(&pixels).unwrap();
                let found = cosine(wide(image.row(0)), wide(text.row(0)));
                if (found - expected.cosine).abs() > tolerance {
                    failures.push(format!("{family} row {index}: {found}, not {} ({tolerance})", expected.cosine));
                }
                let (scale, bias) = (spec.logit_scale.unwrap(), spec.logit_bias.unwrap_or(0.0));
                let logit = f64::from(scale) * found + f64::from(bias);
                if (logit - expected.logit).abs() > tolerance * f64::from(scale) + 1e-3 {
                    failures.push(format!("{family} row {index}: logit {logit}, not {}", expected.logit));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The rules that hold for any encoder, with pictures and captions of different sizes.
#[test]
fn every_family_keeps_the_rules_for_encoders() {
    for folder in golden::entries("families") {
        let encoder = family::load(&ModelFiles::Folder(folder.clone())).unwrap();
        let tokenizer = encoder.spec().tokenizer.as_ref().unwrap();
        let texts: Vec<Vec<u32>> = ["", "x", "a photo of a cat", "two dogs on a beach, naïve café, an empty street"]
            .map(|text| tokenizer.tokenize(text).unwrap().ids)
            .into();
        eprintln!("{}", name(&folder));
        conformance::encoder(&*encoder, &texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

/// Where padding is part of the text (SigLIP), leaving it away gives another vector: such texts are never packed.
#[test]
fn padding_that_counts_is_never_left_away() {
    let mut tested = 0;
    for folder in golden::entries("families") {
        let encoder = family::load(&ModelFiles::Folder(folder.clone())).unwrap();
        let spec = encoder.spec();
        let (Some(_), Some(tokenizer)) = (spec.text.pad_token, &spec.tokenizer) else { continue };
        let padded = tokenizer.tokenize("a photo of a cat").unwrap().ids;
        assert_eq!(padded.len(), spec.text.context_length, "{}", folder.display());
        let pad = padded.last().unwrap();
        let text = padded.len() - padded.iter().rev().take_while(|id| *id == pad).count();
        let vectors = encoder.encode_texts(&TokenBatch::from_iter([&padded[..], &padded[..text]])).unwrap();
        let similarity = cosine(wide(vectors.row(0)), wide(vectors.row(1)));
        assert!(similarity < 0.99, "{}: padding does not matter ({similarity})", folder.display());
        tested += 1;
    }
    assert!(tested > 0, "no family with padding that counts");
}

/// The reference's pixels in a batch like ours.
fn reference_pixels(like: &PixelBatch, tensors: &Tensors, index: usize) -> PixelBatch {
    let all = tensors.f32("pixel_values");
    let size: usize = tensors.shape("pixel_values")[1..].iter().product();
    let values = all[index * size..][..size].to_vec();
    match like {
        PixelBatch::Pictures { height, width, .. } => PixelBatch::Pictures { values, height: *height, width: *width },
        PixelBatch::Patches { max_patches, patch_width, grids, .. } => {
            let shape = tensors.rows("spatial_shapes").nth(index).unwrap();
            let grid = [shape[0] as u32, shape[1] as u32];
            assert_eq!(grids, &[grid], "row {index}");
            PixelBatch::Patches { values, max_patches: *max_patches, patch_width: *patch_width, grids: vec![grid] }
        }
    }
}

#[derive(Deserialize)]
struct GoldenText {
    #[serde(alias = "limit")]
    context: usize,
    rows: Vec<GoldenRow>,
}

#[derive(Deserialize)]
struct GoldenRow {
    text: String,
    ids: Vec<u32>,
}

/// Each tokenizer gives the ids of the reference; so do the small ones apart from any model.
#[test]
fn ids_are_the_reference_s() {
    use clipgauge_core::spec::TextSpec;
    use clipgauge_core::tokenize::Tokenizer;

    let mut failures = BTreeMap::<String, Vec<String>>::new();
    let models = golden::entries("models").into_iter().map(|folder| (folder.join("golden-text.json"), folder));
    let small = golden::entries("tokenizer/small").into_iter().map(|folder| (folder.join("golden.json"), folder));
    let golden: Vec<(PathBuf, PathBuf)> = models.chain(small).filter(|(file, _)| file.is_file()).collect();
    assert!(golden.len() >= 2, "{golden:?}");
    for (file, folder) in golden {
        let golden: GoldenText = serde_json::from_slice(&std::fs::read(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let spec = TextSpec { context_length: golden.context, pad_token: None };
        let tokenizer = Tokenizer::read(&ModelFiles::Folder(folder.clone()), &spec).unwrap().unwrap();
        for GoldenRow { text, ids } in golden.rows {
            let found = tokenizer.tokenize(&text).unwrap().ids;
            if found != ids {
                failures.entry(name(&folder)).or_default().push(format!("{text:?} is {found:?}, not {ids:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
