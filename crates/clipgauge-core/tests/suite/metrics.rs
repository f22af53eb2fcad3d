//! Each metric gives the numbers of its formula, keeps the rules for metrics, and is written about.

use std::fs;
use std::path::Path;

use clipgauge_core::conformance;
use clipgauge_core::metric::{Compare, Metric};
use clipgauge_core::spec::{Filter, ImageSpec, ModelSpec, Resize, TextSpec};

fn spec(logit_scale: Option<f32>, logit_bias: Option<f32>) -> ModelSpec {
    ModelSpec {
        family: None,
        image: ImageSpec {
            resize: Resize::Keep,
            crop: None,
            filter: Filter::Bicubic,
            rescale_factor: 1.0 / 255.0,
            mean: [0.5; 3],
            std: [0.5; 3],
        },
        text: TextSpec { context_length: 77, pad_token: None },
        tokenizer: None,
        embedding_width: 2,
        logit_scale,
        logit_bias,
    }
}

/// With a logit scale of 10, and a bias of −3 for the metric that cannot do without one.
fn comparer(metric: Metric) -> Box<dyn Compare> {
    let bias = (metric == Metric::Sigmoid).then_some(-3.0);
    metric.comparer(&spec(Some(10.0), bias)).unwrap()
}

/// By hand: the cosine of [3, 4] and [4, 3] is 24/25, of the normalised differences one is 1/5 and one −1/5.
#[test]
fn each_metric_gives_the_numbers_of_its_formula() {
    use Metric::*;
    let root = f64::sqrt;
    #[rustfmt::skip]
    let cases: &[(Metric, &[f32], &[f32], f64)] = &[
        (Cosine,    &[3.0, 4.0], &[4.0, 3.0],  0.96),
        (Cosine,    &[3.0, 4.0], &[30.0, 40.0], 1.0),
        (Cosine,    &[1.0, 0.0], &[0.0, 7.0],  0.0),
        (Cosine,    &[1.0, 2.0], &[-2.0, -4.0], -1.0),
        (Cosine,    &[0.0, 0.0], &[1.0, 2.0],  0.0),
        (Cosine,    &[1e-30, 1e-30], &[1e30, 0.0], root(0.5)),
        (ClipScore, &[3.0, 4.0], &[4.0, 3.0],  96.0),
        (ClipScore, &[3.0, 4.0], &[-4.0, -3.0], 0.0),
        (ClipScore, &[0.0, 0.0], &[1.0, 2.0],  0.0),
        (Dot,       &[3.0, 4.0], &[4.0, 3.0],  24.0),
        (Dot,       &[3.0, 4.0], &[-40.0, 30.5], 2.0),
        (Dot,       &[0.0, 0.0], &[1.0, 2.0],  0.0),
        (Euclidean, &[3.0, 4.0], &[4.0, 3.0],  root(0.08)),
        (Euclidean, &[3.0, 4.0], &[8.0, 6.0],  root(0.08)),
        (Euclidean, &[1.0, 0.0], &[-5.0, 0.0], 2.0),
        (Euclidean, &[1.0, 1.0], &[1.0, 1.0],  0.0),
        (Euclidean, &[0.0, 0.0], &[1.0, 2.0],  1.0),
        (Euclidean, &[0.0, 0.0], &[0.0, 0.0],  0.0),
        (Manhattan, &[3.0, 4.0], &[4.0, 3.0],  0.4),
        (Manhattan, &[1.0, 0.0], &[0.0, -9.0], 2.0),
        (Manhattan, &[1.0, 1.0], &[-1.0, -1.0], 2.0 * root(2.0)),
        (Manhattan, &[0.0, 0.0], &[0.0, 2.0],  1.0),
        (Angular,   &[1.0, 0.0], &[5.0, 0.0],  1.0),
        (Angular,   &[1.0, 0.0], &[1.0, 1.0],  0.75),
        (Angular,   &[1.0, 0.0], &[0.0, 2.0],  0.5),
        (Angular,   &[1.0, 0.0], &[-3.0, 0.0], 0.0),
        (Angular,   &[0.0, 0.0], &[1.0, 2.0],  0.5),
        (Logit,     &[3.0, 4.0], &[4.0, 3.0],  9.6),
        (Logit,     &[3.0, 4.0], &[-4.0, -3.0], -9.6),
        (Logit,     &[0.0, 0.0], &[1.0, 2.0],  0.0),
        // 1 / (1 + e^-7), 1 / (1 + e^13) and 1 / (1 + e^3), to ten digits.
        (Sigmoid,   &[3.0, 4.0], &[6.0, 8.0],  0.999_088_948_8),
        (Sigmoid,   &[3.0, 4.0], &[-3.0, -4.0], 0.000_002_260_324_3),
        (Sigmoid,   &[0.0, 0.0], &[1.0, 2.0],  0.047_425_873_18),
    ];
    for (metric, image, text, expected) in cases {
        let score = f64::from(comparer(*metric).compare(image, text));
        let allowed = 1e-7 * expected.abs().max(1.0);
        assert!((score - expected).abs() <= allowed, "{metric} of {image:?} and {text:?}: {score}, not {expected}");
    }
    for metric in Metric::ALL {
        assert!(cases.iter().any(|(tested, ..)| tested == metric), "{metric} has no case");
    }
}

