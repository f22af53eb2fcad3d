//! Command lines that cannot work: exit code 2, one sentence on standard error, nothing written.

use std::fmt::Write;

use crate::bench::Bench;

const PAIRS: &str = "url,caption\na.png,a cat\n";

fn bench() -> Bench {
    let utf16: Vec<u8> = "\u{feff}url,caption\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bench = Bench::new()
        .with("pairs.csv", PAIRS)
        .with("laion.tsv", "URL\tTEXT\na.png\ta cat\n")
        .with("scored.csv", "url,caption,similarity\na.png,a cat,0.5\n")
        .with("twice.csv", "url,caption,url\na.png,a cat,b.png\n")
        .with("utf16.csv", utf16)
        .with("empty.csv", "")
        .with("wide.csv", "url,caption,x\na.png,a cat,1\n")
        .with("table.jsonl", "{\"url\": \"a.png\", \"caption\": \"a cat\"}\n")
        .with("table.txt", PAIRS)
        .with("table.xlsx", "PK")
        .with("table.csv.xz", "\x1f\u{8b}")
        .with("packed.csv", b"\x1f\x8b\x08\x00");
    for folder in ["folder", "other"] {
        std::fs::create_dir(bench.path(folder)).expect("creatable");
    }
    bench.with("other/pairs.csv", PAIRS)
}

#[test]
fn each_is_told_with_its_reason_and_remedy() {
    let bench = bench();
    let before = bench.names();
    let mut told = String::new();
    for args in [
        "score laion.tsv",
        "score laion.tsv --image-column URL",
        "score pairs.csv --caption-column text",
        "score scored.csv",
        "score scored.csv --column x --error-column similarity",
        "score twice.csv",
        "score pairs.csv --column caption",
        "score pairs.csv --error-column similarity",
        "score pairs.csv --delimiter \"",
        "score utf16.csv",
        "score empty.csv",
        "score folder",
        "score table.txt",
        "score table.xlsx",
        "score table.csv.xz",
        "score packed.csv",
        "score pairs.csv -o out.csv.xz",
        "score pairs.csv -o out.arrow",
        "score pairs.csv --format jsonl",
        "score - --format parquet",
        "score scored.csv --format jsonl --delimiter ;",
        "score pairs.csv -o no/such/folder.csv",
        "score - -o folder",
        "score pairs.csv laion.tsv",
        "score pairs.csv wide.csv",
        "score pairs.csv wide.csv -o pairs.csv",
        "score pairs.csv other/pairs.csv -o folder",
        "score pairs.csv - -o out.csv",
        "score missing*.csv",
        "score pairs.csv table.jsonl -o out.csv",
        "score pairs.csv --errors pairs.csv",
        "score pairs.csv -o out.csv --summary out.csv",
        "score pairs.csv --summary no/such/summary.json",
        "score - --in-place",
        "score pairs.csv -o out.csv --in-place",
        "score pairs.csv --metric cosin",
        "score pairs.csv --format xlsx",
        "score pairs.csv --timeout 30",
        "score pairs.csv --max-bytes lots",
        "score pairs.csv --max-pixels 10MB",
        "score pairs.csv --background whitish",
        "score pairs.csv --header Authorization",
        "score pairs.csv --threads 0",
        "score pairs.csv --batch-size 0",
        "score pairs.csv --delimiter ,,",
        "score pairs.csv --quiet --verbose",
        "score",
        "scor pairs.csv",
    ] {
        let ran = bench.run(&format!("{args} --model pictoclip"));
        assert_eq!(ran.code, Some(2), "{args}: {}", ran.stderr);
        assert_eq!(ran.stdout, b"", "{args}");
        writeln!(told, "$ clipgauge {args}\n{}", ran.stderr).expect("a string takes it");
    }
    assert_eq!(bench.names(), before);
    insta::assert_snapshot!(told);
}

// The sentence of the system is another on Windows.
#[cfg(unix)]
#[test]
fn what_is_not_there_or_not_readable_is_no_usage_error() {
    let ran = bench().run("score missing.csv --model pictoclip").expect_code(1);
    assert_eq!(ran.stderr, "error: missing.csv cannot be read: No such file or directory (os error 2)\n");
    assert_eq!(ran.stdout, b"");
}
