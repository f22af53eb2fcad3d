//! Text taken apart at its line feeds, without a change.

use std::io::{BufRead, BufReader, Read};
use std::mem;

use memchr::memchr;

use crate::table::TableError;
use crate::table::scan::MAX_RECORD;

use super::object::is_blank;

/// How much is read from the input at once, in bytes.
const READ_BUFFER: usize = 256 << 10;

/// A line that is not blank, with the blank ones before it.
#[derive(Debug)]
pub(super) struct Line {
    bytes: Vec<u8>,
    /// How many of the bytes are blank lines.
    lead: usize,
}

impl Line {
    /// The blank lines before it.
    pub(super) fn lead(&self) -> &[u8] {
        &self.bytes[..self.lead]
    }

    /// The line itself with its ending.
    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[self.lead..]
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Reads lines one by one.
pub(super) struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    name: String,
    position: u64,
    /// The blank lines after the last one.
    rest: Vec<u8>,
}

impl Lines {
    /// A line without a byte, for tests.
    #[cfg(test)]
    pub(super) fn empty() -> Line {
        Line { bytes: Vec::new(), lead: 0 }
    }

    pub(super) fn new(input: Box<dyn Read + Send>, name: String) -> Self {
        Self { input: BufReader::with_capacity(READ_BUFFER, input), name, position: 0, rest: Vec::new() }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The blank lines at the end, when there is no more line.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        mem::take(&mut self.rest)
    }

    /// The next line that is not blank; `row` is its number. Never reads past its end, so that a slow pipe's rows come as
    /// they are written.
    pub(super) fn next(&mut self, row: u64) -> Result<Option<Line>, TableError> {
        let mut bytes = mem::take(&mut self.rest);
        loop {
            let lead = bytes.len();
            let is_ended = self.append_line(&mut bytes, row)?;
            if !is_blank(&bytes[lead..]) {
                bytes.shrink_to_fit();
                return Ok(Some(Line { bytes, lead }));
            }
            if !is_ended {
                self.rest = bytes;
                return Ok(None);
            }
        }
    }

    /// Reads up to a line feed, or to the end of the text: then it is not ended.
    fn append_line(&mut self, bytes: &mut Vec<u8>, row: u64) -> Result<bool, TableError> {
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(TableError::Read { name: self.name.clone(), source }),
            };
            let feed = memchr(b'\n', chunk);
            let taken = feed.map_or(chunk.len(), |feed| feed + 1);
            bytes.extend_from_slice(&chunk[..taken]);
            self.input.consume(taken);
            self.position += taken as u64;
            if bytes.len() > MAX_RECORD {
                return Err(TableError::LineTooLong { name: self.name.clone(), row });
            }
            if feed.is_some() || taken == 0 {
                return Ok(feed.is_some());
            }
        }
    }
}
