//! A row of a batch of Arrow's, kept with its batch.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;

/// A batch whose rows are under way. It stays as long as one of them does.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) batch: RecordBatch,
    /// What each row takes of its memory, in the mean.
    share: usize,
}

impl Rows {
    pub(super) fn new(batch: RecordBatch) -> Arc<Self> {
        let share = batch.get_array_memory_size().div_ceil(batch.num_rows().max(1));
        Arc::new(Self { batch, share })
    }
}

/// A row of an Arrow or Parquet table.
#[derive(Debug)]
pub struct ArrowRecord {
    pub(super) rows: Arc<Rows>,
    pub(super) row: usize,
}

impl ArrowRecord {
    pub(super) fn new(rows: &Arc<Rows>, row: usize) -> Self {
        Self { rows: Arc::clone(rows), row }
    }

    pub(super) fn size(&self) -> usize {
        self.rows.share
    }

    /// Its cells as JSON.
    pub(super) fn json(&self) -> Vec<String> {
        let cell = |array: &Arc<dyn Array>| {
            let mut json = String::new();
            write_json(&mut json, array, self.row);
            json
        };
        self.rows.batch.columns().iter().map(cell).collect()
    }

    /// What its cells say: scalars as text, lists and structs as JSON. Binaries are no texts.
    pub(super) fn texts(&self) -> Vec<Option<String>> {
        let cell = |array: &Arc<dyn Array>| {
            let mut text = String::new();
            match array.data_type() {
                data_type if is_missing(array, self.row) || is_binary(data_type) => return None,
                data_type if data_type.is_nested() => write_json(&mut text, array, self.row),
                _ => text = shown(array, self.row),
            }
            Some(text)
        };
        self.rows.batch.columns().iter().map(cell).collect()
    }
}

/// Whether there is no value. A column of the type that has none keeps no list of them.
fn is_missing(array: &dyn Array, row: usize) -> bool {
    array.is_null(row) || array.data_type() == &DataType::Null
}

fn is_binary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => true,
        DataType::Dictionary(_, values) => is_binary(values),
        _ => false,
    }
}

/// A scalar as text; dates and times as in ISO 8601, those of a zone that has a name in UTC.
fn shown(array: &dyn Array, row: usize) -> String {
    let options = FormatOptions::default().with_display_error(true);
    match ArrayFormatter::try_new(array, &options) {
        Ok(format) => format.value(row).to_string(),
        // Only offsets are known to it. The values themselves are of UTC in every zone.
        Err(error) => in_utc(array.slice(row, 1))
            .and_then(|one| Some(ArrayFormatter::try_new(&one, &options).ok()?.value(0).to_string()))
            .unwrap_or_else(|| error.to_string()),
    }
}

/// Times of a zone as those of UTC.
fn in_utc(array: ArrayRef) -> Option<ArrayRef> {
    let plain = match array.data_type() {
        DataType::Dictionary(_, values) => arrow_cast::cast(&array, values).ok()?,
        _ => array,
    };
    let DataType::Timestamp(unit, Some(_)) = plain.data_type() else { return None };
    arrow_cast::cast(&plain, &DataType::Timestamp(*unit, Some("+00:00".into()))).ok()
}

/// Writes a value as JSON: what JSON has no kind for becomes text, and binaries null.
pub(super) fn write_json(out: &mut String, array: &dyn Array, row: usize) {
    let list = |out: &mut String, values: &dyn Array| {
        out.push('[');
        for index in 0..values.len() {
            out.push_str(if index > 0 { "," } else { "" });
            write_json(out, values, index);
        }
        out.push(']');
    };
    match array.data_type() {
        data_type if is_missing(array, row) || is_binary(data_type) => out.push_str("null"),
        DataType::List(_) => list(out, &array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(out, &array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(out, &array.as_fixed_size_list().value(row)),
        // A map's keys need not be texts: it becomes a list of its entries.
        DataType::Map(..) => list(out, &array.as_map().value(row)),
        DataType::Struct(fields) => {
            out.push('{');
            for (index, (field, values)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                let name = serde_json::Value::from(field.name().as_str());
                let written = write!(out, "{}{name}:", if index > 0 { "," } else { "" });
                debug_assert!(written.is_ok(), "a string takes every text");
                write_json(out, values, row);
            }
            out.push('}');
        }
        data_type => {
            let text = shown(array, row);
            let is_number = data_type.is_numeric() && serde_json::from_str::<serde_json::Number>(&text).is_ok();
            match (data_type, text.as_str()) {
                (DataType::Boolean, _) => out.push_str(&text),
                _ if is_number => out.push_str(&text),
                // JSON has no number that is none.
                (DataType::Float16 | DataType::Float32 | DataType::Float64, _) => out.push_str("null"),
                _ => out.push_str(&serde_json::Value::from(text).to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int8Type;
    use arrow_array::{
        DictionaryArray, Int8Array, ListArray, NullArray, TimestampMicrosecondArray, TimestampMillisecondArray,
        TimestampNanosecondArray, TimestampSecondArray,
    };
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    use super::*;

    /// 2020-01-01 12:30:01 in UTC.
    const SECONDS: i64 = 1_577_881_801;

    #[test]
    fn times_are_told_whatever_their_zone_is_called() {
        let zones = [
            (None, "2020-01-01T12:30:01"),
            (Some("+00:00"), "2020-01-01T12:30:01Z"),
            (Some("+02:00"), "2020-01-01T14:30:01+02:00"),
            (Some("UTC"), "2020-01-01T12:30:01Z"),
            (Some("Europe/Paris"), "2020-01-01T12:30:01Z"),
            (Some("no zone at all"), "2020-01-01T12:30:01Z"),
        ];
        for (zone, expected) in zones {
            let of = |scale: i64| vec![0, SECONDS * scale];
            let arrays: [ArrayRef; 4] = [
                Arc::new(TimestampSecondArray::from(of(1)).with_timezone_opt(zone)),
                Arc::new(TimestampMillisecondArray::from(of(1_000)).with_timezone_opt(zone)),
                Arc::new(TimestampMicrosecondArray::from(of(1_000_000)).with_timezone_opt(zone)),
                Arc::new(TimestampNanosecondArray::from(of(1_000_000_000)).with_timezone_opt(zone)),
            ];
            for array in arrays {
                let data_type = array.data_type().clone();
                assert_eq!(shown(&array, 1), expected, "{data_type}");
                let field = Arc::new(Field::new_list_field(data_type.clone(), true));
                let list = ListArray::new(field, OffsetBuffer::from_lengths([2]), Arc::clone(&array), None);
                let mut json = String::new();
                write_json(&mut json, &list, 0);
                assert!(json.ends_with(&format!(",\"{expected}\"]")), "{data_type}: {json}");
                let keys = Int8Array::from(vec![1]);
                let dictionary = DictionaryArray::<Int8Type>::new(keys, array);
                assert_eq!(shown(&dictionary, 0), expected, "{data_type} in a dictionary");
            }
        }
    }

    #[test]
    fn a_column_of_nothing_has_no_values() {
        let nothing = NullArray::new(2);
        let mut json = String::new();
        write_json(&mut json, &nothing, 1);
        assert_eq!(json, "null");
        let batch = RecordBatch::try_from_iter([("nothing", Arc::new(nothing) as ArrayRef)]).expect("one column");
        assert_eq!(ArrowRecord { rows: Rows::new(batch), row: 1 }.texts(), [None]);
    }
}
