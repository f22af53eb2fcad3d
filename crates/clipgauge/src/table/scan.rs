//! Finds the records and fields of delimited text without changing a byte of it.
//!
//! Reads as RFC 4180 with the leniency of the `csv` crate, field for field (a property test holds it to that): a quote
//! counts only at the start of a field, `""` inside quotes is a quote, what follows a closing quote is taken as it is,
//! records end at LF, CRLF or CR, lines without a byte are no records. Other than the `csv` crate, it keeps the raw
//! bytes of everything, so that a record can be written again as it was.

use std::borrow::Cow;
use std::io::{self, BufRead};

use memchr::{memchr, memchr3};

/// The most bytes a record may have, blank lines before it included. Pictures as `data:` URIs fit; a quote that is
/// never closed must not pull the rest of a large file into memory.
pub(super) const MAX_RECORD: usize = 64 << 20;

/// The quote of RFC 4180.
pub(super) const QUOTE: u8 = b'"';

/// A record as it stood: blank lines before it, its fields, its line ending.
#[derive(Debug, Default)]
pub(super) struct RawRecord {
    bytes: Vec<u8>,
    /// How many of the bytes are blank lines before the record.
    lead: usize,
    /// Where each field ends; `u32` is enough for [`MAX_RECORD`].
    ends: Vec<u32>,
    /// Whether the text ended inside quotes.
    open_quote: bool,
}

impl RawRecord {
    /// The number of fields; at least one.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The blank lines before the record.
    pub(super) fn lead(&self) -> &[u8] {
        &self.bytes[..self.lead]
    }

    /// A field with its quotes.
    pub(super) fn raw(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(self.lead, |before| self.ends[before] as usize + 1);
        Some(&self.bytes[start..end])
    }

    /// What a field says, its quotes resolved.
    pub(super) fn value(&self, index: usize) -> Option<Cow<'_, [u8]>> {
        self.raw(index).map(unquote)
    }

    /// The line ending: LF, CRLF, CR, or nothing at the end of the text.
    pub(super) fn ending(&self) -> &[u8] {
        &self.bytes[self.ends.last().map_or(self.lead, |end| *end as usize)..]
    }

    /// Whether the text ended inside the quotes of the last field.
    pub(super) fn has_open_quote(&self) -> bool {
        self.open_quote
    }

    /// Whether all of it is UTF-8.
    pub(super) fn is_utf8(&self) -> bool {
        std::str::from_utf8(&self.bytes).is_ok()
    }

    /// How much memory the record takes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + size_of_val(self.ends.as_slice())
    }

    fn is_too_long(&self) -> bool {
        self.bytes.len() > MAX_RECORD
    }
}

/// What comes next in the text.
#[derive(Debug)]
pub(super) enum Scanned {
    /// A record.
    Record(RawRecord),
    /// The end, with the blank lines before it.
    End(Vec<u8>),
    /// A record of more than [`MAX_RECORD`] bytes. Reading on makes no sense.
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a record, where line endings mean nothing.
    Between,
    FieldStart,
    /// In a field without quotes, or behind the closing quote of one.
    Plain,
    Quoted,
    /// Behind a quote inside quotes: the first half of `""`, or the end.
    QuoteInQuotes,
    /// Behind a CR that ended a record: an LF would belong to it.
    CarriageReturn,
    Done,
}

/// Reads records one by one.
#[derive(Debug)]
pub(super) struct Scanner<R> {
    input: R,
    delimiter: u8,
    position: u64,
}

impl<R: BufRead> Scanner<R> {
    /// A scanner at the start of `input`; the delimiter is neither a quote nor a line ending.
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        Self { input, delimiter, position: 0 }
    }

    /// What is left of the input.
    pub(super) fn into_input(self) -> R {
        self.input
    }

    /// How many bytes were scanned.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next record. Never reads past its end, so that a slow pipe's rows come as they are written.
    pub(super) fn next(&mut self) -> io::Result<Scanned> {
        let mut record = RawRecord::default();
        let mut state = State::Between;
        while state != State::Done {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                if state == State::Between {
                    return Ok(Scanned::End(record.bytes));
                }
                end_of_text(state, &mut record);
                break;
            }
            let used = scan(chunk, self.delimiter, &mut state, &mut record);
            self.input.consume(used);
            self.position += used as u64;
            if record.is_too_long() {
                return Ok(Scanned::TooLong);
            }
        }
        Ok(Scanned::Record(record))
    }
}

/// Takes what belongs to the record from the front of `chunk`; returns how many bytes that is.
fn scan(chunk: &[u8], delimiter: u8, state: &mut State, record: &mut RawRecord) -> usize {
    let base = record.bytes.len();
    let mut at = 0;
    while at < chunk.len() && *state != State::Done {
        let byte = chunk[at];
        match *state {
            State::Between if byte == b'\n' || byte == b'\r' => {
                at += 1;
                record.lead += 1;
            }
            State::Between => *state = State::FieldStart,
            State::FieldStart if byte == QUOTE => {
                at += 1;
                *state = State::Quoted;
            }
            State::FieldStart => *state = State::Plain,
            State::Plain => {
                let Some(hit) = memchr3(delimiter, b'\n', b'\r', &chunk[at..]) else {
                    at = chunk.len();
                    break;
                };
                at += hit;
                // A record so long that its end does not fit is refused before anyone asks where its fields end.
                record.ends.push(u32::try_from(base + at).unwrap_or(u32::MAX));
                *state = match chunk[at] {
                    b'\n' => State::Done,
                    b'\r' => State::CarriageReturn,
                    _ => State::FieldStart,
                };
                at += 1;
            }
            State::Quoted => match memchr(QUOTE, &chunk[at..]) {
                Some(hit) => {
                    at += hit + 1;
                    *state = State::QuoteInQuotes;
                }
                None => at = chunk.len(),
            },
            State::QuoteInQuotes if byte == QUOTE => {
                at += 1;
                *state = State::Quoted;
            }
            State::QuoteInQuotes => *state = State::Plain,
            State::CarriageReturn => {
                at += usize::from(byte == b'\n');
                *state = State::Done;
            }
            State::Done => {}
        }
    }
    record.bytes.extend_from_slice(&chunk[..at]);
    at
}

