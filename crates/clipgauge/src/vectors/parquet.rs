//! A Parquet file of texts and vectors, written row by row.
//!
//! Rows are gathered into batches and batches into row groups, both of bounded size. Texts are compressed with Snappy
//! and by dictionaries; vectors, whose bytes hardly repeat, are written as they are.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float32Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// The most rows that are gathered before they are handed to the encoder.
const BATCH_ROWS: usize = 1024;

/// The most bytes of them.
const BATCH_BYTES: usize = 8 << 20;

/// The most rows of a row group.
const GROUP_ROWS: usize = 1 << 17;

/// The most bytes of a row group, encoded. They wait in memory, as a row group is written column by column.
const GROUP_BYTES: usize = 64 << 20;

/// What the numbers of a vector are called inside its column, as Arrow does.
const ITEM: &str = "item";

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// Text, or null.
    Text {
        /// Its name.
        name: String,
    },
    /// An f32, or null.
    Number {
        /// Its name.
        name: String,
    },
    /// A whole number, or null.
    Count {
        /// Its name.
        name: String,
    },
    /// True, false or null.
    Truth {
        /// Its name.
        name: String,
    },
    /// A vector of f32, or null.
    Vector {
        /// Its name.
        name: String,
        /// How many numbers a vector has.
        width: usize,
    },
}

/// A cell of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// For a column of texts.
    Text(Option<&'a str>),
    /// For a column of numbers.
    Number(Option<f32>),
    /// For a column of whole numbers.
    Count(Option<i64>),
    /// For a column of true and false.
    Truth(Option<bool>),
    /// For a column of vectors.
    Vector(Option<&'a [f32]>),
}

/// A file under way.
pub struct ParquetFile<W: Write + Send> {
    writer: Box<ArrowWriter<Lent<W>>>,
    schema: SchemaRef,
    gathered: Vec<Gathered>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file with these columns, and with `notes` of names and values in its footer.
    ///
    /// # Errors
    ///
    /// `out` fails, or a vector is wider than Arrow can say.
    pub fn new(out: W, columns: Vec<Column>, notes: &[(&str, String)]) -> io::Result<Self> {
        let fields = columns.iter().map(field).collect::<io::Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(fields));
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("clipgauge ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES));
        for column in &columns {
            if let Column::Vector { name, .. } = column {
                let path = ColumnPath::new(vec![name.clone(), "list".to_owned(), ITEM.to_owned()]);
                properties = properties
                    .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
                    .set_column_dictionary_enabled(path.clone(), false)
                    // The least and the greatest of all numbers of all vectors help nobody.
                    .set_column_statistics_enabled(path, EnabledStatistics::None);
            }
        }
        let notes = notes.iter().map(|(name, value)| KeyValue::new((*name).to_owned(), value.clone())).collect();
        let properties = properties.set_key_value_metadata(Some(notes)).build();
        let writer =
            ArrowWriter::try_new(Lent(Some(out)), Arc::clone(&schema), Some(properties)).map_err(of_parquet)?;
        let gathered = columns.iter().map(Gathered::of).collect();
        Ok(Self { writer: Box::new(writer), schema, gathered, rows: 0, bytes: 0 })
    }

    /// Writes a row, a value for each column.
    ///
    /// # Errors
    ///
    /// What is written to fails.
    ///
    /// # Panics
    ///
    /// When the values are not those of the columns: another number, another kind, a vector of another width.
    pub fn write(&mut self, values: &[Value<'_>]) -> io::Result<()> {
        assert_eq!(values.len(), self.gathered.len(), "a value for each column");
        for (gathered, value) in self.gathered.iter_mut().zip(values) {
            self.bytes += gathered.push(*value);
        }
        self.rows += 1;
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Writes the rest and the footer, and gives back what was written to.
    ///
    /// # Errors
    ///
    /// What is written to fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_batch()?;
        self.writer.finish().map_err(of_parquet)?;
        Ok(self.writer.inner_mut().0.take().expect("taken back here only"))
    }

    fn write_batch(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let fields = self.schema.fields();
        let arrays = self.gathered.iter_mut().zip(fields).map(|(gathered, field)| gathered.take(field));
        let arrays = arrays.collect::<Result<Vec<_>, _>>().map_err(of_arrow)?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(of_arrow)?;
        (self.rows, self.bytes) = (0, 0);
        self.writer.write(&batch).map_err(of_parquet)
    }
}

/// What is written to, to be taken back: the writer's own way of giving it back makes a text of the system's errors.
struct Lent<W>(Option<W>);

impl<W: Write> Lent<W> {
    fn inner(&mut self) -> io::Result<&mut W> {
        self.0.as_mut().ok_or_else(|| io::Error::other("the file is finished"))
    }
}

impl<W: Write> Write for Lent<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner()?.flush()
    }
}

