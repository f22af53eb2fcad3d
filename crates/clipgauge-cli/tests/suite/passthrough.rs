//! What comes in goes out, byte for byte. No picture is there, so that no row gets a score and each has an empty cell.

use crate::bench::Bench;

/// The exit code when rows failed.
const SOME_FAILED: i32 = 3;

/// Tables and what they become.
const TABLES: &[(&str, &[u8], &[u8])] = &[
    ("plain", b"url,caption\na,b\n", b"url,caption,similarity\na,b,\n"),
    ("CRLF", b"url,caption\r\na,b\r\nc,d\n", b"url,caption,similarity\r\na,b,\r\nc,d,\n"),
    ("no final line ending", b"url,caption\na,b", b"url,caption,similarity\na,b,"),
    ("byte order mark", b"\xEF\xBB\xBFurl,caption\na,b\n", b"\xEF\xBB\xBFurl,caption,similarity\na,b,\n"),
    ("quotes", b"\"url\",caption\n\"a\"\"\",\"b\nc\"\n", b"\"url\",caption,similarity\n\"a\"\"\",\"b\nc\",\n"),
    (
        "no UTF-8",
        b"url,caption,x\na,b,\xff\xfe\0\n\xff,\xff,\n",
        b"url,caption,x,similarity\na,b,\xff\xfe\0,\n\xff,\xff,,\n",
    ),
    ("blank lines", b"\nurl,caption\n\na,b\n\n\r\n", b"\nurl,caption,similarity\n\na,b,\n\n\r\n"),
    ("ragged", b"url,caption,x\na\na,b,c,d\n", b"url,caption,x,similarity\na,,,\na,b,c,,d\n"),
    ("only a header", b"url,caption\n", b"url,caption,similarity\n"),
];

#[test]
fn through_files_and_pipes() {
    for (name, table, expected) in TABLES {
        let code = if *name == "only a header" { 0 } else { SOME_FAILED };
        let bench = Bench::new().with("in.csv", table);
        let flags = "--model pictoclip --quiet";
        let ran = bench.run(&format!("score in.csv {flags}")).expect_code(code);
        assert_eq!(ran.stdout, *expected, "{name}: to standard output");
        assert_eq!(ran.stderr, "", "{name}");
        let ran = bench.run_with_stdin(&format!("score - {flags}"), *table).expect_code(code);
        assert_eq!(ran.stdout, *expected, "{name}: through pipes");
        let ran = bench.run(&format!("score in.csv -o out.csv {flags}")).expect_code(code);
        assert_eq!(bench.read("out.csv"), *expected, "{name}: to a file");
        assert_eq!(ran.stdout, b"", "{name}");
        bench.run(&format!("score in.csv --in-place {flags}")).expect_code(code);
        assert_eq!(bench.read("in.csv"), *expected, "{name}: in place");
    }
}

#[test]
fn what_may_have_been_read_otherwise_than_it_was_meant_is_told() {
    let bench = Bench::new()
        .with("open.csv", "url,caption\na,b\nc,\"d\ne,f\n")
        .with("latin-1.csv", b"url,caption\na,\xe9t\xe9\nb,summer\n")
        .with("good.csv", "url,caption\na,\"b\"\nc,d\"\n");
    let quote = "row 2 has a quote that is never closed: all lines behind it are part of its cell\n";
    let text = "1 row is not UTF-8, and read with \u{fffd} for what is not: convert the table first (iconv -t UTF-8)\n";
    for (table, expected) in [("open.csv", [true, false]), ("latin-1.csv", [false, true]), ("good.csv", [false, false])]
    {
        for output in ["out.csv", "out.jsonl"] {
            let ran = bench.run(&format!("score {table} --model pictoclip -o {output}")).expect_code(SOME_FAILED);
            let told = [quote, text].map(|line| ran.stderr.contains(line));
            assert_eq!(told, expected, "{table} to {output}: {}", ran.stderr);
        }
    }
}

