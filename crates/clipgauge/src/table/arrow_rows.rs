//! Images and captions in Arrow's columns, whatever file they came in.
//!
//! An image is a text with its address, a binary with its bytes, or the Hugging Face libraries' struct of both (`bytes`,
//! `path`), of which the bytes count where there are any. A caption is a text; old writers leave out that a binary is one.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use bytes::Bytes;

use crate::options::{DEFAULT_IMAGE_COLUMN, ScoreOptions};
use crate::row::RowImage;

use super::TableError;
use super::columns::Columns;
use super::error::ColumnFlag;

/// The fields of an image as the Hugging Face libraries store it.
const BYTES: &str = "bytes";
const PATH: &str = "path";

/// The names of a table's columns.
pub(super) fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// Finds the columns of `options`, and makes sure that they can hold what they are to hold.
///
/// Where there is no column of the usual name, but exactly one that holds pictures as the Hugging Face libraries store
/// them, that is the one with the image.
pub(super) fn find(schema: &Schema, options: &ScoreOptions) -> Result<Columns, TableError> {
    let columns = match only_pictures(schema, options) {
        Some(column) => Columns::find(&names(schema), &ScoreOptions { image_column: column, ..options.clone() })?,
        None => Columns::find(&names(schema), options)?,
    };
    let wrong = |index: usize, flag| TableError::ColumnType {
        name: options.input.to_string(),
        column: schema.field(index).name().clone(),
        data_type: shown(schema.field(index).data_type()),
        flag,
    };
    if !is_image(schema.field(columns.image).data_type()) {
        return Err(wrong(columns.image, ColumnFlag::Image));
    }
    if !is_text(schema.field(columns.caption).data_type()) && !is_binary(schema.field(columns.caption).data_type()) {
        return Err(wrong(columns.caption, ColumnFlag::Caption));
    }
    Ok(columns)
}

/// The only column of pictures, where the usual one is wanted and not there.
fn only_pictures(schema: &Schema, options: &ScoreOptions) -> Option<String> {
    if options.image_column != DEFAULT_IMAGE_COLUMN || schema.field_with_name(DEFAULT_IMAGE_COLUMN).is_ok() {
        return None;
    }
    let is_picture = |field: &&Arc<Field>| field.data_type().is_nested() && is_image(field.data_type());
    let mut pictures = schema.fields().iter().filter(is_picture);
    match (pictures.next(), pictures.next()) {
        (Some(only), None) => Some(only.name().clone()),
        _ => None,
    }
}

/// A type as it is shown to a person: of a nested one, what it is made of is too much.
fn shown(data_type: &DataType) -> String {
    let text = data_type.to_string();
    text.split('(').next().unwrap_or(&text).to_owned()
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn is_binary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => true,
        DataType::Dictionary(_, values) => is_binary(values),
        _ => false,
    }
}

fn is_image(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => {
            let is = |field: &Arc<Field>, name: &str, of: fn(&DataType) -> bool| {
                field.name() == name && (of(field.data_type()) || *field.data_type() == DataType::Null)
            };
            fields.iter().any(|field| is(field, BYTES, is_binary) || is(field, PATH, is_text))
        }
        other => is_text(other) || is_binary(other),
    }
}

/// The images and captions of one batch.
pub(super) struct Pairs {
    image: ArrayRef,
    /// Of an image that is a struct, its bytes and its path.
    parts: Option<[Option<ArrayRef>; 2]>,
    caption: ArrayRef,
}

impl Pairs {
    /// Finds them in columns that [`find`] has found.
    pub(super) fn of(batch: &RecordBatch, image: usize, caption: usize) -> Result<Self, ArrowError> {
        let image = plain(batch.column(image))?;
        let parts = match image.as_struct_opt() {
            Some(parts) => {
                let part = |name: &str| parts.column_by_name(name).map(plain).transpose();
                Some([part(BYTES)?, part(PATH)?])
            }
            None => None,
        };
        Ok(Self { image, parts, caption: plain(batch.column(caption))? })
    }

    /// The image of a row.
    pub(super) fn image(&self, row: usize) -> Option<RowImage> {
        let address = |array: &ArrayRef| text(array, row).map(Cow::into_owned);
        match &self.parts {
            _ if self.image.is_null(row) => None,
            Some([bytes, path]) => {
                let name = path.as_ref().and_then(address);
                match bytes.as_ref().and_then(|bytes| binary(bytes, row)) {
                    Some(bytes) => Some(RowImage::Bytes { bytes: Bytes::copy_from_slice(bytes), name }),
                    None => name.map(RowImage::Address),
                }
            }
            None => match binary(&self.image, row) {
                Some(bytes) => Some(RowImage::Bytes { bytes: Bytes::copy_from_slice(bytes), name: None }),
                None => address(&self.image).map(RowImage::Address),
            },
        }
    }

    /// The caption of a row.
    pub(super) fn caption(&self, row: usize) -> Option<String> {
        let caption = text(&self.caption, row).or_else(|| binary(&self.caption, row).map(String::from_utf8_lossy));
        caption.map(Cow::into_owned)
    }
}

