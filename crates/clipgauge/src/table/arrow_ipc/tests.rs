//! Tables in and out: batches stay as they are cut, and the new columns stand behind the others or in their places.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Mutex;

use arrow_array::builder::{ListBuilder, UInt8Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{DictionaryArray, Int8Array, Int64Array, StringArray};
use arrow_schema::Schema;
use arrow_select::concat::concat_batches;
use proptest::prelude::*;

use super::*;
use crate::filters::Filters;
use crate::options::Input as Source;
use crate::row::RowErrorKind;
use crate::table::Layout;

fn options() -> ScoreOptions {
    ScoreOptions { error_column: Some("why".to_owned()), ..ScoreOptions::new(Source::File("in.arrow".into())) }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("writable");
    file.rewind().expect("a file");
    file
}

/// What a run makes of a table when every third row fails; of `first` rows if it ends early.
fn scored(bytes: &[u8], options: &ScoreOptions, first: Option<u64>) -> Result<Vec<u8>, TableError> {
    scored_rows(bytes, options, first, |_| true)
}

/// The same for those rows only, from 0, that a filter lets through.
fn scored_rows(
    bytes: &[u8],
    options: &ScoreOptions,
    first: Option<u64>,
    stays: impl Fn(usize) -> bool,
) -> Result<Vec<u8>, TableError> {
    let (mut reader, layout) = open_file(file_of(bytes), bytes.len() as u64, options)?;
    let out = Shared::default();
    let mut writer = Layout::Arrow(layout).writer(Box::new(out.clone()))?;
    while first.is_none_or(|first| reader.rows < first) {
        let Some(row) = reader.read()? else { break };
        let fails = row.number.is_multiple_of(3);
        assert_eq!(row.image_name(), Some(format!("{}.png", row.number).as_str()));
        let score = Cell::Score((!fails).then_some(row.number as f32 / 2.0));
        if stays(row.number as usize - 1) {
            writer.write(row.record, &[score, Cell::ErrorKind(fails.then_some(RowErrorKind::NotFound))])?;
        }
    }
    match first {
        None => writer.finish()?,
        Some(_) => writer.finish_early()?,
    }
    drop(writer);
    let out = std::mem::take(&mut *out.0.lock().expect("no panic"));
    Ok(out)
}

fn batches(count: usize, rows: usize) -> Vec<RecordBatch> {
    let values: ArrayRef = Arc::new(StringArray::from(vec!["caption 0", "caption 1", "caption 2"]));
    let batch = |index: usize| {
        let numbers = (index * rows + 1..=(index + 1) * rows).collect::<Vec<_>>();
        let urls: StringArray = numbers.iter().map(|number| Some(format!("{number}.png"))).collect();
        let key = |number: &usize| (!number.is_multiple_of(4)).then_some((number % 3) as i8);
        let keys = numbers.iter().map(key).collect::<Int8Array>();
        let captions = DictionaryArray::new(keys, Arc::clone(&values));
        let mut lists = ListBuilder::new(UInt8Builder::new());
        for number in &numbers {
            lists.append_option((number % 2 > 0).then_some(vec![Some(1), None]));
        }
        let ids: Int64Array = numbers.iter().map(|number| Some(*number as i64)).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(ids)),
            ("url", Arc::new(urls)),
            ("caption", Arc::new(captions)),
            ("list", Arc::new(lists.finish())),
        ];
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
        let schema =
            Schema::clone(&batch.schema()).with_metadata(HashMap::from([("mine".to_owned(), "kept".to_owned())]));
        batch.with_schema(Arc::new(schema)).expect("the same columns")
    };
    (0..count).map(batch).collect()
}

fn written(batches: &[RecordBatch], is_stream: bool, codec: Option<CompressionType>) -> Vec<u8> {
    let (mut bytes, schema) = (Vec::new(), batches[0].schema());
    let options = IpcWriteOptions::default().try_with_compression(codec).expect("an option");
    if is_stream {
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &schema, options).expect("a stream");
        batches.iter().for_each(|batch| writer.write(batch).expect("written"));
        writer.finish().expect("finished");
    } else {
        let mut writer = FileWriter::try_new_with_options(&mut bytes, &schema, options).expect("a file");
        batches.iter().for_each(|batch| writer.write(batch).expect("written"));
        writer.finish().expect("finished");
    }
    bytes
}

fn read(bytes: &[u8], is_stream: bool) -> Vec<RecordBatch> {
    if is_stream {
        let reader = StreamReader::try_new(bytes, None).expect("a stream");
        reader.map(|batch| batch.expect("a batch")).collect()
    } else {
        let reader = FileReader::try_new(io::Cursor::new(bytes), None).expect("a file");
        reader.map(|batch| batch.expect("a batch")).collect()
    }
}

