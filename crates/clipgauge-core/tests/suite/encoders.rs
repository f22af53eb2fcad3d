//! Every golden model folder: embeddings and similarities equal the reference's, and no item's vector depends on
//! what it is encoded with.

use std::path::{Path, PathBuf};

use clipgauge_core::encoder::Encoder;
use clipgauge_core::family::{self, LoadOptions, ModelFamily};
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::pixels::PixelBatch;
use clipgauge_core::precision::Precision;
use clipgauge_core::tokenize::TokenBatch;

use crate::golden;
use crate::tensors::{Tensors, cosine};

/// What each embedding's cosine with the reference's must reach.
const MIN_COSINE: f64 = 0.999_999;
const MAX_SIMILARITY_DIFFERENCE: f64 = 1e-5;
const MAX_RELATIVE_LOGIT_DIFFERENCE: f64 = 1e-3;

/// A golden model, loaded.
struct Model {
    name: String,
    encoder: Box<dyn Encoder>,
    golden: Tensors,
    /// The ids of its texts, without their padding where it does not count.
    texts: Vec<Vec<u32>>,
}

impl Model {
    fn read(
        folder: &Path,
        precision: Precision,
        golden: &str,
        texts: fn(&Path, &Tensors, &dyn Encoder) -> Vec<Vec<u32>>,
    ) -> Self {
        let encoder = family::load_with(
            &ModelFiles::Folder(folder.to_owned()),
            &LoadOptions { precision, ..LoadOptions::default() },
        );
        let encoder = encoder.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let golden = Tensors::read(&folder.join(golden));
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            texts: texts(folder, &golden, &*encoder),
            golden,
            encoder,
        }
    }

    /// Texts `indices`, as they are encoded.
    fn texts(&self, indices: &[usize]) -> TokenBatch {
        indices.iter().map(|&index| self.texts[index].as_slice()).collect()
    }

    /// Whether padding behind the token that is read changes nothing: then it may stand in the input.
    fn is_causal(&self) -> bool {
        let family = self.encoder.spec().family.unwrap();
        matches!(family, ModelFamily::Clip | ModelFamily::OpenClip | ModelFamily::MetaClip2)
    }
}

/// The golden models with embeddings, in f32.
fn models() -> impl Iterator<Item = Model> {
    models_in(Precision::F32)
}

fn models_in(precision: Precision) -> impl Iterator<Item = Model> {
    let read = move |folder: PathBuf| Model::read(&folder, precision, "golden.safetensors", golden_texts);
    golden::entries("models").into_iter().map(read)
}

/// Those with scores of texts and pictures, which `families.rs` holds to the reference.
fn families_in(precision: Precision) -> impl Iterator<Item = Model> {
    let read = move |folder: PathBuf| Model::read(&folder, precision, "expected.safetensors", captions);
    golden::entries("families").into_iter().map(read)
}

/// Pictures `indices` of the golden batch.
fn pictures(golden: &Tensors, indices: &[usize]) -> PixelBatch {
    let shape = golden.shape("pixel_values");
    let all = golden.f32("pixel_values");
    let size: usize = shape[1..].iter().product();
    let values = indices.iter().flat_map(|&index| &all[index * size..][..size]).copied().collect();
    match *shape {
        [_, 3, height, width] => PixelBatch::Pictures { values, height, width },
        [_, max_patches, patch_width] => {
            let grids: Vec<_> = golden.rows("spatial_shapes").map(|grid| [grid[0] as u32, grid[1] as u32]).collect();
            let grids = indices.iter().map(|&index| grids[index]).collect();
            PixelBatch::Patches { values, max_patches, patch_width, grids }
        }
        _ => panic!("pictures of {shape:?}"),
    }
}

/// The texts of the golden batch, without their padding where it does not count.
fn golden_texts(_: &Path, golden: &Tensors, _: &dyn Encoder) -> Vec<Vec<u32>> {
    if !golden.contains("attention_mask") {
        return padded_texts(golden);
    }
    golden
        .rows("input_ids")
        .zip(golden.rows("attention_mask"))
        .map(|(ids, mask)| ids.iter().zip(mask).filter(|(_, mask)| **mask > 0.0).map(|(id, _)| *id as u32).collect())
        .collect()
}

/// The texts of the golden batch with their padding, as the reference takes them.
fn padded_texts(golden: &Tensors) -> Vec<Vec<u32>> {
    golden.rows("input_ids").map(|ids| ids.iter().map(|&id| id as u32).collect()).collect()
}

/// The captions of a folder's table.
fn captions(folder: &Path, _: &Tensors, encoder: &dyn Encoder) -> Vec<Vec<u32>> {
    let tokenizer = encoder.spec().tokenizer.as_ref().expect("a tokenizer");
    let mut table = csv::Reader::from_path(folder.join("pairs.csv")).unwrap();
    table.records().map(|row| tokenizer.tokenize(&row.unwrap()[1]).unwrap().ids).collect()
}

fn wide(row: &[f32]) -> impl Iterator<Item = f64> {
    row.iter().map(|&value| f64::from(value))
}