/// A column without a dictionary.
fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.as_any_dictionary_opt() {
        Some(dictionary) => arrow_select::take::take(dictionary.values(), dictionary.keys(), None),
        None => Ok(Arc::clone(array)),
    }
}

fn text(array: &dyn Array, row: usize) -> Option<Cow<'_, str>> {
    if array.is_null(row) {
        return None;
    }
    let text = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        _ => return None,
    };
    Some(Cow::Borrowed(text))
}

fn binary(array: &dyn Array, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(row)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{BinaryBuilder, StringBuilder};
    use arrow_array::types::Int8Type;
    use arrow_array::{
        BinaryArray, DictionaryArray, Int32Array, LargeStringArray, NullArray, StringArray, StructArray,
    };
    use arrow_array::{BinaryViewArray, StringViewArray};

    use super::*;
    use crate::options::Input;

    fn address(text: &str) -> Option<RowImage> {
        Some(RowImage::Address(text.to_owned()))
    }

    fn bytes(bytes: &[u8], name: Option<&str>) -> Option<RowImage> {
        Some(RowImage::Bytes { bytes: Bytes::copy_from_slice(bytes), name: name.map(str::to_owned) })
    }

    fn options() -> ScoreOptions {
        ScoreOptions::new(Input::Stdin)
    }

    fn pairs(image: ArrayRef, caption: ArrayRef) -> Result<Pairs, TableError> {
        let batch = RecordBatch::try_from_iter_with_nullable([("url", image, true), ("caption", caption, true)]);
        let batch = batch.expect("a batch");
        let columns = find(&batch.schema(), &options())?;
        Ok(Pairs::of(&batch, columns.image, columns.caption).expect("arrays"))
    }

    #[test]
    fn texts_and_bytes_are_found_in_every_type() {
        let texts: [ArrayRef; 4] = [
            Arc::new(StringArray::from(vec![Some("a"), None])),
            Arc::new(LargeStringArray::from(vec![Some("a"), None])),
            Arc::new(StringViewArray::from(vec![Some("a"), None])),
            Arc::new(DictionaryArray::<Int8Type>::from_iter([Some("a"), None])),
        ];
        for array in texts {
            let data_type = array.data_type().clone();
            let pairs = pairs(Arc::clone(&array), array).expect("of texts");
            assert_eq!((pairs.image(0), pairs.caption(0)), (address("a"), Some("a".to_owned())), "{data_type}");
            assert_eq!((pairs.image(1), pairs.caption(1)), (None, None), "{data_type}");
        }
        let binaries: [ArrayRef; 2] = [
            Arc::new(BinaryArray::from(vec![Some(&b"\xffx"[..]), None])),
            Arc::new(BinaryViewArray::from(vec![Some(&b"\xffx"[..]), None])),
        ];
        for array in binaries {
            let pairs = pairs(Arc::clone(&array), array).expect("of binaries");
            assert_eq!((pairs.image(0), pairs.caption(0)), (bytes(b"\xffx", None), Some("\u{fffd}x".to_owned())));
            assert_eq!((pairs.image(1), pairs.caption(1)), (None, None));
        }
    }

    #[test]
    fn of_a_struct_the_bytes_count_where_there_are_any() {
        let (mut binaries, mut paths) = (BinaryBuilder::new(), StringBuilder::new());
        for (bytes, path) in [(Some(b"x"), Some("a")), (Some(b"x"), None), (None, Some("a")), (None, None)] {
            binaries.append_option(bytes);
            paths.append_option(path);
        }
        let parts: [(&str, ArrayRef); 2] = [("bytes", Arc::new(binaries.finish())), ("path", Arc::new(paths.finish()))];
        let image = Arc::new(StructArray::try_from(parts.to_vec()).expect("a struct"));
        let caption: ArrayRef = Arc::new(StringArray::from(vec!["c"; 4]));
        let found = pairs(image, Arc::clone(&caption)).expect("an image");
        let images: Vec<_> = (0..4).map(|row| found.image(row)).collect();
        assert_eq!(images, [bytes(b"x", Some("a")), bytes(b"x", None), address("a"), None]);
        let nulls: ArrayRef = Arc::new(NullArray::new(4));
        assert_eq!(pairs(nulls, caption).expect("all null").image(0), None);
    }

    #[test]
    fn other_types_are_refused_before_a_row_is_read() {
        let (text, number): (ArrayRef, ArrayRef) =
            (Arc::new(StringArray::from(vec!["a"])), Arc::new(Int32Array::from(vec![1])));
        for (image, caption, flag) in [(&number, &text, "--image-column"), (&text, &number, "--caption-column")] {
            let error = pairs(Arc::clone(image), Arc::clone(caption)).err().expect("no text");
            assert!(error.is_usage() && error.to_string().contains(flag), "{error}");
            assert!(error.to_string().contains("Int32"), "{error}");
        }
    }
}