fn assert_scored(found: &[RecordBatch], table: &[RecordBatch], rows: usize) {
    let table = concat_batches(&table[0].schema(), table).expect("of one schema").slice(0, rows);
    let schema = found.first().map_or_else(|| table.schema(), |batch| batch.schema());
    let found = concat_batches(&schema, found).expect("of one schema");
    assert_eq!(found.num_rows(), rows);
    if rows == 0 {
        return;
    }
    assert_eq!(schema.metadata().get("mine").map(String::as_str), Some("kept"));
    for column in 0..table.num_columns() {
        assert_eq!(schema.field(column), table.schema().field(column));
        assert_eq!(found.column(column), table.column(column));
    }
    let scores: Vec<_> = found.column(4).as_primitive::<Float32Type>().iter().collect();
    let kinds: Vec<_> = found.column(5).as_string::<i32>().iter().collect();
    for (index, (score, kind)) in scores.into_iter().zip(kinds).enumerate() {
        let expected = match (index + 1) % 3 {
            0 => (None, Some("not_found")),
            _ => (Some((index + 1) as f32 / 2.0), None),
        };
        assert_eq!((score, kind), expected, "row {}", index + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn files_and_streams_come_through(count in 1_usize..4, rows in 1_usize..9, is_stream: bool, end in 0_usize..30) {
        for codec in [None, Some(CompressionType::ZSTD), Some(CompressionType::LZ4_FRAME)] {
            let table = batches(count, rows);
            let bytes = written(&table, is_stream, codec);
            let out = scored(&bytes, &options(), None).expect("a table");
            let found = read(&out, is_stream);
            prop_assert_eq!(found.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), vec![rows; count]);
            assert_scored(&found, &table, count * rows);
            prop_assert_eq!(compression::of(&file_of(&out), is_stream), codec);
            // And what a run leaves that is ended early has the rows up to there.
            let end = end.min(count * rows);
            let out = scored(&bytes, &options(), Some(end as u64)).expect("a table");
            assert_scored(&read(&out, is_stream), &table, end);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_rows_and_columns_may_be_left_out(
        rows in 1_usize..9,
        stays in prop::collection::vec(any::<bool>(), 24),
        kept in prop::collection::vec(any::<bool>(), 4),
        is_stream: bool,
    ) {
        let table = batches(3, rows);
        let bytes = written(&table, is_stream, None);
        let columns: Vec<usize> = (0..4).filter(|column| kept[*column]).collect();
        let names = columns.iter().map(|column| table[0].schema().field(*column).name().clone()).collect();
        let filters = Filters { keep_columns: Some(names), ..Filters::default() };
        let out = scored_rows(&bytes, &ScoreOptions { filters, ..options() }, None, |row| stays[row]).expect("a table");
        let mut left = read(&out, is_stream).into_iter();
        for (index, batch) in table.iter().enumerate() {
            let chosen = BooleanArray::from(stays[index * rows..(index + 1) * rows].to_vec());
            let expected = filter_record_batch(&batch.project(&columns).expect("columns"), &chosen).expect("rows");
            if expected.num_rows() > 0 {
                let found = left.next().expect("a batch");
                prop_assert_eq!(found.num_columns(), columns.len() + 2);
                prop_assert_eq!(found.num_rows(), expected.num_rows());
                prop_assert_eq!(&found.columns()[..columns.len()], expected.columns());
            }
        }
        prop_assert!(left.next().is_none());
    }
}

#[test]
fn columns_are_replaced_in_place_only_when_asked() {
    let table = batches(2, 5);
    let replaced = ScoreOptions { column: "list".to_owned(), ..options() };
    let bytes = written(&table, false, None);
    assert!(matches!(scored(&bytes, &replaced, None), Err(TableError::ColumnExists { .. })));
    let out = scored(&bytes, &ScoreOptions { overwrite: true, ..replaced }, None).expect("a table");
    let found = read(&out, false);
    let names: Vec<_> = found[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["id", "url", "caption", "list", "why"]);
    assert_eq!(found[0].column(3).as_primitive::<Float32Type>().value(0), 0.5);
}

#[test]
fn records_say_what_their_cells_say() {
    let bytes = written(&batches(1, 4), true, None);
    let (mut reader, _) = open_stream(Box::new(io::Cursor::new(bytes)), None, None, &options()).expect("a table");
    let mut texts = Vec::new();
    while let Some(row) = reader.read().expect("readable") {
        assert!(row.record.size() > 0);
        texts.push(row.record.texts());
    }
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(texts[0], [some("1"), some("1.png"), some("caption 1"), some("[1,null]")]);
    assert_eq!(texts[3], [some("4"), some("4.png"), None, None]);
}

#[test]
fn a_damaged_table_is_an_error_and_nothing_worse() {
    for is_stream in [false, true] {
        let bytes = written(&batches(2, 6), is_stream, None);
        for length in (0..bytes.len()).step_by(5) {
            // A stream may end without its mark, between two batches.
            if let Err(error) = scored(&bytes[..length], &options(), None) {
                assert!(matches!(error, TableError::Damaged { .. }), "{length}: {error}");
            } else {
                assert!(is_stream, "{length} bytes of a file are no file");
            }
        }
        for place in (0..bytes.len()).step_by(7) {
            for byte in [0x00, 0x7F, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[place] = byte;
                let read = panic::catch_unwind(|| {
                    let (mut reader, _) = open_file(file_of(&damaged), damaged.len() as u64, &options())?;
                    while reader.read()?.is_some() {}
                    Ok::<_, TableError>(())
                });
                assert!(read.is_ok(), "byte {place} of a {is_stream} stream");
            }
        }
    }
}
