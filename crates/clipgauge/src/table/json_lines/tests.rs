//! Lines in and out: every byte stays, and the new fields stand behind the last one.

use std::io::{self, Cursor};

use proptest::prelude::*;

use super::*;
use crate::options::Input as Source;
use crate::table::scan::MAX_RECORD;

fn options() -> ScoreOptions {
    ScoreOptions::new(Source::Stdin)
}

/// What a run makes of `text` when the row with number n gets the score n / 2, and every third row fails.
fn scored(text: &[u8], options: &ScoreOptions) -> Result<(Vec<u8>, Vec<Row>), TableError> {
    let (mut reader, layout) = open(Box::new(Cursor::new(text.to_vec())), None, options)?;
    let (mut out, mut rows) = (Vec::new(), Vec::new());
    let mut writer = layout.writer(Box::new(&mut out))?;
    while let Some(mut row) = reader.read()? {
        assert_eq!(reader.position().rows, row.number);
        let fails = row.number.is_multiple_of(3);
        let mut cells = vec![Cell::Score((!fails).then_some(row.number as f32 / 2.0))];
        if options.error_column.is_some() {
            cells.push(Cell::ErrorKind(fails.then_some(RowErrorKind::NotFound)));
        }
        let none = Record::Json(JsonRecord { line: Lines::empty(), place: None, names: Arc::default() });
        writer.write(std::mem::replace(&mut row.record, none), &cells)?;
        rows.push(row);
    }
    assert!(reader.read()?.is_none());
    writer.finish()?;
    drop(writer);
    assert_eq!(reader.position().bytes_read, text.len() as u64);
    Ok((out, rows))
}

fn written(text: &str, options: &ScoreOptions) -> String {
    let (out, _) = scored(text.as_bytes(), options).unwrap_or_else(|error| panic!("{text}: {error}"));
    String::from_utf8(out).expect("UTF-8 in, UTF-8 out")
}

#[test]
fn the_field_goes_behind_the_last_one_and_the_rest_stays() {
    let row = r#"{"url":"a","caption":"b"}"#;
    let cases = [
        ("compact", format!("{row}\n"), r#"{"url":"a","caption":"b","similarity":0.5}"#.to_owned() + "\n"),
        (
            "spaced",
            "{\"url\": \"a\", \"caption\": \"b\"}\n".to_owned(),
            "{\"url\": \"a\", \"caption\": \"b\", \"similarity\": 0.5}\n".to_owned(),
        ),
        (
            "blanks inside and outside",
            " {\t\"url\":\"a\" ,\"caption\":\"b\" }\t\r\n".to_owned(),
            " {\t\"url\":\"a\" ,\"caption\":\"b\",\"similarity\":0.5 }\t\r\n".to_owned(),
        ),
        ("no final line ending", row.to_owned(), r#"{"url":"a","caption":"b","similarity":0.5}"#.to_owned()),
        (
            "blank lines",
            format!("\n \r\n{row}\n\n\t\n"),
            "\n \r\n{\"url\":\"a\",\"caption\":\"b\",\"similarity\":0.5}\n\n\t\n".to_owned(),
        ),
        (
            "byte order mark",
            format!("\u{feff}{row}\n"),
            "\u{feff}{\"url\":\"a\",\"caption\":\"b\",\"similarity\":0.5}\n".to_owned(),
        ),
        (
            "an object without fields, and a failed row",
            format!("{row}\n{{ }}\n{row}\n"),
            format!(
                "{}\n{{\"similarity\":1 }}\n{}\n",
                &(row[..row.len() - 1].to_owned() + ",\"similarity\":0.5}"),
                &(row[..row.len() - 1].to_owned() + ",\"similarity\":null}")
            ),
        ),
        (
            "what only looks like the end",
            "{\"url\":\"}\\\"}\",\"caption\":\"b\",\"x\":{\"y\":[{}]}}\n".to_owned(),
            "{\"url\":\"}\\\"}\",\"caption\":\"b\",\"x\":{\"y\":[{}]},\"similarity\":0.5}\n".to_owned(),
        ),
        (
            "numbers as they stand",
            "{\"url\":\"a\",\"caption\":\"b\",\"n\":1.0e+2,\"big\":123456789012345678901234567890}".to_owned(),
            "{\"url\":\"a\",\"caption\":\"b\",\"n\":1.0e+2,\"big\":123456789012345678901234567890,\"similarity\":0.5}"
                .to_owned(),
        ),
        ("no row", String::new(), String::new()),
        ("only blanks", "\n\n".to_owned(), "\n\n".to_owned()),
    ];
    for (name, text, expected) in cases {
        assert_eq!(written(&text, &options()), expected, "{name}");
    }
}

#[test]
fn a_line_that_is_no_object_passes_through_and_its_row_fails() {
    let text = b"{\"url\":\"a\",\"caption\":\"b\"}\nnot json\n[1,2]\n{\"url\":\"a\"\n{\"url\":\"\xff\"}\n";
    let (out, rows) = scored(text, &options()).expect("a table");
    assert_eq!(&out[out.iter().position(|byte| *byte == b'\n').expect("a line")..], &text[25..]);
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0].error, None);
    for row in &rows[1..] {
        let error = row.error.as_ref().expect("an error");
        assert_eq!(error.kind, RowErrorKind::Corrupt);
        assert!(error.message.starts_with("the line is "), "{}", error.message);
    }
}

