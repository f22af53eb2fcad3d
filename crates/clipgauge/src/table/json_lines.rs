//! JSON Lines: an object in each line, written as it stood with the new fields behind its last one.
//!
//! Only the fields that are needed are looked at; the others are known to be JSON and are never written anew. Blank lines
//! pass through and are no rows. A line that is no object passes through as it is, since it can take no field: its row
//! fails, and the run goes on.

mod lines;
mod object;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use memchr::memchr;

use crate::options::ScoreOptions;
use crate::row::{Row, RowError, RowErrorKind, RowImage};

use super::columns::Columns;
use super::{Cell, Position, ReadTable, Record, TableError, WriteTable, sniff};
use lines::{Line, Lines};
pub(super) use object::{NoObject, Object, Value};

/// How many rows are looked at for the names of columns, at most.
const PEEKED_ROWS: usize = 100;

/// How many bytes of them.
const PEEKED_BYTES: usize = 8 << 20;

/// A line with an object, or at least with something.
#[derive(Debug)]
pub struct JsonRecord {
    line: Line,
    /// Where a field can be added; `None` for a line that is no object.
    place: Option<Place>,
    /// The columns that [`JsonRecord::texts`] is about.
    names: Arc<[String]>,
}

/// Where the values of fields are that were looked for.
type Values = Vec<Option<Range<usize>>>;

/// Where an object takes new fields.
#[derive(Debug)]
pub(super) struct Place {
    end: usize,
    has_fields: bool,
    is_spaced: bool,
    /// The fields that stay, each from its name to the end of its value; `None` if all do.
    kept: Option<Vec<Range<usize>>>,
    /// The value that each added one takes the place of.
    replaced: Vec<Option<Range<usize>>>,
}

/// The fields of an object that are not written as they stand.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Those that give way to new ones, in the order of the added columns.
    replaced: Vec<String>,
    /// Those that stay; `None` if all do.
    kept: Option<Vec<String>>,
}

impl Changed {
    /// What the options say.
    pub(super) fn of(options: &ScoreOptions) -> Self {
        let added = || options.added_columns().into_iter().map(|column| column.name);
        let replaced: Vec<String> = if options.replaces_columns() { added().collect() } else { Vec::new() };
        // Where a field is replaced, its new value is written.
        let kept = options.filters.keep_columns.as_ref().map(|kept| kept.iter().chain(&replaced).cloned().collect());
        Self { replaced, kept }
    }
}

impl Place {
    /// That of `{}`, spaced as Python does it.
    pub(super) fn of_empty() -> Self {
        Self { end: 1, has_fields: false, is_spaced: true, kept: None, replaced: Vec::new() }
    }

    /// Reads an object, finds the values of the fields `wanted`, and where it is to be changed.
    pub(super) fn scan(json: &[u8], wanted: &[&str], changed: &Changed) -> Result<(Self, Values), NoObject> {
        let all: Vec<&str> = wanted.iter().copied().chain(changed.replaced.iter().map(String::as_str)).collect();
        let mut kept = changed.kept.as_ref().map(|_| Vec::new());
        let mut see = |name: &str, place| {
            if let (Some(kept), Some(names)) = (&mut kept, &changed.kept)
                && names.iter().any(|known| known == name)
            {
                kept.push(place);
            }
        };
        let Object { mut found, end, has_fields, is_spaced } = Object::scan(json, &all, &mut see)?;
        let replaced = found.split_off(wanted.len());
        Ok((Self { end, has_fields, is_spaced, kept, replaced }, found))
    }

    /// Writes the object with its new fields; `names` are theirs, as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>, json: &[u8], names: &[String], cells: &[Cell]) {
        let Self { end, has_fields, is_spaced, kept, replaced } = self;
        let (end, mut has_fields) = (*end, *has_fields);
        let replaced_by = |index: usize| replaced.get(index).cloned().flatten();
        let mut replacements: Vec<_> =
            (0..cells.len()).filter_map(|index| Some((replaced_by(index)?, &cells[index]))).collect();
        replacements.sort_by_key(|(range, _)| range.start);
        let comma: &[u8] = if *is_spaced { b", " } else { b"," };
        match kept {
            None => write_part(out, json, 0..end, &replacements),
            Some(kept) => {
                let brace = memchr(b'{', json).map_or(0, |brace| brace + 1);
                out.extend_from_slice(&json[..brace]);
                has_fields = !kept.is_empty();
                for (index, field) in kept.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { comma } else { b"" });
                    write_part(out, json, field.clone(), &replacements);
                }
            }
        }
        for (index, (name, cell)) in names.iter().zip(cells).enumerate() {
            if replaced_by(index).is_some() {
                continue;
            }
            if has_fields {
                out.extend_from_slice(comma);
            }
            has_fields = true;
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(if *is_spaced { b": " } else { b":" });
            cell.write_json(out);
        }
        out.extend_from_slice(&json[end..]);
    }
}

