//! An Arrow schema and its notes, with the new columns in them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use serde_json::{Value, json};

use super::cell::CellKind;
use super::columns::Added;
use super::kept::Kept;

/// The note in which Parquet keeps the schema itself.
const SCHEMA_NOTE: &str = "ARROW:schema";

/// The note in which pandas keeps what Arrow does not know.
const PANDAS: &str = "pandas";

/// The note in which the Hugging Face libraries keep their types.
const HUGGING_FACE: &str = "huggingface";

/// An Arrow schema with the new columns in their places, and its notes brought up to date.
pub(super) fn with_columns(arrow: &Schema, added: &[Added], kept: &Kept) -> Schema {
    let mut fields = arrow.fields().to_vec();
    let mut appended = Vec::new();
    for column in added {
        let field = Arc::new(Field::new(&column.name, data_type(column.kind), true));
        match column.replaces {
            Some(place) => fields[place] = field,
            None => appended.push(field),
        }
    }
    let dropped: Vec<&str> = dropped(arrow, kept);
    let fields: Vec<_> = kept.of(fields).into_iter().chain(appended).collect();
    let old = arrow.metadata().iter().filter(|(key, _)| *key != SCHEMA_NOTE);
    let metadata: HashMap<String, String> = old
        .map(|(key, value)| {
            (key.to_string(), amended(key, Some(value), added, &dropped).unwrap_or_else(|| value.to_string()))
        })
        .collect();
    Schema::new_with_metadata(fields, metadata)
}

/// The type of an added column.
fn data_type(kind: CellKind) -> DataType {
    match kind {
        CellKind::Number => DataType::Float32,
        CellKind::Count => DataType::Int64,
        CellKind::Truth => DataType::Boolean,
        CellKind::Text => DataType::Utf8,
    }
}

/// The names of the columns that do not stay.
pub(super) fn dropped<'a>(arrow: &'a Schema, kept: &Kept) -> Vec<&'a str> {
    let fields = arrow.fields().iter().enumerate();
    fields.filter(|(index, _)| !kept.has(*index)).map(|(_, field)| field.name().as_str()).collect()
}

/// A note with the new columns in it and without those that do not stay; `None` for one that says nothing of columns, or
/// nothing that is understood.
pub(super) fn amended(key: &str, value: Option<&str>, added: &[Added], dropped: &[&str]) -> Option<String> {
    if ![PANDAS, HUGGING_FACE].contains(&key) {
        return None;
    }
    let mut note: Value = serde_json::from_str(value?).ok()?;
    let is_dropped = |name: Option<&Value>| name.and_then(Value::as_str).is_some_and(|name| dropped.contains(&name));
    if key == PANDAS && !dropped.is_empty() {
        note.get_mut("columns")?.as_array_mut()?.retain(|known| !is_dropped(known.get("field_name")));
        // An index is a column's name, or a range that has none.
        if let Some(index) = note.get_mut("index_columns").and_then(Value::as_array_mut) {
            index.retain(|column| !is_dropped(Some(column)));
        }
    } else if !dropped.is_empty() {
        note.get_mut("info")?.get_mut("features")?.as_object_mut()?.retain(|name, _| !dropped.contains(&name.as_str()));
    }
    for Added { name, kind, .. } in added {
        if key == PANDAS {
            let columns = note.get_mut("columns")?.as_array_mut()?;
            columns.retain(|known| known.get("name") != Some(&json!(name)));
            let (pandas, numpy) = match kind {
                CellKind::Number => ("float32", "float32"),
                CellKind::Count => ("int64", "int64"),
                CellKind::Truth => ("bool", "object"),
                CellKind::Text => ("unicode", "object"),
            };
            columns.push(json!({
                "name": name, "field_name": name, "pandas_type": pandas, "numpy_type": numpy, "metadata": null,
            }));
        } else {
            let features = note.get_mut("info")?.get_mut("features")?.as_object_mut()?;
            let dtype = match kind {
                CellKind::Number => "float32",
                CellKind::Count => "int64",
                CellKind::Truth => "bool",
                CellKind::Text => "string",
            };
            features.insert(name.clone(), json!({ "dtype": dtype, "_type": "Value" }));
        }
    }
    Some(note.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added() -> Vec<Added> {
        let column = |name: &str, kind, replaces| Added { name: name.to_owned(), kind, replaces };
        vec![column("similarity", CellKind::Number, None), column("why", CellKind::Text, Some(0))]
    }

    #[test]
    fn notes_of_columns_get_the_new_ones() {
        let pandas = json!({"index_columns": [], "columns": [{"name": "why", "pandas_type": "bytes"}], "v": "2"});
        let note: Value =
            serde_json::from_str(&amended("pandas", Some(&pandas.to_string()), &added(), &[]).expect("amended"))
                .expect("JSON");
        let column = |name, pandas, numpy| json!({"name": name, "field_name": name, "pandas_type": pandas, "numpy_type": numpy, "metadata": null});
        assert_eq!(
            note,
            json!({
                "index_columns": [], "v": "2",
                "columns": [column("similarity", "float32", "float32"), column("why", "unicode", "object")],
            })
        );
        let features = json!({"info": {"features": {"image": {"_type": "Image"}}}}).to_string();
        let note = amended("huggingface", Some(&features), &added(), &[]).expect("amended");
        assert!(note.contains(r#""similarity":{"_type":"Value","dtype":"float32"}"#), "{note}");
        assert!(note.contains(r#""image":{"_type":"Image"}"#), "{note}");
        for (key, value) in [
            ("pandas", r#"{"columns": [{"field_name": "id"}, {"field_name": "url"}], "index_columns": ["id"]}"#),
            ("huggingface", r#"{"info": {"features": {"id": {}, "url": {}}}}"#),
        ] {
            let note = amended(key, Some(value), &added(), &["id"]).expect("amended");
            assert!(!note.contains(r#""id""#) && note.contains(r#""url""#) && note.contains("similarity"), "{note}");
        }
        for (key, value) in [("pandas", "{}"), ("pandas", "no JSON"), ("huggingface", "[]"), ("mine", "{}")] {
            assert_eq!(amended(key, Some(value), &added(), &[]), None, "{key} {value}");
        }
    }
}
