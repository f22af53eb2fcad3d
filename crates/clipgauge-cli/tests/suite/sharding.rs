//! `--shard` and `merge`: the parts of a table, scored apart and put together, are the table scored as a whole.

use std::fs::{self, File};
use std::io::Read;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::bench::Bench;
use crate::slow_web::Table;

const FLAGS: &str = "--model pictoclip --quiet --allow-failures";

/// Rows of which some fail, with captions over several lines.
fn rows(count: usize) -> Vec<(String, String)> {
    let row = |row: usize| {
        let image = if row % 5 == 2 { "no.png" } else { "images/03-1f34e-fluent-flat.png" };
        (image.to_owned(), ["red apple", "a \"dog\",\nbarking", "", "ein langes Haus mit Garten"][row % 4].to_owned())
    };
    (0..count).map(row).collect()
}

fn csv(rows: &[(String, String)], delimiter: char, end: &str) -> String {
    let mut text = format!("url{delimiter}caption{end}");
    for (image, caption) in rows {
        text += &format!("{image}{delimiter}\"{}\"{end}", caption.replace('"', "\"\""));
    }
    text
}

fn lines(rows: &[(String, String)]) -> String {
    rows.iter()
        .map(|(image, caption)| serde_json::json!({"url": image, "caption": caption}).to_string() + "\n")
        .collect()
}

fn batch(rows: &[(String, String)]) -> RecordBatch {
    let images: ArrayRef = Arc::new(rows.iter().map(|(image, _)| Some(image)).collect::<StringArray>());
    let captions: DictionaryArray<arrow_array::types::Int8Type> =
        rows.iter().map(|(_, caption)| Some(caption.as_str())).collect();
    RecordBatch::try_from_iter([("url", images), ("caption", Arc::new(captions) as ArrayRef)]).expect("a table")
}

fn parquet(rows: &[(String, String)], group: usize) -> Vec<u8> {
    let batch = batch(rows);
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(group)).set_bloom_filter_enabled(true).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a schema");
    writer.write(&batch).expect("written");
    writer.into_inner().expect("closed")
}

fn arrow(rows: &[(String, String)], is_stream: bool) -> Vec<u8> {
    let batch = batch(rows);
    let pieces = (0..rows.len()).step_by(4).map(|start| batch.slice(start, 4.min(rows.len() - start)));
    if is_stream {
        let mut writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a schema");
        pieces.for_each(|piece| writer.write(&piece).expect("written"));
        return writer.into_inner().expect("closed");
    }
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).expect("a schema");
    pieces.for_each(|piece| writer.write(&piece).expect("written"));
    writer.into_inner().expect("closed")
}

/// What a table says, as far as parts put together have to say it too.
fn said(bench: &Bench, name: &str) -> Table {
    if name.ends_with(".arrow") {
        return arrow_rows(bench, name);
    }
    if !name.ends_with(".gz") {
        return Table::read(bench, name);
    }
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(bench.read(name).as_slice()).read_to_string(&mut text).expect("gzip");
    Table::Text(text)
}

/// With what dictionaries stand for, which may be several.
fn arrow_rows(bench: &Bench, name: &str) -> Table {
    let open = || File::open(bench.path(name)).expect("there");
    let batches: Vec<RecordBatch> = match arrow_ipc::reader::FileReader::try_new(open(), None) {
        Ok(reader) => reader.map(|batch| batch.expect("a batch")).collect(),
        Err(_) => {
            let reader = arrow_ipc::reader::StreamReader::try_new(open(), None).expect("a stream");
            reader.map(|batch| batch.expect("a batch")).collect()
        }
    };
    let whole = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).expect("of one schema");
    let plain = |column: &ArrayRef| match column.data_type() {
        DataType::Dictionary(_, values) => arrow_cast::cast(column, values).expect("the values"),
        _ => Arc::clone(column),
    };
    let names = whole.schema_ref().fields().iter().map(|field| field.name().clone());
    let columns = names.zip(whole.columns().iter().map(plain));
    Table::Rows { rows: RecordBatch::try_from_iter(columns).expect("a table"), groups: Vec::new() }
}

