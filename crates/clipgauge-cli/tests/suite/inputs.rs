//! Several tables in one run, folders of tables, and folders of pictures.

use std::fs::{self, File};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, StructArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use crate::bench::Bench;

const FLAGS: &str = "--model pictoclip --quiet";

/// Two folders with a table and pictures of their own each.
fn two_folders() -> Bench {
    let bench = Bench::new().with_examples();
    for (folder, rows) in [("x", 0..6), ("y", 6..10)] {
        fs::create_dir(bench.path(folder)).expect("creatable");
        let table = bench.text("pairs.csv");
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        let mut writer = csv::Writer::from_path(bench.path(&format!("{folder}/pairs.csv"))).expect("creatable");
        writer.write_record(["url", "caption"]).expect("written");
        let records: Vec<_> = reader.records().map(|record| record.expect("a row")).collect();
        for record in &records[rows] {
            let name = record[0].strip_prefix("images/").expect("in the folder of images");
            fs::copy(bench.path(&record[0]), bench.path(&format!("{folder}/{name}"))).expect("copyable");
            writer.write_record([name, &record[1]]).expect("written");
        }
    }
    fs::remove_dir_all(bench.path("images")).expect("removable");
    bench
}

#[test]
fn tables_become_one_with_the_scores_of_each() {
    let bench = two_folders();
    let alone = ["x", "y"].map(|folder| bench.run(&format!("score {folder}/pairs.csv {FLAGS}")).expect_code(0));
    let [first, second] = alone.each_ref().map(|ran| ran.text());
    let expected = format!("{first}{}", second.split_once('\n').expect("a header").1);
    assert!(expected.lines().skip(1).all(|line| !line.ends_with(',')), "{expected}");
    for words in ["x/pairs.csv y/pairs.csv", "*/pairs.csv", "{x,y}/pairs.csv", "x y"] {
        assert_eq!(bench.run(&format!("score {words} {FLAGS}")).expect_code(0).text(), expected, "{words}");
    }
    bench.run(&format!("score */pairs.csv -o all.csv {FLAGS}")).expect_code(0);
    assert_eq!(bench.text("all.csv"), expected);
    bench.run(&format!("score */pairs.csv -o all.csv.gz {FLAGS}")).expect_code(0);
    let ran = bench.run(&format!("score all.csv.gz --overwrite {FLAGS}")).expect_code(3);
    assert_eq!(ran.text().lines().count(), expected.lines().count());
    bench.run(&format!("score */pairs.csv -o all.parquet {FLAGS}")).expect_code(0);
    bench.run(&format!("embed */pairs.csv -o vectors.parquet {FLAGS}")).expect_code(0);
    for name in ["all.parquet", "vectors.parquet"] {
        let rows: usize = read(&bench, name).iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, expected.lines().count() - 1, "{name}");
    }
}

#[test]
fn tables_that_stay_apart_keep_their_names() {
    let bench = two_folders();
    fs::rename(bench.path("y/pairs.csv"), bench.path("y/other.csv")).expect("movable");
    let alone = ["x/pairs.csv", "y/other.csv"].map(|name| bench.run(&format!("score {name} {FLAGS}")).expect_code(0));
    bench.run(&format!("score x/pairs.csv y/other.csv -o out/ {FLAGS}")).expect_code(0);
    bench.run(&format!("score x/pairs.csv -o out {FLAGS} --column again")).expect_code(0);
    assert_eq!(bench.text("out/other.csv"), alone[1].text());
    assert_eq!(bench.text("out/pairs.csv"), alone[0].text().replace("similarity", "again"));
    // A folder keeps what is in it where it is.
    fs::create_dir_all(bench.path("t/deep")).expect("creatable");
    fs::write(bench.path("t/a.csv"), "url,caption\n,x\n").expect("writable");
    fs::write(bench.path("t/deep/a.csv"), "url,caption\n,y\n,z").expect("writable");
    fs::write(bench.path("t/deep/none.csv"), "url,caption\n").expect("writable");
    bench.run(&format!("score t -o t.out/ {FLAGS}")).expect_code(3);
    assert_eq!(bench.text("t.out/deep/a.csv"), "url,caption,similarity\n,y,\n,z,");
    assert_eq!(bench.text("t.out/deep/none.csv"), "url,caption,similarity\n");
    let errors = bench.text("t.out.errors.csv");
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines[0], "row,url,kind,message,input");
    assert!(lines[1].starts_with("1,,no_image,") && lines[1].ends_with(",t/a.csv"), "{errors}");
    assert!(lines[3].starts_with("2,,no_image,") && lines[3].ends_with(",t/deep/a.csv"), "{errors}");
    bench.run(&format!("score t --in-place {FLAGS}")).expect_code(3);
    for name in ["a.csv", "deep/a.csv", "deep/none.csv"] {
        assert_eq!(bench.text(&format!("t/{name}")), bench.text(&format!("t.out/{name}")), "{name}");
    }
}

