//! Files in and out: what was there stays as it is encoded, and the new columns stand behind it or in their places.

use std::fs::File;
use std::sync::Mutex;

use arrow_array::builder::{
    BinaryBuilder, Decimal128Builder, FixedSizeBinaryBuilder, Int32Builder, ListBuilder, MapBuilder, StringBuilder,
    StringDictionaryBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int16Type};
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int96, Int96Type};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{ChunkReader, FileReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

use super::*;
use crate::filters::Filters;
use crate::options::Input as Source;
use crate::row::{RowErrorKind, RowImage};
use crate::table::{Cell, Layout};

fn options() -> ScoreOptions {
    ScoreOptions::new(Source::File("in.parquet".into()))
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("writable");
    file
}

/// The cells that the row with this number gets: half its number, and every third row fails.
fn cells_of(number: u64, has_error: bool) -> Vec<Cell> {
    let fails = number.is_multiple_of(3);
    let mut cells = vec![Cell::Score((!fails).then_some(number as f32 / 2.0))];
    if has_error {
        cells.push(Cell::ErrorKind(fails.then_some(RowErrorKind::NotFound)));
    }
    cells
}

/// What a run makes of a file, and the rows that it read; of `first` rows if it ends early.
fn scored(bytes: &[u8], options: &ScoreOptions, first: Option<u64>) -> Result<(Vec<u8>, Vec<Row>), TableError> {
    scored_rows(bytes, options, first, |_| true)
}

/// The same for those rows only, from 0, that a filter lets through.
fn scored_rows(
    bytes: &[u8],
    options: &ScoreOptions,
    first: Option<u64>,
    stays: impl Fn(usize) -> bool,
) -> Result<(Vec<u8>, Vec<Row>), TableError> {
    let (mut reader, layout) = open(PositionedFile::new(file_of(bytes), bytes.len() as u64), options, false)?;
    let out = Shared::default();
    let mut writer = Layout::Parquet(Box::new(layout)).writer(Box::new(out.clone()))?;
    let mut rows = Vec::new();
    while first.is_none_or(|first| reader.rows < first) {
        let Some(mut row) = reader.read()? else { break };
        let record = std::mem::replace(&mut row.record, Record::InFile(u64::MAX));
        if stays(row.number as usize - 1) {
            writer.write(record, &cells_of(row.number, options.error_column.is_some()))?;
        }
        writer.flush()?;
        rows.push(row);
    }
    match first {
        None => writer.finish()?,
        Some(_) => writer.finish_early()?,
    }
    drop(writer);
    Ok((out.take(), rows))
}

/// Bytes that are written in one place and looked at in another.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn read(bytes: &[u8]) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file_of(bytes)).expect("Parquet");
    let schema = Arc::clone(builder.schema());
    let batches: Vec<_> = builder.build().expect("a reader").map(|batch| batch.expect("a batch")).collect();
    concat_batches(&schema, &batches).expect("of one schema")
}

fn metadata(bytes: &[u8]) -> ParquetMetaData {
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
    reader.parse_and_finish(&file_of(bytes)).expect("a footer")
}

fn written(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a schema");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
    bytes
}

/// A row of many types; `None` for a null in all that may be.
type Values = Option<(String, Vec<Option<i32>>, i128, bool, f64, i64, Vec<u8>)>;

