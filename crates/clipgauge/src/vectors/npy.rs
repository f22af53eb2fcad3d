//! A two-dimensional array in numpy's format, written row by row.
//!
//! The format is NEP 1, version 1.0. The number of rows is known at the end only, so that the header has room for the
//! longest, as numpy's own writer leaves it (`GROWTH_AXIS_MAX_DIGITS` in its `_format_impl.py`): the file has the bytes
//! that `numpy.save` writes.

use std::io::{self, Seek, SeekFrom, Write};

use half::f16;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// The array begins at a multiple of it, in bytes.
const ALIGNMENT: usize = 64;

/// The room for the number of rows, in digits.
const MAX_DIGITS: usize = 21;

/// How a number is stored, always with its least byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NpyType {
    /// 16 bits, rounded to the nearest, to even between two.
    #[default]
    F16,
    /// 32 bits, as computed.
    F32,
}

impl NpyType {
    /// Every type.
    pub const ALL: &[Self] = &[Self::F16, Self::F32];

    /// The name, as `--dtype` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// What numpy calls it.
    fn descr(self) -> &'static str {
        match self {
            Self::F16 => "<f2",
            Self::F32 => "<f4",
        }
    }
}

/// An array under way.
pub struct NpyFile<W: Write + Seek> {
    out: W,
    element: NpyType,
    width: usize,
    rows: u64,
    bytes: Vec<u8>,
}

impl<W: Write + Seek> NpyFile<W> {
    /// Begins an array of rows of `width` numbers at the start of `out`.
    ///
    /// # Errors
    ///
    /// `out` fails.
    pub fn new(mut out: W, element: NpyType, width: usize) -> io::Result<Self> {
        out.write_all(&header(element, 0, width))?;
        Ok(Self { out, element, width, rows: 0, bytes: Vec::new() })
    }

    /// Writes a row.
    ///
    /// # Errors
    ///
    /// What is written to fails.
    ///
    /// # Panics
    ///
    /// When the row is of another width.
    pub fn write(&mut self, row: &[f32]) -> io::Result<()> {
        assert_eq!(row.len(), self.width, "a row of the array's width");
        self.bytes.clear();
        match self.element {
            NpyType::F16 => {
                self.bytes.extend(row.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()));
            }
            NpyType::F32 => self.bytes.extend(row.iter().flat_map(|number| number.to_le_bytes())),
        }
        self.rows += 1;
        self.out.write_all(&self.bytes)
    }

    /// How many rows were written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Says in the header how many rows there are, and gives back what was written to.
    ///
    /// # Errors
    ///
    /// What is written to fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(self.element, self.rows, self.width))?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The header, of the same length for any number of rows.
fn header(element: NpyType, rows: u64, width: usize) -> Vec<u8> {
    let descr = element.descr();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    let room = MAX_DIGITS - rows.to_string().len();
    text.extend(std::iter::repeat_n(' ', room));
    let begun = MAGIC.len() + size_of::<u16>() + text.len() + 1;
    text.extend(std::iter::repeat_n(' ', ALIGNMENT - begun % ALIGNMENT));
    text.push('\n');
    let length = u16::try_from(text.len()).expect("two numbers take no 64 KiB");
    [MAGIC, &length.to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn written(element: NpyType, rows: &[[f32; 2]]) -> Vec<u8> {
        let mut file = NpyFile::new(Cursor::new(Vec::new()), element, 2).expect("a file");
        for row in rows {
            file.write(row).expect("written");
        }
        file.finish().expect("finished").into_inner()
    }

    /// The header as `numpy.save` of numpy 2.4 writes it for two rows of two numbers.
    fn numpy_header(descr: &str) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2, 2), }}");
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend_from_slice(format!("{text:<117}\n").as_bytes());
        bytes
    }

    #[test]
    fn the_bytes_are_those_that_numpy_writes() {
        let rows = [[1.0, -2.0], [0.1, 65504.0]];
        let mut expected = numpy_header("<f4");
        expected.extend_from_slice(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0xcd, 0xcc, 0xcc, 0x3d, 0, 0xe0, 0x7f, 0x47]);
        assert_eq!(written(NpyType::F32, &rows), expected);
        let mut expected = numpy_header("<f2");
        expected.extend_from_slice(&[0, 0x3c, 0, 0xc0, 0x66, 0x2e, 0xff, 0x7b]);
        assert_eq!(written(NpyType::F16, &rows), expected);
    }

    #[test]
    fn no_number_of_rows_moves_the_array() {
        for width in [1, 64, 512, 1_000_000] {
            let length = header(NpyType::F16, 0, width).len();
            assert_eq!(length % ALIGNMENT, 0);
            for rows in [1, 10, 999_999, u64::from(u32::MAX), u64::MAX] {
                assert_eq!(header(NpyType::F16, rows, width).len(), length, "{rows} rows of {width}");
            }
        }
    }
}
