//! Parts of a Parquet file put together: their row groups behind each other, as they are encoded.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;

use super::copy::{copy_column, write_error};
use super::{check_ranges, damaged, guarded, read_metadata};
use crate::table::TableError;
use crate::table::positioned::PositionedFile;

/// A part that is open.
struct Part {
    name: String,
    file: PositionedFile,
    metadata: Arc<ParquetMetaData>,
}

impl Part {
    fn open(path: &Path) -> std::result::Result<Self, TableError> {
        let name = path.display().to_string();
        let file = File::open(path).and_then(|file| {
            let length = file.metadata()?.len();
            Ok(PositionedFile::new(file, length))
        });
        let file = file.map_err(|source| TableError::Read { name: name.clone(), source })?;
        let read = || {
            let (metadata, with_index) = read_metadata(&file)?;
            check_ranges(&metadata, &file)?;
            Ok(with_index)
        };
        let metadata = guarded(read).map_err(|error| damaged(&name, None, error))?;
        Ok(Self { name, file, metadata })
    }
}

/// Writes the parts behind each other.
pub(in crate::table) fn join(parts: &[&Path], out: &mut (impl Write + Send)) -> std::result::Result<(), TableError> {
    let Some((first_path, _)) = parts.split_first() else { return Ok(()) };
    let first = Part::open(first_path)?;
    let schema = first.metadata.file_metadata().schema_descr().root_schema_ptr();
    let mut writer = SerializedFileWriter::new(out, Arc::clone(&schema), Arc::new(properties(&first.metadata)))
        .map_err(write_error)?;
    for path in parts {
        let part = Part::open(path)?;
        if part.metadata.file_metadata().schema_descr().root_schema() != schema.as_ref() {
            return Err(TableError::OtherColumns { name: part.name, first: first.name });
        }
        copy_groups(&mut writer, &part).map_err(write_error)?;
    }
    writer.finish().map_err(write_error)?;
    Ok(())
}

fn copy_groups<W: Write + Send>(writer: &mut SerializedFileWriter<W>, part: &Part) -> Result<()> {
    for (number, group) in part.metadata.row_groups().iter().enumerate() {
        let mut out = writer.next_row_group()?;
        for leaf in 0..group.num_columns() {
            copy_column(&mut out, &part.file, &part.metadata, number, leaf)?;
        }
        out.close()?;
    }
    Ok::<_, ParquetError>(())
}

/// What a part says of itself and its notes, as the whole will.
fn properties(metadata: &ParquetMetaData) -> WriterProperties {
    let file = metadata.file_metadata();
    let has_page_index = metadata.page_index().is_some();
    let sorting = metadata.row_groups().first().and_then(|group| group.sorting_columns()).cloned();
    WriterProperties::builder()
        .set_created_by(file.created_by().unwrap_or(concat!("clipgauge ", env!("CARGO_PKG_VERSION"))).to_owned())
        .set_writer_version(if file.version() < 2 { WriterVersion::PARQUET_1_0 } else { WriterVersion::PARQUET_2_0 })
        .set_bloom_filter_position(BloomFilterPosition::AfterRowGroup)
        .set_offset_index_disabled(!has_page_index)
        .set_statistics_enabled(if has_page_index { EnabledStatistics::Page } else { EnabledStatistics::Chunk })
        .set_key_value_metadata(file.key_value_metadata().cloned())
        .set_sorting_columns(sorting)
        .build()
}
