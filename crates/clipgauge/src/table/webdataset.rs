//! WebDataset: tar shards whose members of one key are a sample, `{key}.jpg`, `{key}.txt`, `{key}.json`.
//!
//! A shard is read once from its beginning to its end, a sample at a time. Written as shards again, every member stays as
//! it stands, block by block, and the score is a field of the sample's JSON. Into another format, samples become rows
//! with their key, their text and the fields of their JSON.

mod json_member;
mod raw;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use tar::Header;

use crate::members::{BLOCK, Members};
use crate::options::{DEFAULT_IMAGE_COLUMN, ScoreOptions};
use crate::row::{Row, RowError, RowErrorKind, RowImage};

use super::columns::{Added, Columns};
use super::json_lines::{Changed, Object, Place, Value, tell_fields};
use super::kept::Kept;
use super::pictures::text_of;
use super::{Cell, Position, ReadTable, Record, TableError, WriteTable};
pub(crate) use json_member::new_member;
use json_member::with_data;
use raw::{Limits, Raw};
use sample::{Found, JSON, JsonMember, Sample, Samples, TEXT, Wanted};

/// The column with a sample's key.
const KEY: &str = "__key__";

/// How many samples are looked at for the names of columns, at most.
const PEEKED_SAMPLES: usize = 100;

/// How many bytes of the tar.
const PEEKED_BYTES: u64 = 16 << 20;

/// The most bytes of a caption or JSON that is looked at.
const MAX_TEXT: usize = 8 << 20;

/// What a tar's length is a multiple of, as GNU tar and Python write it.
const RECORD: u64 = 20 * BLOCK as u64;

/// Ends a tar of which so many bytes are written.
pub(crate) fn write_end(written: u64, out: &mut impl Write) -> io::Result<()> {
    let end = (written + 2 * BLOCK as u64).next_multiple_of(RECORD);
    io::copy(&mut io::repeat(0).take(end - written), out).map(drop)
}

/// A sample as it stood in its tar.
#[derive(Debug)]
pub struct TarRecord {
    raw: Raw,
    key: String,
    text: Option<String>,
    json: Option<Bytes>,
    /// How the JSON takes new fields.
    change: Change,
    /// The columns that [`TarRecord::texts`] is about.
    names: Arc<[String]>,
}

/// What becomes of a sample's JSON.
#[derive(Debug)]
enum Change {
    /// It gets the new fields.
    Fields(Box<JsonMember>, Place),
    /// There is none, and one is made with a header like this one.
    New(Box<Header>, Vec<u8>),
    /// It can take no field, and stays.
    None,
}

impl TarRecord {
    pub(super) fn size(&self) -> usize {
        self.raw.size() + self.text.as_ref().map_or(0, String::capacity) + self.json.as_ref().map_or(0, Bytes::len)
    }

    fn values<T>(&self, of_text: impl Fn(&str) -> T, of_field: impl Fn(&[u8]) -> Option<T>) -> Vec<Option<T>> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let json = self.json.as_deref().unwrap_or_default();
        let fields =
            Place::scan(json, &names, &Changed::default()).map_or_else(|_| vec![None; names.len()], |(_, found)| found);
        let value = |(name, field): (&&str, Option<Range<usize>>)| match *name {
            KEY => Some(of_text(&self.key)),
            TEXT => self.text.as_deref().map(&of_text),
            _ => field.and_then(|field| of_field(&json[field])),
        };
        names.iter().zip(fields).map(value).collect()
    }

    /// Tells its key and each field of its JSON, as JSON.
    pub(super) fn fields(&self, told: &mut dyn FnMut(&str, &str)) {
        told(KEY, &serde_json::Value::from(self.key.as_str()).to_string());
        tell_fields(self.json.as_deref().unwrap_or_default(), told);
    }

    /// Its key, its text and the fields of its JSON: strings as what they say, others as they are written.
    pub(super) fn texts(&self) -> Vec<Option<String>> {
        self.values(str::to_owned, |field| match Value::of(field) {
            Value::Null => None,
            Value::Text(text) => Some(text),
            Value::Other(raw) => Some(raw.to_owned()),
        })
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Vec<String> {
        let as_json = |text: &str| serde_json::Value::from(text).to_string();
        let raw = |field: &[u8]| Some(String::from_utf8_lossy(field).into_owned());
        self.values(as_json, raw).into_iter().map(|value| value.unwrap_or_else(|| "null".to_owned())).collect()
    }
}

/// What is of no sample in a tar without one, which the reader finds and the writer writes.
type Rest = Arc<OnceLock<Mutex<Raw>>>;

