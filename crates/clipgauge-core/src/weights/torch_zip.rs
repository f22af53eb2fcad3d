//! `pytorch_model.bin`: a zip archive with a pickle that describes the tensors, and a file for each storage.
//!
//! What `torch.save` writes since release 1.6
//! ([the layout](https://docs.pytorch.org/docs/stable/notes/serialization.html)): `NAME/data.pkl`, `NAME/data/KEY`,
//! nothing compressed, so that the storages can be mapped where they lie.

use std::collections::HashMap;
use std::io::{Read, Seek};

use zip::CompressionMethod;
use zip::ZipArchive;

use super::data_file::{DataFile, Reader};
use super::pickle::{self, PickledTensor};
use super::tensor::{NumberType, Stored};
use crate::error::LoadError;

/// The largest pickle that is read. A tensor takes about 150 bytes of it.
const MAX_PICKLE: u64 = 16 << 20;

/// The most files in the archive: one for each storage, and a few.
const MAX_FILES: usize = super::MAX_TENSORS + 64;

/// How an archive begins.
const ZIP: &[u8] = b"PK\x03\x04";

/// How a pickle of protocol 2 begins, and with it what torch saved before release 1.6.
const PICKLE: &[u8] = &[0x80, 2];

/// The end of the name of the file that describes the tensors.
const DESCRIPTION: &str = "/data.pkl";

/// Where a file of the archive lies in the whole, in bytes.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    len: usize,
}

pub(super) fn read(file: &DataFile, reader: &mut Reader) -> Result<Vec<(String, Stored)>, LoadError> {
    refuse_other_formats(file, reader)?;
    let mut archive = ZipArchive::new(&mut *reader).map_err(|error| broken_archive(file, error))?;
    if archive.has_duplicate_names() {
        return Err(file.malformed("its archive has two files of one name"));
    }
    if archive.len() > MAX_FILES {
        return Err(file.malformed(format!("its archive has more than {MAX_FILES} files")));
    }
    let mut places = HashMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| broken_archive(file, error))?;
        let name = entry.name().map_err(|error| broken_archive(file, error))?.into_owned();
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(
                file.malformed(format!("{name:?} in its archive is compressed or encrypted, as torch never does"))
            );
        }
        let place = place(entry.data_start(), entry.size(), file.len())
            .ok_or_else(|| file.malformed(format!("{name:?} in its archive reaches over the end of the file")))?;
        places.insert(name, place);
    }

    let mut descriptions = places.iter().filter_map(|(name, place)| {
        let folder = name.strip_suffix(DESCRIPTION)?;
        (!folder.contains('/')).then_some((folder, *place))
    });
    let (Some((folder, description)), None) = (descriptions.next(), descriptions.next()) else {
        return Err(file.malformed("its archive has not exactly one data.pkl"));
    };
    if let Some(order) = places.get(&format!("{folder}/byteorder"))
        && read_place(file, reader, *order)? != b"little"
    {
        return Err(file.malformed("its numbers are big-endian; only little-endian ones can be read"));
    }
    let program = read_place(file, reader, description)?;
    let tensors = pickle::read(&program).map_err(|problem| file.malformed(problem))?;
    if tensors.is_empty() {
        return Err(file.malformed("it holds no tensors"));
    }
    let stored = tensors.into_iter().map(|(name, tensor)| {
        let place = places
            .get(&format!("{folder}/data/{}", tensor.storage.key))
            .ok_or_else(|| file.field(name, "has no numbers in the archive"))?;
        let stored = stored(&tensor, *place).map_err(|problem| file.field(name, problem))?;
        Ok((name.to_owned(), stored))
    });
    stored.collect()
}

fn refuse_other_formats(file: &DataFile, reader: &mut Reader) -> Result<(), LoadError> {
    let mut start = Vec::new();
    let result = reader.by_ref().take(ZIP.len() as u64).read_to_end(&mut start).and_then(|_| reader.rewind());
    result.map_err(|error| file.unreadable(error))?;
    if start.starts_with(PICKLE) {
        return Err(file.malformed(
            "it is of the format before torch 1.6; \
             `torch.save(torch.load(FILE, weights_only=True), FILE)` with a newer torch converts it",
        ));
    }
    if start != ZIP {
        return Err(file.malformed("it does not begin as a file of torch does"));
    }
    Ok(())
}

fn broken_archive(file: &DataFile, error: zip::result::ZipError) -> LoadError {
    match error {
        zip::result::ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => file.unreadable(error),
        other => file.malformed(other.to_string()),
    }
}

fn place(start: Option<u64>, len: u64, file_len: usize) -> Option<Place> {
    let place = Place { start: start?.try_into().ok()?, len: len.try_into().ok()? };
    (place.start.checked_add(place.len)? <= file_len).then_some(place)
}

fn read_place(file: &DataFile, reader: &mut Reader, place: Place) -> Result<Vec<u8>, LoadError> {
    if place.len as u64 > MAX_PICKLE {
        return Err(file.malformed(format!("its description has more than {MAX_PICKLE} bytes")));
    }
    let mut bytes = vec![0; place.len];
    let result = reader.seek(std::io::SeekFrom::Start(place.start as u64)).and_then(|_| reader.read_exact(&mut bytes));
    result.map_err(|error| file.unreadable(error))?;
    Ok(bytes)
}

/// Finds the numbers of a tensor, none of which may lie outside its storage.
fn stored(tensor: &PickledTensor<'_>, place: Place) -> Result<Stored, &'static str> {
    let (numbers, size) = number_type(tensor.storage.class);
    let PickledTensor { offset, shape, strides, .. } = tensor;
    if tensor.storage.len.checked_mul(size).is_none_or(|len| len > place.len) {
        return Err("has fewer numbers in the archive than it should");
    }
    let count = shape.iter().try_fold(1_usize, |count, axis| count.checked_mul(*axis));
    // A view that shows a number twice could be larger than memory; no model is saved with one.
    if count.is_none_or(|count| count > tensor.storage.len) {
        return Err("is larger than what is stored of it");
    }
    if count > Some(0) {
        let last = shape
            .iter()
            .zip(strides)
            .try_fold(*offset, |last, (axis, stride)| last.checked_add((axis - 1).checked_mul(*stride)?));
        if last.is_none_or(|last| last >= tensor.storage.len) {
            return Err("reaches over the end of what is stored of it");
        }
    }
    let is_empty = count == Some(0);
    Ok(Stored {
        numbers,
        shape: shape.clone(),
        start: if is_empty { place.start } else { place.start + offset * size },
        strides: (!is_empty && !is_row_major(shape, strides)).then(|| strides.clone()),
    })
}

fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(axis, stride)| {
        // The stride of an axis of one is never taken.
        let fits = *axis == 1 || *stride == expected;
        expected *= axis;
        fits
    })
}

/// What the storages of a class hold, and how many bytes a number has.
fn number_type(class: &str) -> (NumberType, usize) {
    match class {
        "DoubleStorage" => (NumberType::F64, 8),
        "FloatStorage" => (NumberType::F32, 4),
        "HalfStorage" => (NumberType::F16, 2),
        "BFloat16Storage" => (NumberType::Bf16, 2),
        other => {
            let size = match other {
                "ComplexDoubleStorage" => 16,
                "ComplexFloatStorage" | "LongStorage" => 8,
                "IntStorage" => 4,
                "ShortStorage" => 2,
                _ => 1,
            };
            (NumberType::Other(other.to_owned()), size)
        }
    }
}
