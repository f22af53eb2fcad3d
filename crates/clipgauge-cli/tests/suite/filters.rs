//! Which rows and columns are written: every filter over a table in every format.

use crate::bench::{Bench, Ran};
use crate::tables::{FAILED, NAMES, ROWS, Table, bench, size};

const FLAGS: &str = "--model pictoclip --allow-failures --progress never";

/// From what to what a run goes: each format to itself, and to some others.
fn ways() -> impl Iterator<Item = (&'static str, String)> {
    let same = NAMES.iter().map(|name| (*name, name.replace("in.", "out.")));
    let others = [("in.csv", "out.parquet"), ("in.parquet", "out.jsonl"), ("in.arrow", "out.tsv.gz")];
    same.chain(others.map(|(from, to)| (from, to.to_owned())))
}

/// Those of them where rows are written by code of its own.
fn few_ways() -> impl Iterator<Item = (&'static str, String)> {
    ways().filter(|(_, to)| ["out.csv", "out.jsonl", "out.parquet", "out.arrow"].contains(&to.as_str()))
}

/// What a run without filters gives: a score for each row, none for those that fail.
fn all_scores(bench: &Bench) -> Vec<Option<f32>> {
    bench.run(&format!("score in.csv -o all.csv {FLAGS}")).expect_code(0);
    let scores = Table::read(bench.path("all.csv")).scores();
    assert_eq!(scores.len(), ROWS);
    assert!((0..ROWS).all(|row| scores[row].is_none() == FAILED.contains(&row)), "{scores:?}");
    scores
}

