//! Tables in and out: what comes in stands in what goes out, byte for byte, with the new cells in their columns.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::filters::Filters;
use crate::options::Input as Source;

fn options() -> ScoreOptions {
    ScoreOptions { ..ScoreOptions::new(Source::Stdin) }
}

/// What a run makes of `text` when the row with number n gets the score n / 2, and every third row fails.
fn scored(text: &[u8], options: &ScoreOptions) -> Result<(Vec<u8>, Vec<Row>), TableError> {
    let delimiter = options.delimiter.unwrap_or(b',');
    let (mut reader, layout) = open(Box::new(Cursor::new(text.to_vec())), None, delimiter, options)?;
    let mut out = Vec::new();
    let mut rows = Vec::new();
    let mut writer = layout.writer(Box::new(&mut out))?;
    while let Some(mut row) = reader.read()? {
        let fails = row.number % 3 == 0;
        let cells = [
            Cell::Score((!fails).then_some(row.number as f32 / 2.0)),
            Cell::ErrorKind(fails.then_some(RowErrorKind::NotFound)),
        ];
        let count = 1 + usize::from(options.error_column.is_some());
        let record = std::mem::replace(
            &mut row.record,
            Record::Delimited(DelimitedRecord { raw: RawRecord::default(), width: 0 }),
        );
        writer.write(record, &cells[..count])?;
        rows.push(row);
    }
    writer.finish()?;
    drop(writer);
    assert_eq!(reader.position().bytes_read, text.len() as u64);
    Ok((out, rows))
}

fn written(text: &str, options: &ScoreOptions) -> String {
    let (out, _) = scored(text.as_bytes(), options).expect(text);
    String::from_utf8(out).expect("UTF-8 in, UTF-8 out")
}

fn refused(text: &[u8], options: &ScoreOptions) -> TableError {
    scored(text, options).err().unwrap_or_else(|| panic!("{text:?} was accepted"))
}

#[test]
fn the_cell_goes_before_the_line_ending_and_the_rest_stays() {
    let cases = [
        ("LF", "url,caption\na,b\n", "url,caption,similarity\na,b,0.5\n"),
        ("CRLF", "url,caption\r\na,b\r\n", "url,caption,similarity\r\na,b,0.5\r\n"),
        ("mixed", "url,caption\r\na,b\nc,d\re,f", "url,caption,similarity\r\na,b,0.5\nc,d,1\re,f,"),
        ("no final line ending", "url,caption\na,b", "url,caption,similarity\na,b,0.5"),
        ("byte order mark", "\u{feff}url,caption\na,b\n", "\u{feff}url,caption,similarity\na,b,0.5\n"),
        ("only a header", "url,caption", "url,caption,similarity"),
        (
            "quotes",
            "\"url\",\"caption\"\n\"a\",\"x \"\"y\"\"\nz\"\n",
            "\"url\",\"caption\",similarity\n\"a\",\"x \"\"y\"\"\nz\",0.5\n",
        ),
        ("spaces", "url,caption, x \n a , b ,\" c\"\n", "url,caption, x ,similarity\n a , b ,\" c\",0.5\n"),
        (
            "blank lines",
            "\n\nurl,caption\n\r\na,b\n\n\nc,d\n\n",
            "\n\nurl,caption,similarity\n\r\na,b,0.5\n\n\nc,d,1\n\n",
        ),
        ("columns in another order", "caption,id,url\nb,7,a\n", "caption,id,url,similarity\nb,7,a,0.5\n"),
        ("a failed row", "url,caption\na,b\na,b\na,b\n", "url,caption,similarity\na,b,0.5\na,b,1\na,b,\n"),
        ("too few fields", "url,caption,x\na\na,b\na,b,c\n", "url,caption,x,similarity\na,,,0.5\na,b,,1\na,b,c,\n"),
        ("too many fields", "url,caption\na,b,c,d\n", "url,caption,similarity\na,b,0.5,c,d\n"),
        ("an open quote", "url,caption\na,\"b", "url,caption,similarity\na,\"b\",0.5"),
        ("an open quote behind the new cell", "url,caption\na,b,\"c", "url,caption,similarity\na,b,0.5,\"c"),
        ("duplicates of other columns", "url,x,x,caption\na,1,2,b\n", "url,x,x,caption,similarity\na,1,2,b,0.5\n"),
    ];
    for (name, text, expected) in cases {
        assert_eq!(written(text, &options()), expected, "{name}");
    }
}

