//! Parts of a table put together, as they are.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use super::compression::{Compression, Encoder};
use super::scan::{RawRecord, Scanned, Scanner};
use super::{TableError, TableFormat, sniff};
use crate::options::Input;

/// How much of a part is read at once, in bytes.
const READ_BUFFER: usize = 256 << 10;

/// Writes the parts of a table behind each other into `out`, which is to be called `output`.
pub(crate) fn join_parts(
    format: TableFormat,
    delimiter: Option<u8>,
    parts: &[&Path],
    output: &Path,
    out: &mut (impl Write + Send),
) -> Result<(), TableError> {
    match format {
        #[cfg(feature = "parquet")]
        TableFormat::Parquet => super::parquet::join(parts, out),
        #[cfg(feature = "parquet")]
        TableFormat::Arrow => super::arrow_ipc::join(parts, out),
        #[cfg(not(feature = "parquet"))]
        TableFormat::Parquet | TableFormat::Arrow => {
            Err(TableError::NotBuilt { name: output.display().to_string(), format })
        }
        text => {
            let delimiter = text.delimiter().map(|usual| delimiter.unwrap_or(usual));
            match Compression::of_path(output) {
                None => join_text(delimiter, parts, out),
                Some((compression, _)) => {
                    let mut encoder = compression.encoder(out).map_err(TableError::Write)?;
                    join_text(delimiter, parts, &mut encoder)?;
                    Encoder::finish(encoder).map_err(TableError::Write)
                }
            }
        }
    }
}

/// Text with a header, which the whole has once, if there is a delimiter.
fn join_text(delimiter: Option<u8>, parts: &[&Path], out: &mut impl Write) -> Result<(), TableError> {
    let mut first_header: Option<Vec<u8>> = None;
    for (index, part) in parts.iter().enumerate() {
        let name = part.display().to_string();
        let fails = |source| TableError::Read { name: name.clone(), source };
        let file: Box<dyn Read + Send> = Box::new(File::open(part).map_err(fails)?);
        let file = match Compression::of_path(part) {
            Some((compression, _)) => compression.reader(file).map_err(fails)?,
            None => file,
        };
        let sniff::Text { bom, rest } = sniff::begin(file, &Input::File(part.to_path_buf()))?;
        if index == 0 {
            out.write_all(bom).map_err(TableError::Write)?;
        }
        let mut text = BufReader::with_capacity(READ_BUFFER, rest);
        if let Some(delimiter) = delimiter {
            let mut scanner = Scanner::new(text, delimiter);
            let header = match scanner.next().map_err(fails)? {
                Scanned::Record(header) => bytes_of(&header, delimiter),
                Scanned::End(_) | Scanned::TooLong => return Err(TableError::NoHeader { name }),
            };
            match &first_header {
                None => {
                    out.write_all(&header).map_err(TableError::Write)?;
                    first_header = Some(header);
                }
                Some(first) if *first == header => {}
                Some(_) => return Err(TableError::OtherColumns { name, first: parts[0].display().to_string() }),
            }
            text = scanner.into_input();
        }
        copy(&mut text, out, fails)?;
    }
    Ok(())
}

/// Copies what is left of a part.
fn copy(text: &mut impl Read, out: &mut impl Write, fails: impl Fn(io::Error) -> TableError) -> Result<(), TableError> {
    let mut buffer = vec![0; READ_BUFFER];
    loop {
        match text.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => out.write_all(&buffer[..read]).map_err(TableError::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fails(error)),
        }
    }
}

/// A record as it stood.
fn bytes_of(record: &RawRecord, delimiter: u8) -> Vec<u8> {
    let mut bytes = record.lead().to_vec();
    for index in 0..record.len() {
        if index > 0 {
            bytes.push(delimiter);
        }
        bytes.extend_from_slice(record.raw(index).unwrap_or_default());
    }
    bytes.extend_from_slice(record.ending());
    bytes
}