/// Looks at the first samples for the columns.
pub(super) fn open(
    input: Box<dyn Read + Send>,
    total_bytes: Option<u64>,
    options: &ScoreOptions,
    keeps_rows: bool,
) -> Result<(TarReader, TarLayout), TableError> {
    let name = options.input.to_string();
    let max = options.fetch.max_bytes;
    let limits = Limits { member: max, sample: max.saturating_mul(2).saturating_add(1 << 20) };
    let wanted = Wanted::new(options);
    let samples = Samples::new(Members::new(begin(input, &name)?), wanted.clone(), !keeps_rows, limits);
    let mut reader = TarReader {
        samples,
        name,
        peeked: VecDeque::new(),
        failure: None,
        wanted,
        changed: Changed::of(options),
        names: Arc::from([]),
        total_bytes,
        rows: 0,
        at: 0,
        rest: Rest::default(),
    };
    let names = reader.peek(options)?;
    let caption = names.iter().position(|name| [TEXT, &options.caption_column].contains(&name.as_str()));
    // Neither the image nor the caption is a column that has to be there.
    let key = ScoreOptions { image_column: KEY.to_owned(), caption_column: KEY.to_owned(), ..options.clone() };
    let Columns { added, kept, .. } = Columns::find(&names, &key)?;
    reader.names = Arc::from(names.as_slice());
    let layout =
        TarLayout { names, pair: [0, caption.unwrap_or_default()], added, kept, rest: Arc::clone(&reader.rest) };
    Ok((reader, layout))
}

/// Refuses what is compressed, which is known by its first bytes, and what has none.
fn begin(mut input: Box<dyn Read + Send>, name: &str) -> Result<Box<dyn Read + Send>, TableError> {
    let mut start = Vec::new();
    let read = input.by_ref().take(4).read_to_end(&mut start);
    read.map_err(|source| TableError::Read { name: name.to_owned(), source })?;
    let (what, remedy) = match start.as_slice() {
        [0x1F, 0x8B, ..] => ("a gzip file", "name it .tar.gz, or send it through `gzip -dc`"),
        [0x28, 0xB5, 0x2F, 0xFD] => ("a Zstandard file", "name it .tar.zst, or send it through `zstd -dc`"),
        [] => ("a file of 0 bytes", "a tar has a kilobyte of zeros at its end even if it is empty: fetch it again"),
        _ => return Ok(Box::new(io::Cursor::new(start).chain(input))),
    };
    Err(TableError::NotTar { name: name.to_owned(), what, remedy })
}

/// Reads the samples of a tar.
pub(super) struct TarReader {
    samples: Samples,
    name: String,
    /// Samples that were read already, each with where it ends.
    peeked: VecDeque<(Sample, u64)>,
    /// What went wrong behind them.
    failure: Option<TableError>,
    wanted: Wanted,
    /// The fields that are replaced or dropped.
    changed: Changed,
    names: Arc<[String]>,
    total_bytes: Option<u64>,
    rows: u64,
    at: u64,
    rest: Rest,
}

impl TarReader {
    /// Looks at the first samples; gives the names of the columns.
    fn peek(&mut self, options: &ScoreOptions) -> Result<Vec<String>, TableError> {
        let mut names = vec![KEY.to_owned()];
        let mut extensions: Vec<String> = Vec::new();
        let (mut has_image, mut has_caption) = (false, false);
        // A pipe may have no more samples for a long time: then no more is read than is needed.
        let is_pipe = self.total_bytes.is_none();
        while self.peeked.len() < PEEKED_SAMPLES && self.at < PEEKED_BYTES && !(is_pipe && has_image && has_caption) {
            let row = self.peeked.len() as u64 + 1;
            let sample = match self.next_sample(row) {
                Err(error) if row > 1 => {
                    // The samples before it are whole.
                    self.failure = Some(error);
                    break;
                }
                sample => sample?,
            };
            let Some(sample) = sample else { break };
            has_image |= sample.image(&self.wanted).is_some();
            has_caption |= sample.caption(&self.wanted).is_some();
            let told = sample.told_extensions().iter();
            extensions.extend(told.filter(|extension| !extensions.contains(extension)).cloned().collect::<Vec<_>>());
            let mut see = |name: &str, _: Range<usize>| {
                has_caption |= name == self.wanted.field;
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            };
            if sample.found(TEXT).is_some() {
                see(TEXT, 0..0);
            }
            if let Some(Found::Here(json)) = sample.found(JSON) {
                // What is no object has no fields.
                let _ = Object::scan(json, &[], &mut see);
            }
            self.peeked.push_back((sample, self.samples.position()));
        }
        self.at = 0;
        if self.peeked.is_empty() || (has_image && has_caption) {
            return Ok(names);
        }
        let name = self.name.clone();
        if !has_image {
            let image = Some(&options.image_column).filter(|column| *column != DEFAULT_IMAGE_COLUMN).cloned();
            return Err(TableError::NoPictures { name, image, extensions });
        }
        Err(TableError::NoCaptions { name, caption: options.caption_column.clone(), extensions })
    }

