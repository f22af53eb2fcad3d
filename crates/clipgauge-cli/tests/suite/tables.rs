//! One small table in every format, and what a run made of it, read back.

use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use crate::bench::Bench;

/// How many rows the table has.
pub(crate) const ROWS: usize = 24;

/// The rows whose picture is not there, and the one whose picture is none.
pub(crate) const FAILED: [usize; 3] = [5, 11, 17];

/// The names of the table, one for each format.
pub(crate) const NAMES: &[&str] = &["in.csv", "in.tsv", "in.jsonl", "in.parquet", "in.arrow", "in.csv.gz"];

/// The rows of each of two parts of it.
const PARTS: [Range<usize>; 2] = [0..10, 10..ROWS];

/// How wide and high the picture of a row is.
pub(crate) fn size(row: usize) -> [usize; 2] {
    [[8, 8], [30, 10], [10, 31], [64, 48]][row % 4]
}

/// A bench with the table in every format and its pictures.
pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new();
    for row in (0..ROWS).filter(|row| !FAILED[..2].contains(row)) {
        let picture = if row == FAILED[2] { b"no picture".to_vec() } else { picture(row) };
        bench = bench.with(&url(row), picture);
    }
    for name in NAMES {
        write(&bench, name, 0..ROWS);
    }
    bench
}

/// The same with the table also in two parts, `a` and `b`, in each format.
pub(crate) fn bench_with_parts() -> Bench {
    let bench = bench();
    for name in NAMES {
        let extension = name.strip_prefix("in.").expect("the name of the whole");
        for (part, rows) in ["a", "b"].iter().zip(PARTS) {
            write(&bench, &format!("{part}.{extension}"), rows);
        }
    }
    bench
}

fn url(row: usize) -> String {
    format!("{row}.bmp")
}

fn caption(row: usize) -> String {
    let colour = ["red", "green", "blue", "yellow", "black"][row % 5];
    format!("a {colour} square, number \"{}\"", row / 2)
}

fn note(row: usize) -> String {
    format!("note {row}")
}

/// A picture of one colour, as uncompressed BMP.
fn picture(row: usize) -> Vec<u8> {
    let [width, height] = size(row);
    let line = (width * 3).next_multiple_of(4);
    let mut bytes = b"BM".to_vec();
    let number = |bytes: &mut Vec<u8>, number: usize| bytes.extend((number as u32).to_le_bytes());
    for value in [54 + line * height, 0, 54, 40, width, height, 0x18_0001, 0, line * height, 2835, 2835, 0, 0] {
        number(&mut bytes, value);
    }
    let color = [(row * 37) as u8, (row * 91) as u8, (row * 53) as u8];
    for _ in 0..height {
        let mut pixels = color.repeat(width);
        pixels.resize(line, 0);
        bytes.extend(pixels);
    }
    bytes
}

fn write(bench: &Bench, name: &str, rows: Range<usize>) {
    let path = bench.path(name);
    match name.split_once('.').expect("an extension").1 {
        "csv" | "csv.gz" | "tsv" => {
            let delimiter = if name.ends_with(".tsv") { b'\t' } else { b',' };
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            writer.write_record(["id", "url", "caption", "note"]).expect("a header");
            for row in rows {
                writer.write_record([row.to_string(), url(row), caption(row), note(row)]).expect("a row");
            }
            let text = writer.into_inner().expect("text");
            if name.ends_with(".gz") {
                let mut file = flate2::write::GzEncoder::new(File::create(path).expect("a file"), Default::default());
                file.write_all(&text).and_then(|()| file.finish().map(drop)).expect("written");
            } else {
                std::fs::write(path, text).expect("written");
            }
        }
        "jsonl" => {
            let line = |row: usize| {
                let text = |text: String| serde_json::Value::from(text);
                let (url, caption, note) = (text(url(row)), text(caption(row)), text(note(row)));
                format!("{{\"id\": {row}, \"url\": {url}, \"caption\": {caption}, \"note\": {note}}}\n")
            };
            std::fs::write(path, rows.map(line).collect::<String>()).expect("written");
        }
        "parquet" => {
            let properties = WriterProperties::builder().set_max_row_group_row_count(Some(7)).build();
            let table = batch(rows);
            let file = File::create(path).expect("a file");
            let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties)).expect("a schema");
            writer.write(&table).expect("written");
            writer.close().expect("closed");
        }
        "arrow" => {
            let mut writer =
                FileWriter::try_new(File::create(path).expect("a file"), &batch(0..1).schema()).expect("a schema");
            for start in rows.clone().step_by(7) {
                writer.write(&batch(start..(start + 7).min(rows.end))).expect("written");
            }
            writer.finish().expect("finished");
        }
        other => panic!("{other}"),
    }
}