/// Runs with these flags every way, and asserts which rows are written; each with the score of a run without filters.
fn assert_rows(
    bench: &Bench,
    ways: impl Iterator<Item = (&'static str, String)>,
    flags: &str,
    expected: impl Fn(usize, Option<f32>) -> bool,
    said: &str,
) {
    let scores = all_scores(bench);
    let expected: Vec<usize> = (0..ROWS).filter(|row| expected(*row, scores[*row])).collect();
    assert!(!expected.is_empty() && expected.len() < ROWS, "{expected:?} shows nothing");
    for (from, to) in ways {
        let ran = bench.run(&format!("score {from} -o {to} {flags} {FLAGS}")).expect_code(0);
        let table = Table::read(bench.path(&to));
        assert_eq!(table.ids(), expected, "{flags}: {from} to {to}");
        assert_eq!(table.scores(), expected.iter().map(|row| scores[*row]).collect::<Vec<_>>(), "{flags}: {to}");
        let notes: Vec<_> = expected.iter().map(|row| format!("note {row}")).collect();
        assert_eq!(table.column("note"), notes.iter().map(|note| Some(note.as_str())).collect::<Vec<_>>(), "{to}");
        assert!(ran.stderr.contains(said), "{flags}: {}", ran.stderr);
    }
}

#[test]
fn the_first_rows() {
    let bench = bench();
    let said = "13 rows, 11 scored, 2 failed (2 not_found)";
    assert_rows(&bench, ways(), "--limit 13", |row, _| row < 13, said);
    // To the end of a row group and of a batch.
    assert_rows(&bench, few_ways(), "--limit 14", |row, _| row < 14, "14 rows, 12 scored");
}

#[test]
fn rows_whose_score_is_within_bounds() {
    let bench = bench();
    let mut sorted: Vec<f32> = all_scores(&bench).into_iter().flatten().collect();
    sorted.sort_by(f32::total_cmp);
    // Bounds that are scores themselves: they are within.
    let (low, high) = (sorted[sorted.len() / 3], sorted[sorted.len() * 2 / 3]);
    let flags = format!("--min-score {low}");
    let failed = "\ndropped as they failed: 3\n";
    assert_rows(&bench, ways(), &flags, |_, score| score.is_some_and(|score| score >= low), failed);
    let flags = format!("--max-score={high}");
    let said = "\ndropped by --max-score: ";
    assert_rows(&bench, few_ways(), &flags, |_, score| score.is_some_and(|score| score <= high), said);
    let flags = format!("--min-score {low} --max-score {high}");
    let is_between = |_, score: Option<f32>| score.is_some_and(|score| (low..=high).contains(&score));
    assert_rows(&bench, few_ways(), &flags, is_between, "\ndropped by --min-score: 7\n");
}

#[test]
fn rows_whose_picture_is_large_and_square_enough() {
    let bench = bench();
    let is_there = |row: usize| !FAILED.contains(&row);
    let shorter = |row: usize| size(row)[0].min(size(row)[1]);
    let small = (0..ROWS).filter(|row| is_there(*row) && shorter(*row) < 10).count();
    let said = format!("\ndropped as they failed: 3\ndropped by --min-image-size: {small}\n");
    assert_rows(&bench, ways(), "--min-image-size 10", |row, _| is_there(row) && shorter(row) >= 10, &said);
    let ratio = |row: usize| size(row)[0].max(size(row)[1]) as f64 / shorter(row) as f64;
    let said = "\ndropped by --max-aspect-ratio: ";
    assert_rows(&bench, few_ways(), "--max-aspect-ratio 3", |row, _| is_there(row) && ratio(row) <= 3.0, said);
    let flags = "--min-image-size 9 --max-aspect-ratio 3";
    let is_both = |row: usize, _| is_there(row) && ratio(row) <= 3.0 && shorter(row) >= 9;
    assert_rows(&bench, few_ways(), flags, is_both, " rows written\n");
}

#[test]
fn pictures_that_are_not_wanted_are_not_encoded() {
    let bench = bench();
    let flags = "--min-image-size 1000 --errors list.csv --summary s.json";
    let ran = bench.run(&format!("score in.csv {flags} --model pictoclip --progress never")).expect_code(3);
    assert_eq!(ran.text(), "id,url,caption,note,similarity\n");
    let json: serde_json::Value = serde_json::from_str(&bench.text("s.json")).expect("JSON");
    let counts = ["rows", "scored", "failed", "written"].map(|key| json[key].as_u64().expect("a number"));
    assert_eq!(counts, [24, 0, 3, 0]);
    assert_eq!(json["dropped"], serde_json::json!({"failed": 3, "min_image_size": 21}));
    let stages = json["timings"]["stages"].as_array().expect("stages");
    let encoded = stages.iter().find(|stage| stage["stage"] == "encode_images").expect("a stage");
    assert_eq!(encoded["items"], 0, "{encoded}");
    assert_eq!(json["options"]["filters"]["pictures"]["min_size"], 1000);
    // What failed is listed all the same.
    assert_eq!(bench.text("list.csv").lines().count(), 4);
    assert!(ran.stderr.contains("24 rows, 0 scored, 3 failed"), "{}", ran.stderr);
}

#[test]
fn a_sample_is_of_the_size_that_was_asked_for_and_depends_on_the_seed_alone() {
    let bench = bench();
    let scores = all_scores(&bench);
    let mut drawn = Vec::new();
    for seed in [0, 1, 2] {
        let mut expected: Option<Vec<usize>> = None;
        for (from, to) in few_ways() {
            let threads = if to.ends_with("csv") { 1 } else { 3 };
            let flags = format!("--sample 9 --seed {seed} --threads {threads}");
            bench.run(&format!("score {from} -o {to} {flags} {FLAGS}")).expect_code(0);
            let table = Table::read(bench.path(&to));
            let ids = table.ids();
            assert_eq!(table.scores(), ids.iter().map(|row| scores[*row]).collect::<Vec<_>>());
            assert_eq!(&ids, expected.get_or_insert_with(|| ids.clone()), "{from} to {to}");
        }
        let ids = expected.expect("a way");
        assert_eq!(ids.len(), 9);
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        drawn.push(ids);
    }
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2], "{drawn:?}");
    // Without a seed it is 0, and of the first rows if there is a limit.
    bench.run(&format!("score in.csv -o out.csv --sample 9 {FLAGS}")).expect_code(0);
    assert_eq!(Table::read(bench.path("out.csv")).ids(), drawn[0]);
    for from in ["in.jsonl", "in.parquet"] {
        let to = from.replace("in.", "out.");
        bench.run(&format!("score {from} -o {to} --sample 5 --limit 8 {FLAGS}")).expect_code(0);
        let ids = Table::read(bench.path(&to)).ids();
        assert!(ids.len() == 5 && ids.iter().all(|row| *row < 8), "{ids:?}");
        bench.run(&format!("score {from} -o {to} --sample 100 {FLAGS}")).expect_code(0);
        assert_eq!(Table::read(bench.path(&to)).ids(), (0..ROWS).collect::<Vec<_>>());
    }
}

/// The best part of the rows, by a sort: of equal scores the first.
fn best(scores: &[Option<f32>], fraction: f64, higher_is_better: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|row| scores[*row].is_some()).collect();
    let count = (order.len() as f64 * fraction).round() as usize;
    order.sort_by(|a, b| {
        let order = scores[*a].partial_cmp(&scores[*b]).expect("numbers");
        if higher_is_better { order.reverse() } else { order }
    });
    order.truncate(count.max(1));
    order.sort_unstable();
    order
}

