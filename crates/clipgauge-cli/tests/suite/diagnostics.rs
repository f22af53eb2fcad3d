//! Columns that say why a score is what it is.

use std::fs::File;

use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::bench::Bench;
use crate::tables::{FAILED, NAMES, ROWS, Table, bench, size};

const FLAGS: &str = "--model pictoclip --allow-failures --progress never --quiet --diagnostics";

const COLUMNS: [&str; 9] = [
    "clipgauge_tokens",
    "clipgauge_truncated",
    "clipgauge_width",
    "clipgauge_height",
    "clipgauge_bytes",
    "clipgauge_content_hash",
    "clipgauge_error_kind",
    "clipgauge_fetch_ms",
    "clipgauge_encode_ms",
];

fn assert_known(table: &Table, rows: impl Iterator<Item = usize>, bench: &Bench, place: &str) {
    assert!(table.columns.ends_with(&COLUMNS.map(str::to_owned)), "{place}: {:?}", table.columns);
    let cell = |name: &str, row: usize| table.column(name)[row].map(str::to_owned);
    let number = |name: &str, row: usize| cell(name, row).map(|cell| cell.parse::<f64>().expect("a number"));
    for (at, row) in rows.enumerate() {
        let bytes = std::fs::read(bench.path(&format!("{row}.bmp"))).ok();
        let is_picture = !FAILED.contains(&row);
        let [width, height] = size(row).map(|edge| is_picture.then_some(edge as f64));
        assert_eq!(number("clipgauge_width", at), width, "{place}: row {row}");
        assert_eq!(number("clipgauge_height", at), height, "{place}: row {row}");
        assert_eq!(number("clipgauge_bytes", at), bytes.as_ref().map(|bytes| bytes.len() as f64), "{place}: row {row}");
        let hash = bytes.as_ref().map(|bytes| blake3::hash(bytes).to_hex().to_string());
        assert_eq!(cell("clipgauge_content_hash", at), hash, "{place}: row {row}");
        let kind = match row {
            row if row == FAILED[2] => Some("not_an_image"),
            _ if bytes.is_none() => Some("not_found"),
            _ => None,
        };
        assert_eq!(cell("clipgauge_error_kind", at).as_deref(), kind, "{place}: row {row}");
        assert_eq!(cell("clipgauge_truncated", at).as_deref(), bytes.as_ref().map(|_| "false"), "{place}: row {row}");
        let tokens = number("clipgauge_tokens", at);
        assert_eq!(tokens.is_some(), bytes.is_some(), "{place}: row {row}");
        assert!(tokens.is_none_or(|tokens| (5.0..30.0).contains(&tokens)), "{place}: {tokens:?}");
        assert!(number("clipgauge_fetch_ms", at).is_some_and(|time| time >= 0.0), "{place}: row {row}");
        assert_eq!(number("clipgauge_encode_ms", at).is_some(), is_picture, "{place}: row {row}");
    }
}

#[test]
fn every_format_has_the_columns() {
    let bench = bench();
    let others = [("in.csv", "out.parquet"), ("in.parquet", "out.jsonl"), ("in.arrow", "out.tsv.gz")];
    let ways = NAMES.iter().map(|name| (*name, name.replace("in.", "out.")));
    for (from, to) in ways.chain(others.map(|(from, to)| (from, to.to_owned()))) {
        bench.run(&format!("score {from} -o {to} {FLAGS}")).expect_code(0);
        assert_known(&Table::read(bench.path(&to)), 0..ROWS, &bench, &to);
        // Also where they wait on the disk.
        bench.run(&format!("score {from} -o {to} {FLAGS} --top-fraction 1")).expect_code(0);
        assert_known(&Table::read(bench.path(&to)), (0..ROWS).filter(|row| !FAILED.contains(row)), &bench, &to);
    }
}

#[test]
fn columns_have_types_where_the_format_has_them() {
    let bench = bench();
    for from in ["in.parquet", "in.csv"] {
        bench.run(&format!("score {from} -o out.parquet {FLAGS}")).expect_code(0);
        let file = File::open(bench.path("out.parquet")).expect("there");
        let schema = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").schema().clone();
        let types = COLUMNS.map(|name| schema.field_with_name(name).expect("a column").data_type().clone());
        let (count, text, number) = (DataType::Int64, DataType::Utf8, DataType::Float32);
        let counts = [count.clone(), count.clone(), count.clone()];
        let [width, height, bytes] = counts;
        let expected = [count, DataType::Boolean, width, height, bytes, text.clone(), text, number.clone(), number];
        assert_eq!(types, expected, "{from}");
    }
    bench.run(&format!("score in.jsonl -o out.jsonl {FLAGS}")).expect_code(0);
    let text = bench.text("out.jsonl");
    let line = text.lines().next().expect("a line");
    let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert!(object["clipgauge_width"].is_u64() && object["clipgauge_truncated"].is_boolean(), "{line}");
    assert!(object["clipgauge_content_hash"].is_string() && object["clipgauge_error_kind"].is_null(), "{line}");
}

#[test]
fn equal_pictures_and_long_captions_are_known_too() {
    let bench = bench();
    let long = "a red square ".repeat(60);
    let rows: String = (0..40).map(|row| format!("0.bmp,caption {row}\n")).collect();
    std::fs::write(bench.path("equal.csv"), format!("url,caption\n0.bmp,{long}\n{rows}")).expect("writable");
    let ran = bench.run(&format!("score equal.csv {FLAGS} --threads 1")).expect_code(0);
    let table = Table::of_text(&ran.stdout, b',');
    // From the memory of the run, too, pictures have their sizes.
    assert!(table.column("clipgauge_width").iter().all(|width| *width == Some("8")));
    assert_eq!(table.column("clipgauge_truncated")[..2], [Some("true"), Some("false")]);
    let tokens: usize = table.column("clipgauge_tokens")[0].and_then(|tokens| tokens.parse().ok()).expect("a number");
    assert!(tokens >= 180, "{tokens} of a caption of 180 words");
}

#[test]
fn columns_of_these_names_are_not_written_over_unasked() {
    let bench = Bench::new().with("in.csv", "url,caption,clipgauge_width\na,b,7\n");
    let ran = bench.run(&format!("score in.csv {FLAGS}")).expect_code(2);
    assert_eq!(
        ran.stderr,
        "error: in.csv has a column `clipgauge_width` already; rename it, leave --diagnostics away, or replace it with \
         --overwrite\n"
    );
    let ran = bench.run(&format!("score in.csv --overwrite {FLAGS}")).expect_code(0);
    assert!(ran.text().starts_with("url,caption,clipgauge_width,similarity,clipgauge_tokens,"), "{}", ran.text());
    assert!(ran.text().lines().nth(1).is_some_and(|line| line.starts_with("a,b,,,,,,,,not_found,")), "{}", ran.text());
}
