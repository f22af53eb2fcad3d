//! Where things are in a line of JSON: nothing is taken apart but the object itself, and nothing is written anew.
//!
//! `serde_json` goes over the whole line, so that what is no JSON is known; of the values it only tells where they are,
//! however deep they are nested.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::memchr;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What JSON calls blank.
const BLANKS: &[u8] = b" \t\r\n";

/// An object of one line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::table) struct Object {
    /// The value of each field that was asked for; of several of one name the last, as in most readers.
    pub(super) found: Vec<Option<Range<usize>>>,
    /// Where a field can be put behind the last one.
    pub(super) end: usize,
    /// Whether there is a field before it.
    pub(super) has_fields: bool,
    /// Whether a blank follows the colon of the first field: `{"a": 1}` rather than `{"a":1}`.
    pub(super) is_spaced: bool,
}

impl Object {
    /// Reads a line; `seen` is told the name of each field, and where it is from its name to the end of its value.
    pub(in crate::table) fn scan(
        line: &[u8],
        wanted: &[&str],
        seen: &mut dyn FnMut(&str, Range<usize>),
    ) -> Result<Self, NoObject> {
        let mut fields = Fields { line, wanted, found: vec![None; wanted.len()], first: None, at: 0, seen };
        let mut json = serde_json::Deserializer::from_slice(line);
        (&mut fields).deserialize(&mut json).and_then(|()| json.end()).map_err(NoObject::of)?;
        let Fields { found, first, .. } = fields;
        let trimmed = |end: usize| line[..end].trim_end_len();
        let brace = trimmed(line.len()).saturating_sub(1);
        let is_spaced = first.is_some_and(|value| line[..value].ends_with(b" "));
        Ok(Self { found, end: trimmed(brace), has_fields: first.is_some(), is_spaced })
    }
}

/// The length without the blanks at the end.
trait TrimEnd {
    fn trim_end_len(&self) -> usize;
}

impl TrimEnd for [u8] {
    fn trim_end_len(&self) -> usize {
        self.iter().rposition(|byte| !BLANKS.contains(byte)).map_or(0, |last| last + 1)
    }
}

/// Whether there is nothing but blanks.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.trim_end_len() == 0
}

/// Why a line is no object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::table) enum NoObject {
    #[error("the line is not JSON: {0}")]
    NotJson(String),
    #[error("the line is JSON, but no object with fields in braces")]
    NotAnObject,
}

impl NoObject {
    fn of(error: serde_json::Error) -> Self {
        if error.is_data() && error.to_string().starts_with("invalid type") {
            return Self::NotAnObject;
        }
        let column = error.column();
        let text = error.to_string();
        // "at line 1 column 7": the line is known, and its number here always 1.
        let reason = text.split(" at line ").next().unwrap_or(&text);
        Self::NotJson(format!("{reason} at character {column}"))
    }
}

/// What a value says.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::table) enum Value<'a> {
    Null,
    /// A string; half of a surrogate pair in it becomes U+FFFD.
    Text(String),
    /// Anything else, as it stands.
    Other(&'a str),
}

impl<'a> Value<'a> {
    /// Reads a value that [`Object::scan`] found.
    pub(in crate::table) fn of(raw: &'a [u8]) -> Self {
        match raw.first() {
            Some(b'n') => Self::Null,
            Some(b'"') => Self::Text(serde_json::from_slice(raw).map_or_else(|_| String::new(), |Text(text)| text)),
            _ => Self::Other(std::str::from_utf8(raw).unwrap_or_default()),
        }
    }

    /// What kind of thing it is, for a person.
    pub(in crate::table) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "a text",
            Self::Other(raw) => match raw.as_bytes().first() {
                Some(b'{') => "an object",
                Some(b'[') => "a list",
                Some(b't' | b'f') => "a truth value",
                _ => "a number",
            },
        }
    }
}

/// A string or a name. As bytes, since half of a surrogate pair (`"\ud800"`) is JSON but not UTF-8.
struct Text(String);

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(match String::from_utf8_lossy(bytes) {
                    Cow::Borrowed(text) => text.to_owned(),
                    Cow::Owned(text) => text,
                }))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