#[test]
fn the_best_part_of_the_rows() {
    let bench = bench();
    let scores = all_scores(&bench);
    let expected = best(&scores, 0.3, true);
    // 21 rows have a score.
    assert_eq!(expected.len(), 6);
    for (from, to) in ways() {
        let ran = bench.run(&format!("score {from} -o {to} --top-fraction 0.3 {FLAGS}")).expect_code(0);
        let table = Table::read(bench.path(&to));
        assert_eq!(table.ids(), expected, "{from} to {to}");
        assert_eq!(table.scores(), expected.iter().map(|row| scores[*row]).collect::<Vec<_>>(), "{to}");
        let said = "\ndropped as they failed: 3\ndropped by --top-fraction: 15\n6 rows written\n";
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    // To standard output, in place, and with rows that are chosen by their places.
    let ran = bench.run(&format!("score in.csv --top-fraction 0.3 {FLAGS}")).expect_code(0);
    assert_eq!(Table::of_text(&ran.stdout, b',').ids(), expected);
    bench.run(&format!("score in.parquet -o out.parquet --top-fraction 0.5 --limit 11 {FLAGS}")).expect_code(0);
    assert_eq!(Table::read(bench.path("out.parquet")).ids(), best(&scores[..11], 0.5, true));
    bench.run(&format!("score in.csv -o some.csv --sample 12 {FLAGS}")).expect_code(0);
    let some = Table::read(bench.path("some.csv"));
    bench.run(&format!("score in.csv -o out.csv --sample 12 --top-fraction 0.4 {FLAGS}")).expect_code(0);
    let chosen = best(&some.scores(), 0.4, true).into_iter().map(|place| some.ids()[place]).collect::<Vec<_>>();
    assert_eq!(Table::read(bench.path("out.csv")).ids(), chosen);
    bench.run(&format!("score in.jsonl --in-place --top-fraction 0.3 {FLAGS}")).expect_code(0);
    assert_eq!(Table::read(bench.path("in.jsonl")).ids(), expected);
}

#[test]
fn the_best_are_the_nearest_by_a_distance_and_the_first_of_equals() {
    let bench = bench();
    bench.run(&format!("score in.csv -o all.csv --metric euclidean {FLAGS}")).expect_code(0);
    let scores = Table::read(bench.path("all.csv")).scores();
    bench.run(&format!("score in.csv -o out.csv --metric euclidean --top-fraction 0.25 {FLAGS}")).expect_code(0);
    assert_eq!(Table::read(bench.path("out.csv")).ids(), best(&scores, 0.25, false));

    let text = bench.text("in.csv");
    let (header, row) = (text.lines().next().expect("a header"), text.lines().nth(1).expect("a row"));
    let rows: String = (0..10).map(|id| format!("{id}{}\n", row.trim_start_matches('0'))).collect();
    std::fs::write(bench.path("equal.csv"), format!("{header}\n{rows}")).expect("writable");
    let flags = "--top-fraction 0.25 --error-column why";
    bench.run(&format!("score equal.csv -o out.csv {flags} {FLAGS}")).expect_code(0);
    assert_eq!(Table::read(bench.path("out.csv")).ids(), [0, 1, 2]);
}

#[test]
fn other_filters_hold_beside_the_best_part() {
    let bench = bench();
    let scores = all_scores(&bench);
    let best = best(&scores, 0.5, true);
    let most = best.iter().filter_map(|row| scores[*row]).fold(f32::MIN, f32::max);
    let flags = format!("--top-fraction 0.5 --max-score {} --min-image-size 10", most - 1e-6);
    let ran = bench.run(&format!("score in.csv -o out.csv {flags} --keep-columns id {FLAGS}")).expect_code(0);
    // Of the scored rows alone the best are taken, and pictures that are too small are not scored.
    let large = |row: &usize| size(*row)[0].min(size(*row)[1]) >= 10;
    let scores: Vec<_> = scores.iter().enumerate().map(|(row, score)| score.filter(|_| large(&row))).collect();
    let count = scores.iter().flatten().count();
    let mut expected = self::best(&scores, 0.5, true);
    assert_eq!(expected.len(), (count as f64 / 2.0).round() as usize);
    expected.retain(|row| scores[*row].is_some_and(|score| score <= most - 1e-6));
    assert_eq!(Table::read(bench.path("out.csv")).ids(), expected);
    assert!(ran.stderr.contains(&format!("\n{} rows written\n", expected.len())), "{}", ran.stderr);
}

#[test]
fn only_columns_that_are_kept_are_written() {
    let bench = bench();
    let scores = all_scores(&bench);
    for (from, to) in ways() {
        for (names, columns) in [("caption,id", vec!["id", "caption"]), ("note", vec!["note"])] {
            let flags = format!("--keep-columns {names} --error-column why");
            bench.run(&format!("score {from} -o {to} {flags} {FLAGS}")).expect_code(0);
            let table = Table::read(bench.path(&to));
            let expected: Vec<&str> = columns.into_iter().chain(["similarity", "why"]).collect();
            assert_eq!(table.columns, expected, "{from} to {to}");
            assert_eq!(table.scores(), scores, "{from} to {to}");
            let why = table.column("why");
            assert!((0..ROWS).all(|row| why[row].is_some() == FAILED.contains(&row)), "{why:?}");
        }
        // With a filter of rows, too; the cell that is looked for need not be among those that are kept.
        let flags = "--keep-columns id --keep-columns note --min-image-size 10 --limit 20";
        bench.run(&format!("score {from} -o {to} {flags} {FLAGS}")).expect_code(0);
        let table = Table::read(bench.path(&to));
        assert_eq!(table.columns, ["id", "note", "similarity"], "{from} to {to}");
        let expected: Vec<usize> =
            (0..20).filter(|row| !FAILED.contains(row) && size(*row)[0].min(size(*row)[1]) >= 10).collect();
        assert_eq!(table.ids(), expected, "{from} to {to}");
    }
}

#[test]
fn kept_text_stays_as_it_stands() {
    let flags = "--model pictoclip --quiet --allow-failures";
    let bench = Bench::new()
        .with("in.csv", "url,\"x, y\",caption,z\r\n\r\na,\"1\"\"\",b,2\r\na,3\na,4,b,5,6\n")
        .with("in.jsonl", "{\"url\": \"a\", \"x\": 1.0, \"caption\" : \"b\", \"y\": [ 1 ]}\r\n\n{\"y\":2}\nno json\n")
        .with("one.csv", "similarity,url,caption\n0.1,a,b\n0.2,a,b\n");
    let ran = bench.run(&format!("score in.csv --keep-columns url,z {flags}")).expect_code(0);
    assert_eq!(ran.text(), "url,z,similarity\r\n\r\na,2,\r\na,,\na,5,\n");
    let ran = bench.run(&format!("score in.jsonl --keep-columns x,y {flags}")).expect_code(0);
    let expected = "{\"x\": 1.0, \"y\": [ 1 ], \"similarity\": null}\r\n\n{\"y\":2,\"similarity\":null}\nno json\n";
    assert_eq!(ran.text(), expected);
    let mut command = bench.command("score in.csv --keep-columns".split(' '));
    command.args(["\"x, y\",z"]).args(flags.split(' '));
    let ran = Ran::of(command.output().expect("the command can be run")).expect_code(0);
    assert_eq!(ran.text(), "\"x, y\",z,similarity\r\n\r\n\"1\"\"\",2,\r\n3,,\n4,5,\n");
    // A column that is replaced stands where it stood, also if it is not named; and no row becomes a blank line.
    let ran = bench.run(&format!("score one.csv --overwrite --keep-columns url {flags}")).expect_code(0);
    assert_eq!(ran.text(), "similarity,url\n,a\n,a\n");
    let ran = bench.run(&format!("score one.csv --overwrite --keep-columns similarity {flags}")).expect_code(0);
    assert_eq!(ran.text(), "similarity\n\"\"\n\"\"\n");
}

#[test]
fn filters_that_make_no_sense_are_told() {
    let bench = bench();
    let mut told = String::new();
    for args in [
        "score in.csv --keep-columns capton",
        "score in.jsonl --keep-columns id,nothing",
        "score in.parquet --keep-columns id,nots",
        "score in.arrow --keep-columns id,,note",
        "score in.csv --min-score 0.5 --max-score 0.4",
        "score in.csv --min-score nan",
        "score in.csv --min-score abc",
        "score in.csv --top-fraction 10%",
        "score in.csv --max-aspect-ratio 0.5",
        "score - --sample 3",
        "score - --top-fraction 0.1",
        "score in.csv --top-fraction 0",
        "score in.csv --top-fraction 10",
        "score in.csv --seed 3",
        "score in.csv --limit 0",
        "score in.csv --min-image-size 0",
    ] {
        let ran = bench.run(&format!("{args} --model pictoclip")).expect_code(2);
        told.push_str(&format!("$ clipgauge {args}\n{}\n", ran.stderr));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_limit_does_not_wait_for_the_rest_of_a_pipe() {
    use std::io::{Read, Write};
    let bench = bench();
    let mut child = bench
        .command("score - --limit 2 --model pictoclip --quiet --allow-failures".split(' '))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the command can be run");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"url,caption\n0.bmp,a\n1.bmp,b\n").expect("written");
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(child.wait().expect("an end").success());
    drop(stdin);
}