/// Scores the parts of a table, puts them together, and holds them against the whole.
fn check(bench: &Bench, input: &str, extension: &str, parts: usize) {
    let out = |name: &str| format!("{name}.{extension}");
    bench.run(&format!("score {input} -o {} {FLAGS}", out("whole"))).expect_code(0);
    let names: Vec<_> = (0..parts).map(|part| out(&format!("part-{part}"))).collect();
    for (part, name) in names.iter().enumerate() {
        bench.run(&format!("score {input} -o {name} --shard {part}/{parts} {FLAGS}")).expect_code(0);
    }
    // In any order.
    let given: Vec<_> = names.iter().rev().map(String::as_str).collect();
    bench.run(&format!("merge {} -o {} --quiet", given.join(" "), out("merged"))).expect_code(0);
    assert_eq!(said(bench, &out("merged")), said(bench, &out("whole")), "{input}, {parts} parts");
    let errors = |name: &str| bench.text(&format!("{}.errors.csv", out(name)));
    assert_eq!(errors("merged"), errors("whole"), "{input}, {parts} parts");
}

#[test]
fn parts_of_text_are_the_whole() {
    let rows = rows(20);
    let bench = Bench::new().with_examples();
    let blank = csv(&rows, ',', "\n").replace("ein langes", "\u{fffd}ein langes") + "\n\n";
    for (name, text) in [
        ("a.csv", blank),
        ("b.tsv", csv(&rows, '\t', "\r\n")),
        ("c.jsonl", format!("\u{feff}{}", lines(&rows))),
        ("d.csv", csv(&rows, ',', "\n").trim_end().to_owned()),
    ] {
        fs::write(bench.path(name), text).expect("writable");
        check(&bench, name, name.split_once('.').expect("an extension").1, 3);
    }
}

#[test]
fn there_may_be_more_parts_than_rows() {
    let bench = Bench::new().with_examples();
    for (name, text) in [("a.csv", csv(&rows(3), ',', "\n") + "\n\n"), ("b.jsonl", lines(&rows(3)))] {
        fs::write(bench.path(name), text).expect("writable");
        check(&bench, name, name.split_once('.').expect("an extension").1, 5);
    }
    fs::write(bench.path("c.parquet"), parquet(&rows(8), 4)).expect("writable");
    check(&bench, "c.parquet", "parquet", 5);
}

#[test]
fn parts_of_other_formats_are_the_whole() {
    let rows = rows(22);
    let bench = Bench::new().with_examples();
    fs::write(bench.path("in.csv"), csv(&rows, ',', "\n")).expect("writable");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, csv(&rows, ',', "\n").as_bytes()).expect("in memory");
    fs::write(bench.path("in.csv.gz"), gzip.finish().expect("in memory")).expect("writable");
    fs::write(bench.path("in.parquet"), parquet(&rows, 4)).expect("writable");
    fs::write(bench.path("file.arrow"), arrow(&rows, false)).expect("writable");
    fs::write(bench.path("stream.arrow"), arrow(&rows, true)).expect("writable");
    check(&bench, "in.csv.gz", "csv.gz", 3);
    check(&bench, "in.parquet", "parquet", 3);
    check(&bench, "in.parquet", "jsonl", 3);
    check(&bench, "file.arrow", "arrow", 3);
    check(&bench, "stream.arrow", "arrow", 3);
}

/// Each row of a table is in one part, wherever its parts begin, and all follow each other.
#[test]
fn parts_say_which_rows_they_have() {
    let bench = Bench::new().with_examples();
    fs::write(bench.path("in.csv"), csv(&rows(20), ',', "\n")).expect("writable");
    let mut next = 1;
    for part in 0..4 {
        bench.run(&format!("score in.csv -o {part}.csv --shard {part}/4 {FLAGS}")).expect_code(0);
        let note: serde_json::Value =
            serde_json::from_str(&bench.text(&format!("{part}.csv.shard.json"))).expect("JSON");
        assert_eq!((&note["shard"], &note["of"], &note["first_row"]), (&part.into(), &4.into(), &next.into()));
        let rows = note["rows"].as_u64().expect("a number");
        assert!((3..=7).contains(&rows), "{note}");
        next += rows;
    }
    assert_eq!(next, 21);
    let ran = bench.run_with_stdin(&format!("score - -o 0.csv --shard 0/4 {FLAGS}"), "url,caption\n").expect_code(2);
    assert!(ran.stderr.contains("standard input is no file, and where its parts begin is not known"), "{}", ran.stderr);
}

