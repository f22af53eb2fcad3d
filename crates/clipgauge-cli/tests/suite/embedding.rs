//! `clipgauge embed`: the vectors of a table, read back with Arrow and by hand.

use std::fs::{self, File};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};
use clipgauge::cancel::Cancel;
use clipgauge::core::family;
use clipgauge::core::metric::Metric;
use clipgauge::embed::Embedder;
use clipgauge::hub::{self, HubOptions};
use clipgauge::progress::Silent;
use clipgauge::scorer::{Image, Pair};
use half::f16;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::bench::Bench;
use crate::scoring::column;

/// Rows with a picture, and rows that fail.
const MIXED: &str = "id,url,caption\n\
    1,images/02-1f436-noto.jpg,a dog\n\
    2,images/none.png,nothing\n\
    3,images/03-1f34e-fluent-flat.png,\"red apple, flat icon\"\n\
    4,images/03-1f34e-fluent-flat.png\n\
    5,images/03-1f34e-fluent-flat.png,\n";

fn embedder() -> Embedder {
    let files = hub::resolve("pictoclip", &HubOptions::from_env(), &Silent, &Cancel::new()).expect("bundled").files;
    Embedder::new(family::load(&files).expect("a model"))
}

fn read(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").with_batch_size(1 << 20).build();
    let batches: Vec<_> = reader.expect("a reader").map(|batch| batch.expect("a batch")).collect();
    let [batch] = &*batches else { panic!("{} batches", batches.len()) };
    batch.clone()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let texts = batch.column_by_name(name).unwrap_or_else(|| panic!("no {name} in {:?}", names(batch)));
    texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

fn vectors(batch: &RecordBatch, name: &str) -> Vec<Option<Vec<f32>>> {
    let vectors = batch.column_by_name(name).unwrap_or_else(|| panic!("no {name}")).as_fixed_size_list();
    let vector =
        |row| vectors.is_valid(row).then(|| vectors.value(row).as_primitive::<Float32Type>().values().to_vec());
    (0..vectors.len()).map(vector).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

/// The rows of a `.npy` file of f16, its header read as numpy's format says.
fn array(path: &Path) -> Vec<Vec<f32>> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!(start % 64, 0);
    let header = std::str::from_utf8(&bytes[10..start]).expect("ASCII");
    let shape = header.strip_prefix("{'descr': '<f2', 'fortran_order': False, 'shape': (").expect("a header");
    assert!(header.ends_with('\n'));
    let (shape, rest) = shape.split_once(')').expect("a shape");
    assert_eq!(rest.trim_end(), ", }");
    let shape: Vec<usize> = shape.split(", ").map(|side| side.parse().expect("a number")).collect();
    let numbers: Vec<f32> =
        bytes[start..].as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect();
    assert_eq!(numbers.len(), shape[0] * shape[1], "{header}");
    numbers.chunks(shape[1]).map(<[f32]>::to_vec).collect()
}

#[test]
fn parquet_has_the_table_and_the_vectors_that_its_scores_come_from() {
    let bench = Bench::new().with_examples();
    let ran = bench.run("embed pairs.csv -o out.parquet --model pictoclip").expect_code(0);
    assert_eq!(ran.stdout, b"");
    assert!(ran.stderr.contains("51 rows, 51 embedded, in"), "{}", ran.stderr);
    assert_eq!(bench.names(), ["images", "out.parquet", "pairs.csv"]);
    let batch = read(&bench.path("out.parquet"));
    assert_eq!(names(&batch), ["url", "caption", "image_embedding", "text_embedding"]);

    let table = bench.run("score pairs.csv --model pictoclip --quiet").expect_code(0);
    let (urls, captions) = (column(table.text(), "url"), column(table.text(), "caption"));
    assert_eq!(texts(&batch, "url"), urls.iter().cloned().map(Some).collect::<Vec<_>>());
    assert_eq!(texts(&batch, "caption"), captions.iter().cloned().map(Some).collect::<Vec<_>>());

    let files: Vec<_> = urls.iter().map(|url| bench.read(url)).collect();
    let pairs: Vec<_> =
        files.iter().zip(&captions).map(|(file, caption)| Pair { image: Image::File(file), caption }).collect();
    let expected = embedder().embed(&pairs).expect("vectors");
    let (images, captions) = (vectors(&batch, "image_embedding"), vectors(&batch, "text_embedding"));
    let files = hub::resolve("pictoclip", &HubOptions::from_env(), &Silent, &Cancel::new()).expect("bundled").files;
    let cosine = Metric::Cosine.comparer(family::load(&files).expect("a model").spec()).expect("a metric");
    for (row, score) in column(table.text(), "similarity").iter().enumerate() {
        let (image, text) = (images[row].as_ref().expect("a vector"), captions[row].as_ref().expect("a vector"));
        let expected = expected[row].vectors.as_ref().expect("vectors");
        assert_eq!((image, text), (&expected.image, &expected.text), "row {}", row + 1);
        assert_eq!(cosine.compare(image, text), score.parse::<f32>().expect("a number"), "row {}", row + 1);
    }
}

#[test]
fn rows_that_fail_are_null_in_parquet_and_listed() {
    let bench = Bench::new().with_examples().with("table.csv", MIXED);
    let args = "embed table.csv -o out.parquet --model pictoclip --error-column why --normalize --summary s.json";
    bench.run(args).expect_code(3);
    let batch = read(&bench.path("out.parquet"));
    assert_eq!(names(&batch), ["id", "url", "caption", "image_embedding", "text_embedding", "why"]);
    assert_eq!(texts(&batch, "id"), some(&["1", "2", "3", "4", "5"]));
    let why = [None, Some("not_found"), None, Some("no_caption"), None].map(|kind| kind.map(str::to_owned));
    assert_eq!(texts(&batch, "why"), why);
    assert_eq!(texts(&batch, "caption")[3..], [None, Some(String::new())]);
    for name in ["image_embedding", "text_embedding"] {
        for (vector, why) in vectors(&batch, name).iter().zip(&why) {
            assert_eq!(vector.is_some(), why.is_none(), "{name}");
            let length = vector.iter().flatten().map(|number| number * number).sum::<f32>();
            assert!(vector.is_none() || (length - 1.0).abs() < 1e-5, "{name}: {length}");
        }
    }
    let listed = bench.text("out.parquet.errors.csv");
    assert_eq!(column(&listed, "row"), ["2", "4"]);
    let summary: serde_json::Value = serde_json::from_str(&bench.text("s.json")).expect("JSON");
    assert_eq!(summary["failures"], serde_json::json!({ "no_caption": 1, "not_found": 1 }));
}

#[test]
fn a_folder_of_arrays_is_clip_retrieval_s() {
    let bench = Bench::new().with_examples().with("table.csv", MIXED);
    bench.run("embed table.csv -o raw.parquet --model pictoclip --quiet --allow-failures").expect_code(0);
    let ran = bench.run("embed table.csv -o out --format npy --part-rows 2 --model pictoclip").expect_code(3);
    assert!(ran.stderr.contains("5 rows, 3 embedded, 2 failed (1 no_caption, 1 not_found)"), "{}", ran.stderr);
    let raw = read(&bench.path("raw.parquet"));
    let part = |folder: &str, part: usize| array(&bench.path(&format!("out/{folder}/{folder}_{part}.npy")));
    for (folder, name) in [("img_emb", "image_embedding"), ("text_emb", "text_embedding")] {
        let found = [part(folder, 0), part(folder, 1)];
        assert_eq!(found.each_ref().map(Vec::len), [2, 1], "{folder}");
        let normalized = vectors(&raw, name).into_iter().flatten().map(|vector| {
            let unit = clipgauge::vectors::normalized(&vector);
            unit.into_iter().map(|number| f16::from_f32(number).to_f32()).collect::<Vec<_>>()
        });
        assert_eq!(found.concat(), normalized.collect::<Vec<_>>(), "{folder}");
    }
    let metadata = read(&bench.path("out/metadata/metadata_0.parquet"));
    assert_eq!(names(&metadata), ["image_path", "caption", "id", "url"]);
    assert_eq!(texts(&metadata, "id"), some(&["1", "3"]));
    assert_eq!(texts(&metadata, "caption"), some(&["a dog", "red apple, flat icon"]));
    assert_eq!(texts(&metadata, "image_path"), texts(&metadata, "url"));
    assert_eq!(texts(&read(&bench.path("out/metadata/metadata_1.parquet")), "id"), some(&["5"]));
    assert_eq!(
        bench.names(),
        ["images", "out", "out.errors.csv", "pairs.csv", "raw.parquet", "raw.parquet.errors.csv", "table.csv"]
    );
}

#[test]
fn odd_tables_keep_what_has_a_column() {
    let table = "a,url,caption,a,image_embedding\n1,images/02-1f436-noto.jpg,a dog,2,old,surplus\n";
    let bench = Bench::new().with_examples().with("table.csv", table);
    bench.run("embed table.csv -o out.parquet --model pictoclip").expect_code(2);
    let ran = bench.run("embed table.csv -o out.parquet --model pictoclip --overwrite").expect_code(0);
    assert!(ran.stderr.contains("1 row has more or fewer fields"), "{}", ran.stderr);
    let batch = read(&bench.path("out.parquet"));
    assert_eq!(names(&batch), ["a", "url", "caption", "a.1", "image_embedding", "text_embedding"]);
    assert_eq!((texts(&batch, "a"), texts(&batch, "a.1")), (some(&["1"]), some(&["2"])));
}

#[test]
fn what_cannot_work_is_told_before_the_run() {
    let bench = Bench::new().with("table.csv", "url,caption,text_embedding\n").with("pairs.csv", "url,caption\n");
    fs::create_dir_all(bench.path("full/of")).expect("creatable");
    let before = bench.names();
    for (args, expected) in [
        ("table.csv -o out.parquet", "has a column `text_embedding` already"),
        ("pairs.csv -o full --format npy", "full is there already, and folders are not written over"),
        ("pairs.csv -o full", "it is a folder; name a file in it"),
        ("pairs.csv -o pairs.csv --summary pairs.csv", "cannot be"),
        ("pairs.csv -o out --format npy --error-column why", "--error-column has no place in a folder of arrays"),
        ("pairs.csv -o out --error-column text_embedding", "cannot be a column of vectors and --error-column at once"),
        ("pairs.csv -o out --dtype f32", "--dtype says how arrays are written"),
        ("pairs.csv -o out --caption-column text", "has no column `text`"),
        ("pairs.csv", "--output <OUT>"),
    ] {
        let ran = bench.run(&format!("embed {args} --model pictoclip")).expect_code(2);
        assert!(ran.stderr.contains(expected), "{args}: {}", ran.stderr);
    }
    assert_eq!(bench.names(), before);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_its_rows_where_they_cannot_be_taken_for_all() {
    use std::io::Write;

    use crate::interrupts::Running;

    for (format, place) in [("parquet", "out.partial"), ("npy", "out.partial/metadata/metadata_0.parquet")] {
        let bench = Bench::new().with_examples();
        let args = format!("embed - -o out --format {format} --model pictoclip --progress always");
        let (running, mut stdin) = Running::start(&bench, &args);
        stdin.write_all(b"url,caption\nimages/02-1f436-noto.jpg,a dog\n").expect("writable");
        running.wait_for("1 row,");
        running.send("-TERM");
        let (code, stderr) = running.end();
        assert_eq!(code, Some(143), "{stderr}");
        assert_eq!(texts(&read(&bench.path(place)), "caption"), some(&["a dog"]), "{format}");
        assert_eq!(bench.names(), ["images", "out.partial", "pairs.csv"], "{format}");
    }
}