fn field(column: &Column) -> io::Result<FieldRef> {
    Ok(Arc::new(match column {
        Column::Text { name } => Field::new(name, DataType::Utf8, true),
        Column::Number { name } => Field::new(name, DataType::Float32, true),
        Column::Count { name } => Field::new(name, DataType::Int64, true),
        Column::Truth { name } => Field::new(name, DataType::Boolean, true),
        Column::Vector { name, width } => {
            let width = i32::try_from(*width).map_err(io::Error::other)?;
            let item = Arc::new(Field::new(ITEM, DataType::Float32, false));
            Field::new(name, DataType::FixedSizeList(item, width), true)
        }
    }))
}

/// The values of a column that wait for their batch.
enum Gathered {
    Texts(StringBuilder),
    Numbers(Float32Builder),
    Counts(Int64Builder),
    Truths(BooleanBuilder),
    Vectors { width: usize, numbers: Vec<f32>, nulls: NullBufferBuilder },
}

impl Gathered {
    fn of(column: &Column) -> Self {
        match column {
            Column::Text { .. } => Self::Texts(StringBuilder::new()),
            Column::Number { .. } => Self::Numbers(Float32Builder::new()),
            Column::Count { .. } => Self::Counts(Int64Builder::new()),
            Column::Truth { .. } => Self::Truths(BooleanBuilder::new()),
            Column::Vector { width, .. } => {
                Self::Vectors { width: *width, numbers: Vec::new(), nulls: NullBufferBuilder::new(BATCH_ROWS) }
            }
        }
    }

    /// Adds a value, and tells how many bytes it takes.
    fn push(&mut self, value: Value<'_>) -> usize {
        match (self, value) {
            (Self::Texts(texts), Value::Text(text)) => {
                texts.append_option(text);
                text.map_or(0, str::len)
            }
            (Self::Numbers(numbers), Value::Number(number)) => {
                numbers.append_option(number);
                size_of::<f32>()
            }
            (Self::Counts(counts), Value::Count(count)) => {
                counts.append_option(count);
                size_of::<i64>()
            }
            (Self::Truths(truths), Value::Truth(truth)) => {
                truths.append_option(truth);
                size_of::<bool>()
            }
            (Self::Vectors { width, numbers, nulls }, Value::Vector(vector)) => {
                match vector {
                    Some(vector) => {
                        assert_eq!(vector.len(), *width, "a vector of the column's width");
                        numbers.extend_from_slice(vector);
                    }
                    // A list of fixed size has room for its numbers also where it is null.
                    None => numbers.resize(numbers.len() + *width, 0.0),
                }
                nulls.append(vector.is_some());
                *width * size_of::<f32>()
            }
            _ => panic!("a value of the column's kind"),
        }
    }

    fn take(&mut self, field: &Field) -> Result<ArrayRef, ArrowError> {
        match (self, field.data_type()) {
            (Self::Vectors { numbers, nulls, .. }, DataType::FixedSizeList(item, width)) => {
                let numbers = Arc::new(Float32Array::from(std::mem::take(numbers)));
                Ok(Arc::new(FixedSizeListArray::try_new(Arc::clone(item), *width, numbers, nulls.finish())?))
            }
            (Self::Texts(texts), _) => Ok(Arc::new(texts.finish())),
            (Self::Numbers(numbers), _) => Ok(Arc::new(numbers.finish())),
            (Self::Counts(counts), _) => Ok(Arc::new(counts.finish())),
            (Self::Truths(truths), _) => Ok(Arc::new(truths.finish())),
            (Self::Vectors { .. }, other) => unreachable!("a column of vectors is not of {other}"),
        }
    }
}