impl JsonRecord {
    pub(super) fn size(&self) -> usize {
        size_of::<Place>() + self.line.size()
    }

    /// The values of the table's columns: strings as what they say, others as they are written.
    pub(super) fn texts(&self) -> Vec<Option<String>> {
        let text = self.line.text();
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let Ok(object) = Object::scan(text, &names, &mut |_, _| ()) else { return vec![None; names.len()] };
        let value = |place: Option<Range<usize>>| match Value::of(&text[place?]) {
            Value::Null => None,
            Value::Text(text) => Some(text),
            Value::Other(raw) => Some(raw.to_owned()),
        };
        object.found.into_iter().map(value).collect()
    }

    /// Tells the name of each field, and its value as it is written.
    pub(super) fn fields(&self, told: &mut dyn FnMut(&str, &str)) {
        tell_fields(self.line.text(), told);
    }
}

/// Tells the name of each field of an object, and its value as it is written. What is no object has none.
pub(super) fn tell_fields(json: &[u8], told: &mut dyn FnMut(&str, &str)) {
    let mut names: Vec<String> = Vec::new();
    let mut see = |name: &str, _: Range<usize>| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    if Object::scan(json, &[], &mut see).is_err() {
        return;
    }
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = Object::scan(json, &wanted, &mut |_, _| ()).map(|object| object.found).unwrap_or_default();
    for (name, place) in wanted.iter().zip(found) {
        if let Some(value) = place.and_then(|place| std::str::from_utf8(&json[place]).ok()) {
            told(name, value);
        }
    }
}

/// The blank lines after the last record, which the reader finds and the writer writes.
type Rest = Arc<OnceLock<Vec<u8>>>;

/// Looks at the first rows for the columns.
pub(super) fn open(
    input: Box<dyn Read + Send>,
    total_bytes: Option<u64>,
    options: &ScoreOptions,
) -> Result<(JsonReader, JsonLayout), TableError> {
    let name = options.input.to_string();
    let sniff::Text { bom, rest: text } = sniff::begin(input, &options.input)?;

    let mut lines = Lines::new(text, name.clone());
    let mut needed = vec![options.image_column.as_str(), options.caption_column.as_str()];
    needed.extend(options.filters.keep_columns.iter().flatten().map(String::as_str));
    let mut names: Vec<String> = Vec::new();
    let (mut peeked, mut bytes, mut first_error) = (VecDeque::new(), 0, None);
    let mut has_objects = false;
    // A pipe may have no more rows for a long time: then no more is read than is needed.
    let is_enough =
        |names: &[String]| total_bytes.is_none() && needed.iter().all(|needed| names.iter().any(|name| name == needed));
    while peeked.len() < PEEKED_ROWS && bytes < PEEKED_BYTES && !is_enough(&names) {
        let Some(line) = lines.next(peeked.len() as u64 + 1)? else { break };
        let mut see = |name: &str, _| {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        };
        match Object::scan(line.text(), &[], &mut see) {
            Ok(_) => has_objects = true,
            Err(error) => drop(first_error.get_or_insert(error)),
        }
        bytes += line.size();
        peeked.push_back((line, lines.position()));
    }
    let added: Vec<String> = options.added_columns().into_iter().map(|column| column.name).collect();
    match first_error {
        Some(error) if !has_objects => return Err(TableError::NoObjects { name, reason: error.to_string() }),
        // A table without a row has no columns, and none that is missing.
        _ if peeked.is_empty() => {}
        _ => drop(Columns::find(&names, options)?),
    }
    let (names, rest): (Arc<[String]>, _) = (names.into(), Rest::default());
    let layout = JsonLayout { bom, names: Arc::clone(&names), added, rest: Arc::clone(&rest) };
    let changed = Changed::of(options);
    let (image, caption) = (options.image_column.clone(), options.caption_column.clone());
    let bom_bytes = bom.len() as u64;
    Ok((
        JsonReader { lines, peeked, image, caption, changed, names, bom_bytes, total_bytes, rows: 0, at: 0, rest },
        layout,
    ))
}

/// Reads the rows of a table of JSON lines.
pub(super) struct JsonReader {
    lines: Lines,
    /// Lines that were read already, each with where it ends.
    peeked: VecDeque<(Line, u64)>,
    /// The image's field.
    image: String,
    caption: String,
    changed: Changed,
    names: Arc<[String]>,
    bom_bytes: u64,
    total_bytes: Option<u64>,
    rows: u64,
    at: u64,
    rest: Rest,
}

