//! Parts of an Arrow table put together, batch by batch.

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};

use super::{Kind, compression, damaged, guarded, write_error};
use crate::table::TableError;

/// A part that is open.
struct Part {
    name: String,
    kind: Kind,
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>,
}

impl Part {
    fn open(path: &Path) -> Result<Self, TableError> {
        let name = path.display().to_string();
        let fails = |source| TableError::Read { name: name.clone(), source };
        let mut file = File::open(path).map_err(fails)?;
        let mut start = Vec::new();
        (&mut file).take(compression::MAGIC.len() as u64).read_to_end(&mut start).map_err(fails)?;
        let is_stream = start != compression::MAGIC;
        let kind = Kind { is_stream, codec: compression::of(&file, is_stream) };
        file.rewind().map_err(fails)?;
        let input = BufReader::new(file);
        let opened = guarded(|| {
            if is_stream {
                let reader = StreamReader::try_new(input, None)?;
                Ok((reader.schema(), Box::new(reader) as Box<dyn Iterator<Item = _>>))
            } else {
                let reader = FileReader::try_new(input, None)?;
                Ok((reader.schema(), Box::new(reader) as Box<dyn Iterator<Item = _>>))
            }
        });
        let (schema, batches) = opened.map_err(|error| damaged(&name, None, error))?;
        Ok(Self { name, kind, schema, batches })
    }
}

enum Out<W: Write> {
    File(FileWriter<W>),
    Stream(StreamWriter<W>),
}

/// Writes the parts behind each other.
pub(in crate::table) fn join(parts: &[&Path], out: &mut (impl Write + Send)) -> Result<(), TableError> {
    let mut opened = Vec::new();
    for path in parts {
        opened.push(Part::open(path)?);
    }
    let Some(first) = opened.first() else { return Ok(()) };
    // A part without a batch does not say how they are compressed.
    let codec = opened.iter().find_map(|part| part.kind.codec);
    let (schema, is_stream, first) = (SchemaRef::clone(&first.schema), first.kind.is_stream, first.name.clone());
    let options = IpcWriteOptions::default().try_with_compression(codec).map_err(write_error)?;
    let mut out = if is_stream {
        Out::Stream(StreamWriter::try_new_with_options(out, &schema, options).map_err(write_error)?)
    } else {
        Out::File(FileWriter::try_new_with_options(out, &schema, options).map_err(write_error)?)
    };
    for mut part in opened {
        if part.schema != schema {
            return Err(TableError::OtherColumns { name: part.name, first });
        }
        while let Some(batch) =
            guarded(|| part.batches.next().transpose()).map_err(|error| damaged(&part.name, None, error))?
        {
            match &mut out {
                Out::File(out) => out.write(&batch),
                Out::Stream(out) => out.write(&batch),
            }
            .map_err(write_error)?;
        }
    }
    match &mut out {
        Out::File(out) => out.finish(),
        Out::Stream(out) => out.finish(),
    }
    .map_err(write_error)
}