/// A table of many types, all of them null here and there.
fn batch(rows: &[Values]) -> RecordBatch {
    let mut caption = StringDictionaryBuilder::<Int16Type>::new();
    let mut lists = ListBuilder::new(Int32Builder::new());
    let mut decimals = Decimal128Builder::new().with_precision_and_scale(38, 4).expect("a precision");
    let (mut binaries, mut fixed) = (BinaryBuilder::new(), FixedSizeBinaryBuilder::new(2));
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in rows {
        match row {
            Some((text, list, decimal, _, _, _, binary)) => {
                caption.append_value(text);
                lists.append_value(list.iter().copied());
                decimals.append_value(*decimal);
                binaries.append_value(binary);
                fixed.append_value([binary.len() as u8, 7]).expect("two bytes");
                for (index, value) in list.iter().enumerate() {
                    maps.keys().append_value(format!("{text}{index}"));
                    maps.values().append_option(*value);
                }
                maps.append(true).expect("keys and values");
            }
            None => {
                caption.append_null();
                lists.append_null();
                decimals.append_null();
                binaries.append_null();
                fixed.append_null();
                maps.append(false).expect("null");
            }
        }
    }
    let urls: StringArray = (0..rows.len()).map(|row| Some(format!("{row}.png"))).collect();
    let booleans: BooleanArray = rows.iter().map(|row| row.as_ref().map(|row| row.3)).collect();
    let floats: Float64Array = rows.iter().map(|row| row.as_ref().map(|row| row.4)).collect();
    let times: TimestampMicrosecondArray = rows.iter().map(|row| row.as_ref().map(|row| row.5)).collect();
    let inner: [(&str, ArrayRef); 2] = [("float", Arc::new(floats)), ("list", Arc::new(lists.finish()))];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("url", Arc::new(urls)),
        ("nested", Arc::new(StructArray::try_from(inner.to_vec()).expect("a struct"))),
        ("decimal", Arc::new(decimals.finish())),
        ("caption", Arc::new(caption.finish())),
        ("boolean", Arc::new(booleans)),
        ("time", Arc::new(times.with_timezone("Europe/Berlin"))),
        ("binary", Arc::new(binaries.finish())),
        ("fixed", Arc::new(fixed.finish())),
        ("map", Arc::new(maps.finish())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    batch.expect("a batch")
}

fn plain_batch(rows: usize) -> RecordBatch {
    let row = |row: usize| {
        (!row.is_multiple_of(5)).then(|| {
            let text = format!("caption {}", row % 7);
            (text, vec![Some(row as i32), None], row as i128, true, 0.5, row as i64, vec![1; row % 4])
        })
    };
    batch(&(0..rows).map(row).collect::<Vec<_>>())
}

fn grouped(rows: usize) -> WriterProperties {
    WriterProperties::builder().set_max_row_group_row_count(Some(rows)).build()
}

/// Asserts that `out` has the first rows of `table` and the cells of a run.
fn assert_scored(out: &[u8], table: &RecordBatch, has_error: bool) {
    let found = read(out);
    let old: Vec<usize> = (0..table.num_columns()).collect();
    let kept = found.project(&old).expect("the old columns");
    assert_eq!(kept.columns(), table.columns());
    assert_eq!(kept.schema().fields(), table.schema().fields());
    assert_eq!(found.num_columns(), table.num_columns() + 1 + usize::from(has_error));
    let scores = found.column(table.num_columns()).as_primitive::<Float32Type>();
    let expected =
        (1..=table.num_rows() as u64).map(|number| (!number.is_multiple_of(3)).then_some(number as f32 / 2.0));
    assert_eq!(scores.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    if has_error {
        let kinds = found.column(table.num_columns() + 1).as_string::<i32>().iter().collect::<Vec<_>>();
        let expected = (1..=table.num_rows()).map(|number| number.is_multiple_of(3).then_some("not_found"));
        assert_eq!(kinds, expected.collect::<Vec<_>>());
    }
}

fn values() -> impl Strategy<Value = Values> {
    let row = (
        "[ab\u{e9}]{0,3}",
        prop::collection::vec(prop::option::of(any::<i32>()), 0..4),
        -10_i128.pow(37)..10_i128.pow(37),
        any::<bool>(),
        any::<f64>(),
        any::<i64>(),
        prop::collection::vec(any::<u8>(), 0..6),
    );
    prop::option::weighted(0.8, row)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_type_comes_through(rows in prop::collection::vec(values(), 0..40), group in 1_usize..15, end in 0_u64..40) {
        let table = batch(&rows);
        let bytes = written(&table, grouped(group));
        let options = ScoreOptions { error_column: Some("why".to_owned()), ..options() };
        let (out, read_rows) = scored(&bytes, &options, None).expect("a table");
        assert_scored(&out, &table, true);
        for (row, value) in read_rows.iter().zip(&rows) {
            prop_assert_eq!(&row.caption, &value.as_ref().map(|value| value.0.clone()));
            let name = format!("{}.png", row.number - 1);
            prop_assert_eq!(row.image_name(), Some(name.as_str()));
        }
        // And what a run leaves that is ended early has the rows up to there.
        let end = end.min(rows.len() as u64);
        let (out, _) = scored(&bytes, &options, Some(end)).expect("a table");
        assert_scored(&out, &table.slice(0, end as usize), true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_rows_and_columns_may_be_left_out(
        rows in prop::collection::vec((values(), prop::bool::weighted(0.6)), 0..60),
        kept in prop::collection::vec(any::<bool>(), 9),
        group in 1_usize..15,
        end in 0_u64..60,
    ) {
        let (rows, stays): (Vec<_>, Vec<bool>) = rows.into_iter().unzip();
        let table = batch(&rows);
        let bytes = written(&table, grouped(group));
        let columns: Vec<usize> = (0..9).filter(|column| kept[*column]).collect();
        let names = columns.iter().map(|column| table.schema().field(*column).name().clone()).collect();
        let filters = Filters { keep_columns: Some(names), ..Filters::default() };
        let options = ScoreOptions { filters, ..options() };
        for end in [None, Some(end.min(rows.len() as u64))] {
            let (out, _) = scored_rows(&bytes, &options, end, |row| stays[row]).expect("a table");
            let first = end.map_or(rows.len(), |end| end as usize);
            let expected = table.slice(0, first).project(&columns).expect("columns");
            let expected = filter_record_batch(&expected, &stays[..first].to_vec().into()).expect("rows");
            let found = read(&out);
            prop_assert_eq!(found.num_columns(), columns.len() + 1);
            prop_assert_eq!(&found.columns()[..columns.len()], expected.columns());
            let scores = found.column(columns.len()).as_primitive::<Float32Type>().iter().collect::<Vec<_>>();
            let numbers = (1..=first as u64).filter(|number| stays[*number as usize - 1]);
            let expected = numbers.map(|number| (!number.is_multiple_of(3)).then_some(number as f32 / 2.0));
            prop_assert_eq!(scores, expected.collect::<Vec<_>>());
            let most = metadata(&out).row_groups().iter().map(|group| group.num_rows()).max().unwrap_or_default();
            prop_assert!(most <= 2 * group as i64, "a row group of {} rows", most);
        }
    }
}

#[test]
fn what_is_left_of_row_groups_becomes_one() {
    let table = plain_batch(100);
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(10))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_sorting_columns(Some(vec![SortingColumn { column_idx: 0, descending: false, nulls_first: true }]))
        .build();
    let bytes = written(&table, properties);
    // Two of each ten, but of the sixth ten all and of the ninth none.
    let stays = |row: usize| row % 5 == 1 && row / 10 != 8 || row / 10 == 5;
    let (out, _) = scored_rows(&bytes, &options(), None, stays).expect("a table");
    let metadata = metadata(&out);
    let rows: Vec<_> = metadata.row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [10, 10, 6]);
    for group in metadata.row_groups() {
        assert!(group.columns().iter().all(|column| matches!(column.compression(), Compression::ZSTD(_))));
        assert_eq!(group.sorting_columns().map(Vec::len), Some(1));
        assert!(group.columns().iter().all(|column| column.statistics().is_some()));
    }
    assert_eq!(read(&out).num_rows(), 26);
    // So it is in a run that is ended early, also right behind a row group.
    for (end, left) in [(9, 2), (10, 2), (70, 22), (100, 26)] {
        let (out, _) = scored_rows(&bytes, &options(), Some(end), stays).expect("a table");
        assert_eq!(read(&out).num_rows(), left, "{end}");
    }
    let (out, _) = scored_rows(&bytes, &options(), None, |_| false).expect("a table");
    assert_eq!((read(&out).num_rows(), read(&out).num_columns()), (0, 10));
}

#[test]
fn columns_are_copied_as_they_are_encoded() {
    let table = plain_batch(1000);
    let notes = vec![
        KeyValue::new("mine".to_owned(), "kept".to_owned()),
        KeyValue::new("pandas".to_owned(), r#"{"columns":[],"index_columns":[]}"#.to_owned()),
    ];
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(300))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("parquet-mr version 1.2.3".to_owned())
        .set_column_bloom_filter_enabled("url".into(), true)
        .set_sorting_columns(Some(vec![SortingColumn { column_idx: 0, descending: false, nulls_first: true }]))
        .set_key_value_metadata(Some(notes))
        .build();
    let bytes = written(&table, properties);
    let (out, _) = scored(&bytes, &options(), None).expect("a table");
    assert_scored(&out, &table, false);

    let (old, new) = (metadata(&bytes), metadata(&out));
    assert_eq!(old.num_row_groups(), 4);
    assert_eq!(new.num_row_groups(), 4);
    let file = PositionedFile::new(file_of(&out), out.len() as u64);
    let old_file = PositionedFile::new(file_of(&bytes), bytes.len() as u64);
    for (group, (before, after)) in old.row_groups().iter().zip(new.row_groups()).enumerate() {
        assert_eq!(after.num_columns(), before.num_columns() + 1);
        assert_eq!(after.sorting_columns(), before.sorting_columns());
        for (leaf, (before, after)) in before.columns().iter().zip(after.columns()).enumerate() {
            let chunk = |file: &PositionedFile, column: &parquet::file::metadata::ColumnChunkMetaData| {
                let (start, length) = column.byte_range();
                file.get_bytes(start, length as usize).expect("there")
            };
            assert!(chunk(&old_file, before) == chunk(&file, after), "column {leaf} of row group {group} was changed");
            assert_eq!(after.compression(), before.compression());
            assert_eq!(after.statistics(), before.statistics());
            assert_eq!(after.bloom_filter_offset().is_some(), before.bloom_filter_offset().is_some());
            let index = |metadata: &ParquetMetaData| {
                metadata.page_index().and_then(|index| index.column_index(group, leaf).cloned())
            };
            assert_eq!(index(&new), index(&old));
        }
        let score = after.column(before.num_columns());
        assert!(matches!(score.compression(), Compression::ZSTD(_)));
    }
    // A filter of the old file still finds what is there.
    let reader = SerializedFileReader::new(file).expect("Parquet");
    let group = reader.metadata().row_group(0).column(0).clone();
    let bloom = parquet::bloom_filter::Sbbf::read_from_column_chunk(&group, &file_of(&out)).expect("readable");
    assert!(bloom.expect("a filter").check("7.png"));
    let notes = new.file_metadata().key_value_metadata().expect("notes");
    let note = |key: &str| notes.iter().find(|note| note.key == key).and_then(|note| note.value.clone()).expect(key);
    assert_eq!(note("mine"), "kept");
    assert!(note("pandas").contains("similarity"));
    assert_eq!(new.file_metadata().created_by(), Some("parquet-mr version 1.2.3"));
}

#[test]
fn columns_are_replaced_in_place_only_when_asked() {
    let inner: [(&str, ArrayRef); 2] =
        [("a", Arc::new(StringArray::from(vec!["x", "y"]))), ("b", Arc::new(StringArray::from(vec!["x", "y"])))];
    let columns: [(&str, ArrayRef); 4] = [
        ("url", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("similarity", Arc::new(StructArray::try_from(inner.to_vec()).expect("a struct"))),
        ("caption", Arc::new(StringArray::from(vec!["c", "d"]))),
        ("x", Arc::new(StringArray::from(vec!["e", "f"]))),
    ];
    let table = RecordBatch::try_from_iter(columns).expect("a batch");
    let bytes = written(&table, grouped(1));
    let error = scored(&bytes, &options(), None).expect_err("a column too many");
    assert!(matches!(&error, TableError::ColumnExists { column, .. } if column == "similarity"), "{error}");
    let (out, _) = scored(&bytes, &ScoreOptions { overwrite: true, ..options() }, None).expect("a table");
    let found = read(&out);
    let schema = found.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["url", "similarity", "caption", "x"]);
    assert_eq!(found.column(1).as_primitive::<Float32Type>().values()[..], [0.5, 1.0]);
    for column in [0, 2, 3] {
        assert_eq!(found.column(column), table.column(column));
    }
}

#[test]
fn images_come_with_their_rows_where_they_are_in_the_table() {
    let mut binaries = BinaryBuilder::new();
    for bytes in [Some(&b"picture"[..]), None] {
        binaries.append_option(bytes);
    }
    let parts: [(&str, ArrayRef); 2] =
        [("bytes", Arc::new(binaries.finish())), ("path", Arc::new(StringArray::from(vec![Some("1.png"), None])))];
    let columns: [(&str, ArrayRef); 2] = [
        ("caption", Arc::new(StringArray::from(vec!["c", "d"]))),
        ("image", Arc::new(StructArray::try_from(parts.to_vec()).expect("a struct"))),
    ];
    let table = RecordBatch::try_from_iter(columns).expect("a batch");
    let bytes = written(&table, grouped(10));
    let options = ScoreOptions { image_column: "image".to_owned(), ..options() };
    let (out, rows) = scored(&bytes, &options, None).expect("a table");
    assert_scored(&out, &table, false);
    let picture = RowImage::Bytes { bytes: b"picture"[..].into(), name: Some("1.png".to_owned()) };
    assert_eq!(rows[0].image, Some(picture));
    assert_eq!(rows[1].image, None);
    assert_eq!(rows[1].caption.as_deref(), Some("d"));
}

/// A type that Arrow has no equal of: the old time stamps of Impala and Spark.
#[test]
fn types_that_arrow_does_not_have_stay_what_they_are() {
    let schema = parse_message_type("message m { required int96 t; optional binary url; optional binary caption; }");
    let mut bytes = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut bytes, Arc::new(schema.expect("a schema")), Arc::default()).expect("a file");
    let mut group = writer.next_row_group().expect("a group");
    let mut time = Int96::new();
    time.set_data(1, 2, 3);
    let mut column = group.next_column().expect("a column").expect("the first");
    column.typed::<Int96Type>().write_batch(&[time, time], None, None).expect("written");
    column.close().expect("closed");
    for text in ["a.png", "b"] {
        let mut column = group.next_column().expect("a column").expect("a text");
        let values = [ByteArray::from(text)];
        column.typed::<ByteArrayType>().write_batch(&values, Some(&[1, 0]), None).expect("written");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    // A row group without a row is allowed, and stays.
    let mut group = writer.next_row_group().expect("a group");
    while let Some(column) = group.next_column().expect("a column") {
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.close().expect("closed");

    // Binaries that nobody said are texts: an image is then one with its bytes.
    let (out, rows) = scored(&bytes, &options(), None).expect("a table");
    assert_eq!(rows[0].image, Some(RowImage::Bytes { bytes: b"a.png"[..].into(), name: None }));
    assert_eq!((rows[0].caption.as_deref(), rows[1].caption.as_deref()), (Some("b"), None));
    let (old, new) = (metadata(&bytes), metadata(&out));
    assert_eq!(new.num_row_groups(), 2);
    let (old, new) = (old.file_metadata().schema().get_fields(), new.file_metadata().schema().get_fields());
    assert_eq!(new[..3], *old);
    for rows in [1, 2] {
        let (out, _) = scored(&bytes, &options(), Some(rows)).expect("a table");
        assert_eq!(read(&out).num_rows() as u64, rows);
    }
}

#[test]
fn a_table_without_rows_has_its_columns() {
    let table = plain_batch(0);
    let (out, rows) = scored(&written(&table, grouped(10)), &options(), None).expect("a table");
    assert!(rows.is_empty());
    assert_scored(&out, &table, false);
}

#[test]
fn a_damaged_file_is_an_error_and_nothing_worse() {
    let bytes = written(&plain_batch(50), grouped(20));
    for length in (0..bytes.len()).step_by(31) {
        let error = scored(&bytes[..length], &options(), None).expect_err("too short");
        assert!(matches!(error, TableError::Damaged { row: None, .. }) && !error.is_usage(), "{length}: {error}");
    }
    // Any byte may be anything: an error, or a table, but no panic and no end of memory.
    for place in (4..bytes.len()).step_by(13) {
        for byte in [0x00, 0x7F, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[place] = byte;
            if let Err(error) = scored(&damaged, &options(), None) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn wide_rows_are_decoded_a_few_at_a_time() {
    let picture = vec![7_u8; 1 << 20];
    let mut binaries = BinaryBuilder::new();
    let mut captions = StringBuilder::new();
    for _ in 0..24 {
        binaries.append_value(&picture);
        captions.append_value("c");
    }
    let columns: [(&str, ArrayRef); 2] =
        [("url", Arc::new(binaries.finish())), ("caption", Arc::new(captions.finish()))];
    let table = RecordBatch::try_from_iter(columns).expect("a batch");
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let bytes = written(&table, properties);
    let (mut reader, _) =
        open(PositionedFile::new(file_of(&bytes), bytes.len() as u64), &options(), false).expect("a table");
    while let Some(row) = reader.read().expect("readable") {
        assert!(row.size() > picture.len());
        let held = reader.batch.as_ref().map_or(0, |batch| batch.rows.batch.num_rows());
        assert!(held as u64 * (picture.len() as u64) <= BATCH_BYTES + picture.len() as u64, "{held} rows");
    }
    assert_eq!(reader.position().rows, 24);
}