#[test]
fn columns_are_replaced_in_place_only_when_asked() {
    let overwrite = ScoreOptions { overwrite: true, error_column: Some("why".to_owned()), ..options() };
    let cases = [
        ("both there", "why,url,\"similarity\",caption\nx,a,0.1,b\n", "why,url,\"similarity\",caption\n,a,0.5,b\n"),
        ("one there", "url,similarity,caption\na,\"x\ny\",b\n", "url,similarity,caption,why\na,0.5,b,\n"),
        (
            "none there",
            "url,caption\na,b\n\"a\",b\na,b\n",
            "url,caption,similarity,why\na,b,0.5,\n\"a\",b,1,\na,b,,not_found\n",
        ),
        ("short row", "url,caption,similarity\na\n", "url,caption,similarity,why\na,,0.5,\n"),
        ("open quote replaced", "url,caption,similarity,why\na,b,c,\"d", "url,caption,similarity,why\na,b,0.5,"),
    ];
    for (name, text, expected) in cases {
        assert_eq!(written(text, &overwrite), expected, "{name}");
    }
    let error = refused(b"url,caption,similarity\n", &options());
    assert_usage(
        &error,
        "standard input has a column `similarity` already; choose another name with --column NAME, or replace it with --overwrite",
    );
    let error = refused(b"url,caption,why\n", &ScoreOptions { overwrite: false, ..overwrite });
    assert_usage(
        &error,
        "standard input has a column `why` already; choose another name with --error-column NAME, or replace it with --overwrite",
    );
}

fn assert_usage(error: &TableError, expected: &str) {
    assert_eq!(error.to_string(), expected);
    assert!(error.is_usage());
}

#[test]
fn missing_columns_are_named_with_what_may_be_meant() {
    let cases: [(&str, &str); 6] = [
        (
            "URL,caption\n",
            "standard input has no column `url`; did you mean --image-column URL? There are `URL`, `caption`",
        ),
        (
            "url,captoin\n",
            "standard input has no column `caption`; did you mean --caption-column captoin? There are `url`, `captoin`",
        ),
        (
            "image_path,TEXT\n",
            "standard input has no column `url`; did you mean --image-column image_path? There are `image_path`, `TEXT`",
        ),
        (
            "url,my text,prompt\n",
            "standard input has no column `caption`; did you mean --caption-column prompt? There are `url`, `my text`, `prompt`",
        ),
        (
            "url,' caption'\n",
            "standard input has no column `caption`; did you mean --caption-column ''\\'' caption'\\'''? There are `url`, `' caption'`",
        ),
        ("1\n", "standard input has no column `url`; name it with --image-column NAME. There is only `1`"),
    ];
    for (text, expected) in cases {
        assert_usage(&refused(text.as_bytes(), &options()), expected);
    }
    let wide: String = (0..30).map(|i| format!("c{i},")).collect();
    let error = refused(wide.as_bytes(), &options()).to_string();
    assert!(error.ends_with("`c19` and 11 more"), "{error}");
}

#[test]
fn duplicates_of_needed_columns_are_refused() {
    assert_usage(
        &refused(b"url,url,caption\n", &options()),
        "standard input has 2 columns `url`; rename all but one, or choose another with --image-column NAME",
    );
    assert_usage(
        &refused(b"url,caption,similarity,similarity\n", &ScoreOptions { overwrite: true, ..options() }),
        "standard input has 2 columns `similarity`; rename all but one, or choose another with --column NAME",
    );
}

#[test]
fn what_is_no_text_is_refused_with_a_way_out() {
    let utf16: Vec<u8> = "url,caption\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_bom = [&[0xFF, 0xFE], utf16.as_slice()].concat();
    let big_endian: Vec<u8> = "url,caption\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let cases: [(&[u8], &str); 7] = [
        (
            b"\xFF\xFE\0\0u\0\0\0",
            "standard input is UTF-32, not UTF-8 text; use `iconv -f UTF-32 -t UTF-8 | clipgauge score -`",
        ),
        (&with_bom, "standard input is UTF-16, not UTF-8 text; use `iconv -f UTF-16 -t UTF-8 | clipgauge score -`"),
        (&utf16, "standard input is UTF-16, not UTF-8 text; use `iconv -f UTF-16LE -t UTF-8 | clipgauge score -`"),
        (&big_endian, "standard input is UTF-16, not UTF-8 text; use `iconv -f UTF-16BE -t UTF-8 | clipgauge score -`"),
        (b"\x1f\x8b\x08\0", "standard input is a gzip file, not UTF-8 text; use `gzip -dc | clipgauge score -`"),
        (
            b"PAR1",
            "standard input is a Parquet file, not UTF-8 text; give its own name, with --format parquet if that does not say so",
        ),
        (b"", "standard input is empty; a table begins with a header that names its columns"),
    ];
    for (text, expected) in cases {
        assert_usage(&refused(text, &options()), expected);
    }
}