struct Fields<'a> {
    line: &'a [u8],
    wanted: &'a [&'a str],
    found: Vec<Option<Range<usize>>>,
    /// Where the first value begins.
    first: Option<usize>,
    /// Where the last field ends.
    at: usize,
    seen: &'a mut dyn FnMut(&str, Range<usize>),
}

impl<'de> DeserializeSeed<'de> for &mut Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            let value = map.next_value::<&'de RawValue>()?.get();
            let start = value.as_ptr().addr() - self.line.as_ptr().addr();
            self.first.get_or_insert(start);
            // Before a name, there are only a brace or a comma, and blanks.
            let name_start = self.at + memchr(b'"', &self.line[self.at..start]).unwrap_or_default();
            self.at = start + value.len();
            (self.seen)(&name, name_start..self.at);
            for (wanted, found) in self.wanted.iter().zip(&mut self.found) {
                if *wanted == name {
                    *found = Some(start..start + value.len());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(line: &str) -> Result<Object, NoObject> {
        Object::scan(line.as_bytes(), &["a", "b"], &mut |_, _| ())
    }

    #[test]
    fn fields_are_found_where_they_are() {
        let line = r#" { "x" : [{"a": 1}], "\u0061" : "1}" ,"b":null , "a":2.50 }  "#;
        let object = scan(line).expect("an object");
        let found: Vec<_> = object.found.iter().flatten().map(|place| &line[place.clone()]).collect();
        assert_eq!(found, ["2.50", "null"]);
        assert_eq!(&line[object.end..], " }  ");
        assert!(object.is_spaced && object.has_fields);
        let object = scan("{\t}\r\n").expect("an object");
        assert_eq!(object, Object { found: vec![None, None], end: 1, has_fields: false, is_spaced: false });
        let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(scan(&deep).is_ok());
    }

    #[test]
    fn fields_are_told_from_their_names_on() {
        let line = r#" { "x" : [{"a": 1}], "\u0061\"" : "1}" ,"b":null}"#;
        let mut seen = Vec::new();
        Object::scan(line.as_bytes(), &[], &mut |name, place| seen.push((name.to_owned(), &line[place]))).expect("one");
        let expected = [("x", r#""x" : [{"a": 1}]"#), ("a\"", r#""\u0061\"" : "1}""#), ("b", r#""b":null"#)];
        assert_eq!(seen, expected.map(|(name, field)| (name.to_owned(), field)));
    }

    #[test]
    fn what_is_no_object_says_why() {
        for line in ["5", "[1]", "\"a\"", "null"] {
            assert_eq!(scan(line), Err(NoObject::NotAnObject), "{line}");
        }
        for line in ["{", "{\"a\":1", "{\"a\":1,}", "{a:1}", "{}{}", "{\"a\":1} x", "{\"a\":01}", "{\"a\":NaN}", "a,b"]
        {
            assert!(matches!(scan(line), Err(NoObject::NotJson(_))), "{line}: {:?}", scan(line));
        }
        assert_eq!(
            scan("{\"a\":1,}").expect_err("no JSON").to_string(),
            "the line is not JSON: trailing comma at character 8"
        );
        assert!(matches!(Object::scan(b"{\"a\":\"\xff\"}", &[], &mut |_, _| ()), Err(NoObject::NotJson(_))));
    }

    #[test]
    fn values_say_what_they_are() {
        for (raw, value, kind) in [
            ("null", Value::Null, "null"),
            (r#""a\n\u00e9\"""#, Value::Text("a\né\"".to_owned()), "a text"),
            ("-1e5", Value::Other("-1e5"), "a number"),
            ("true", Value::Other("true"), "a truth value"),
            ("[1]", Value::Other("[1]"), "a list"),
            ("{}", Value::Other("{}"), "an object"),
        ] {
            let found = Value::of(raw.as_bytes());
            assert_eq!((&found, found.kind()), (&value, kind), "{raw}");
        }
        assert!(
            matches!(Value::of(br#""\ud83d!""#), Value::Text(text) if text.ends_with('!') && text.contains('\u{fffd}'))
        );
    }
}
