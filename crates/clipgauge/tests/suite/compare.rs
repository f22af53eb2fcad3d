//! Two things compared: every pairing by every metric, as the model's own vectors say.

use std::fs;
use std::path::{Path, PathBuf};

use clipgauge::cancel::{Cancel, Cause};
use clipgauge::compare::{CompareError, CompareOptions, Comparison, Item, Place, compare};
use clipgauge::core::decode::decode;
use clipgauge::core::encoder::Encoder;
use clipgauge::core::family;
use clipgauge::core::metric::Metric;
use clipgauge::core::model_files::ModelFiles;
use clipgauge::core::preprocess::preprocess;
use clipgauge::core::tokenize::TokenBatch;
use clipgauge::progress::Silent;
use clipgauge::row::RowErrorKind;
use clipgauge_testing::{Reply, Server};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/images").join(name)
}

fn image(path: &Path) -> Item {
    Item::Image(path.to_str().unwrap().to_owned())
}

fn text(text: &str) -> Item {
    Item::Text(text.to_owned())
}

fn options() -> CompareOptions {
    CompareOptions { models: vec!["pictoclip".to_owned()], ..CompareOptions::default() }
}

fn compared(a: &Item, b: &Item, options: &CompareOptions) -> Result<Vec<Comparison>, CompareError> {
    compare(&[a.clone(), b.clone()], options, &Silent, &Cancel::new())
}

/// The vector of an item by the steps of the core alone.
fn vector(encoder: &dyn Encoder, item: &Item) -> Vec<f32> {
    let spec = encoder.spec();
    let encoded = match item {
        Item::Image(path) => {
            let pixels = decode(&fs::read(path).unwrap(), &Default::default()).unwrap();
            encoder.encode_images(&preprocess([&pixels], &spec.image))
        }
        Item::Text(text) => {
            let tokens = spec.tokenizer.as_ref().unwrap().tokenize(text).unwrap();
            encoder.encode_texts(&TokenBatch::from_iter([&*tokens.ids]))
        }
    };
    encoded.unwrap().row(0).to_vec()
}

#[test]
fn every_pairing_is_compared_by_every_metric() {
    let encoder = family::load(&ModelFiles::Bundled(clipgauge_pictoclip::FILES)).unwrap();
    let (cat, apple) = (image(&example("01-1f63b-fluent-3d.png")), image(&example("03-1f34e-fluent-flat.png")));
    let has_parameters = |metric: &&Metric| metric.comparer(encoder.spec()).is_ok();
    let metrics: Vec<_> = Metric::ALL.iter().filter(has_parameters).copied().collect();
    assert!(metrics.len() >= 7, "{metrics:?}");
    let options = CompareOptions { metrics: metrics.clone(), ..options() };
    let pairings = [
        ("image and text", &cat, &text("a smiling cat")),
        ("text and image", &text("a smiling cat"), &cat),
        ("two texts", &text("a smiling cat"), &text("red apple, flat icon")),
        ("two images", &cat, &apple),
        ("the empty text", &cat, &text("")),
    ];
    for (name, a, b) in pairings {
        let found = compared(a, b, &options).unwrap();
        assert_eq!(found.len(), metrics.len(), "{name}");
        let (a, b) = (vector(&*encoder, a), vector(&*encoder, b));
        for (comparison, metric) in found.iter().zip(&metrics) {
            let expected = metric.comparer(encoder.spec()).unwrap().compare(&a, &b);
            assert_eq!(comparison.score.to_bits(), expected.to_bits(), "{name} by {metric}");
            assert_eq!(comparison.metric, metric.name());
            assert_eq!(comparison.higher_is_better, metric.higher_is_better(), "{metric}");
        }
    }
}

#[test]
fn a_thing_is_like_itself() {
    let encoder = family::load(&ModelFiles::Bundled(clipgauge_pictoclip::FILES)).unwrap();
    let spec = encoder.spec();
    let most = spec.logit_scale.unwrap() + spec.logit_bias.unwrap_or(0.0);
    let options = CompareOptions { metrics: vec![Metric::Cosine, Metric::Euclidean, Metric::Logit], ..options() };
    for item in [text("a cat"), text(""), image(&example("02-1f436-noto.jpg"))] {
        let scores: Vec<f32> =
            compared(&item, &item, &options).unwrap().iter().map(|comparison| comparison.score).collect();
        assert_eq!(scores, [1.0, 0.0, most], "{item:?}");
    }
}

#[test]
fn images_come_from_servers_and_cells_too() {
    let file = example("03-1f34e-fluent-flat.png");
    let server = Server::start();
    server.on("/apple.png", Reply::ok(fs::read(&file).unwrap()));
    let found = compared(&Item::Image(server.url("/apple.png")), &image(&file), &options()).unwrap();
    assert_eq!(found[0].score, 1.0);
}

#[test]
fn an_image_that_cannot_be_used_is_named_with_its_kind() {
    let (page, cat) = (Item::Image("data:,<html>404</html>".to_owned()), text("a cat"));
    let cases = [
        ("a page", [page.clone(), cat.clone()], Place::A, RowErrorKind::NotAnImage),
        ("a page behind a text", [cat.clone(), page], Place::B, RowErrorKind::NotAnImage),
        ("no file", [Item::Image("no/such.png".to_owned()), cat.clone()], Place::A, RowErrorKind::NotFound),
        ("no name", [Item::Image(String::new()), cat.clone()], Place::A, RowErrorKind::NoImage),
        ("a scheme", [cat, Item::Image("ftp://example.org/a.png".to_owned())], Place::B, RowErrorKind::BadAddress),
    ];
    for (name, [a, b], expected, kind) in cases {
        match compared(&a, &b, &options()) {
            Err(CompareError::Image { place, error, .. }) => {
                assert_eq!((place, error.kind), (expected, kind), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn what_was_cancelled_ends_before_its_images_are_there() {
    let server = Server::start();
    server.on("/slow.png", Reply::stall());
    let cancel = Cancel::new();
    cancel.request(Cause::Interrupt);
    let items = [Item::Image(server.url("/slow.png")), text("a cat")];
    let ended = compare(&items, &options(), &Silent, &cancel);
    assert!(matches!(ended, Err(CompareError::Interrupted)), "{ended:?}");
}
