//! Files beside the table, replaced files, exit codes: what a run leaves behind. No picture is there.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::bench::Bench;

const PAIRS: &str = "url,caption\na.png,a cat\n,no picture\n\"b, c.png\",\"a \"\"dog\"\"\"\n";

fn bench() -> Bench {
    Bench::new().with("pairs.csv", PAIRS)
}

#[test]
fn the_errors_file_lists_what_failed() {
    let bench = bench();
    bench.run("score pairs.csv -o out.csv --model pictoclip").expect_code(3);
    assert_eq!(bench.names(), ["out.csv", "out.csv.errors.csv", "pairs.csv"]);
    let list = bench.text("out.csv.errors.csv");
    let mut rows = csv::Reader::from_reader(list.as_bytes());
    assert_eq!(rows.headers().expect("a header"), ["row", "url", "kind", "message"].as_slice());
    let rows: Vec<_> = rows.records().map(|row| row.expect("a row")).collect();
    let places: Vec<_> = rows.iter().map(|row| (&row[0], &row[1])).collect();
    assert_eq!(places, [("1", "a.png"), ("2", ""), ("3", "b, c.png")]);
    assert!(rows.iter().all(|row| !row[2].is_empty() && !row[3].is_empty()), "{list}");
}

#[test]
fn the_errors_file_has_its_place() {
    let flags = "--model pictoclip --quiet";
    for (args, names) in [
        ("score pairs.csv", vec!["pairs.csv"]),
        ("score pairs.csv --errors list.csv", vec!["list.csv", "pairs.csv"]),
        ("score pairs.csv --in-place", vec!["pairs.csv", "pairs.csv.errors.csv"]),
        ("score pairs.csv -o out.csv --errors list.csv", vec!["list.csv", "out.csv", "pairs.csv"]),
    ] {
        let bench = bench();
        bench.run(&format!("{args} {flags}")).expect_code(3);
        assert_eq!(bench.names(), names, "{args}");
    }
}

#[test]
fn without_a_failure_an_earlier_list_goes() {
    let bench = Bench::new()
        .with("in.csv", "url,caption\n")
        .with("out.csv.errors.csv", "row,url,kind,message\n1,a.png,not_found,there is no such file\n");
    bench.run("score in.csv -o out.csv --model pictoclip").expect_code(0);
    assert_eq!(bench.names(), ["in.csv", "out.csv"]);
}

#[test]
fn the_error_column_has_the_kinds() {
    let bench = bench();
    bench.run("score pairs.csv -o out.csv --error-column why --model pictoclip").expect_code(3);
    let (out, list) = (bench.text("out.csv"), bench.text("out.csv.errors.csv"));
    let column = |text: &str, name: &str| -> Vec<String> {
        let mut table = csv::Reader::from_reader(text.as_bytes());
        let at = table.headers().expect("a header").iter().position(|column| column == name).expect("the column");
        table.records().map(|row| row.expect("a row")[at].to_owned()).collect()
    };
    assert_eq!(column(&out, "why"), column(&list, "kind"));
    assert_eq!(column(&out, "similarity"), ["", "", ""]);
}

#[test]
fn columns_that_are_there_are_replaced_in_their_place() {
    let bench = Bench::new().with("in.csv", "why,url,similarity,caption\nold,a.png,0.5,a cat\n");
    let ran = bench.run("score in.csv --overwrite --error-column why --model pictoclip --quiet").expect_code(3);
    let text = ran.text();
    assert!(text.starts_with("why,url,similarity,caption\n") && text.ends_with(",a.png,,a cat\n"), "{text}");
    assert!(!text.contains("old"), "{text}");
}

#[test]
fn failures_can_be_allowed() {
    bench().run("score pairs.csv --allow-failures --model pictoclip").expect_code(0);
}

