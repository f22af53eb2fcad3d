//! `*.safetensors`: eight bytes of header length, a JSON header, the tensors one after the other.
//!
//! The `safetensors` crate holds the header to the format's rules (no holes, no overlaps, sizes that agree with
//! shapes); what is checked here is what depends on the file.

use std::io::Read;

use ::safetensors::Dtype;
use ::safetensors::tensor::Metadata;

use super::data_file::{DataFile, Reader};
use super::tensor::{NumberType, Stored};
use crate::error::LoadError;

/// The largest header that is read. A tensor takes about 130 bytes of it.
const MAX_HEADER: u64 = 16 << 20;

/// Where the header begins.
const LENGTH_BYTES: usize = 8;

pub(super) fn read(file: &DataFile, reader: &mut Reader) -> Result<Vec<(String, Stored)>, LoadError> {
    let mut length = [0; LENGTH_BYTES];
    let header = reader.read_exact(&mut length).and_then(|()| {
        let length = u64::from_le_bytes(length);
        let mut header = Vec::new();
        reader.by_ref().take(length.min(MAX_HEADER + 1)).read_to_end(&mut header)?;
        Ok((length, header))
    });
    let (length, header) = match header {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(file.malformed("it ends before the header does"));
        }
        Err(error) => return Err(file.unreadable(error)),
    };
    if length > MAX_HEADER {
        let problem = format!("it claims a header of {length} bytes, more than the {MAX_HEADER} that one may have");
        return Err(file.malformed(problem));
    }
    if (header.len() as u64) < length {
        return Err(file.malformed("it ends before the header does"));
    }
    // serde_json refuses more than 128 levels, and the crate anything but the names of the format.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| file.malformed(error.to_string()))?;

    let data_start = LENGTH_BYTES + header.len();
    let expected = data_start.checked_add(metadata.data_len());
    if expected != Some(file.len()) {
        let problem = format!(
            "it has {} bytes where its header accounts for {}",
            file.len(),
            data_start as u128 + metadata.data_len() as u128
        );
        return Err(file.malformed(problem));
    }
    let stored = metadata.tensors().into_iter().map(|(name, info)| {
        let stored = Stored {
            numbers: number_type(info.dtype),
            shape: info.shape.clone(),
            start: data_start + info.data_offsets.0,
            strides: None,
        };
        (name, stored)
    });
    Ok(stored.collect())
}

fn number_type(dtype: Dtype) -> NumberType {
    match dtype {
        Dtype::F64 => NumberType::F64,
        Dtype::F32 => NumberType::F32,
        Dtype::F16 => NumberType::F16,
        Dtype::BF16 => NumberType::Bf16,
        other => NumberType::Other(other.to_string()),
    }
}