#[test]
fn rows_of_the_next_table_begin_a_line() {
    type Tables<'a> = &'a [&'a [u8]];
    let cases: [(&str, Tables<'_>, &[u8]); 4] = [
        (
            "csv",
            &[b"url,caption\r\n,a", b"\xEF\xBB\xBFurl,caption\n,b\n\n\n", b"url,caption", b"url,caption\n,\"c"],
            b"url,caption,similarity\r\n,a,\n,b,\n,\"c\",",
        ),
        ("tsv", &[b"url\tcaption\n", b"url\tcaption\n\tb"], b"url\tcaption\tsimilarity\n\tb\t"),
        (
            "jsonl",
            &[b"{\"caption\": \"a\", \"url\": null}", b"\n\n", b"{\"url\":null,\"caption\":\"b\",\"x\":1}\n"],
            b"{\"caption\": \"a\", \"url\": null, \"similarity\": null}\n{\"url\":null,\"caption\":\"b\",\"x\":1,\"similarity\":null}\n",
        ),
        // Of each its own number of fields.
        ("csv", &[b"url,caption\n,a\n", b"url,caption\n,b,c\n"], b"url,caption,similarity\n,a,\n,b,,c\n"),
    ];
    for (extension, tables, expected) in cases {
        let bench = Bench::new();
        for (index, table) in tables.iter().enumerate() {
            fs::write(bench.path(&format!("{index}.{extension}")), table).expect("writable");
        }
        let ran = bench.run(&format!("score *.{extension} {FLAGS}")).expect_code(3);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(expected));
    }
}

fn write(bench: &Bench, name: &str, table: &RecordBatch) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(3)).build();
    let file = File::create(bench.path(name)).expect("creatable");
    let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties)).expect("a schema");
    writer.write(table).expect("written");
    writer.close().expect("closed");
}

fn read(bench: &Bench, name: &str) -> Vec<RecordBatch> {
    let file = File::open(bench.path(name)).expect("there");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").with_batch_size(1 << 20).build();
    reader.expect("a reader").map(|batch| batch.expect("a batch")).collect()
}