#[test]
fn rows_say_what_their_cells_say() {
    let text = b"id,url,caption\n1,\"a \"\"b\"\"\",\"c\nd\"\n2,,\n3\n4,x,\xff!\n5,\xff.png,y\n";
    let (out, rows) = scored(text, &options()).expect("a table");
    let cells: Vec<_> = rows
        .iter()
        .map(|row| (row.number, row.image_name(), row.caption.as_deref(), row.error.as_ref().map(|error| error.kind)))
        .collect();
    assert_eq!(
        cells,
        [
            (1, Some("a \"b\""), Some("c\nd"), None),
            (2, Some(""), Some(""), None),
            (3, None, None, None),
            (4, Some("x"), Some("\u{fffd}!"), None),
            (5, Some("\u{fffd}.png"), Some("y"), Some(RowErrorKind::BadAddress)),
        ]
    );
    assert_eq!(
        out,
        b"id,url,caption,similarity\n1,\"a \"\"b\"\"\",\"c\nd\",0.5\n2,,,1\n3,,,\n4,x,\xff!,2\n5,\xff.png,y,2.5\n"
    );
}

#[test]
fn any_delimiter_works_even_one_that_numbers_hold() {
    let tabs = ScoreOptions { delimiter: Some(b'\t'), ..options() };
    assert_eq!(written("url\tcaption\na\t\"b\tc\"\n", &tabs), "url\tcaption\tsimilarity\na\t\"b\tc\"\t0.5\n");
    let points = ScoreOptions { delimiter: Some(b'.'), ..options() };
    assert_eq!(written("url.caption\na.b\n", &points), "url.caption.similarity\na.b.\"0.5\"\n");
    let odd_name = ScoreOptions { column: "a,\"b\"".to_owned(), ..options() };
    assert_eq!(written("url,caption\na,b\n", &odd_name), "url,caption,\"a,\"\"b\"\"\"\na,b,0.5\n");
}

#[test]
fn a_row_comes_as_soon_as_its_line_is_there() {
    /// Gives one line at a time and fails when asked for more than was needed.
    struct Slow(Vec<&'static [u8]>);
    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            assert!(!self.0.is_empty(), "read ahead of what is needed");
            let line = self.0.remove(0);
            buffer[..line.len()].copy_from_slice(line);
            Ok(line.len())
        }
    }
    let input = Slow(vec![b"url,", b"caption\n", b"a,b\n"]);
    let (mut reader, _) = open(Box::new(input), None, b',', &options()).expect("a table");
    assert!(reader.read().expect("readable").is_some());
}

/// Text of a table with the needed columns and anything in the others.
fn table() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        2 => Just(b'"'), 3 => Just(b','), 2 => Just(b'\n'), 1 => Just(b'\r'), 4 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..120).prop_map(|rest| [b"x,url,caption,\"y\"\n", rest.as_slice()].concat())
}

fn fields(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text)
        .byte_records()
        .map(|record| record.expect("flexible").iter().map(<[u8]>::to_vec).collect())
        .collect()
}

proptest! {
    #[test]
    fn every_field_reads_as_before_and_the_score_is_in_its_column(text in table()) {
        let (out, rows) = scored(&text, &options()).expect("a table");
        let (before, after) = (fields(&text), fields(&out));
        prop_assert_eq!(before.len(), after.len());
        prop_assert_eq!(rows.len() + 1, after.len());
        for (number, (mut before, mut after)) in before.into_iter().zip(after).enumerate() {
            let cell = after.remove(4);
            let expected = match number {
                0 => "similarity".to_owned(),
                fails if fails % 3 == 0 => String::new(),
                scored => (scored as f32 / 2.0).to_string(),
            };
            prop_assert_eq!(cell, expected.into_bytes());
            before.resize(before.len().max(4), Vec::new());
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn kept_fields_read_as_before(text in table(), kept in prop::collection::vec(any::<bool>(), 4)) {
        let names = ["x", "url", "caption", "y"];
        let names = (0..4).filter(|column| kept[*column]).map(|column| names[column].to_owned()).collect();
        let filters = Filters { keep_columns: Some(names), ..Filters::default() };
        let (out, _) = scored(&text, &ScoreOptions { filters, ..options() }).expect("a table");
        let (before, after) = (fields(&text), fields(&out));
        prop_assert_eq!(before.len(), after.len());
        for (number, (mut before, mut after)) in before.into_iter().zip(after).enumerate() {
            let cell = after.pop().expect("a score");
            prop_assert_eq!(cell.is_empty(), number > 0 && number % 3 == 0);
            before.resize(4, Vec::new());
            let expected: Vec<_> = (0..4).filter(|column| kept[*column]).map(|column| before[column].clone()).collect();
            prop_assert_eq!(after, expected);
        }
    }
}
