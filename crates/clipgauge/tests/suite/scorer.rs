//! The library's front door: scores as the reference gives them, the same bits however they are computed, and any
//! encoder.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clipgauge::core::encoder::Encoder;
use clipgauge::core::family;
use clipgauge::core::metric::{Compare, Metric};
use clipgauge::core::model_files::ModelFiles;
use clipgauge::row::RowErrorKind;
use clipgauge::scorer::{Image, Pair, Scored, Scorer};

/// How far a score over `examples/` may be from the reference's: JPEG decoders differ by a level here and there.
const MAX_DIFFERENCE: f32 = 0.003;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Images and captions of `examples/pairs.csv`.
fn examples() -> Vec<(Vec<u8>, String)> {
    let folder = workspace().join("examples");
    let mut table = csv::Reader::from_path(folder.join("pairs.csv")).unwrap();
    let row = |row: csv::StringRecord| (std::fs::read(folder.join(&row[0])).unwrap(), row[1].to_owned());
    table.records().map(|record| row(record.unwrap())).collect()
}

fn pairs(rows: &[(Vec<u8>, String)]) -> Vec<Pair<'_>> {
    rows.iter().map(|(image, caption)| Pair { image: Image::File(image), caption }).collect()
}

fn pictoclip() -> Arc<dyn Encoder> {
    family::load(&ModelFiles::Bundled(clipgauge_pictoclip::FILES)).unwrap().into()
}

fn scorer() -> Scorer {
    let encoder = pictoclip();
    let metric = Metric::Cosine.comparer(encoder.spec()).unwrap();
    Scorer::new(encoder, metric)
}

fn bits(scored: &[Scored]) -> Vec<u32> {
    scored.iter().map(|scored| scored.score().unwrap().to_bits()).collect()
}