#[test]
fn the_summary_is_for_people_and_programs() {
    let bench = bench();
    let ran = bench.run("score pairs.csv -o out.csv --summary s.json --model pictoclip").expect_code(3);
    assert!(ran.stderr.contains("3 rows, 0 scored, 3 failed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("listed in out.csv.errors.csv"), "{}", ran.stderr);
    let json: serde_json::Value = serde_json::from_str(&bench.text("s.json")).expect("JSON");
    assert_eq!((&json["rows"], &json["scored"], &json["failed"]), (&3.into(), &0.into(), &3.into()));
    let kinds = json["failures"].as_object().expect("an object");
    assert_eq!(kinds.values().filter_map(serde_json::Value::as_u64).sum::<u64>(), 3);
    assert_eq!(json["scores"][0]["model"], "pictoclip");
    assert_eq!(json["scores"][0]["metric"], "cosine");
    assert_eq!(json["options"]["input"], "pairs.csv");
    assert_eq!(json["versions"]["clipgauge"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["interrupted"], false);
    assert!(json["seconds"]["total"].as_f64().is_some_and(|seconds| seconds > 0.0), "{json}");
    assert!(json["scores"][0]["quantiles"].is_null(), "{json}");
}

/// Several models and metrics have a column each, named as they were typed, and fail together.
#[test]
fn several_models_and_metrics_have_a_column_each() {
    let bench = bench();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../clipgauge-pictoclip/model");
    let flags = "--quiet --allow-failures";
    let ran =
        bench.run(&format!("score pairs.csv --model pictoclip --model {folder} --metric dot --metric cosine {flags}"));
    let header = ran.text().lines().next().expect("a header").to_owned();
    let names = ["pictoclip:dot", "pictoclip:cosine", &format!("{folder}:dot"), &format!("{folder}:cosine")]
        .map(|name| format!("similarity:{name}"));
    assert_eq!(header, format!("url,caption,{}", names.join(",")));
    assert!(ran.text().contains("\na.png,a cat,,,,\n"), "{}", ran.text());
    let ran = bench.run(&format!("score pairs.csv --model pictoclip --metric clipscore --metric angular {flags}"));
    assert!(ran.text().starts_with("url,caption,similarity:clipscore,similarity:angular\n"), "{}", ran.text());
    let ran = bench.run("score pairs.csv --model pictoclip --model pictoclip").expect_code(2);
    assert!(ran.stderr.contains("the column `similarity:pictoclip` would be there twice"), "{}", ran.stderr);
    let ran = bench.run("score pairs.csv --model pictoclip --metric sigmoid").expect_code(2);
    assert!(ran.stderr.contains("metric `sigmoid` needs a logit bias"), "{}", ran.stderr);
}

/// With the numbers redacted, which differ from run to run; those that do not are in the JSON.
#[test]
fn timings_show_where_the_time_went() {
    let rows = "images/02-1f436-noto.jpg,a dog\n".repeat(40);
    let bench = Bench::new().with_examples().with("in.csv", format!("url,caption\n{rows}no such file.png,a cat\n"));
    let flags = "--threads 1 --progress never --allow-failures --model pictoclip";
    let ran = bench.run(&format!("score in.csv -o out.csv --timings --summary s.json {flags}")).expect_code(0);
    let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    let redacted = ran.stderr.lines().skip_while(|line| !line.starts_with("stage")).map(|line| {
        let words = line.split_whitespace().map(|word| if is_number(word) { "#" } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    insta::assert_snapshot!("timings", redacted.collect::<Vec<_>>().join("\n"));

    let json: serde_json::Value = serde_json::from_str(&bench.text("s.json")).expect("JSON");
    let stages = json["timings"]["stages"].as_array().expect("an array").iter();
    let items: Vec<_> = stages.map(|stage| (stage["stage"].as_str(), stage["items"].as_u64())).collect();
    // Equal pictures and captions are encoded once; the row without a picture goes no further than its fetch.
    let expected = [
        ("load", 1),
        ("read", 41),
        ("fetch", 41),
        ("decode", 1),
        ("preprocess", 1),
        ("tokenize", 40),
        ("encode_images", 1),
        ("encode_texts", 1),
        ("compare", 40),
        ("write", 41),
    ];
    assert_eq!(items, expected.map(|(stage, items)| (Some(stage), Some(items))));
    let encoders = &json["timings"]["encoders"];
    let parts = ["busy", "waiting", "ended"].map(|part| encoders[part].as_f64().expect("a number"));
    assert_eq!(encoders["count"], 1);
    assert!(parts.iter().all(|part| (0.0..=1.0).contains(part)) && parts[0] > 0.0, "{json}");

    let ran = bench.run(&format!("embed in.csv -o out.parquet --timings {flags}")).expect_code(0);
    assert!(ran.stderr.contains("\nencode_images "), "{}", ran.stderr);
    let ran = bench.run(&format!("score in.csv -o out.csv --summary s.json {flags}")).expect_code(0);
    assert!(!ran.stderr.contains("encode_images"), "{}", ran.stderr);
}

#[test]
fn quiet_is_quiet_and_progress_can_be_had() {
    let bench = bench();
    assert_eq!(bench.run("score pairs.csv --quiet --progress always --model pictoclip").stderr, "");
    let ran = bench.run("score pairs.csv --progress never --model pictoclip");
    assert!(ran.stderr.contains("3 rows, 0 scored"), "{}", ran.stderr);
}

#[test]
fn a_run_that_fails_leaves_what_was_there_and_keeps_its_rows() {
    // The quote is never closed, and the row longer than any may be.
    let endless = format!("url,caption\na.png,a cat\n\"{}", "x".repeat(65 << 20));
    let bench = Bench::new().with("in.csv", endless).with("out.csv", "before");
    let ran = bench.run("score in.csv -o out.csv --model pictoclip --quiet").expect_code(1);
    let reason = "in.csv: row 2 is longer than 64 MiB; look for a quote at its start that is never closed";
    assert!(ran.stderr.contains(reason) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    assert_eq!(bench.text("out.csv"), "before");
    assert_eq!(bench.names(), ["in.csv", "out.csv", "out.csv.journal", "out.csv.partial"]);
    assert_eq!(bench.text("out.csv.partial"), "url,caption,similarity\na.png,a cat,\n");
}

#[cfg(unix)]
#[test]
fn devices_can_be_named_for_anything() {
    let bench = bench();
    let flags = "--model pictoclip --quiet";
    bench.run(&format!("score pairs.csv -o /dev/null --errors /dev/null --summary /dev/null {flags}")).expect_code(3);
    let ran = bench.run(&format!("score pairs.csv -o /dev/stdout {flags}")).expect_code(3);
    assert!(ran.text().starts_with("url,caption,similarity\na.png,a cat,\n"), "{}", ran.text());
    assert_eq!(bench.names(), ["pairs.csv"]);
}

#[cfg(unix)]
#[test]
fn links_and_permissions_stay() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    let bench = bench();
    fs::set_permissions(bench.path("pairs.csv"), Permissions::from_mode(0o640)).expect("settable");
    symlink("pairs.csv", bench.path("link.csv")).expect("linkable");
    bench.run("score link.csv --in-place --model pictoclip --quiet").expect_code(3);
    assert!(bench.path("link.csv").is_symlink());
    assert!(bench.text("pairs.csv").starts_with("url,caption,similarity\n"));
    let mode = fs::metadata(bench.path("pairs.csv")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_closed_pipe_ends_the_run_quietly() {
    let rows = "no such file.png,a long enough caption to fill the pipe\n".repeat(50_000);
    let bench = Bench::new().with("in.csv", format!("url,caption\n{rows}"));
    let mut child = bench
        .command("score in.csv --model pictoclip --quiet".split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be run");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("readable");
    assert_eq!(line, "url,caption,similarity\n");
    drop(stdout);
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("readable");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{stderr}");
    assert_eq!(stderr, "");
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error() {
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else { return };
    let bench = bench();
    let output = bench.command("score pairs.csv --model pictoclip --quiet".split(' ')).stdout(full).output();
    let ran = crate::bench::Ran::of(output.expect("the command can be run")).expect_code(1);
    assert_eq!(ran.stderr, "error: the output cannot be written: No space left on device (os error 28)\n");
}
