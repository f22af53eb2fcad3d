//! Runs with a model: the bundled one over the examples.

use std::fs;
use std::path::Path;

use crate::bench::{Bench, Ran, repository};

/// How far a score may be from the reference's: the rounding of its sums.
const TOLERANCE: f64 = 1e-5;
/// The same for a JPEG, whose decoders differ by a level here and there. The small model makes much of it.
const JPEG_TOLERANCE: f64 = 2e-3;

fn tolerance(url: &str) -> f64 {
    if url.ends_with(".jpg") { JPEG_TOLERANCE } else { TOLERANCE }
}

/// A bench with the examples in its folder.
fn bench() -> Bench {
    Bench::new().with_examples()
}

pub(crate) fn column(table: &str, name: &str) -> Vec<String> {
    let mut table = csv::Reader::from_reader(table.as_bytes());
    let at = table.headers().expect("a header").iter().position(|column| column == name).expect("the column");
    table.records().map(|row| row.expect("a row")[at].to_owned()).collect()
}

fn expected_scores() -> Vec<f64> {
    let text = fs::read_to_string(repository().join("examples/expected.json")).expect("readable");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows = json["rows"].as_array().expect("rows");
    rows.iter().map(|row| row["cosine"].as_f64().expect("a number")).collect()
}

#[test]
fn scores_are_the_reference_s() {
    let bench = bench();
    let ran = bench.run("score pairs.csv --model pictoclip").expect_code(0);
    let scores = column(ran.text(), "similarity");
    let expected = expected_scores();
    assert_eq!(scores.len(), expected.len());
    for ((score, expected), url) in scores.iter().zip(expected).zip(column(ran.text(), "url")) {
        let score: f64 = score.parse().expect("a number");
        assert!((score - expected).abs() <= tolerance(&url), "{url}: {score} is not {expected}");
    }
    assert!(ran.stderr.contains("51 rows, 51 scored, in"), "{}", ran.stderr);
}

/// The reference's tiny model over its own pictures, which lie beside the repository where they were made.
#[test]
fn a_golden_model_gives_the_reference_s_numbers() {
    let golden = repository().join("../shared/golden/end-to-end");
    let Ok(expected) = fs::read_to_string(golden.join("expected.json")) else { return };
    let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
    let (table, model) = (golden.join("pairs.csv"), golden.join("model"));
    let (table, model) = (table.to_string_lossy(), model.to_string_lossy());
    let metrics = ["cosine", "euclidean", "dot"];
    let mut args = vec!["score", &table, "--model", &model, "--quiet"];
    args.extend(metrics.iter().flat_map(|metric| ["--metric", metric]));
    let ran = Ran::of(Bench::new().command(args).output().expect("the command can be run")).expect_code(0);
    for metric in metrics {
        let scores = column(ran.text(), &format!("similarity:{metric}"));
        let rows = expected.as_array().expect("rows");
        assert_eq!(scores.len(), rows.len());
        for (score, row) in scores.iter().zip(rows) {
            let score: f64 = score.parse().expect("a number");
            let expected = row[metric].as_f64().expect("a number");
            // The random towers make much of a decoder's rounding; the raw vectors' lengths make more of it still.
            let bar = if row["jpeg"] == true { 0.02 } else { 0.004 };
            let bar = if metric == "dot" {
                bar * row["dot"].as_f64().zip(row["cosine"].as_f64()).map_or(1.0, |(dot, cosine)| (dot / cosine).abs())
            } else {
                bar
            };
            assert!((score - expected).abs() <= bar, "{metric}: {score} is not {expected}");
        }
    }
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("readable");
    let shown = readme.split("```csv\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a table");
    let ran = bench().run("score pairs.csv --model pictoclip --quiet").expect_code(0);
    let printed = ran.text();
    assert!(column(shown, "caption").len() > 3);
    assert_eq!(column(shown, "caption"), column(printed, "caption")[..column(shown, "caption").len()]);
    for (shown, printed) in column(shown, "similarity").iter().zip(column(printed, "similarity")) {
        let number = |text: &str| text.parse::<f64>().expect("a number");
        // Another processor adds up in another order.
        assert!((number(shown) - number(&printed)).abs() <= TOLERANCE, "README.md shows {shown}, not {printed}");
    }
}

