//! Every kind of picture file against the reference: Pillow and transformers' Pillow-backed processors.
//!
//! The project has a part of the golden files (made by `tests/golden/make/images.py`); where the whole set lies beside
//! the workspace, it is run too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clipgauge_core::decode::{DecodeError, DecodeOptions, decode};
use clipgauge_core::pixels::PixelBatch;
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::spec::{Filter, ImageSpec, Resize};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The most that a JPEG may differ: on average, and anywhere, in levels of 255.
const JPEG_MEAN: f32 = 0.6;
const JPEG_MAX: f32 = 12.0;
/// The most that any other picture may differ: rounding of 32-bit numbers.
const LOSSLESS_MAX: f32 = 0.001;

pub(super) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the project's own golden pictures.
pub(super) fn golden_file(name: &str) -> Vec<u8> {
    fs::read(workspace().join("tests/golden/images/files").join(name)).unwrap()
}

/// The folders of golden pictures that there are.
pub(super) fn folders() -> Vec<PathBuf> {
    let own = workspace().join("tests/golden/images");
    let shared = workspace().join("../shared/golden/images");
    let shared = [shared.clone(), shared.join("extra")].into_iter().filter(|folder| folder.exists());
    std::iter::once(own).chain(shared).collect()
}

pub(super) fn clip(size: u32) -> ImageSpec {
    ImageSpec {
        resize: Resize::ShortestEdge(size),
        crop: Some([size, size]),
        filter: Filter::Bicubic,
        rescale_factor: 1.0 / 255.0,
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.261_302_6, 0.275_777_1],
    }
}

pub(super) fn siglip(size: u32) -> ImageSpec {
    ImageSpec { resize: Resize::Exact([size, size]), crop: None, mean: [0.5; 3], std: [0.5; 3], ..clip(size) }
}

fn naflex(patch_size: u32, max_patches: u32) -> ImageSpec {
    ImageSpec { resize: Resize::Patches { patch_size, max_patches }, filter: Filter::Bilinear, ..siglip(1) }
}

/// Numbers of a tensor as levels of 255, channel by channel or with the channels innermost.
fn levels(values: &[f32], spec: &ImageSpec, channel: impl Fn(usize) -> usize) -> Vec<f32> {
    values
        .iter()
        .enumerate()
        .map(|(at, value)| (value * spec.std[channel(at)] + spec.mean[channel(at)]) * 255.0)
        .collect()
}

struct Golden<'a> {
    tensors: SafeTensors<'a>,
    problems: Vec<String>,
    compared: usize,
}

impl Golden<'_> {
    /// Compares a picture (of patches, those that are real) with the tensor of its name, if there is one. Stored are the numbers themselves, or, where
    /// they are bytes, the levels before normalising.
    fn compare(&mut self, name: &str, values: &[f32], spec: &ImageSpec, channel: impl Fn(usize) -> usize) {
        let Ok(tensor) = self.tensors.tensor(name) else { return };
        let expected: Vec<f32> = match tensor.dtype() {
            Dtype::U8 => tensor.data().iter().map(|byte| f32::from(*byte)).collect(),
            _ => {
                let values = tensor.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
                levels(&values.collect::<Vec<_>>(), spec, &channel)
            }
        };
        let got = levels(values, spec, channel);
        let is_patches = name.starts_with("naflex/") && got.len() <= expected.len();
        if got.len() != expected.len() && !is_patches {
            self.problems.push(format!("{name}: {} numbers, not {}", got.len(), expected.len()));
            return;
        }
        let differences: Vec<f32> = got.iter().zip(&expected).map(|(got, expected)| (got - expected).abs()).collect();
        let mean = differences.iter().sum::<f32>() / differences.len() as f32;
        let max = differences.iter().copied().fold(0.0, f32::max);
        let is_jpeg = name.ends_with(".jpg") || name.contains("named-wrong");
        let (mean_limit, max_limit) = if is_jpeg { (JPEG_MEAN, JPEG_MAX) } else { (LOSSLESS_MAX, LOSSLESS_MAX) };
        if mean > mean_limit || max > max_limit {
            self.problems.push(format!("{name}: {mean:.3} levels on average, {max:.3} at most"));
        }
        self.compared += 1;
    }
}