/// The rows of the examples as the Hugging Face libraries store them.
fn data_set(bench: &Bench, rows: std::ops::Range<usize>) -> RecordBatch {
    let table = bench.text("pairs.csv");
    let records: Vec<_> =
        csv::Reader::from_reader(table.as_bytes()).records().map(|record| record.expect("a row")).collect();
    let records = &records[rows.clone()];
    let bytes: Vec<_> = records.iter().map(|record| fs::read(bench.path(&record[0])).expect("there")).collect();
    let parts: Vec<(&str, ArrayRef)> = vec![
        ("bytes", Arc::new(bytes.iter().map(|bytes| Some(bytes.as_slice())).collect::<BinaryArray>())),
        ("path", Arc::new(records.iter().map(|record| Some(record[0].to_owned())).collect::<StringArray>())),
    ];
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("id", Arc::new(rows.map(|row| Some(row as i64)).collect::<Int64Array>()), true),
        ("image", Arc::new(StructArray::try_from(parts).expect("a struct")), true),
        ("caption", Arc::new(records.iter().map(|record| Some(record[1].to_owned())).collect::<StringArray>()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("a table")
}

#[test]
fn a_data_set_folder_becomes_one_table_with_every_column_as_it_was() {
    let bench = Bench::new().with_examples();
    fs::create_dir_all(bench.path("set/data")).expect("creatable");
    fs::write(bench.path("set/README.md"), "about").expect("writable");
    let parts = [data_set(&bench, 0..7), data_set(&bench, 7..7), data_set(&bench, 7..10)];
    for (index, part) in parts.iter().enumerate() {
        write(&bench, &format!("set/data/train-0000{index}-of-00003.parquet"), part);
    }
    let scores = csv_scores(&bench, 10);
    bench.run(&format!("score set -o out.parquet {FLAGS}")).expect_code(0);
    let out = read(&bench, "out.parquet");
    let whole = data_set(&bench, 0..10);
    for column in 0..3 {
        assert_eq!(out[0].column(column), whole.column(column));
    }
    let found = out[0].column_by_name("similarity").expect("scores").as_primitive::<Float32Type>();
    assert_eq!(found.iter().map(Option::unwrap_or_default).collect::<Vec<_>>(), scores);
    let metadata = ParquetRecordBatchReaderBuilder::try_new(File::open(bench.path("out.parquet")).expect("there"));
    let groups: Vec<_> =
        metadata.expect("Parquet").metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups.iter().filter(|rows| **rows > 0).collect::<Vec<_>>(), [&3, &3, &1, &3]);

    bench.run(&format!("score set/data/*.parquet -o apart/ {FLAGS}")).expect_code(0);
    for (index, part) in parts.iter().enumerate() {
        let rows: usize =
            read(&bench, &format!("apart/train-0000{index}-of-00003.parquet")).iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, part.num_rows());
    }
    // Together with text it becomes text.
    fs::write(bench.path("more.csv"), "id,image,caption\n99,none.png,a cat\n").expect("writable");
    let flags = format!("--image-column image {FLAGS}");
    bench.run(&format!("score set/data/*0-of*.parquet more.csv -o mixed.csv {flags}")).expect_code(3);
    let mixed = bench.text("mixed.csv");
    assert_eq!(mixed.lines().last(), Some("99,none.png,a cat,"));
    assert_eq!(mixed.lines().count(), 1 + 7 + 1);
    for (words, told) in [
        ("set/data/*0-of*.parquet more.csv -o mixed.parquet", "they do not go into one table"),
        ("more.csv -o mixed.arrow", "cannot become arrow"),
    ] {
        let ran = bench.run(&format!("score {words} {flags}")).expect_code(2);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    // Two columns of pictures: which is meant is not guessed.
    let twice = data_set(&bench, 0..2);
    let columns =
        ["image", "image2", "caption"].into_iter().zip([1, 1, 2].map(|index| Arc::clone(twice.column(index))));
    write(&bench, "twice.parquet", &RecordBatch::try_from_iter(columns).expect("a table"));
    let ran = bench.run(&format!("score twice.parquet {FLAGS}")).expect_code(2);
    assert!(ran.stderr.contains("has no column `url`"), "{}", ran.stderr);
}

/// The scores of the first rows of the examples as text.
fn csv_scores(bench: &Bench, rows: usize) -> Vec<f32> {
    let ran = bench.run(&format!("score pairs.csv {FLAGS} --allow-failures")).expect_code(0);
    let mut reader = csv::Reader::from_reader(ran.stdout.as_slice());
    let place = reader.headers().expect("a header").iter().position(|name| name == "similarity").expect("scores");
    reader.records().take(rows).map(|record| record.expect("a row")[place].parse().expect("a score")).collect()
}

#[test]
fn parquet_tables_of_other_types_stay_apart() {
    let bench = Bench::new();
    let captions: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let table = |extra: ArrayRef| {
        let columns = [("url", Arc::clone(&captions)), ("caption", Arc::clone(&captions)), ("x", extra)];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
            .expect("a table")
    };
    write(&bench, "a.parquet", &table(Arc::new(Int64Array::from(vec![1, 2]))));
    write(&bench, "b.parquet", &table(Arc::clone(&captions)));
    let ran = bench.run(&format!("score *.parquet -o out.parquet {FLAGS}")).expect_code(2);
    let told = "error: b.parquet and a.parquet do not go into one table: `x` is OPTIONAL BYTE_ARRAY x (STRING);, not \
                OPTIONAL INT64 x;; name a folder, as in -o DIR/, to keep them apart\n";
    assert_eq!(ran.stderr, told);
    bench.run(&format!("score *.parquet -o out/ {FLAGS}")).expect_code(3);
    // As texts they are alike.
    bench.run(&format!("score *.parquet -o out.csv {FLAGS}")).expect_code(3);
    assert_eq!(bench.text("out.csv").lines().count(), 5);
}

#[test]
fn a_folder_of_pictures_is_a_table_with_their_captions() {
    let bench = Bench::new().with_examples();
    let table = bench.text("pairs.csv");
    let records: Vec<_> =
        csv::Reader::from_reader(table.as_bytes()).records().map(|record| record.expect("a row")).take(4).collect();
    fs::create_dir_all(bench.path("pictures/in it/.hidden")).expect("creatable");
    let mut expected = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let folder = if index == 3 { "pictures/in it" } else { "pictures" };
        let name = record[0].strip_prefix("images/").expect("in the folder of images");
        fs::copy(bench.path(&record[0]), bench.path(&format!("{folder}/{name}"))).expect("copyable");
        let text = bench.path(&format!("{folder}/{name}")).with_extension("txt");
        fs::write(text, format!("{}\n", &record[1])).expect("writable");
        expected.push((format!("{folder}/{name}").replacen("pictures/", "", 1), record[1].to_owned()));
    }
    fs::write(bench.path("pictures/zz.JPG"), "no picture").expect("writable");
    fs::write(bench.path("pictures/notes.md"), "none").expect("writable");
    fs::write(bench.path("pictures/in it/.hidden/a.jpg"), "none").expect("writable");
    let scores = csv_scores(&bench, 4);
    for name in ["out.csv", "out.tsv", "out.jsonl", "out.parquet"] {
        let ran = bench.run(&format!("score pictures -o {name} --error-column why --model pictoclip")).expect_code(3);
        assert!(ran.stderr.contains("5 rows, 4 scored, 1 failed (1 no_caption)"), "{}", ran.stderr);
    }
    let out = bench.text("out.csv");
    let rows: Vec<_> =
        csv::Reader::from_reader(out.as_bytes()).records().map(|record| record.expect("a row")).collect();
    assert_eq!(out.lines().next(), Some("path,caption,similarity,why"));
    for (row, ((path, caption), score)) in rows.iter().zip(expected.iter().zip(&scores)) {
        assert_eq!((&row[0], &row[1], row[2].parse()), (path.as_str(), caption.as_str(), Ok(*score)));
    }
    assert_eq!(rows[4].iter().collect::<Vec<_>>(), ["zz.JPG", "", "", "no_caption"]);
    let last: serde_json::Value =
        serde_json::from_str(bench.text("out.jsonl").lines().last().expect("a row")).expect("JSON");
    assert_eq!(last, serde_json::json!({"path": "zz.JPG", "caption": null, "similarity": null, "why": "no_caption"}));
    assert_eq!(bench.run(&format!("score pictures {FLAGS}")).expect_code(3).text().lines().count(), 6);
    for (args, told) in [
        ("pictures -o out.arrow", "cannot become arrow"),
        ("pictures -o out/", "has no file name to keep"),
        ("pictures --in-place", "--in-place needs a table"),
        ("pictures --image-column file", "pictures has no column `file`"),
    ] {
        let ran = bench.run(&format!("score {args} {FLAGS}")).expect_code(2);
        assert!(ran.stderr.contains(told), "{args}: {}", ran.stderr);
    }
}