/// The system's error, where there is one behind the writer's.
pub(crate) fn of_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}

pub(crate) fn of_arrow(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float32Type;
    use arrow_array::{Array, RecordBatchReader};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn columns() -> Vec<Column> {
        vec![Column::Text { name: "a.b".to_owned() }, Column::Vector { name: "vector".to_owned(), width: 3 }]
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let notes = [("clipgauge.model", "m".to_owned())];
        let mut file = ParquetFile::new(tempfile::tempfile().expect("a file"), columns(), &notes).expect("a file");
        // More than a batch, so that batches follow each other.
        let rows: Vec<_> = (0..BATCH_ROWS + 7)
            .map(|row| match row % 3 {
                0 => (Some(format!("text {row}")), Some([row as f32, -1.5, f32::MIN_POSITIVE])),
                1 => (Some(String::new()), None),
                _ => (None, Some([0.0, -0.0, f32::MAX])),
            })
            .collect();
        for (text, vector) in &rows {
            let vector = vector.as_ref().map(|vector| &vector[..]);
            file.write(&[Value::Text(text.as_deref()), Value::Vector(vector)]).expect("written");
        }
        let file = file.finish().expect("finished");

        let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
        let stored = builder.metadata().file_metadata().key_value_metadata().cloned().expect("notes");
        assert!(stored.iter().any(|note| note.key == "clipgauge.model" && note.value.as_deref() == Some("m")));
        let reader = builder.build().expect("a reader");
        assert_eq!(
            reader.schema().field(1).data_type(),
            &DataType::FixedSizeList(Arc::new(Field::new(ITEM, DataType::Float32, false)), 3)
        );
        let mut found = Vec::new();
        for batch in reader {
            let batch = batch.expect("a batch");
            let (texts, vectors) = (batch.column(0).as_string::<i32>(), batch.column(1).as_fixed_size_list());
            for row in 0..batch.num_rows() {
                let text = texts.is_valid(row).then(|| texts.value(row).to_owned());
                let vector = vectors.is_valid(row).then(|| {
                    let numbers = vectors.value(row);
                    <[f32; 3]>::try_from(&numbers.as_primitive::<Float32Type>().values()[..]).expect("three")
                });
                found.push((text, vector));
            }
        }
        assert_eq!(found, rows);
    }

    #[test]
    fn a_file_without_rows_has_its_columns() {
        let file = tempfile::tempfile().expect("a file");
        let file = ParquetFile::new(file, columns(), &[]).expect("a file").finish().expect("finished");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
        assert_eq!(reader.schema().fields().len(), 2);
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    }

    #[test]
    fn row_groups_are_bounded() {
        const WIDTH: usize = 16 << 10;
        let columns = vec![Column::Vector { name: "vector".to_owned(), width: WIDTH }];
        let mut file = ParquetFile::new(tempfile::tempfile().expect("a file"), columns, &[]).expect("a file");
        let vector = vec![0.5; WIDTH];
        let rows = GROUP_BYTES * 5 / 2 / (WIDTH * size_of::<f32>());
        for _ in 0..rows {
            file.write(&[Value::Vector(Some(&vector))]).expect("written");
            assert!(file.writer.memory_size() <= GROUP_BYTES * 2, "{} bytes wait", file.writer.memory_size());
        }
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.finish().expect("finished")).expect("Parquet");
        let sizes: Vec<_> = reader.metadata().row_groups().iter().map(|group| group.total_byte_size()).collect();
        assert_eq!(sizes.len(), 3, "{sizes:?}");
        let most = (GROUP_BYTES + BATCH_BYTES) as i64;
        assert!(sizes.iter().all(|size| *size <= most), "{sizes:?}");
    }

    /// A disk that is full from the first byte on, or after so many.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 && !bytes.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_the_system_s_error() {
        for room in [0, 10, 100] {
            let written = ParquetFile::new(Full(room), columns(), &[]).and_then(|mut file| {
                file.write(&[Value::Text(Some("a")), Value::Vector(Some(&[1.0, 2.0, 3.0]))])?;
                file.finish()
            });
            let error = written.err().unwrap_or_else(|| panic!("{room} bytes are not enough"));
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{room}: {error}");
        }
    }
}