#[test]
fn cells_are_what_they_say_or_an_error() {
    let first = "{\"url\":\"a\",\"caption\":\"b\"}\n";
    type Case = (&'static str, Option<&'static str>, Option<&'static str>, Option<RowErrorKind>);
    let cases: [Case; 9] = [
        (r#"{"caption":"b"}"#, None, Some("b"), None),
        (r#"{"url":null,"caption":null}"#, None, None, None),
        (r#"{"url":"a\u00e9\n","caption":""}"#, Some("aé\n"), Some(""), None),
        (r#"{"url":7,"caption":"b"}"#, None, Some("b"), Some(RowErrorKind::BadAddress)),
        (r#"{"url":{"path":"a"},"caption":"b"}"#, None, Some("b"), Some(RowErrorKind::BadAddress)),
        (r#"{"url":"a","caption":["b"]}"#, Some("a"), None, Some(RowErrorKind::NoCaption)),
        (r#"{"url":"a","caption":true}"#, Some("a"), None, Some(RowErrorKind::NoCaption)),
        (r#"{"url":"a","url":"c","caption":"b"}"#, Some("c"), Some("b"), None),
        (r#"{"\u0075rl":"a","caption":"b","similarity":9}"#, Some("a"), Some("b"), None),
    ];
    for (line, image, caption, error) in cases {
        let (_, rows) = scored(format!("{first}{line}\n").as_bytes(), &options()).expect("a table");
        let row = &rows[1];
        assert_eq!((row.image_name(), row.caption.as_deref()), (image, caption), "{line}");
        assert_eq!(row.error.as_ref().map(|error| error.kind), error, "{line}");
    }
}

#[test]
fn fields_are_replaced_in_place_only_when_asked() {
    let overwrite = ScoreOptions { overwrite: true, error_column: Some("why".to_owned()), ..options() };
    for (text, expected) in [
        (
            r#"{"why":{"a":[1]},"url":"a","similarity": 0.1 ,"caption":"b"}"#,
            r#"{"why":null,"url":"a","similarity": 0.5 ,"caption":"b"}"#,
        ),
        (r#"{"url":"a","similarity":"old","caption":"b"}"#, r#"{"url":"a","similarity":0.5,"caption":"b","why":null}"#),
    ] {
        assert_eq!(written(text, &overwrite), expected);
    }
    let refused = scored(br#"{"url":"a","similarity":0.1,"caption":"b"}"#, &options()).expect_err("a column too many");
    assert!(matches!(&refused, TableError::ColumnExists { column, .. } if column == "similarity"), "{refused}");
    // What is only found out on the way is kept: readers take the last of two fields of one name.
    let first = r#"{"url":"a","caption":"b"}"#;
    let text = format!("{first}\n{{\"similarity\":7,\"url\":\"a\",\"caption\":\"b\"}}");
    assert!(
        written(&text, &options()).ends_with("{\"similarity\":7,\"url\":\"a\",\"caption\":\"b\",\"similarity\":1}")
    );
}

#[test]
fn what_cannot_be_a_table_is_refused_at_once() {
    let refused = |text: &str| scored(text.as_bytes(), &options()).expect_err(text);
    let error = refused("{\"image\":\"a\",\"caption\":\"b\"}\n");
    assert!(error.is_usage() && error.to_string().contains("did you mean --image-column image?"), "{error}");
    let error = refused("url,caption\na,b\n");
    assert!(error.is_usage() && error.to_string().contains("--format csv"), "{error}");
    let error = refused("[\n{\"url\":\"a\",\n\"caption\":\"b\"}\n]\n");
    assert!(matches!(error, TableError::NoObjects { .. }), "{error}");
    // A field that only later rows have is there.
    assert!(scored(b"{\"caption\":\"b\"}\n{\"caption\":\"b\",\"url\":\"a\"}\n", &options()).is_ok());
}

#[test]
fn a_line_without_an_end_ends_the_reading_early() {
    let first = b"{\"url\":\"a\",\"caption\":\"b\"}\n{\"x\":\"";
    let text = first.chain(io::repeat(b'x')).take(1 << 30);
    let (mut reader, _) = open(Box::new(text), None, &options()).expect("a table");
    assert!(reader.read().is_ok_and(|row| row.is_some()));
    let error = reader.read().expect_err("too long");
    assert!(matches!(error, TableError::LineTooLong { row: 2, .. }) && !error.is_usage(), "{error}");
    assert!(reader.position().bytes_read < 2 * MAX_RECORD as u64);
}

#[test]
fn a_pipe_is_read_no_further_than_needed() {
    struct Slow(Cursor<Vec<u8>>);
    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 if !into.is_empty() => panic!("read on before the first row was taken"),
                read => Ok(read),
            }
        }
    }
    let text = b"{\"url\":\"a\",\"caption\":\"b\"}\n".to_vec();
    let (mut reader, _) = open(Box::new(Slow(Cursor::new(text))), None, &options()).expect("a table");
    assert!(reader.read().is_ok_and(|row| row.is_some()));
}

#[test]
fn texts_are_those_of_the_columns() {
    let text = r#"{"url":"a","caption":"b","n":1.50,"l":[1, 2],"z":null}"#;
    let (mut reader, layout) = open(Box::new(Cursor::new(text)), None, &options()).expect("a table");
    assert_eq!(layout.names(), ["url", "caption", "n", "l", "z"]);
    let row = reader.read().expect("readable").expect("a row");
    let texts = ["a", "b", "1.50", "[1, 2]"].map(|text| Some(text.to_owned()));
    assert_eq!(row.record.texts(), [&texts[..], &[None]].concat());
}

/// JSON as somebody else may write it: any strings, any nesting, blanks anywhere.
fn value() -> impl Strategy<Value = String> {
    let string = any::<String>().prop_map(|text| serde_json::Value::from(text).to_string());
    let scalar = prop_oneof![
        3 => string.clone(),
        1 => Just("null".to_owned()),
        1 => Just("true".to_owned()),
        1 => any::<f64>().prop_filter("a number", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
        1 => Just(r#""\u0041\ud800\/""#.to_owned()),
    ];
    let blank = prop::sample::select(&["", " ", "\t", "  "][..]);
    scalar.prop_recursive(4, 32, 4, move |inner| {
        let list = (prop::collection::vec(inner.clone(), 0..4), blank.clone())
            .prop_map(|(items, blank)| format!("[{blank}{}{blank}]", items.join(",")));
        let object =
            (prop::collection::vec((string.clone(), inner), 0..4), blank.clone()).prop_map(|(fields, blank)| {
                let fields: Vec<_> =
                    fields.into_iter().map(|(name, value)| format!("{name}{blank}:{blank}{value}")).collect();
                format!("{{{blank}{}{blank}}}", fields.join(","))
            });
        prop_oneof![list, object]
    })
}

proptest! {
    #[test]
    fn any_object_keeps_its_bytes(fields in prop::collection::vec((any::<String>(), value()), 0..6), ending in "\r?\n| ?") {
        let fields: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| format!("{}:{value}", serde_json::Value::from(format!("_{name}"))))
            .collect();
        let line = format!("{{{}}}{ending}", fields.join(","));
        let text = format!("{{\"url\":\"a\",\"caption\":\"b\"}}\n{line}");
        let out = written(&text, &options());
        let added = out.split_once('\n').expect("a line").1;
        let cut = line.trim_end().len() - 1;
        prop_assert_eq!(&added[..cut], &line[..cut]);
        prop_assert!(added.ends_with(&line[cut..]));
        let middle = &added[cut..added.len() - (line.len() - cut)];
        prop_assert_eq!(middle.trim_start_matches([',', ' ']).replace(": ", ":"), "\"similarity\":1");
        // And it is JSON, of which the last field is the new one.
        prop_assert!(Object::scan(added.as_bytes(), &["similarity"], &mut |_, _| ()).is_ok());
    }

    #[test]
    fn any_bytes_pass_through(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        // No line is an object by itself: each begins with what no JSON begins with.
        let mut text = b"{\"url\":\"a\",\"caption\":\"b\"}\n".to_vec();
        let first = text.len();
        for line in lines {
            text.push(b'#');
            text.extend(line);
        }
        let (out, _) = scored(&text, &options()).expect("a table");
        prop_assert_eq!(&out[out.len() - (text.len() - first)..], &text[first..]);
    }
}
