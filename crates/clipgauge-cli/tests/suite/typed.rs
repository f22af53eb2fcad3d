//! Tables whose columns have types: the scores are those of the same rows as text, and the other columns stay.

use std::fs::{self, File};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, StructArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use crate::bench::Bench;

const FLAGS: &str = "--model pictoclip --quiet";

/// The rows of the examples, and the score of each as the CSV table has it.
struct Examples {
    bench: Bench,
    urls: Vec<String>,
    captions: Vec<String>,
    scores: Vec<Option<f32>>,
}

impl Examples {
    fn new() -> Self {
        let bench = Bench::new().with_examples();
        let ran = bench.run(&format!("score pairs.csv {FLAGS} --allow-failures")).expect_code(0);
        let mut reader = csv::Reader::from_reader(ran.stdout.as_slice());
        let headers = reader.headers().expect("a header").clone();
        let place = |name: &str| headers.iter().position(|header| header == name).expect("a column");
        let (url, caption, score) = (place("url"), place("caption"), place("similarity"));
        let (mut urls, mut captions, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        for record in reader.records() {
            let record = record.expect("a row");
            urls.push(record[url].to_owned());
            captions.push(record[caption].to_owned());
            scores.push(record[score].parse().ok());
        }
        assert!(scores.iter().flatten().count() > 10);
        Self { bench, urls, captions, scores }
    }

    /// The table with this image column.
    fn table(&self, image: ArrayRef) -> RecordBatch {
        let ids: Int64Array = (0..self.urls.len()).map(|id| (id % 3 > 0).then_some(id as i64)).collect();
        let captions: StringArray = self.captions.iter().map(|caption| Some(caption.as_str())).collect();
        let columns: [(&str, ArrayRef); 3] = [("id", Arc::new(ids)), ("url", image), ("caption", Arc::new(captions))];
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        RecordBatch::try_from_iter_with_nullable(columns).expect("a table")
    }

    fn addresses(&self) -> StringArray {
        self.urls.iter().map(|url| Some(url.as_str())).collect()
    }

    /// The pictures as the Hugging Face libraries store them; of every fourth only the path, for the first not even that.
    fn pictures(&self) -> StructArray {
        let bytes: Vec<_> = self.urls.iter().map(|url| fs::read(self.bench.path(url)).ok()).collect();
        let kept = |row: usize| bytes[row].as_deref().filter(|_| row % 4 != 3);
        let bytes: BinaryArray = (0..bytes.len()).map(kept).collect();
        let parts: Vec<(&str, ArrayRef)> = vec![("bytes", Arc::new(bytes)), ("path", Arc::new(self.addresses()))];
        StructArray::try_from(parts).expect("a struct")
    }
}

fn write(path: std::path::PathBuf, table: &RecordBatch) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(20)).build();
    let file = File::create(path).expect("creatable");
    let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties)).expect("a schema");
    writer.write(table).expect("written");
    writer.close().expect("closed");
}

fn read(path: std::path::PathBuf) -> RecordBatch {
    let file = File::open(path).expect("there");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").with_batch_size(1 << 20).build();
    reader.expect("a reader").next().expect("a batch").expect("a batch")
}

#[test]
fn parquet_has_the_scores_of_the_same_rows_as_text() {
    let examples = Examples::new();
    let bench = &examples.bench;
    for image in [Arc::new(examples.addresses()) as ArrayRef, Arc::new(examples.pictures())] {
        let table = examples.table(image);
        write(bench.path("in.parquet"), &table);
        let before = bench.read("in.parquet");
        bench.run(&format!("score in.parquet -o out.parquet {FLAGS} --allow-failures")).expect_code(0);
        assert!(bench.read("in.parquet") == before);
        let out = read(bench.path("out.parquet"));
        let scores = out.column_by_name("similarity").expect("scores").as_primitive::<Float32Type>();
        assert_eq!(scores.iter().collect::<Vec<_>>(), examples.scores);
        for column in 0..table.num_columns() {
            assert_eq!(out.column(column), table.column(column));
        }
        // A file, a pipe's end, and the input's own place get the same bytes.
        let ran = bench.run(&format!("score in.parquet {FLAGS} --allow-failures")).expect_code(0);
        assert!(ran.stdout == bench.read("out.parquet"));
        bench.run(&format!("score in.parquet --in-place {FLAGS} --allow-failures")).expect_code(0);
        assert!(bench.read("in.parquet") == bench.read("out.parquet"));
        let ran = bench.run(&format!("score in.parquet {FLAGS}")).expect_code(2);
        assert!(ran.stderr.contains("in.parquet has a column `similarity` already"), "{}", ran.stderr);
    }
}