#[test]
fn a_part_goes_on_and_is_finished() {
    let bench = Bench::new().with_examples();
    fs::write(bench.path("in.csv"), csv(&rows(12), ',', "\n")).expect("writable");
    let args = "score in.csv -o part.csv --shard 1/2 --model pictoclip --resume --allow-failures";
    bench.run(args).expect_code(0);
    let ran = bench.run(args).expect_code(0);
    assert!(ran.stderr.starts_with("part.csv is finished already: "), "{}", ran.stderr);
    let ran = bench.run(&args.replace("1/2", "0/2")).expect_code(2);
    assert!(ran.stderr.contains("--shard was 1/2 and is now 0/2"), "{}", ran.stderr);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let bench = Bench::new().with_examples();
    let table = csv(&rows(12), ',', "\n");
    fs::write(bench.path("in.csv"), &table).expect("writable");
    fs::write(bench.path("other.csv"), table.replace("red apple", "red maple")).expect("writable");
    let score = |input: &str, out: &str, shard: &str, more: &str| {
        bench.run(&format!("score {input} -o {out}.csv --shard {shard} {FLAGS} {more}")).expect_code(0);
    };
    (0..3).for_each(|part| score("in.csv", &format!("p{part}"), &format!("{part}/3"), ""));
    score("in.csv", "again", "1/3", "");
    score("in.csv", "dot", "1/3", "--metric dot");
    score("other.csv", "maple", "1/3", "");
    score("in.csv", "half", "1/2", "");
    score("in.csv", "cut", "1/3", "");
    fs::write(bench.path("cut.csv"), "url,caption,similarity\n").expect("writable");
    fs::copy(bench.path("p1.csv"), bench.path("bare.csv")).expect("copyable");
    for (parts, said) in [
        ("p0.csv p2.csv", "of 3 parts, one is missing: 1/3; name all of them"),
        ("p0.csv", "of 3 parts, some are missing: 1/3, 2/3; name all of them"),
        ("p0.csv p1.csv again.csv p2.csv", "p1.csv and again.csv are both part 1/3; name each part once"),
        ("p0.csv dot.csv p2.csv", "p0.csv and dot.csv are not of one run: --metric was cosine and is now dot"),
        ("p0.csv maple.csv p2.csv", "p0.csv and maple.csv are not of one run: the input's content is another"),
        ("p0.csv half.csv p2.csv", "the whole was 3 parts and is now 2 parts"),
        ("p0.csv cut.csv p2.csv", "cut.csv is not as its run left it; score that part again"),
        ("p0.csv bare.csv p2.csv", "bare.csv is no part of a table: bare.csv.shard.json cannot be read"),
        ("p0.csv nowhere.csv p2.csv", "nowhere.csv is no part of a table"),
    ] {
        let ran = bench.run(&format!("merge {parts} -o out.csv")).expect_code(2);
        assert!(ran.stderr.contains(said), "{parts}: {}", ran.stderr);
        assert!(!bench.path("out.csv").exists(), "{parts}");
    }
    for (out, said) in [("p0.csv", "p0.csv is a part"), ("out.parquet", "name the output .csv")] {
        let ran = bench.run(&format!("merge p0.csv p1.csv p2.csv -o {out}")).expect_code(2);
        assert!(ran.stderr.contains(said), "{out}: {}", ran.stderr);
    }
    let ran = bench.run("merge p0.csv p1.csv p2.csv -o out.csv").expect_code(0);
    assert_eq!(
        ran.stderr,
        "3 parts, 12 rows, 10 scored, 2 failed (2 not_found)\nfailed rows are listed in out.csv.errors.csv\n"
    );
}
