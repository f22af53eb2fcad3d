//! A row of a batch of Arrow's, kept with its batch.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
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
                _ if array.is_null(self.row) || is_binary(array.data_type()) => return None,
                data_type if data_type.is_nested() => write_json(&mut text, array, self.row),
                _ => text = shown(array, self.row),
            }
            Some(text)
        };
        self.rows.batch.columns().iter().map(cell).collect()
    }
}

fn is_binary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => true,
        DataType::Dictionary(_, values) => is_binary(values),
        _ => false,
    }
}

/// A scalar as text; dates and times as in ISO 8601.
fn shown(array: &dyn Array, row: usize) -> String {
    let options = FormatOptions::default().with_display_error(true);
    ArrayFormatter::try_new(array, &options).map_or_else(|_| String::new(), |format| format.value(row).to_string())
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
        data_type if array.is_null(row) || is_binary(data_type) => out.push_str("null"),
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