#[test]
fn bytes_that_are_no_picture_are_their_row_s_failure() {
    let bench = Bench::new();
    let bytes = BinaryArray::from(vec![Some(&b"no picture at all"[..]), Some(b""), None]);
    let parts: Vec<(&str, ArrayRef)> =
        vec![("bytes", Arc::new(bytes)), ("path", Arc::new(StringArray::from(vec![Some("a.png"), None, None])))];
    let columns: [(&str, ArrayRef); 2] = [
        ("image", Arc::new(StructArray::try_from(parts).expect("a struct"))),
        ("caption", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
    ];
    write(bench.path("in.parquet"), &RecordBatch::try_from_iter(columns).expect("a table"));
    let flags = format!("--image-column image --error-column why {FLAGS}");
    bench.run(&format!("score in.parquet -o out.parquet {flags}")).expect_code(3);
    let out = read(bench.path("out.parquet"));
    let kinds: Vec<_> = out.column_by_name("why").expect("kinds").as_string::<i32>().iter().collect();
    assert_eq!(kinds, [Some("not_an_image"), Some("empty"), Some("no_image")]);
    assert_eq!(out.column_by_name("similarity").expect("scores").null_count(), 3);
    let errors = bench.text("out.parquet.errors.csv");
    assert!(errors.starts_with("row,url,kind,message\n1,a.png,not_an_image,"), "{errors}");
    let ran = bench.run(&format!("score in.parquet -o out.parquet --max-bytes 5 {flags} --overwrite")).expect_code(3);
    assert_eq!(ran.stderr, "");
    assert!(bench.text("out.parquet.errors.csv").contains("1,a.png,too_large,"));
}

#[test]
fn what_cannot_be_read_is_told() {
    let bench = Bench::new().with("cut.parquet", "PAR1 and no more").with("cut.arrow", "ARROW1 and no more");
    for (name, what) in [("cut.parquet", "Parquet"), ("cut.arrow", "Arrow")] {
        let ran = bench.run(&format!("score {name} {FLAGS}")).expect_code(1);
        assert!(ran.stderr.starts_with(&format!("error: {name} cannot be read as {what}: ")), "{}", ran.stderr);
    }
    let ran = bench.run_with_stdin(&format!("score - --format parquet {FLAGS}"), "PAR1").expect_code(2);
    assert!(ran.stderr.contains("cannot be read from a pipe; give the file's name"), "{}", ran.stderr);
}

#[test]
fn vectors_keep_the_texts_of_the_table() {
    let examples = Examples::new();
    let bench = &examples.bench;
    write(bench.path("in.parquet"), &examples.table(Arc::new(examples.pictures())));
    bench.run(&format!("embed in.parquet -o out.parquet {FLAGS} --allow-failures")).expect_code(0);
    let out = read(bench.path("out.parquet"));
    let ids: Vec<_> = out.column_by_name("id").expect("ids").as_string::<i32>().iter().take(3).collect();
    assert_eq!(ids, [None, Some("1"), Some("2")]);
    let captions: Vec<_> =
        out.column_by_name("caption").expect("captions").as_string::<i32>().iter().flatten().collect();
    assert_eq!(captions, examples.captions);
    let failed = examples.scores.iter().filter(|score| score.is_none()).count();
    assert_eq!(out.column_by_name("image_embedding").expect("vectors").null_count(), failed);
}

#[test]
fn the_output_s_name_says_what_it_becomes() {
    let examples = Examples::new();
    let bench = &examples.bench;
    let flags = format!("{FLAGS} --allow-failures");
    // Text becomes columns of texts beside the score.
    bench.run(&format!("score pairs.csv -o out.parquet {flags}")).expect_code(0);
    let out = read(bench.path("out.parquet"));
    let captions: Vec<_> =
        out.column_by_name("caption").expect("captions").as_string::<i32>().iter().flatten().collect();
    assert_eq!(captions, examples.captions);
    let scores = out.column_by_name("similarity").expect("scores").as_primitive::<Float32Type>();
    assert_eq!(scores.iter().collect::<Vec<_>>(), examples.scores);
    // And columns become text: the same CSV as without the way round.
    bench.run(&format!("score out.parquet -o again.csv --overwrite {flags}")).expect_code(0);
    bench.run(&format!("score pairs.csv -o straight.csv {flags}")).expect_code(0);
    assert_eq!(bench.text("again.csv"), bench.text("straight.csv"));
    bench.run(&format!("score pairs.csv -o out.tsv {flags}")).expect_code(0);
    assert!(bench.text("out.tsv").lines().next().is_some_and(|header| header.ends_with("\tsimilarity")));

    // What has a type in JSON keeps it.
    write(bench.path("in.parquet"), &examples.table(Arc::new(examples.pictures())));
    bench.run(&format!("score in.parquet -o out.jsonl --error-column why {flags}")).expect_code(0);
    for (row, line) in bench.text("out.jsonl").lines().enumerate() {
        let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let id = (row % 3 > 0).then_some(row);
        assert_eq!(object["id"], serde_json::json!(id));
        assert_eq!(object["url"], serde_json::json!({"bytes": null, "path": examples.urls[row]}));
        let score = object["similarity"].as_f64().map(|score| score as f32);
        assert_eq!(score, examples.scores[row]);
        assert_eq!(object["why"].is_null(), score.is_some());
    }
    // JSON Lines have no columns that are known before the last row.
    for args in ["score out.jsonl -o out.csv", "score pairs.csv -o out.arrow", "score in.parquet -o out.arrow"] {
        let ran = bench.run(&format!("{args} {FLAGS}")).expect_code(2);
        assert!(ran.stderr.contains("and cannot become"), "{}", ran.stderr);
    }
}