impl ReadTable for JsonReader {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        let line = match self.peeked.pop_front() {
            Some((line, end)) => {
                self.at = end;
                line
            }
            None => {
                let line = self.lines.next(self.rows + 1)?;
                self.at = self.lines.position();
                let Some(line) = line else {
                    self.rest.get_or_init(|| self.lines.take_rest());
                    return Ok(None);
                };
                line
            }
        };
        self.rows += 1;
        let wanted = [self.image.as_str(), self.caption.as_str()];
        let names = Arc::clone(&self.names);
        let text = line.text();
        let (place, found) = match Place::scan(text, &wanted, &self.changed) {
            Ok(scanned) => scanned,
            Err(reason) => {
                let error = Some(RowError::new(RowErrorKind::Corrupt, reason.to_string()));
                let record = Record::Json(JsonRecord { line, place: None, names });
                return Ok(Some(Row { number: self.rows, image: None, caption: None, error, origin: None, record }));
            }
        };
        let mut error = None;
        let mut text_of = |index: usize, what: &str, kind| match Value::of(&text[found[index].clone()?]) {
            Value::Null => None,
            Value::Text(text) => Some(text),
            other => {
                let message = format!("the {what} is {}, not a text", other.kind());
                error.get_or_insert(RowError::new(kind, message));
                None
            }
        };
        let image = text_of(0, "image", RowErrorKind::BadAddress).map(RowImage::Address);
        let caption = text_of(1, "caption", RowErrorKind::NoCaption);
        let record = JsonRecord { line, place: Some(place), names };
        Ok(Some(Row { number: self.rows, image, caption, error, origin: None, record: Record::Json(record) }))
    }

    fn keep_columns(&mut self, names: &[String]) {
        self.names = names.into();
    }

    fn position(&self) -> Position {
        Position { rows: self.rows, bytes_read: self.bom_bytes + self.at, total_bytes: self.total_bytes }
    }
}

/// The names of the columns, and what the new ones are called.
#[derive(Debug)]
pub struct JsonLayout {
    bom: &'static [u8],
    names: Arc<[String]>,
    added: Vec<String>,
    rest: Rest,
}

impl JsonLayout {
    pub(super) fn added(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(String::as_str)
    }

    /// Leaves blank lines after the last row to somebody else.
    pub(super) fn end_at_last_row(&self) {
        self.rest.get_or_init(Vec::new);
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.to_vec()
    }

    /// Lets rows of more tables follow: what is at the end of the first is not that of the whole.
    pub(super) fn join_more(&mut self) {
        self.rest = Rest::default();
    }

    /// Gives what writes the rows.
    pub(super) fn writer<'a>(self, mut out: Box<dyn Write + Send + 'a>) -> Result<JsonWriter<'a>, TableError> {
        out.write_all(self.bom).map_err(TableError::Write)?;
        let names = self.added.iter().map(|name| serde_json::Value::from(name.as_str()).to_string()).collect();
        Ok(JsonWriter { out, line: Vec::new(), is_ended: true, names, rest: self.rest })
    }
}

/// Writes the rows of a table of JSON lines.
pub(super) struct JsonWriter<'a> {
    out: Box<dyn Write + Send + 'a>,
    line: Vec<u8>,
    /// Whether the last line has an ending; the last one of a table need not.
    is_ended: bool,
    /// The names of the added fields, as JSON.
    names: Vec<String>,
    rest: Rest,
}

impl WriteTable for JsonWriter<'_> {
    fn write(&mut self, record: Record, cells: &[Cell]) -> Result<(), TableError> {
        let Record::Json(JsonRecord { line, place, .. }) = record else { return Err(super::foreign_record()) };
        self.line.clear();
        if !self.is_ended {
            // The next of several tables begins.
            self.line.push(b'\n');
        }
        self.is_ended = line.text().ends_with(b"\n");
        self.line.extend_from_slice(line.lead());
        match place {
            Some(place) => place.write(&mut self.line, line.text(), &self.names, cells),
            None => self.line.extend_from_slice(line.text()),
        }
        self.out.write_all(&self.line).map_err(TableError::Write)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.out.flush().map_err(TableError::Write)
    }

    fn finish(&mut self) -> Result<(), TableError> {
        let rest = self.rest.get().map_or(&[][..], Vec::as_slice);
        self.out.write_all(rest).map_err(TableError::Write)?;
        self.flush()
    }
}

/// Writes a part of an object, with other values in their places.
fn write_part(out: &mut Vec<u8>, text: &[u8], part: Range<usize>, replacements: &[(Range<usize>, &Cell)]) {
    let mut at = part.start;
    for (range, cell) in replacements.iter().filter(|(range, _)| part.contains(&range.start)) {
        out.extend_from_slice(&text[at..range.start]);
        cell.write_json(out);
        at = range.end;
    }
    out.extend_from_slice(&text[at..part.end]);
}

#[cfg(test)]
mod tests;
