//! JSON Lines: each object has a field more, and every other byte stays.
#![no_main]

mod difference;
mod passthrough;

use clipgauge::options::TableFormat;
use clipgauge::table::Cell;
use difference::{counts, without};
use libfuzzer_sys::fuzz_target;
use passthrough::{options_of, pass_through};

fuzz_target!(|text: &[u8]| {
    let (_file, options) = options_of(text, TableFormat::Jsonl);
    let Ok(written) = pass_through(&options, Cell::Score(Some(0.5))) else { return };
    let left = counts(&without(&written.bytes, text));
    // Lines that are no objects take no field.
    let fields = left[usize::from(b'5')];
    assert!(fields <= written.rows && !written.is_ragged);
    let field = counts(b"\"similarity\":0.5");
    for (byte, (left, field)) in left.into_iter().zip(field).enumerate() {
        let is_as_it_should = match byte as u8 {
            b',' | b' ' => left <= 2 * fields,
            _ => left == field * fields,
        };
        assert!(is_as_it_should, "{left} of {byte} more: {:?}", String::from_utf8_lossy(&written.bytes));
    }
});