/// Two vectors a ten-millionth apart, whose squared distance is lost when it is taken as 2 − 2 cos in f32.
#[test]
fn a_small_distance_is_not_lost() {
    let (image, text) = ([1.0, 0.0], [1.0, 1e-7]);
    let distance = comparer(Metric::Euclidean).compare(&image, &text);
    assert!((f64::from(distance) / 1e-7 - 1.0).abs() < 1e-6, "{distance}");
}

/// Thousands of numbers of alternating sign and very different size, whose sum in f32 would be off by far more.
#[test]
fn long_vectors_are_summed_exactly_enough() {
    let image: Vec<f32> = (0..4_096).map(|index| if index % 2 == 0 { 1e4 } else { -1e4 }).collect();
    let mut text = vec![1.0; 4_096];
    text[17] = 1.0 + f32::EPSILON;
    let dot = comparer(Metric::Dot).compare(&image, &text);
    assert_eq!(dot, -1e4 * f32::EPSILON);
}

#[test]
fn logits_take_scale_and_bias_from_the_model() {
    let logit = Metric::Logit.comparer(&spec(Some(117.0), Some(-12.5))).unwrap();
    assert_eq!(logit.compare(&[1.0, 0.0], &[2.0, 0.0]), 104.5);

    for (metric, scale, sentence) in [
        (Metric::Logit, None, "metric `logit` needs a logit scale, which the model does not have"),
        (Metric::Sigmoid, None, "metric `sigmoid` needs a logit scale, which the model does not have"),
        (Metric::Sigmoid, Some(10.0), "metric `sigmoid` needs a logit bias, which the model does not have"),
    ] {
        let Err(error) = metric.comparer(&spec(scale, None)) else { panic!("{metric} without its parameter") };
        assert_eq!(error.to_string(), sentence);
    }
}

#[test]
fn only_vectors_that_are_not_numbers_give_none() {
    for metric in Metric::ALL {
        let score = comparer(*metric).compare(&[f32::NAN, 1.0], &[1.0, 1.0]);
        assert!(score.is_nan(), "{metric} hides that a vector is broken: {score}");
    }
}

#[test]
fn every_metric_keeps_the_rules() {
    for metric in Metric::ALL {
        eprintln!("{metric}");
        conformance::metric(&*comparer(*metric));
    }
}

#[test]
fn scores_lie_in_the_range_and_improve_the_way_the_registry_says() {
    for metric in Metric::ALL {
        let comparer = comparer(*metric);
        assert_eq!(comparer.higher_is_better(), metric.higher_is_better(), "{metric}");
        let vectors: [&[f32]; 5] = [&[3.0, 4.0], &[4.0, 3.0], &[-3.0, -4.0], &[0.1, -0.7], &[0.0, 0.0]];
        for image in vectors {
            for text in vectors {
                let score = comparer.compare(image, text);
                assert!(metric.range().contains(&score), "{metric} of {image:?} and {text:?} is {score}");
            }
        }
    }
}

#[test]
fn a_metric_is_found_by_its_name_only() {
    for metric in Metric::ALL {
        assert_eq!(metric.name().parse::<Metric>().unwrap(), *metric);
    }
    assert_eq!(Metric::default(), Metric::Cosine);
    let error = "cosin".parse::<Metric>().unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no metric `cosin`; there are cosine, clipscore, dot, euclidean, manhattan, angular, logit, sigmoid"
    );
}

/// A metric without its section, or with a section that tells another formula, is not finished.
#[test]
fn every_metric_is_written_about() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let for_users = fs::read_to_string(docs.join("metrics.md")).unwrap();
    let for_authors = fs::read_to_string(docs.join("extending.md")).unwrap();
    let extending = for_authors.split("\n## ").find(|section| section.starts_with("Metrics\n")).expect("a section");
    for metric in Metric::ALL {
        let heading = format!("\n## `{metric}`\n");
        let section = for_users.split_once(&heading).unwrap_or_else(|| panic!("docs/metrics.md lacks {heading:?}")).1;
        let section = section.split("\n## ").next().unwrap_or_default();
        let better = if metric.higher_is_better() { "higher is better" } else { "lower is better" };
        for fact in [metric.formula(), better] {
            assert!(section.contains(fact), "docs/metrics.md does not say {fact:?} of {metric}");
        }
        let file = format!("`metric/{metric}.rs`");
        assert!(extending.contains(&file), "docs/extending.md does not name {file}");
    }
}
