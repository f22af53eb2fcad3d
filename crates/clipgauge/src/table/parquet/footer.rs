//! What the new file says of itself: the old one's schema and notes, with the new columns in them.

use std::sync::Arc;

use arrow_schema::Schema;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::basic::{BrotliLevel, Compression, GzipLevel, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::{Type, TypePtr};

use crate::table::CellKind;
use crate::table::arrow_schema::{amended, dropped, with_columns};
use crate::table::columns::Added;
use crate::table::kept::Kept;

/// The type of a column that is added.
fn new_type(name: &str, kind: CellKind) -> Result<Type> {
    let physical = match kind {
        CellKind::Number => Physical::FLOAT,
        CellKind::Count => Physical::INT64,
        CellKind::Truth => Physical::BOOLEAN,
        CellKind::Text => Physical::BYTE_ARRAY,
    };
    let text = (kind == CellKind::Text).then_some(LogicalType::String);
    Type::primitive_type_builder(name, physical).with_logical_type(text).with_repetition(Repetition::OPTIONAL).build()
}

/// The schema with the new columns in their places.
pub(super) fn schema(old: &Type, added: &[Added], kept: &Kept) -> Result<TypePtr> {
    let mut fields = old.get_fields().to_vec();
    let mut appended = Vec::new();
    for column in added {
        let new = Arc::new(new_type(&column.name, column.kind)?);
        match column.replaces {
            Some(place) => fields[place] = new,
            None => appended.push(new),
        }
    }
    let fields = kept.of(fields).into_iter().chain(appended).collect();
    Ok(Arc::new(Type::group_type_builder(old.name()).with_fields(fields).build()?))
}

/// How the new columns are written, and the notes of the whole file.
pub(super) fn properties(
    metadata: &ParquetMetaData,
    arrow: &Schema,
    added: &[Added],
    kept: &Kept,
    caption: usize,
) -> WriterProperties {
    let file = metadata.file_metadata();
    let root = |leaf: usize| file.schema_descr().get_column_root_idx(leaf);
    let of_caption = metadata
        .row_groups()
        .first()
        .and_then(|group| group.columns().iter().enumerate().find(|(leaf, _)| root(*leaf) == caption))
        .map_or(Compression::SNAPPY, |(_, column)| writable(column.compression()));
    let has_page_index = metadata.page_index().is_some();
    let mut properties = WriterProperties::builder()
        // Readers know from the writer's name which statistics to mistrust, and nearly all are the old file's.
        .set_created_by(file.created_by().unwrap_or(concat!("clipgauge ", env!("CARGO_PKG_VERSION"))).to_owned())
        .set_writer_version(if file.version() < 2 { WriterVersion::PARQUET_1_0 } else { WriterVersion::PARQUET_2_0 })
        .set_compression(of_caption)
        .set_bloom_filter_position(BloomFilterPosition::AfterRowGroup)
        .set_offset_index_disabled(!has_page_index)
        .set_statistics_enabled(if has_page_index { EnabledStatistics::Page } else { EnabledStatistics::Chunk })
        .set_key_value_metadata(notes(file.key_value_metadata(), arrow, added, kept));
    // Where rows are left out, columns are encoded again.
    for column in metadata.row_groups().first().iter().flat_map(|group| group.columns()) {
        properties = properties.set_column_compression(column.column_path().clone(), writable(column.compression()));
    }
    // A replaced column may have been several, and one that does not stay too, after which the others are counted
    // differently.
    if kept.is_all() && added.iter().all(|column| column.replaces.is_none()) {
        let sorting = metadata.row_groups().first().and_then(|group| group.sorting_columns()).cloned();
        let is_common = metadata.row_groups().iter().all(|group| group.sorting_columns() == sorting.as_ref());
        properties = properties.set_sorting_columns(sorting.filter(|_| is_common));
    }
    properties.build()
}

/// The compression of the old file where it can be written, at a usual level.
fn writable(compression: Compression) -> Compression {
    match compression {
        Compression::GZIP(_) => Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(_) => Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(_) => Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4 | Compression::LZ4_RAW => Compression::LZ4_RAW,
        Compression::UNCOMPRESSED => Compression::UNCOMPRESSED,
        _ => Compression::SNAPPY,
    }
}

fn notes(old: Option<&Vec<KeyValue>>, arrow: &Schema, added: &[Added], kept: &Kept) -> Option<Vec<KeyValue>> {
    let dropped = dropped(arrow, kept);
    let brought_up = |note: &KeyValue| {
        let value = match note.key.as_str() {
            ARROW_SCHEMA_META_KEY => Some(encode_arrow_schema(&with_columns(arrow, added, kept))),
            _ => amended(&note.key, note.value.as_deref(), added, &dropped),
        };
        KeyValue { key: note.key.clone(), value: value.or_else(|| note.value.clone()) }
    };
    Some(old?.iter().map(brought_up).collect())
}