fn batch(rows: Range<usize>) -> RecordBatch {
    let texts = |text: fn(usize) -> String| -> ArrayRef {
        Arc::new(rows.clone().map(|row| Some(text(row))).collect::<StringArray>())
    };
    let ids: Int64Array = rows.clone().map(|row| Some(row as i64)).collect();
    let columns: [(&str, ArrayRef); 4] =
        [("id", Arc::new(ids)), ("url", texts(url)), ("caption", texts(caption)), ("note", texts(note))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).expect("a batch")
}

/// A table that a run has written: its columns, and of each row the cells as text, `None` for a null or an empty one.
#[derive(Debug, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// Reads a table by the format that its name says.
    pub(crate) fn read(path: PathBuf) -> Self {
        let name = path.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        let mut file = File::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        if name.ends_with(".gz") {
            flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).expect("gzip");
        } else if !name.ends_with(".parquet") && !name.ends_with(".arrow") {
            file.read_to_end(&mut bytes).expect("readable");
        }
        match name.trim_end_matches(".gz").rsplit_once('.').expect("an extension").1 {
            "parquet" => {
                let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("there"));
                let reader = reader.expect("Parquet").build().expect("a reader");
                Self::of_batches(reader.map(|batch| batch.expect("a batch")))
            }
            "arrow" => {
                let reader = FileReader::try_new(File::open(path).expect("there"), None).expect("Arrow");
                Self::of_batches(reader.map(|batch| batch.expect("a batch")))
            }
            "jsonl" => Self::of_lines(std::str::from_utf8(&bytes).expect("UTF-8")),
            extension => Self::of_text(&bytes, if extension == "tsv" { b'\t' } else { b',' }),
        }
    }

    pub(crate) fn of_text(bytes: &[u8], delimiter: u8) -> Self {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
        let columns = reader.headers().expect("a header").iter().map(str::to_owned).collect();
        let cell = |cell: &str| (!cell.is_empty()).then(|| cell.to_owned());
        let rows = reader.records().map(|row| row.expect("a row").iter().map(cell).collect()).collect();
        Self { columns, rows }
    }

    fn of_lines(text: &str) -> Self {
        let objects: Vec<serde_json::Map<_, _>> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect();
        // `serde_json` sorts the fields; their order in the text is looked at here.
        let mut columns: Vec<String> = objects.first().map_or_else(Vec::new, |object| object.keys().cloned().collect());
        let first = text.lines().next().unwrap_or_default();
        columns.sort_by_key(|column| first.find(&format!("\"{column}\":")));
        let cell = |value: &serde_json::Value| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let rows = objects.iter().map(|object| columns.iter().map(|column| cell(&object[column])).collect()).collect();
        Self { columns, rows }
    }

    fn of_batches(batches: impl Iterator<Item = RecordBatch>) -> Self {
        let mut table = Self { columns: Vec::new(), rows: Vec::new() };
        for batch in batches {
            table.columns = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
            for row in 0..batch.num_rows() {
                table.rows.push(batch.columns().iter().map(|array| cell_of(array, row)).collect());
            }
        }
        table
    }

    /// A column's cells.
    #[track_caller]
    pub(crate) fn column(&self, name: &str) -> Vec<Option<&str>> {
        let place = self.columns.iter().position(|column| column == name);
        let place = place.unwrap_or_else(|| panic!("no {name} among {:?}", self.columns));
        self.rows.iter().map(|row| row[place].as_deref()).collect()
    }

    /// The numbers of the rows that are there, by their column `id`.
    #[track_caller]
    pub(crate) fn ids(&self) -> Vec<usize> {
        self.column("id").into_iter().map(|id| id.and_then(|id| id.parse().ok()).expect("an id")).collect()
    }

    /// The scores, as 32-bit floats.
    #[track_caller]
    pub(crate) fn scores(&self) -> Vec<Option<f32>> {
        let number = |cell: Option<&str>| cell.map(|cell| cell.parse().expect("a number"));
        self.column("similarity").into_iter().map(number).collect()
    }
}

fn cell_of(array: &ArrayRef, row: usize) -> Option<String> {
    use arrow_array::types::Float64Type;
    use arrow_schema::DataType;
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        other => panic!("{other}"),
    })
    .filter(|text| !text.is_empty())
}
