//! A table through a reader and its writer: what was read has to be written, and nothing but a column more.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clipgauge::options::{Input, Output, ScoreOptions, TableFormat};
use clipgauge::table::{Cell, OpenTable, TableError, open};

/// What came out.
pub struct Written {
    pub bytes: Vec<u8>,
    pub rows: u64,
    /// Whether a row had another number of fields than the header.
    pub is_ragged: bool,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The options for a table of this format in a file of these bytes, which has to live as long as they are used.
pub fn options_of(table: &[u8], format: TableFormat) -> (tempfile::NamedTempFile, ScoreOptions) {
    let mut file = tempfile::NamedTempFile::new().expect("room");
    file.write_all(table).expect("room");
    let path = file.path().to_owned();
    let mut options = ScoreOptions::new(Input::File(path));
    options.format = Some(format);
    // Which is never opened.
    options.output = Output::File(PathBuf::from("out"));
    options.fetch.max_bytes = 1 << 20;
    (file, options)
}

/// Reads a table to its end, and writes it with this cell in each row.
pub fn pass_through(options: &ScoreOptions, cell: Cell) -> Result<Written, TableError> {
    let OpenTable { mut reader, layout } = open(options)?;
    let out = Shared::default();
    let mut writer = layout.writer(Box::new(out.clone()))?;
    let (mut rows, mut is_ragged) = (0, false);
    while let Some(row) = reader.read()? {
        rows += 1;
        is_ragged |= row.record.is_ragged();
        assert!(row.size() < 64 << 20, "a row of {} bytes", row.size());
        writer.write(row.record, &[cell])?;
    }
    writer.finish()?;
    drop(writer);
    let bytes = std::mem::take(&mut *out.0.lock().expect("no panic"));
    Ok(Written { bytes, rows, is_ragged })
}
