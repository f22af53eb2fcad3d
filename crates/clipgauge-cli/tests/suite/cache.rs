//! Vectors that are kept from one run to the next: the same scores, without computing them again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::bench::Bench;

const FLAGS: &str = "score pairs.csv --model pictoclip --quiet --allow-failures";

/// How many images and captions a run has encoded.
fn encoded(bench: &Bench) -> [u64; 2] {
    let summary: serde_json::Value = serde_json::from_str(&bench.text("summary.json")).expect("JSON");
    let stages = summary["timings"]["stages"].as_array().expect("a list");
    ["encode_images", "encode_texts"].map(|name| {
        let stage = stages.iter().find(|stage| stage["stage"] == name).expect("a stage");
        stage["items"].as_u64().expect("a number")
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_second_run_computes_nothing_and_gives_the_same() {
    let bench = Bench::new().with_examples();
    let run = |flags: &str| bench.run(&format!("{FLAGS} --summary summary.json {flags}")).expect_code(0).stdout;
    let expected = run("");
    let all = encoded(&bench);
    assert!(all[0] > 20 && all[1] > 20, "{all:?}");
    assert!(run("--cache vectors") == expected, "the first run");
    assert_eq!(encoded(&bench), all);
    for flags in ["", "--batch-size 3", "--threads 1", "--cache-size 1GB"] {
        assert!(run(&format!("--cache vectors {flags}")) == expected, "{flags}");
        assert_eq!(encoded(&bench), [0, 0], "{flags}");
    }
    assert!(bench.path("vectors/CACHEDIR.TAG").is_file());

    // What decides a vector is in its name.
    for flags in ["--precision int8", "--ignore-exif", "--background white", "--max-pixels 99M"] {
        let expected = run(flags);
        assert!(run(&format!("--cache vectors {flags}")) == expected, "{flags}");
        assert_eq!(encoded(&bench), all, "{flags}");
    }
    // Two models at once have what either has.
    let both = run("--cache vectors --metric cosine --metric dot");
    assert_eq!(encoded(&bench), [0, 0]);
    assert!(both == run("--metric cosine --metric dot"));
}

#[test]
fn damage_is_a_miss_and_never_another_score() {
    let bench = Bench::new().with_examples();
    let run = || bench.run(&format!("{FLAGS} --summary summary.json --cache vectors")).expect_code(0).stdout;
    let expected = run();
    let all = encoded(&bench);
    for (index, path) in files(&bench.path("vectors/v1")).iter().enumerate() {
        let mut bytes = fs::read(path).expect("readable");
        let place = index * 31 % bytes.len();
        match index % 3 {
            0 => bytes[place] ^= 1,
            1 => bytes.truncate(place),
            _ => bytes.clear(),
        }
        fs::write(path, bytes).expect("writable");
    }
    assert!(run() == expected);
    assert_eq!(encoded(&bench), all);
    assert!(run() == expected);
    assert_eq!(encoded(&bench), [0, 0]);
}

#[test]
fn runs_at_once_share_a_cache() {
    let bench = Bench::new().with_examples();
    let expected = bench.run(FLAGS).expect_code(0).stdout;
    let running: Vec<_> = (0..3)
        .map(|_| {
            let mut command = bench.command(format!("{FLAGS} --cache vectors --threads 1").split(' '));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command can be run")
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stdout == expected, "{}", String::from_utf8_lossy(&output.stderr));
    }
    let unfinished = files(&bench.path("vectors")).into_iter().filter(|path| path.to_string_lossy().contains(".tmp-"));
    assert_eq!(unfinished.count(), 0);
}

#[test]
fn vectors_that_are_embedded_are_there_for_scores() {
    let bench = Bench::new().with_examples();
    let embed = "embed pairs.csv -o vectors.parquet --model pictoclip --quiet --allow-failures --cache vectors";
    bench.run(embed).expect_code(0);
    let ran = bench.run(&format!("{FLAGS} --summary summary.json --cache vectors")).expect_code(0);
    assert_eq!(encoded(&bench), [0, 0]);
    assert!(ran.stdout == bench.run(FLAGS).expect_code(0).stdout);
}

#[test]
fn what_cannot_be_a_cache_is_told_before_the_run() {
    let bench = Bench::new().with_examples().with("file", "");
    for (flags, code, told) in [
        ("--cache vectors --cache-size 1MB", 2, "--cache-size at least 16 MiB"),
        ("--cache-size 1GB", 2, "--cache"),
        ("--cache file", 1, "the cache file cannot be used"),
    ] {
        let ran = bench.run(&format!("{FLAGS} -o out.csv {flags}")).expect_code(code);
        assert!(ran.stderr.contains(told), "{flags}: {}", ran.stderr);
    }
    assert_eq!(bench.names(), ["file", "images", "pairs.csv"]);
}

/// The rows of a table without the columns that say how long something took.
fn without_times(table: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(table);
    let header = reader.headers().expect("a header").clone();
    let is_kept = |column: &usize| !header[*column].ends_with("_ms");
    let rows = reader.records().map(|row| row.expect("a row"));
    rows.map(|row| (0..row.len()).filter(is_kept).map(|column| row[column].to_owned()).collect()).collect()
}

#[test]
fn what_is_known_of_pictures_is_kept_with_their_vectors() {
    // Pictures of many sizes and shapes.
    let bench = crate::tables::bench();
    let run = |flags: &str| {
        let flags = format!("score in.csv --model pictoclip --quiet --allow-failures --summary summary.json {flags}");
        bench.run(&flags).expect_code(0).stdout
    };
    let expected = without_times(&run("--diagnostics"));
    run("--cache vectors");
    let all = encoded(&bench);
    let found = without_times(&run("--diagnostics --cache vectors"));
    assert_eq!(encoded(&bench), [0, 0]);
    assert_eq!(found, expected);

    // Vectors of pictures that this run drops are there, too.
    for flags in ["--min-image-size 10", "--max-aspect-ratio 3", "--min-image-size 9 --max-aspect-ratio 3"] {
        let expected = run(flags);
        let kept = encoded(&bench)[0];
        assert!(kept > 0 && kept < all[0], "{flags} drops {kept} of {}", all[0]);
        assert!(run(&format!("{flags} --cache vectors")) == expected, "{flags}");
        assert_eq!(encoded(&bench), [0, 0], "{flags}");
    }
    // And those of pictures that a run has dropped are not: they were never made.
    let kept = run("--min-image-size 10 --cache others");
    assert!(run("--cache others") == run("") && kept == run("--min-image-size 10 --cache others"));
}