#[test]
fn the_examples_score_as_the_reference_scores_them() {
    let text = std::fs::read(workspace().join("examples/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let rows = examples();
    let scored = scorer().score(&pairs(&rows)).unwrap();
    assert_eq!(scored.len(), 51);

    let (mut matched, mut mismatched) = (Vec::new(), Vec::new());
    for (index, (scored, expected)) in scored.iter().zip(expected["rows"].as_array().unwrap()).enumerate() {
        let (score, cosine) = (scored.score().unwrap(), expected["cosine"].as_f64().unwrap() as f32);
        assert!((score - cosine).abs() <= MAX_DIFFERENCE, "row {}: {score}, not {cosine}", index + 1);
        if expected["matched"].as_bool().unwrap() { &mut matched } else { &mut mismatched }.push(score);
    }
    // The area under the ROC curve: how often a caption that belongs beats one that does not.
    let wins = matched.iter().flat_map(|a| mismatched.iter().map(move |b| f64::from(u8::from(a > b)))).sum::<f64>();
    let auc = wins / (matched.len() * mismatched.len()) as f64;
    assert!((auc - expected["auc"].as_f64().unwrap()).abs() < 1e-6, "AUC {auc}");
}

#[test]
fn a_score_does_not_depend_on_batch_threads_or_order() {
    let rows = examples();
    let scorer = scorer();
    let number = |number| NonZeroUsize::new(number).unwrap();
    let expected =
        bits(&scorer.clone().with_batch_size(number(1)).with_threads(number(1)).score(&pairs(&rows)).unwrap());
    let reversed_rows: Vec<_> = rows.iter().rev().cloned().collect();
    for (batch_size, threads) in [1, 3, 32].into_iter().flat_map(|batch| [1, 2, 4].map(|threads| (batch, threads))) {
        let scorer = scorer.clone().with_batch_size(number(batch_size)).with_threads(number(threads));
        assert_eq!(bits(&scorer.score(&pairs(&rows)).unwrap()), expected, "batch {batch_size}, threads {threads}");
        let mut reversed = bits(&scorer.score(&pairs(&reversed_rows)).unwrap());
        reversed.reverse();
        assert_eq!(reversed, expected, "batch {batch_size}, threads {threads}, reversed");
    }
}

#[test]
fn a_bad_image_is_its_own_error_and_nobody_elses() {
    let rows = examples();
    let alone = scorer().score(&pairs(&rows[..3])).unwrap();
    let mut pairs = pairs(&rows[..3]);
    pairs.insert(1, Pair { image: Image::File(b"<html>404</html>"), caption: "a page" });
    pairs.push(Pair { image: Image::File(b""), caption: "nothing" });
    let scored = scorer().score(&pairs).unwrap();
    assert_eq!(scored[1].score().unwrap_err().kind, RowErrorKind::NotAnImage);
    assert_eq!(scored[4].score().unwrap_err().kind, RowErrorKind::Empty);
    assert_eq!([&scored[0], &scored[2], &scored[3]], [&alone[0], &alone[1], &alone[2]]);
    assert!(scorer().score(&[]).unwrap().is_empty());
}

#[test]
fn long_captions_are_cut_and_said_to_be() {
    let rows = examples();
    let long = "red apple, flat icon ".repeat(40);
    let image = Image::File(&rows[2].0);
    let scored = scorer().score(&[Pair { image, caption: "red apple" }, Pair { image, caption: &long }]).unwrap();
    assert_eq!(scored.iter().map(|scored| scored.is_truncated).collect::<Vec<_>>(), [false, true]);
    assert!(scored[1].score().is_ok());
}

#[test]
fn captions_are_canonicalized_on_request_only() {
    let rows = examples();
    let image = Image::File(&rows[2].0);
    let caption = |caption| [Pair { image, caption }];
    let plain = scorer().score(&caption("red apple flat icon")).unwrap();
    let written = scorer().score(&caption("red apple, flat icon!")).unwrap();
    assert_ne!(plain, written);
    let canonical = scorer().with_canonical_captions(true).score(&caption("Red apple, flat_icon!")).unwrap();
    assert_eq!(plain, canonical);
}

mod own_encoder {
    use clipgauge::core::embeddings::Embeddings;
    use clipgauge::core::encoder::EncodeError;
    use clipgauge::core::pixels::PixelBatch;
    use clipgauge::core::spec::ModelSpec;
    use clipgauge::core::tokenize::TokenBatch;

    use super::*;

    /// An encoder that a caller brings: how bright a picture is, and how long a text.
    struct Brightness(ModelSpec);

    impl Encoder for Brightness {
        fn spec(&self) -> &ModelSpec {
            &self.0
        }

        fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError> {
            let PixelBatch::Pictures { values, height, width } = batch else {
                unreachable!("the spec asks for pictures")
            };
            let mean = |picture: &[f32]| picture.iter().sum::<f32>() / picture.len() as f32;
            Ok(Embeddings::new(values.chunks(3 * height * width).flat_map(|p| [mean(p), 1.0]).collect(), 2))
        }

        fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError> {
            Ok(Embeddings::new(batch.texts().flat_map(|ids| [ids.len() as f32, 1.0]).collect(), 2))
        }
    }

    #[test]
    fn scores_with_any_metric() {
        let spec = ModelSpec { family: None, embedding_width: 2, ..pictoclip().spec().clone() };
        let encoder: Arc<dyn Encoder> = Arc::new(Brightness(spec));
        let rows = examples();
        let dot = Metric::Dot.comparer(encoder.spec()).unwrap();
        let scored = Scorer::new(Arc::clone(&encoder), dot).score(&pairs(&rows[..2])).unwrap();
        for (scored, (image, caption)) in scored.iter().zip(&rows) {
            let expected = encoder.spec();
            let pixels = clipgauge::core::decode::decode(image, &Default::default()).unwrap();
            let pictures = clipgauge::core::preprocess::preprocess([&pixels], &expected.image);
            let image = encoder.encode_images(&pictures).unwrap();
            let tokens = expected.tokenizer.as_ref().unwrap().tokenize(caption).unwrap();
            let product = image.row(0)[0] * tokens.ids.len() as f32 + 1.0;
            assert!((scored.score().unwrap() - product).abs() < 1e-4);
        }
    }

    /// An encoder that loses the last text of a batch.
    struct Forgetful(Brightness);

    impl Encoder for Forgetful {
        fn spec(&self) -> &ModelSpec {
            self.0.spec()
        }

        fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError> {
            self.0.encode_images(batch)
        }

        fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError> {
            self.0.encode_texts(&batch.texts().take(batch.len() - 1).collect())
        }
    }

    #[test]
    fn that_gives_too_few_vectors_is_refused() {
        let spec = ModelSpec { family: None, embedding_width: 2, ..pictoclip().spec().clone() };
        let encoder: Arc<dyn Encoder> = Arc::new(Forgetful(Brightness(spec)));
        let metric = Metric::Cosine.comparer(encoder.spec()).unwrap();
        let error =
            Scorer::new(encoder, metric).with_threads(NonZeroUsize::MIN).score(&pairs(&examples()[..3])).unwrap_err();
        assert!(
            error.to_string().contains("for 3 images") && error.to_string().contains("for 3 texts 2 of 2"),
            "{error}"
        );
    }

    /// An encoder that counts what it is given.
    struct Counting {
        encoder: Arc<dyn Encoder>,
        images: AtomicUsize,
        texts: AtomicUsize,
    }

    impl Encoder for Counting {
        fn spec(&self) -> &ModelSpec {
            self.encoder.spec()
        }

        fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError> {
            self.images.fetch_add(batch.len(), Ordering::Relaxed);
            self.encoder.encode_images(batch)
        }

        fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError> {
            self.texts.fetch_add(batch.len(), Ordering::Relaxed);
            self.encoder.encode_texts(batch)
        }
    }

    /// Equal images and captions are encoded once, and each pair gets what it gets alone: scores, errors and notes.
    #[test]
    fn is_given_equal_images_and_captions_once() {
        let rows = examples();
        let long = "a red apple, flat icon ".repeat(40);
        let decoded = clipgauge::core::decode::decode(&rows[3].0, &Default::default()).unwrap();
        let images = [Image::File(&rows[0].0), Image::File(&rows[1].0), Image::File(&rows[2].0[..60])];
        let captions = [rows[0].1.as_str(), "", &long, "RED APPLE"];
        let mut pairs: Vec<_> =
            (0..48).map(|row| Pair { image: images[row % 3], caption: captions[row / 3 % 4] }).collect();
        pairs.insert(20, Pair { image: Image::Pixels(&decoded), caption: &long });

        let mut spec = ModelSpec { family: None, embedding_width: 2, ..pictoclip().spec().clone() };
        spec.image.mean = [0.5; 3];
        let brightness: Arc<dyn Encoder> = Arc::new(Brightness(spec));
        let metric: Arc<dyn Compare> = Metric::Cosine.comparer(pictoclip().spec()).unwrap().into();
        let scorer = |first: Arc<dyn Encoder>| {
            Scorer::new(first, Arc::clone(&metric)).with_model(Arc::clone(&brightness), Arc::clone(&metric))
        };
        let single = scorer(pictoclip());
        let alone: Vec<_> = pairs.iter().map(|pair| single.score(&[*pair]).unwrap().swap_remove(0)).collect();
        assert_eq!(alone.iter().filter(|scored| scored.scores.is_err()).count(), 16);
        assert_eq!(alone.iter().filter(|scored| scored.is_truncated).count(), 13);
        for (batch_size, threads) in [(1, 1), (7, 1), (64, 1), (4, 3)] {
            let zero = || AtomicUsize::new(0);
            let counting = Arc::new(Counting { encoder: pictoclip(), images: zero(), texts: zero() });
            let [batch_size, threads] = [batch_size, threads].map(|count| NonZeroUsize::new(count).unwrap());
            let scorer = scorer(Arc::clone(&counting) as Arc<dyn Encoder>);
            let scored = scorer.with_batch_size(batch_size).with_threads(threads).score(&pairs).unwrap();
            assert_eq!(scored, alone, "{batch_size}, {threads}");
            let given = [&counting.images, &counting.texts].map(|count| count.load(Ordering::Relaxed));
            if threads == NonZeroUsize::MIN {
                assert_eq!(given, [2 + 1, 4], "{batch_size}");
            } else {
                // Two may meet the same for the first time at once.
                assert!(given[0] <= 3 * 2 + 1 && given[1] <= 3 * 4, "{given:?}");
            }
        }
    }

    /// Each column is what its model and metric give alone, whether the models want their pictures alike or not.
    #[test]
    fn several_at_once_are_what_each_is_alone() {
        let rows = examples();
        let mut spec = ModelSpec { family: None, embedding_width: 2, ..pictoclip().spec().clone() };
        spec.image.mean = [0.5; 3];
        let brightness: Arc<dyn Encoder> = Arc::new(Brightness(spec));
        let metric = |metric: Metric| metric.comparer(pictoclip().spec()).unwrap();
        let together = Scorer::new(pictoclip(), metric(Metric::Cosine))
            .with_metric(metric(Metric::Euclidean))
            .with_model(Arc::clone(&brightness), metric(Metric::Dot))
            .with_model(pictoclip(), metric(Metric::Logit));
        let alone = [
            Scorer::new(pictoclip(), metric(Metric::Cosine)),
            Scorer::new(pictoclip(), metric(Metric::Euclidean)),
            Scorer::new(brightness, metric(Metric::Dot)),
            Scorer::new(pictoclip(), metric(Metric::Logit)),
        ]
        .map(|scorer| bits(&scorer.score(&pairs(&rows[..20])).unwrap()));
        for (row, scored) in together.score(&pairs(&rows[..20])).unwrap().iter().enumerate() {
            let found: Vec<u32> = scored.scores.as_ref().unwrap().iter().map(|score| score.to_bits()).collect();
            assert_eq!(found, alone.each_ref().map(|column| column[row]), "row {}", row + 1);
        }
    }

    /// An encoder that knows the first ids of the vocabulary only.
    struct ShortVocabulary(Arc<dyn Encoder>);

    impl Encoder for ShortVocabulary {
        fn spec(&self) -> &ModelSpec {
            self.0.spec()
        }

        fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError> {
            self.0.encode_images(batch)
        }

        fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError> {
            let (unknown, vocabulary) =
                (self.spec().tokenizer.as_ref().unwrap().tokenize("zebra").unwrap().ids[1], 6000);
            match batch.ids().iter().find(|id| **id == unknown) {
                Some(&id) => Err(EncodeError::TokenOutOfRange { id, vocabulary }),
                None => self.0.encode_texts(batch),
            }
        }
    }

    #[test]
    fn a_caption_that_the_model_cannot_read_is_its_own_error() {
        let rows = examples();
        let metric = || Metric::Cosine.comparer(pictoclip().spec()).unwrap();
        let encoder: Arc<dyn Encoder> = Arc::new(ShortVocabulary(pictoclip()));
        let mut pairs = pairs(&rows[..8]);
        let expected = scorer().score(&pairs).unwrap();
        pairs[5].caption = "zebra";
        let scored = Scorer::new(encoder, metric()).score(&pairs).unwrap();
        let error = scored[5].score().unwrap_err();
        assert_eq!(error.kind, RowErrorKind::Unsupported);
        assert!(error.message.contains("outside the model's vocabulary of 6000"), "{error}");
        for row in [0, 1, 2, 3, 4, 6, 7] {
            assert_eq!(scored[row], expected[row], "row {}", row + 1);
        }
    }
}