fn end_of_text(state: State, record: &mut RawRecord) {
    if state != State::CarriageReturn {
        record.open_quote = state == State::Quoted;
        record.ends.push(record.bytes.len() as u32);
    }
}

/// A field without its quotes.
fn unquote(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(mut rest) = raw.strip_prefix(&[QUOTE]) else { return Cow::Borrowed(raw) };
    let mut value = Vec::with_capacity(rest.len());
    while let Some(quote) = memchr(QUOTE, rest) {
        value.extend_from_slice(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix(&[QUOTE]) {
            Some(behind) => {
                value.push(QUOTE);
                rest = behind;
            }
            None => break,
        }
    }
    value.extend_from_slice(rest);
    Cow::Owned(value)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use proptest::prelude::*;

    use super::*;

    struct Text {
        records: Vec<Vec<Vec<u8>>>,
        written_again: Vec<u8>,
    }

    /// All records, read through a buffer of `capacity` bytes, and all bytes put together again.
    fn scan_all(text: &[u8], delimiter: u8, capacity: usize) -> Text {
        let mut scanner = Scanner::new(BufReader::with_capacity(capacity, text), delimiter);
        let mut read = Text { records: Vec::new(), written_again: Vec::new() };
        loop {
            match scanner.next().expect("a slice can be read") {
                Scanned::Record(record) => {
                    read.records
                        .push((0..record.len()).map(|i| record.value(i).expect("within").into_owned()).collect());
                    read.written_again.extend_from_slice(record.lead());
                    for index in 0..record.len() {
                        if index > 0 {
                            read.written_again.push(delimiter);
                        }
                        read.written_again.extend_from_slice(record.raw(index).expect("within"));
                    }
                    read.written_again.extend_from_slice(record.ending());
                }
                Scanned::End(rest) => {
                    read.written_again.extend_from_slice(&rest);
                    assert_eq!(scanner.position(), text.len() as u64);
                    return read;
                }
                Scanned::TooLong => panic!("too long"),
            }
        }
    }

    /// What the `csv` crate reads.
    fn csv_crate(text: &[u8], delimiter: u8) -> Vec<Vec<Vec<u8>>> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(text)
            .byte_records()
            .map(|record| record.expect("flexible").iter().map(<[u8]>::to_vec).collect())
            .collect()
    }

    /// Bytes of which many mean something to a reader of delimited text.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            3 => Just(b'"'), 3 => Just(b','), 2 => Just(b'\n'), 2 => Just(b'\r'), 1 => Just(b'\t'),
            3 => prop::sample::select(b"ab 0".as_slice()), 1 => any::<u8>(),
        ];
        prop::collection::vec(byte, 0..80)
    }

    proptest! {
        #[test]
        fn reads_what_the_csv_crate_reads(text in text(), capacity in 1_usize..20) {
            // The scanner leaves the byte order mark to its caller; the `csv` crate takes it away.
            prop_assume!(!text.starts_with(b"\xEF\xBB\xBF"));
            for delimiter in [b',', b'\t', b'a'] {
                let read = scan_all(&text, delimiter, capacity);
                prop_assert_eq!(&read.records, &csv_crate(&text, delimiter));
                prop_assert_eq!(&read.written_again, &text);
            }
        }
    }

    #[test]
    fn named_cases_read_as_the_csv_crate_reads_them() {
        let cases: [(&str, &[u8]); 14] = [
            ("nothing", b""),
            ("only blank lines", b"\n\r\n\r"),
            ("no final line ending", b"a,b"),
            ("empty fields", b",\n,,\n"),
            ("a delimiter at the end of the text", b"a,"),
            ("blank lines between", b"a\n\n\r\nb\n"),
            ("mixed line endings", b"a\r\nb\nc\rd"),
            ("a line ending in quotes", b"\"a\r\nb\",c\n"),
            ("doubled quotes", b"\"a\"\"b\",\"\"\"\"\n"),
            ("text behind a closing quote", b"\"a\"b\"c\",d\n"),
            ("a quote inside a plain field", b"a\"b,\"c\"\n"),
            ("spaces before a quote", b" \"a,b\"\n"),
            ("an open quote", b"a,\"b\nc,d\n"),
            ("no UTF-8", b"\xff\xfe,\x00\n"),
        ];
        for (name, text) in cases {
            for capacity in [1, 2, 3, 64] {
                let read = scan_all(text, b',', capacity);
                assert_eq!(read.records, csv_crate(text, b','), "{name}");
                assert_eq!(read.written_again, text, "{name}");
            }
        }
    }

    #[test]
    fn an_open_quote_at_the_end_is_known() {
        for (text, open) in [("a,\"b", true), ("a,\"b\"", false), ("a,\"b\"\"", true), ("a\"", false)] {
            let Scanned::Record(record) = Scanner::new(text.as_bytes(), b',').next().expect("a slice can be read")
            else {
                panic!("{text}: no record")
            };
            assert_eq!(record.has_open_quote(), open, "{text}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_the_reading_early() {
        let text = b"\"".chain(io::repeat(b'x')).take(1 << 30);
        let mut scanner = Scanner::new(BufReader::new(text), b',');
        assert!(matches!(scanner.next(), Ok(Scanned::TooLong)));
        assert!(scanner.position() < 2 * MAX_RECORD as u64);
    }
}
