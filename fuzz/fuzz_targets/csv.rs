//! Delimited text: the output without the column is the input, byte for byte.
#![no_main]

mod difference;
mod passthrough;

use clipgauge::options::TableFormat;
use clipgauge::table::Cell;
use difference::{counts, without};
use libfuzzer_sys::fuzz_target;
use passthrough::{options_of, pass_through};

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let delimiter = [b',', b'\t', b';', b' '][usize::from(choice % 4)];
    // A header that is one, more often than chance would make it.
    let table = match choice & 4 {
        0 => [b"url" as &[u8], &[delimiter], b"caption", text].concat(),
        _ => text.to_vec(),
    };
    let (_file, mut options) = options_of(&table, TableFormat::Csv);
    options.delimiter = Some(delimiter);
    let Ok(written) = pass_through(&options, Cell::Score(Some(0.5))) else { return };

    let left = counts(&without(&written.bytes, &table));
    let mut expected = counts(b"similarity");
    let cell = counts(b"0.5");
    expected.iter_mut().zip(cell).for_each(|(expected, cell)| *expected += cell * written.rows);
    let delimiters = written.rows + 1;
    for (byte, (left, expected)) in left.into_iter().zip(expected).enumerate() {
        let byte = byte as u8;
        let is_as_it_should = match byte {
            // Rows with too few fields get some, so that the cell is in its column.
            _ if byte == delimiter && written.is_ragged => left >= delimiters,
            _ if byte == delimiter => left == delimiters,
            // A quote that the table leaves open is closed before the cell.
            b'"' => left <= 1,
            _ => left == expected,
        };
        assert!(
            is_as_it_should,
            "{left} of {:?} more: {:?}",
            char::from(byte),
            String::from_utf8_lossy(&written.bytes)
        );
    }
});