#[test]
fn every_good_file_equals_the_reference() {
    for folder in folders() {
        let facts: Value = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
        let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
        let mut golden =
            Golden { tensors: SafeTensors::deserialize(&bytes).unwrap(), problems: Vec::new(), compared: 0 };
        let number = |field: &str| facts[field].as_u64().map(|number| number as u32);
        let size = number("size").unwrap();
        for (name, fact) in facts["good"].as_object().unwrap() {
            let file = fs::read(folder.join("files").join(name)).unwrap();
            let picture = match decode(&file, &DecodeOptions::default()) {
                Ok(picture) => picture,
                // A format that a reference reads and this does not, and says so.
                Err(DecodeError::Unsupported { what }) if name.ends_with(".avif") && what == "AVIF" => continue,
                Err(error) => {
                    golden.problems.push(format!("{name}: {error}"));
                    continue;
                }
            };
            let upright = [picture.width(), picture.height()];
            if fact["upright_size"] != serde_json::json!(upright) {
                golden.problems.push(format!("{name}: {upright:?}, not {}", fact["upright_size"]));
            }
            for (kind, spec) in [("clip", clip(size)), ("siglip", siglip(size))] {
                let PixelBatch::Pictures { values, height, width } = preprocess([&picture], &spec) else {
                    panic!("{kind} gives patches");
                };
                assert_eq!([height, width], [size as usize; 2]);
                golden.compare(&format!("{kind}/{name}"), &values, &spec, |at| at / (height * width));
            }
            let Some((patch_size, max_patches)) = number("patch_size").zip(number("max_num_patches")) else { continue };
            let spec = naflex(patch_size, max_patches);
            let PixelBatch::Patches { values, patch_width, grids, .. } = preprocess([&picture], &spec) else {
                panic!("NaFlex gives pictures");
            };
            let Ok(shape) = golden.tensors.tensor(&format!("naflex-shape/{name}")) else { continue };
            let shape: Vec<u32> = shape.data().chunks(8).map(|bytes| u32::from(bytes[0])).collect();
            assert_eq!(grids[0].to_vec(), shape, "{name}");
            let (real, filling) = values.split_at((grids[0][0] * grids[0][1]) as usize * patch_width);
            assert!(filling.iter().all(|value| *value == 0.0), "{name}: filling is zero");
            golden.compare(&format!("naflex/{name}"), real, &spec, |at| at % 3);
        }
        let problems = golden.problems.join("\n");
        assert!(problems.is_empty(), "{}:\n{problems}", folder.display());
        assert!(golden.compared > 20, "{}: only {} tensors compared", folder.display(), golden.compared);
    }
}

#[test]
fn every_bad_file_fails_as_it_should() {
    for folder in folders() {
        let facts: Value = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
        let Some(bad) = facts["bad"].as_object() else { continue };
        let expected: BTreeMap<&str, &str> =
            bad.iter().map(|(name, kind)| (name.as_str(), kind.as_str().unwrap())).collect();
        let got: BTreeMap<&str, &str> = expected
            .keys()
            .map(|name| {
                let file = fs::read(folder.join("bad").join(name)).unwrap();
                (*name, decode(&file, &DecodeOptions::default()).map_or_else(|error| kind(&error), |_| "decoded"))
            })
            .collect();
        assert_eq!(got, expected, "{}", folder.display());
    }
}

/// The kind that a row's error would have.
pub(super) fn kind(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::Empty => "empty",
        DecodeError::NotAnImage { .. } => "not_an_image",
        DecodeError::Unsupported { .. } => "unsupported",
        DecodeError::TooLarge { .. } => "too_large",
        DecodeError::Truncated { .. } => "truncated",
        DecodeError::Corrupt { .. } => "corrupt",
        _ => "unknown",
    }
}
