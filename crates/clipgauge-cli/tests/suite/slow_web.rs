//! A table of pictures on a web server that takes its time, so that runs over it can be ended in their middle.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use clipgauge_testing::{Reply, Server};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use crate::bench::{Bench, Ran, repository};

/// Rows of every tenth of which there is no picture, and for every tenth of which the server fails.
const MISSING: usize = 3;
const FAILING: usize = 7;

/// What all runs over it are told: little at once, so that they take long enough.
pub(crate) const FLAGS: &str =
    "--model pictoclip --concurrency 2 --retries 0 --host-failures 0 --threads 1 --error-column why";

/// The server, and a folder with a table of its pictures.
pub(crate) struct SlowWeb {
    pub(crate) server: Server,
    pub(crate) bench: Bench,
    extension: &'static str,
}

impl SlowWeb {
    pub(crate) fn new(extension: &'static str, rows: usize, pause: Duration) -> Self {
        let picture = fs::read(repository().join("examples/images/03-1f34e-fluent-flat.png")).expect("readable");
        let server = Server::with(move |request| {
            thread::sleep(pause);
            match request.path.trim_start_matches('/').parse::<usize>().map(|row| row % 10) {
                Ok(MISSING) => Reply::status(404),
                Ok(FAILING) => Reply::status(500),
                _ => Reply::ok(picture.clone()),
            }
        });
        let web = Self { server, bench: Bench::new(), extension };
        let table = web.table(rows);
        fs::write(web.bench.path(&web.input()), table).expect("writable");
        web
    }

    /// The table's name.
    pub(crate) fn input(&self) -> String {
        format!("in.{}", self.extension)
    }

    /// The output's name.
    pub(crate) fn output(&self) -> String {
        format!("out.{}", self.extension)
    }

    fn table(&self, rows: usize) -> Vec<u8> {
        let urls: Vec<_> = (0..rows).map(|row| self.server.url(&format!("/{row}"))).collect();
        let caption = |row: usize| ["red apple", "a \"dog\",\nbarking", "ein Haus", ""][row % 4];
        let mut text = String::new();
        match self.extension {
            "csv" => {
                text += "url,caption,n\r\n";
                for (row, url) in urls.iter().enumerate() {
                    let caption = caption(row).replace('"', "\"\"");
                    write!(text, "{url},\"{caption}\",{row}\r\n").expect("a string takes it");
                }
            }
            "jsonl" => {
                for (row, url) in urls.iter().enumerate() {
                    let line = serde_json::json!({ "url": url, "caption": caption(row), "n": row });
                    writeln!(text, "{line}").expect("a string takes it");
                }
            }
            "tar" => return shard(rows, caption),
            _ => return self.parquet(&urls, &(0..rows).map(caption).collect::<Vec<_>>()),
        }
        text.into_bytes()
    }

    fn parquet(&self, urls: &[String], captions: &[&str]) -> Vec<u8> {
        let urls: ArrayRef = Arc::new(urls.iter().map(Some).collect::<StringArray>());
        let captions: ArrayRef = Arc::new(captions.iter().map(Some).collect::<StringArray>());
        let table = RecordBatch::try_from_iter([("url", urls), ("caption", captions)]).expect("a table");
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(16)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties)).expect("a schema");
        writer.write(&table).expect("written");
        writer.into_inner().expect("closed")
    }

    /// The command that scores the table, with more flags.
    pub(crate) fn command(&self, more: &str) -> Command {
        let args = format!("score {} -o {} {FLAGS} {more}", self.input(), self.output());
        let mut command = self.bench.command(args.split_whitespace());
        command.env("NO_PROXY", "*");
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, more: &str) -> Ran {
        Ran::of(self.command(more).output().expect("the command can be run"))
    }

    /// The rows that the server was asked for.
    pub(crate) fn asked_for(&self) -> BTreeSet<u64> {
        let row = |path: &str| path.trim_start_matches('/').parse().expect("a row");
        self.server.requests().iter().map(|request| row(&request.path)).collect()
    }

    /// The rows that the journal has as finished.
    pub(crate) fn finished(&self) -> BTreeSet<u64> {
        let path = self.bench.path(&format!("{}.journal", self.output()));
        match path.exists() {
            true => clipgauge::journal::finished_rows(&path).unwrap_or_default().into_iter().collect(),
            false => BTreeSet::new(),
        }
    }

    /// What the output says.
    pub(crate) fn scored(&self) -> Table {
        Table::read(&self.bench, &self.output())
    }

    /// Removes what runs have left.
    pub(crate) fn clear(&self) {
        for name in self.bench.names().iter().filter(|name| name.starts_with("out.")) {
            fs::remove_file(self.bench.path(name)).expect("removable");
        }
        self.server.forget();
    }
}

/// A picture that takes a while to decode, one of many: none has the bytes of another.
pub(crate) fn large_picture(row: usize) -> Vec<u8> {
    let picture = repository().join("crates/clipgauge-core/benches/scene-768.jpg");
    let mut bytes = fs::read(picture).expect("readable");
    // What is behind a picture's end is of no account.
    bytes.extend(row.to_le_bytes());
    bytes
}

/// A WebDataset shard with pictures in it; every tenth is none.
fn shard(rows: usize, caption: impl Fn(usize) -> &'static str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: String, data: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        builder.append_data(&mut header, name, data).expect("appended");
    };
    for row in 0..rows {
        let picture = if row % 10 == MISSING { b"<html>".to_vec() } else { large_picture(row) };
        add(format!("{row:04}.jpg"), &picture);
        add(format!("{row:04}.txt"), caption(row).as_bytes());
        if row % 2 == 0 {
            add(format!("{row:04}.json"), format!("{{\"n\": {row}}}").as_bytes());
        }
    }
    builder.into_inner().expect("whole")
}

/// What a table says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Table {
    /// Every byte.
    Text(String),
    /// Every byte of what is no text.
    Bytes(Vec<u8>),
    /// Every bit of the rows, their schema, and how many are in each row group.
    Rows { rows: RecordBatch, groups: Vec<i64> },
}

impl Table {
    /// Reads a Parquet file or text.
    pub(crate) fn read(bench: &Bench, name: &str) -> Self {
        if name.ends_with(".tar") {
            return Self::Bytes(bench.read(name));
        }
        if !name.ends_with(".parquet") {
            return Self::Text(bench.text(name));
        }
        let file = File::open(bench.path(name)).expect("there");
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
        let groups = builder.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        let schema = builder.schema().clone();
        let batches: Vec<_> = builder.build().expect("a reader").map(|batch| batch.expect("a batch")).collect();
        let rows = arrow_select::concat::concat_batches(&schema, &batches).expect("of one schema");
        Self::Rows { rows, groups }
    }
}
