//! `clipgauge compare`: one number for two things.

use crate::bench::{Bench, Ran, repository};
use crate::scoring::column;

const CAT: &str = "images/01-1f63b-fluent-3d.png";

fn compare(bench: &Bench, args: &[&str]) -> Ran {
    Ran::of(bench.command(["compare"].iter().chain(args).copied()).output().expect("the command can be run"))
}

fn numbers(ran: &Ran) -> Vec<f32> {
    ran.text().lines().map(|line| line.parse().unwrap_or_else(|_| panic!("{line:?} is no number"))).collect()
}

#[test]
fn a_pair_has_the_score_that_its_table_has() {
    let bench = Bench::new().with_examples();
    let scored = bench.run("score pairs.csv --model pictoclip --quiet").expect_code(0);
    let urls = column(scored.text(), "url");
    let rows = urls.iter().zip(column(scored.text(), "caption")).zip(column(scored.text(), "similarity"));
    for ((url, caption), score) in rows.take(3) {
        let caption = format!("text:{caption}");
        for args in [[url.as_str(), &caption], [&caption, url.as_str()]] {
            let ran = compare(&bench, &[&args[..], &["--model", "pictoclip"]].concat()).expect_code(0);
            assert_eq!(ran.text(), format!("{score}\n"), "{args:?}");
            assert_eq!(ran.stderr, "", "{args:?}");
        }
    }
}

#[test]
fn images_and_texts_are_compared_with_their_own_kind() {
    let bench = Bench::new().with_examples();
    let cosine = |a, b| numbers(&compare(&bench, &[a, b, "--model", "pictoclip"]).expect_code(0))[0];
    assert_eq!(cosine("text:a cat", "text:a cat"), 1.0);
    assert_eq!(cosine("text:", "text:"), 1.0);
    assert_eq!(cosine(CAT, CAT), 1.0);
    let other = cosine(CAT, "images/05-1f69c-fluent-3d.webp");
    assert!((-1.0..0.99).contains(&other), "{other}");
    assert!(cosine("text:a red apple", "text:an apple, red") > cosine("text:a red apple", "text:a tractor"));
}

#[test]
fn every_model_and_metric_has_its_line() {
    let bench = Bench::new().with_examples();
    let folder = repository().join("crates/clipgauge-pictoclip/model");
    let folder = folder.to_str().expect("UTF-8");
    let args = [CAT, "text:a cat", "--model", "pictoclip", "--model", folder, "--metric=cosine", "--metric=clipscore"];
    let scores = numbers(&compare(&bench, &args).expect_code(0));
    assert_eq!(scores.len(), 4);
    // The same weights by another name.
    assert_eq!(scores[..2], scores[2..]);
    assert!((scores[0] * 100.0 - scores[1]).abs() < 1e-4, "{scores:?}");
}

#[test]
fn json_says_what_the_number_is() {
    let bench = Bench::new().with_examples();
    let long = format!("text:{}", "word ".repeat(200));
    let args = [CAT, &long, "--model", "pictoclip", "--metric", "cosine", "--metric", "euclidean", "--json"];
    let ran = compare(&bench, &args).expect_code(0);
    let lines: Vec<serde_json::Value> =
        ran.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let scores = numbers(&compare(&bench, &args[..args.len() - 1]).expect_code(0));
    for ((line, score), (metric, higher)) in lines.iter().zip(scores).zip([("cosine", true), ("euclidean", false)]) {
        let expected = serde_json::json!({
            "a": CAT, "b": long, "model": "pictoclip", "revision": null, "metric": metric, "score": line["score"],
            "higher_is_better": higher, "truncated": true,
        });
        assert_eq!(*line, expected);
        assert_eq!(line["score"].as_f64().expect("a number") as f32, score);
    }
    assert_eq!(lines.len(), 2);
}

#[test]
fn what_cannot_be_compared_says_why() {
    let bench = Bench::new().with_examples().with("page.png", "<html>404</html>");
    let refused = |args: &[&str], code, expected: &str| {
        let ran = compare(&bench, args).expect_code(code);
        assert_eq!(ran.stdout, b"", "{args:?}");
        assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count() == 1, code == 1, "{args:?}: {}", ran.stderr);
    };
    let model = "--model=pictoclip";
    refused(
        &["a cat", "text:a cat", model],
        1,
        "error: image A cannot be compared (not_found): there is no file `a cat`; a text is written as `text:…`\n",
    );
    refused(&[CAT, "page.png", model], 1, "error: image B cannot be compared (not_an_image): ");
    refused(&[CAT, CAT, model, "--max-pixels=10"], 1, "error: image A cannot be compared (too_large): ");
    refused(&[CAT, "text:a cat", model, "--model=no-such/model"], 1, "no-such/model");
    refused(&[CAT], 2, "<B>");
    refused(&[CAT, "text:a cat", "--metric=cosin"], 2, "cosine");
}