#[test]
fn a_run_that_fails_keeps_the_tables_that_are_whole() {
    let bench = Bench::new()
        .with("a.csv", "url,caption\n,a\n")
        .with("b.csv", format!("url,caption\n,b\n\"{}", "x".repeat(65 << 20)));
    let ran = bench.run(&format!("score a.csv b.csv -o out/ {FLAGS}")).expect_code(1);
    assert!(ran.stderr.contains("b.csv: row 2 is longer than 64 MiB"), "{}", ran.stderr);
    assert_eq!(bench.text("out/a.csv"), "url,caption,similarity\n,a,\n");
    assert_eq!(bench.text("out/b.csv.partial"), "url,caption,similarity\n,b,\n");
    assert!(!bench.path("out/b.csv").exists());
}

#[cfg(unix)]
#[test]
fn pipes_are_read_in_their_turn() {
    let bench = Bench::new();
    let script =
        "exec \"$0\" score <(printf 'url,caption\\n,a') <(printf 'url,caption\\n,b\\n') --model pictoclip --quiet";
    let command = bench.command([]);
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", script]).arg(command.get_program()).current_dir(bench.path(""));
    let ran = crate::bench::Ran::of(shell.output().expect("bash can be run")).expect_code(3);
    assert_eq!(ran.text(), "url,caption,similarity\n,a,\n,b,\n");
}