#[test]
fn embeddings_and_similarities_equal_the_reference() {
    let mut failures = Vec::new();
    for model in models() {
        let Model { name, encoder, golden, .. } = &model;
        let all_images: Vec<usize> = (0..golden.shape("image_embeds")[0]).collect();
        let all_texts: Vec<usize> = (0..golden.shape("text_embeds")[0]).collect();
        let images = encoder.encode_images(&pictures(golden, &all_images)).unwrap();
        let mut forms = vec![("packed", model.texts(&all_texts))];
        if model.is_causal() {
            forms.push(("padded", padded_texts(golden).iter().map(Vec::as_slice).collect()));
        }
        for (form, batch) in forms {
            let texts = encoder.encode_texts(&batch).unwrap();
            let pairs =
                images.rows().zip(golden.rows("image_embeds")).chain(texts.rows().zip(golden.rows("text_embeds")));
            for (index, (ours, reference)) in pairs.enumerate() {
                let cosine = cosine(wide(ours), reference.iter().copied());
                if cosine.is_nan() || cosine < MIN_COSINE {
                    failures.push(format!("{name} ({form}): embedding {index} has cosine {cosine}"));
                }
                let relative = wide(ours).zip(reference).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                if relative > 1e-4 * reference.iter().fold(0.0, |m: f64, v| m.max(v.abs())) {
                    failures.push(format!("{name} ({form}): embedding {index} differs by {relative}"));
                }
            }
            let scale = f64::from(encoder.spec().logit_scale.unwrap());
            let bias = f64::from(encoder.spec().logit_bias.unwrap_or(0.0));
            let ours = images.rows().flat_map(|image| texts.rows().map(move |text| cosine(wide(image), wide(text))));
            let references = golden.values("similarity").iter().zip(golden.values("logits_per_image"));
            for (index, (ours, (similarity, logit))) in ours.zip(references).enumerate() {
                if (ours - similarity).abs() > MAX_SIMILARITY_DIFFERENCE {
                    failures.push(format!("{name} ({form}): similarity {index} is {ours}, not {similarity}"));
                }
                let ours = scale * ours + bias;
                if (ours - logit).abs() > MAX_RELATIVE_LOGIT_DIFFERENCE * logit.abs().max(1.0) {
                    failures.push(format!("{name} ({form}): logit {index} is {ours}, not {logit}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_family_has_a_golden_model() {
    let known: Vec<_> = models().chain(families_in(Precision::F32)).map(|model| model.encoder.spec().family).collect();
    for family in ModelFamily::ALL {
        assert!(known.contains(&Some(*family)), "no golden model of {}", family.name());
    }
}

#[test]
fn a_vector_does_not_depend_on_its_batch() {
    for (precision, model) in Precision::ALL
        .iter()
        .flat_map(|&precision| models_in(precision).chain(families_in(precision)).map(move |model| (precision, model)))
    {
        let Model { name, encoder, golden, texts } = &model;
        let (image_count, text_count) = (golden.shape("pixel_values")[0], texts.len());
        // Many more rows than any kernel's tile or block, in another order, with repetitions.
        let image_order: Vec<usize> = (0..33).map(|index| (index * 3 + 1) % image_count).collect();
        let text_order: Vec<usize> = (0..61).map(|index| (index * 5 + 2) % text_count).collect();
        let images = encoder.encode_images(&pictures(golden, &image_order)).unwrap();
        let texts_together = encoder.encode_texts(&model.texts(&text_order)).unwrap();
        for (row, &index) in image_order.iter().enumerate() {
            let alone = encoder.encode_images(&pictures(golden, &[index])).unwrap();
            assert_eq!(alone.row(0), images.row(row), "{name} in {precision}: picture {index} at row {row}");
        }
        for (row, &index) in text_order.iter().enumerate() {
            let alone = encoder.encode_texts(&model.texts(&[index])).unwrap();
            assert_eq!(alone.row(0), texts_together.row(row), "{name} in {precision}: text {index} at row {row}");
        }
    }
}

#[test]
fn what_does_not_fit_the_model_is_an_error() {
    let Model { encoder, golden, .. } = models().find(|model| model.name == "clip-f16").unwrap();
    let vocabulary = 1000;
    let long = vec![1; encoder.spec().text.context_length + 1];
    let cases: [(&str, &[u32], &str); 3] = [
        ("no token", &[], "a text of 0 tokens"),
        ("too many tokens", &long, "tokens: the model takes from 1 to"),
        ("a token of another model", &[1, vocabulary, 2], "outside the model's vocabulary of 1000"),
    ];
    for (name, ids, expected) in cases {
        let error = encoder.encode_texts(&TokenBatch::from_iter([ids])).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    let &[_, _, height, _] = golden.shape("pixel_values") else { panic!("pictures have four dimensions") };
    let other = PixelBatch::Pictures { values: vec![0.0; 3 * 5 * 7], height: 5, width: 7 };
    let error = encoder.encode_images(&other).unwrap_err().to_string();
    assert_eq!(error, format!("the model takes pictures of {height}×{height} pixels, the batch holds 5×7 pixels"));
    assert!(encoder.encode_images(&PixelBatch::Pictures { values: vec![], height, width: height }).unwrap().is_empty());
    assert!(encoder.encode_texts(&TokenBatch::new()).unwrap().is_empty());
}