    fn next_sample(&mut self, row: u64) -> Result<Option<Sample>, TableError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let sample = self.samples.next().map_err(|source| TableError::Damaged {
            name: self.name.clone(),
            what: "a tar",
            row: Some(row),
            source,
        })?;
        self.at = self.samples.position();
        Ok(sample)
    }

    fn row(&self, mut sample: Sample) -> Row {
        let duplicate = sample.duplicate.take().map(|extension| {
            RowError::new(RowErrorKind::Corrupt, format!("the sample has two members `.{extension}`"))
        });
        let (image, no_image) = image_of(&sample, &self.wanted);
        let json = text_member(sample.found(JSON), "JSON");
        let scanned = json.clone().and_then(|json| self.scan(json.as_deref().unwrap_or_default(), json.is_some()));
        let caption = match text_member(sample.caption(&self.wanted), "caption") {
            Ok(Some(text)) => Ok(Some(text_of(&text))),
            Ok(None) => scanned.as_ref().map_or(Ok(None), |scanned| scanned.caption.clone()),
            Err(error) => Err(error),
        };
        let text = text_member(sample.found(TEXT), "caption").ok().flatten();
        let (caption, no_caption) = either(caption);
        let (place, no_json) = either(scanned.map(|scanned| scanned.place));
        let change = match (place.flatten(), sample.json.take()) {
            (Some(place), Some(member)) => Change::Fields(Box::new(member), place),
            _ if sample.found(JSON).is_none() => Change::New(Box::new(sample.template), sample.key.clone()),
            _ => Change::None,
        };
        let record = TarRecord {
            raw: sample.raw,
            key: String::from_utf8_lossy(&sample.key).into_owned(),
            text: text.as_deref().map(text_of),
            json: json.unwrap_or_default(),
            change,
            names: Arc::clone(&self.names),
        };
        Row {
            number: self.rows,
            image,
            caption: caption.flatten(),
            error: duplicate.or(no_image).or(no_caption).or(no_json),
            origin: None,
            record: Record::Tar(Box::new(record)),
        }
    }

    /// Looks for the caption, and for the place of new fields, in a sample's JSON, if there is one.
    fn scan(&self, json: &[u8], is_there: bool) -> Result<Scanned, RowError> {
        if !is_there {
            return Ok(Scanned { place: None, caption: Ok(None) });
        }
        let (place, found) = Place::scan(json, &[&self.wanted.field], &self.changed).map_err(|reason| {
            RowError::new(RowErrorKind::Corrupt, reason.to_string().replace("the line", "the sample's JSON"))
        })?;
        let caption = match found[0].clone().map(|field| Value::of(&json[field])) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => {
                let message = format!("the caption is {}, not a text", other.kind());
                Err(RowError::new(RowErrorKind::NoCaption, message))
            }
        };
        Ok(Scanned { place: Some(place), caption })
    }
}

/// What a sample's JSON says.
struct Scanned {
    place: Option<Place>,
    caption: Result<Option<String>, RowError>,
}

fn either<T>(result: Result<T, RowError>) -> (Option<T>, Option<RowError>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    }
}

/// The image of a sample, or why it has none that can be used.
fn image_of(sample: &Sample, wanted: &Wanted) -> (Option<RowImage>, Option<RowError>) {
    match sample.image(wanted) {
        Some((Found::Here(bytes), name)) => {
            (Some(RowImage::Bytes { bytes: bytes.clone(), name: Some(name.to_owned()) }), None)
        }
        Some((found, name)) => (Some(RowImage::Address(name.to_owned())), Some(refused(found, "image"))),
        None => {
            let members: Vec<_> = sample.told_extensions().iter().map(|extension| format!("`.{extension}`")).collect();
            let message = format!("the sample has no picture, only {}", members.join(", "));
            (None, Some(RowError::new(RowErrorKind::NoImage, message)))
        }
    }
}

/// The bytes of a member with text, if there is one.
fn text_member(found: Option<&Found>, what: &str) -> Result<Option<Bytes>, RowError> {
    match found {
        None => Ok(None),
        Some(Found::Here(bytes)) if bytes.len() <= MAX_TEXT => Ok(Some(bytes.clone())),
        Some(Found::Here(bytes)) => Err(refused(&Found::TooLarge(bytes.len() as u64), what)),
        Some(found) => Err(refused(found, what)),
    }
}

