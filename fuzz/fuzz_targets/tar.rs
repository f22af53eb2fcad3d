//! Tars: read or refused whatever they say of themselves, and what is written is one that is read alike.
#![no_main]

mod passthrough;

use std::io::Write;

use clipgauge::options::TableFormat;
use clipgauge::table::{Cell, open, open_with_texts};
use libfuzzer_sys::fuzz_target;
use passthrough::{options_of, pass_through};

fuzz_target!(|data: &[u8]| {
    let (mut file, mut options) = options_of(data, TableFormat::WebDataset);
    if let Ok(mut table) = open_with_texts(&options) {
        while let Ok(Some(row)) = table.reader.read() {
            assert!(row.record.texts().len() <= table.layout.names().len());
        }
    }
    let Ok(written) = pass_through(&options, Cell::Score(Some(0.5))) else { return };
    assert!(written.bytes.len().is_multiple_of(10_240) && !written.is_ragged, "{} bytes", written.bytes.len());
    file.as_file_mut()
        .set_len(0)
        .and_then(|()| file.reopen())
        .and_then(|mut file| file.write_all(&written.bytes))
        .expect("room");
    options.overwrite = true;
    let mut again = open(&options).unwrap_or_else(|error| panic!("what was written is refused: {error}"));
    let mut rows = 0;
    while again.reader.read().unwrap_or_else(|error| panic!("what was written cannot be read: {error}")).is_some() {
        rows += 1;
    }
    assert_eq!(rows, written.rows);
});
