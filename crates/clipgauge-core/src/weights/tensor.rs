//! A tensor as it is stored, and its numbers as f32.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use super::data_file::DataFile;
use crate::error::LoadError;

/// Bytes that are widened before the memory they were mapped to is let go, so that of a large tensor never both the
/// stored and the widened numbers are in memory.
const BLOCK_BYTES: usize = 4 << 20;

/// Numbers that are widened at a time where their bytes may be unaligned.
const HALVES: usize = 512;

/// A tensor that a file has. Whoever makes one has checked that all its numbers lie within the file.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) numbers: NumberType,
    pub(super) shape: Vec<usize>,
    /// Where in the file the first number begins, in bytes. It need not be aligned.
    pub(super) start: usize,
    /// How many numbers lie from one to the next along each axis; `None` for row-major.
    pub(super) strides: Option<Vec<usize>>,
}

/// How the numbers of a tensor are stored: little-endian, in one of the kinds that can be widened or narrowed to f32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NumberType {
    F64,
    F32,
    F16,
    Bf16,
    /// Not a floating-point number that we know, by the name that its format gives it.
    Other(String),
}

impl Stored {
    /// All numbers, row-major, as f32. An f64 is rounded to the nearest f32, the others are exact.
    pub(super) fn read_f32(&self, name: &str, file: &DataFile) -> Result<Vec<f32>, LoadError> {
        let widen = match &self.numbers {
            NumberType::F64 => widen_f64,
            NumberType::F32 => copy_f32,
            NumberType::F16 => widen_f16,
            NumberType::Bf16 => widen_bf16,
            NumberType::Other(other) => {
                return Err(LoadError::Unsupported {
                    file: file.display_name().to_owned(),
                    field: name.to_owned(),
                    value: other.clone(),
                    supported: "F32, F16, BF16, F64".into(),
                });
            }
        };
        let Some(strides) = &self.strides else {
            let mut values = vec![0.0; self.shape.iter().product()];
            self.read_run(file, &mut values, widen);
            return Ok(values);
        };
        // A transposed or sliced view: all from its first number to its last is read, and put in order after.
        let last: usize = self.shape.iter().zip(strides).map(|(axis, stride)| (axis - 1) * stride).sum();
        let mut run = vec![0.0; last + 1];
        self.read_run(file, &mut run, widen);
        Ok(gather(&run, &self.shape, strides))
    }

    /// Reads numbers that lie one after the other.
    fn read_run(&self, file: &DataFile, values: &mut [f32], widen: Widen) {
        let size = self.numbers.size();
        let mut start = self.start;
        for block in values.chunks_mut(BLOCK_BYTES / size) {
            let range = start..start + block.len() * size;
            widen(file.bytes(range.clone()), block);
            start = range.end;
            file.release(range);
        }
    }
}

/// The numbers of a view, row-major. No axis is empty.
fn gather(run: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    // From the innermost axis outwards: where the numbers of all the axes so far lie, from that of the first.
    let mut offsets = vec![0];
    for (axis, stride) in shape.iter().zip(strides).rev() {
        offsets = (0..*axis).flat_map(|index| offsets.iter().map(move |inner| index * stride + inner)).collect();
    }
    offsets.into_iter().map(|offset| run[offset]).collect()
}

impl NumberType {
    /// The name of a floating-point number; `None` for what is no such number.
    pub(super) fn float_name(&self) -> Option<&'static str> {
        match self {
            Self::F64 => Some("F64"),
            Self::F32 => Some("F32"),
            Self::F16 => Some("F16"),
            Self::Bf16 => Some("BF16"),
            Self::Other(_) => None,
        }
    }

    /// Bytes of one number.
    fn size(&self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(_) => 1,
        }
    }
}

/// Turns little-endian bytes into as many numbers as there are.
type Widen = fn(&[u8], &mut [f32]);

fn copy_f32(bytes: &[u8], values: &mut [f32]) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = f32::from_le_bytes(*bytes);
    }
}

fn widen_f64(bytes: &[u8], values: &mut [f32]) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = f64::from_le_bytes(*bytes) as f32;
    }
}

fn widen_bf16(bytes: &[u8], values: &mut [f32]) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
    }
}

/// Through `half`, which has the processor's instruction for it where there is one. It wants aligned numbers, hence
/// the copy of a few at a time.
fn widen_f16(bytes: &[u8], values: &mut [f32]) {
    let mut halves = [0_u16; HALVES];
    for (values, bytes) in values.chunks_mut(HALVES).zip(bytes.chunks(HALVES * size_of::<u16>())) {
        let halves = &mut halves[..values.len()];
        for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
            *half = u16::from_le_bytes(*bytes);
        }
        halves.reinterpret_cast::<f16>().convert_to_f32_slice(values);
    }
}