/// Why a member that is there cannot be used.
fn refused(found: &Found, what: &str) -> RowError {
    match found {
        Found::Sparse => {
            let message = format!("the {what} is stored without its holes, as a sparse file");
            RowError::new(RowErrorKind::Unsupported, message)
        }
        Found::TooLarge(size) => {
            RowError::new(RowErrorKind::TooLarge, format!("the {what} has {size} bytes, more than are allowed"))
        }
        Found::Here(_) => RowError::new(RowErrorKind::TooLarge, format!("the {what} is larger than allowed")),
    }
}

impl ReadTable for TarReader {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        let sample = match self.peeked.pop_front() {
            Some((sample, end)) => {
                self.at = end;
                Some(sample)
            }
            None => self.next_sample(self.rows + 1)?,
        };
        let Some(sample) = sample else {
            self.rest.get_or_init(|| Mutex::new(self.samples.take_rest()));
            return Ok(None);
        };
        self.rows += 1;
        Ok(Some(self.row(sample)))
    }

    fn keep_columns(&mut self, names: &[String]) {
        self.names = names.into();
    }

    fn position(&self) -> Position {
        Position { rows: self.rows, bytes_read: self.at, total_bytes: self.total_bytes }
    }
}

/// The columns that samples have as rows, and what the new ones are called.
#[derive(Debug)]
pub struct TarLayout {
    names: Vec<String>,
    /// What stands for the image, and the caption's column.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only vectors are kept with them"))]
    pair: [usize; 2],
    added: Vec<Added>,
    kept: Kept,
    rest: Rest,
}

impl TarLayout {
    pub(super) fn added(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|added| added.name.as_str())
    }

    pub(super) fn into_columns(self) -> (Vec<Added>, Kept) {
        (self.added, self.kept)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    #[cfg(feature = "parquet")]
    pub(super) fn pair(&self) -> [usize; 2] {
        self.pair
    }

    /// Lets samples of more tars follow: what is left of the first is not what is left of all.
    pub(super) fn join_more(&mut self) {
        self.rest = Rest::default();
    }

    /// Gives what writes the shard.
    pub(super) fn writer<'a>(self, out: Box<dyn Write + Send + 'a>) -> TarWriter<'a> {
        let names = self.added.iter().map(|added| serde_json::Value::from(added.name.as_str()).to_string()).collect();
        TarWriter { out, names, rest: self.rest, written: 0 }
    }
}

/// Writes a shard.
pub(super) struct TarWriter<'a> {
    out: Box<dyn Write + Send + 'a>,
    /// The names of the added fields, as JSON.
    names: Vec<String>,
    rest: Rest,
    written: u64,
}

impl TarWriter<'_> {
    fn write_raw(&mut self, raw: &Raw) -> io::Result<()> {
        for piece in &raw.pieces {
            self.written += raw.write(piece, &mut self.out)?;
        }
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn write_sample(&mut self, record: &TarRecord, cells: &[Cell]) -> io::Result<()> {
        match &record.change {
            Change::Fields(member, place) => {
                for (index, piece) in record.raw.pieces.iter().enumerate() {
                    if index == member.piece {
                        let mut json = Vec::new();
                        place.write(&mut json, record.json.as_deref().unwrap_or_default(), &self.names, cells);
                        self.write_bytes(&with_data(member, &json))?;
                    } else {
                        self.written += record.raw.write(piece, &mut self.out)?;
                    }
                }
                Ok(())
            }
            Change::New(template, key) => {
                self.write_raw(&record.raw)?;
                let (place, empty) = (Place::of_empty(), b"{}");
                let mut json = Vec::new();
                place.write(&mut json, empty, &self.names, cells);
                self.write_bytes(&new_member(template, &[key.as_slice(), b".json"].concat(), &json))
            }
            Change::None => self.write_raw(&record.raw),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let rest = Arc::clone(&self.rest);
        if let Some(rest) = rest.get() {
            self.write_raw(&rest.lock().unwrap_or_else(PoisonError::into_inner))?;
        }
        write_end(self.written, &mut self.out)?;
        self.out.flush()
    }
}

impl WriteTable for TarWriter<'_> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        let Record::Tar(record) = record else { return Err(super::foreign_record()) };
        self.write_sample(&record, cells).map_err(TableError::Write)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.out.flush().map_err(TableError::Write)
    }

    fn finish(&mut self) -> Result<(), TableError> {
        self.end().map_err(TableError::Write)
    }

    fn finish_early(&mut self) -> Result<(), TableError> {
        self.finish()
    }
}