#[test]
fn other_separators() {
    let flags = "--model pictoclip --quiet";
    let bench = Bench::new()
        .with("in.tsv", "url\tcaption\na,1\t\"b\t2\"\n")
        .with("in.txt", "url;caption\na,1;b\n")
        .with("in", "url,caption\na,b\n");
    for (args, expected) in [
        ("score in.tsv", "url\tcaption\tsimilarity\na,1\t\"b\t2\"\t\n"),
        ("score in.txt --delimiter ;", "url;caption;similarity\na,1;b;\n"),
        ("score in.txt --delimiter ; --format csv", "url;caption;similarity\na,1;b;\n"),
        ("score in", "url,caption,similarity\na,b,\n"),
    ] {
        let ran = bench.run(&format!("{args} {flags}")).expect_code(SOME_FAILED);
        assert_eq!(ran.text(), expected, "{args}");
    }
    let table = "url\tcaption\na\tb\n";
    let ran = bench.run_with_stdin(&format!("score - --format tsv {flags}"), table).expect_code(SOME_FAILED);
    assert_eq!(ran.text(), "url\tcaption\tsimilarity\na\tb\t\n");
}

#[test]
fn json_lines_take_a_field() {
    let table = "{\"url\": \"a.png\", \"caption\": \"b\", \"n\": 1.0}\r\n\nno json\n{\"caption\":\"b\"}";
    let expected = "{\"url\": \"a.png\", \"caption\": \"b\", \"n\": 1.0, \"similarity\": null, \"why\": \"not_found\"}\r\n\nno json\n{\"caption\":\"b\",\"similarity\":null,\"why\":\"no_image\"}";
    let bench = Bench::new().with("in.jsonl", table).with("in.ndjson", table);
    let flags = "--model pictoclip --quiet --error-column why";
    for args in ["score in.jsonl", "score in.ndjson -o -"] {
        assert_eq!(bench.run(&format!("{args} {flags}")).expect_code(SOME_FAILED).text(), expected, "{args}");
    }
    let ran = bench.run_with_stdin(&format!("score - --format jsonl {flags}"), table).expect_code(SOME_FAILED);
    assert_eq!(ran.text(), expected);
    bench.run(&format!("score in.jsonl -o out.jsonl {flags}")).expect_code(SOME_FAILED);
    assert_eq!(bench.text("out.jsonl"), expected);
    let errors = bench.text("out.jsonl.errors.csv");
    assert!(errors.contains("2,,corrupt,the line is not JSON: expected ident at character"), "{errors}");
    bench.run(&format!("score in.jsonl --in-place {flags}")).expect_code(SOME_FAILED);
    assert_eq!(bench.text("in.jsonl"), expected);
}

#[test]
fn compressed_text_stays_compressed() {
    let rows: String = (0..3000).map(|row| format!("{row}.png,caption {row}\n")).collect();
    let (header, expected) = ("url,caption\n", rows.replace('\n', ",\n"));
    let bench = Bench::new().with("in.csv", format!("{header}{rows}"));
    let flags = "--model pictoclip --quiet";
    let expected = format!("url,caption,similarity\n{expected}");
    for name in ["a.csv.gz", "a.csv.zst"] {
        // There and back: each is read again by what wrote it, and by a program of its own where there is one.
        bench.run(&format!("score in.csv -o {name} --column none {flags}")).expect_code(SOME_FAILED);
        assert!(bench.read(name).len() * 3 < rows.len(), "{name}");
        let ran = bench.run(&format!("score {name} --column none --overwrite {flags}")).expect_code(SOME_FAILED);
        assert!(ran.text() == expected.replace("similarity", "none"), "{name}");
        bench.run(&format!("score {name} --in-place --column none --overwrite {flags}")).expect_code(SOME_FAILED);
        let ran = bench.run(&format!("score {name} --column none --overwrite {flags}")).expect_code(SOME_FAILED);
        assert!(ran.text() == expected.replace("similarity", "none"), "{name} in place");
        // One that is cut is told, with the rows up to there.
        let cut = &bench.read(name)[..bench.read(name).len() / 2];
        std::fs::write(bench.path(&format!("cut.{name}")), cut).expect("writable");
        let ran = bench.run(&format!("score cut.{name} --column x {flags}")).expect_code(1);
        assert!(ran.stderr.contains("cannot be read"), "{}", ran.stderr);
    }
}

#[test]
fn a_long_table_stays_in_order() {
    let rows: String = (0..20_000).map(|row| format!("{row}.png,caption {row}\n")).collect();
    let bench = Bench::new().with("in.csv", format!("url,caption\n{rows}"));
    let ran = bench.run("score in.csv --model pictoclip --quiet").expect_code(SOME_FAILED);
    let expected = rows.replace('\n', ",\n");
    assert!(ran.text() == format!("url,caption,similarity\n{expected}"), "rows were changed or moved");
}