#[test]
fn every_input_byte_stays() {
    let bench = bench();
    let ran = bench.run("score pairs.csv --model pictoclip --quiet").expect_code(0);
    let before = bench.text("pairs.csv");
    for (before, after) in before.lines().zip(ran.text().lines()) {
        let (kept, cell) = after.rsplit_once(',').expect("a cell");
        assert_eq!(kept, before);
        assert!(cell == "similarity" || cell.parse::<f32>().is_ok(), "{cell}");
    }
    assert_eq!(ran.text().lines().count(), before.lines().count());
}

#[test]
fn scores_do_not_depend_on_how_the_work_is_cut() {
    let bench = bench();
    let scored =
        |flags: &str| bench.run(&format!("score pairs.csv --model pictoclip --quiet {flags}")).expect_code(0).stdout;
    let expected = scored("");
    let whole_lines = |table: &[u8]| {
        let mut lines: Vec<_> = String::from_utf8_lossy(table).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let table = bench.text("pairs.csv");
    let (header, rows) = table.split_once('\n').expect("rows");
    let reversed: Vec<_> = rows.lines().rev().collect();
    fs::write(bench.path("reversed.csv"), format!("{header}\n{}\n", reversed.join("\n"))).expect("writable");
    for (batch, threads) in [1, 3, 32].into_iter().flat_map(|batch| [1, 2, 4].map(|threads| (batch, threads))) {
        let flags = format!("--batch-size {batch} --threads {threads} --concurrency {}", batch + 2);
        assert!(scored(&flags) == expected, "{flags} changes scores");
        let ran = bench.run(&format!("score reversed.csv --model pictoclip --quiet {flags}")).expect_code(0);
        assert_eq!(whole_lines(&ran.stdout), whole_lines(&expected), "{flags}, reversed");
    }
}

#[test]
fn scores_in_8_bits_are_near_those_in_f32_and_do_not_depend_on_how_the_work_is_cut() {
    let bench = bench();
    let scored = |flags: &str| {
        let ran = bench.run(&format!("score pairs.csv --model pictoclip --quiet --summary s.json {flags}"));
        column(ran.expect_code(0).text(), "similarity")
    };
    let exact = scored("");
    let expected = scored("--precision int8");
    assert!(bench.text("s.json").contains("\"precision\": \"int8\""), "{}", bench.text("s.json"));
    for (batch, threads) in [1, 3, 32].into_iter().flat_map(|batch| [1, 2].map(|threads| (batch, threads))) {
        let flags = format!("--precision int8 --batch-size {batch} --threads {threads}");
        assert_eq!(scored(&flags), expected, "{flags} changes scores");
    }

    let number = |cell: &String| cell.parse::<f64>().expect("a score");
    let drift = exact.iter().map(number).zip(expected.iter().map(number)).map(|(exact, near)| (exact - near).abs());
    let mut drift: Vec<f64> = drift.collect();
    drift.sort_by(f64::total_cmp);
    assert!(drift[0] < drift[drift.len() - 1], "int8 computes what f32 does");
    let at = (drift.len() * 99).div_ceil(100) - 1;
    assert!(drift[at] <= 0.01, "the 99th percentile of the drift is {}", drift[at]);

    // Both commands use the same arithmetic.
    let table = bench.text("pairs.csv");
    let row = csv::Reader::from_reader(table.as_bytes()).records().next().expect("a row").expect("a row");
    let caption = format!("text:{}", &row[1]);
    let args = ["compare", &row[0], &caption, "--model=pictoclip", "--precision=int8"];
    let compared = Ran::of(bench.command(args).output().expect("runs")).expect_code(0);
    assert_eq!(compared.text().trim(), expected[0]);
}

#[test]
fn a_file_in_place_and_a_pipe_give_the_same() {
    let bench = bench();
    let flags = "--model pictoclip --quiet";
    let piped = bench.run_with_stdin(&format!("score - {flags}"), bench.read("pairs.csv")).expect_code(0).stdout;
    bench.run(&format!("score pairs.csv -o out.csv {flags}")).expect_code(0);
    bench.run(&format!("score pairs.csv --in-place {flags}")).expect_code(0);
    assert!(piped == bench.read("out.csv") && piped == bench.read("pairs.csv"));
    assert_eq!(bench.names(), ["images", "out.csv", "pairs.csv"]);
}

#[test]
fn bad_rows_have_their_kinds_and_the_others_their_scores() {
    let bench = bench();
    let whole = fs::read(bench.path("images/02-1f436-noto.jpg")).expect("readable");
    let table = "url,caption\n\
        images/02-1f436-noto.jpg,a dog\n\
        ,a dog\n\
        images/02-1f436-noto.jpg\n\
        images/none.png,a dog\n\
        empty.png,a dog\n\
        page.png,a dog\n\
        cut.jpg,a dog\n\
        ftp://example.org/a.png,a dog\n\
        images/02-1f436-noto.jpg,\n";
    let bench = bench
        .with("table.csv", table)
        .with("empty.png", "")
        .with("page.png", "<html><body>404</body></html>")
        .with("cut.jpg", &whole[..whole.len() / 2]);
    let ran = bench.run("score table.csv --model pictoclip --error-column why --quiet").expect_code(3);
    let kinds = ["", "no_image", "no_caption", "not_found", "empty", "not_an_image", "truncated", "bad_address", ""];
    assert_eq!(column(ran.text(), "why"), kinds);
    for (score, kind) in column(ran.text(), "similarity").iter().zip(kinds) {
        assert_eq!(score.is_empty(), !kind.is_empty(), "{score} with {kind}");
    }
}

#[test]
fn invalid_text_is_a_bad_address_or_a_lossy_caption() {
    let bench = bench();
    let table = b"url,caption\nimages/\xff.png,a dog\nimages/02-1f436-noto.jpg,a \xff dog\n";
    let bench = bench.with("table.csv", table);
    let ran = bench.run("score table.csv --model pictoclip --error-column why -o out.csv --quiet").expect_code(3);
    assert_eq!(ran.stdout, b"");
    let out = bench.read("out.csv");
    assert!(out.windows(8).any(|part| part == b"a \xff dog,"), "the caption was changed");
    let text = String::from_utf8_lossy(&out);
    assert_eq!(column(&text, "why"), ["bad_address", ""]);
}

#[test]
fn long_captions_are_scored_and_counted() {
    let caption = "word ".repeat(200);
    let bench = bench().with("table.csv", format!("url,caption\nimages/02-1f436-noto.jpg,{caption}\n"));
    let ran = bench.run("score table.csv --model pictoclip --summary s.json").expect_code(0);
    assert!(ran.stderr.contains("1 caption was longer than the model reads"), "{}", ran.stderr);
    let json: serde_json::Value = serde_json::from_str(&bench.text("s.json")).expect("JSON");
    assert_eq!(json["truncated_captions"], 1);
}

#[test]
fn the_summary_has_the_quantiles() {
    let bench = bench();
    bench.run("score pairs.csv -o out.csv --model pictoclip --summary s.json").expect_code(0);
    let json: serde_json::Value = serde_json::from_str(&bench.text("s.json")).expect("JSON");
    let mut scores: Vec<f64> =
        column(&bench.text("out.csv"), "similarity").iter().map(|score| score.parse().expect("a number")).collect();
    scores.sort_by(f64::total_cmp);
    let near = |name: &str, expected: f64| {
        let value = json["scores"][0]["quantiles"][name].as_f64().expect("a number");
        assert!((value - expected).abs() < 1e-6, "{name}: {value} is not {expected}");
    };
    near("min", scores[0]);
    near("median", scores[25]);
    near("max", scores[50]);
    near("mean", scores.iter().sum::<f64>() / 51.0);
    for stage in ["fetch", "decode", "encode_images", "encode_texts"] {
        assert!(json["seconds"]["stages"][stage].as_f64().is_some_and(|seconds| seconds > 0.0), "{stage}: {json}");
    }
}

#[test]
fn a_model_that_cannot_be_had_is_an_error_with_a_remedy() {
    let bench = bench();
    for model in ["no-such/model", "openai/clip-vit-base-patch32"] {
        let ran = bench.run(&format!("score pairs.csv -o out.csv --model {model}")).expect_code(1);
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(model), "{}", ran.stderr);
        assert!(!Path::exists(&bench.path("out.csv")), "{model}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_run_that_waits_for_its_input() {
    use std::io::Write;

    use crate::interrupts::Running;

    let bench = bench();
    let (running, mut stdin) = Running::start(&bench, "score - -o out.csv --model pictoclip --progress always");
    stdin.write_all(b"url,caption\nimages/02-1f436-noto.jpg,a dog\n").expect("writable");
    running.wait_for("1 row,");
    running.send("-TERM");
    let (code, stderr) = running.end();
    assert_eq!(code, Some(143), "{stderr}");
    let scores = column(&bench.text("out.csv.partial"), "similarity");
    assert!(scores.len() == 1 && scores[0].parse::<f32>().is_ok(), "{scores:?}");
}
