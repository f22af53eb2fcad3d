//! Several inputs together with filters, kept columns and runs that go on after others.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::{Bench, Ran};
use crate::interrupts::Running;
use crate::slow_web::{self, SlowWeb};
use crate::tables::{Table, bench_with_parts};

const FLAGS: &str = "--model pictoclip --allow-failures --progress never --error-column why";

/// A score that about half of the rows of the table have.
fn middle_score(bench: &Bench) -> f32 {
    bench.run(&format!("score in.csv -o all.csv {FLAGS}")).expect_code(0);
    let mut scores: Vec<f32> = Table::read(bench.path("all.csv")).scores().into_iter().flatten().collect();
    scores.sort_by(f32::total_cmp);
    scores[scores.len() / 2]
}

/// Flags that choose rows and columns: by their places, by their scores in one reading, and in two.
fn choices(bench: &Bench) -> [String; 3] {
    let score = middle_score(bench);
    [
        "--limit 20 --sample 9 --seed 3 --keep-columns note,id".to_owned(),
        format!("--min-score {score} --keep-columns id"),
        "--top-fraction 0.3".to_owned(),
    ]
}

#[test]
fn two_tables_become_what_the_whole_becomes() {
    let bench = bench_with_parts();
    let same = ["csv", "jsonl", "parquet", "arrow"].map(|extension| (extension, extension));
    for flags in choices(&bench) {
        for (from, to) in same.into_iter().chain([("csv", "parquet")]) {
            bench.run(&format!("score in.{from} -o one.{to} {flags} {FLAGS}")).expect_code(0);
            bench.run(&format!("score a.{from} b.{from} -o two.{to} {flags} {FLAGS}")).expect_code(0);
            let (one, two) =
                (Table::read(bench.path(&format!("one.{to}"))), Table::read(bench.path(&format!("two.{to}"))));
            assert!(!one.rows.is_empty(), "{flags}: nothing is shown");
            assert_eq!(two, one, "{flags}: {from} to {to}");
        }
    }
}

#[test]
fn tables_that_stay_apart_have_the_same_rows_between_them() {
    let bench = bench_with_parts();
    for flags in choices(&bench) {
        for extension in ["csv", "jsonl", "parquet", "arrow"] {
            bench.run(&format!("score in.{extension} -o one.{extension} {flags} {FLAGS}")).expect_code(0);
            bench.run(&format!("score a.{extension} b.{extension} -o out/ {flags} {FLAGS}")).expect_code(0);
            let whole = Table::read(bench.path(&format!("one.{extension}")));
            let [first, second] = ["a", "b"].map(|part| Table::read(bench.path(&format!("out/{part}.{extension}"))));
            assert!(!first.rows.is_empty() && !second.rows.is_empty(), "{flags}: nothing is shown");
            let rows = [first.rows, second.rows].concat();
            assert_eq!(Table { columns: first.columns, rows }, whole, "{flags}: {extension}");
        }
    }
    // What comes behind the last row that is taken is not begun.
    bench.run(&format!("score a.csv b.csv -o few/ --limit 4 {FLAGS}")).expect_code(0);
    assert_eq!(Table::read(bench.path("few/a.csv")).rows.len(), 4);
    assert!(!bench.path("few/b.csv").exists());
}

#[test]
fn what_is_for_one_table_is_refused() {
    let bench = bench_with_parts().with("shard.tar", "");
    fs::create_dir(bench.path("pictures")).expect("creatable");
    let bench = bench.with("pictures/a.bmp", "");
    for (args, told) in [
        ("a.csv b.csv -o out.csv --retry-failed", "--retry-failed is for one table, and the input is several inputs"),
        ("a.csv b.csv -o out.csv --shard 0/2", "--shard is for one table, and the input is several inputs"),
        ("pictures -o out.csv --shard 0/2", "the input is a folder of pictures"),
        ("shard.tar -o out.tar --shard 0/2", "the input is WebDataset shards"),
        ("shard.tar -o out.tar --retry-failed", "the input is WebDataset shards"),
        ("a.csv b.csv -o out/ --resume", "--resume needs a file that it goes on with"),
        ("a.csv -o out/ --resume", "--resume needs a file that it goes on with"),
        ("a.csv b.csv --in-place --resume", "--resume needs a file that it goes on with"),
        ("a.csv b.csv -o out/ --retry-failed", "--retry-failed needs a file that it goes on with"),
        ("a.csv b.csv -o out/ --shard 0/2", "--shard makes a part of a table"),
        ("a.csv b.csv --in-place --limit 3", "--limit is about the rows of all tables"),
        ("a.csv b.csv --in-place --top-fraction 0.5", "--top-fraction is about the rows of all tables"),
        ("a.csv b.csv -o ./ --sample 3", "--sample is about the rows of all tables"),
        ("a.csv a.csv --in-place", "a.csv would be the output of two tables; name each table once"),
    ] {
        let before = bench.names();
        let ran = bench.run(&format!("score {args} {FLAGS}")).expect_code(2);
        assert!(ran.stderr.contains(told), "{args}: {}", ran.stderr);
        assert_eq!(bench.names(), before, "{args}");
    }
}

/// The table of a slow web as two.
fn two_tables(web: &SlowWeb) {
    let table = web.bench.text(&web.input());
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let records: Vec<_> = reader.records().map(|record| record.expect("a row")).collect();
    for (name, records) in ["x.csv", "y.csv"].iter().zip([&records[..10], &records[10..]]) {
        let mut writer = csv::Writer::from_path(web.bench.path(name)).expect("creatable");
        writer.write_record(&header).expect("written");
        records.iter().for_each(|record| writer.write_record(record).expect("written"));
    }
}

#[test]
fn a_run_over_two_tables_goes_on() {
    let web = SlowWeb::new("csv", 40, Duration::from_millis(20));
    two_tables(&web);
    let command = |more: &str| {
        let args = format!("score x.csv y.csv -o out.csv {} {more}", slow_web::FLAGS);
        let mut command = web.bench.command(args.split_whitespace());
        command.env("NO_PROXY", "*");
        command
    };
    let run = |more: &str| Ran::of(command(more).output().expect("the command can be run"));
    run("--quiet").expect_code(3);
    let (expected, errors) = (web.scored(), web.bench.text("out.csv.errors.csv"));
    web.clear();

    let (running, _) = Running::of(command(""));
    // Some of them of the second table.
    let until = Instant::now() + Duration::from_secs(60);
    while web.finished().len() < 16 {
        assert!(Instant::now() < until, "16 rows are not finished within a minute");
        thread::sleep(Duration::from_millis(10));
    }
    running.send("-INT");
    let (code, stderr) = running.end();
    assert_eq!(code, Some(130), "{stderr}");
    let finished = web.finished();
    web.server.forget();

    let path = web.bench.path("y.csv");
    let (second, time) = (web.bench.read("y.csv"), path.metadata().and_then(|file| file.modified()).expect("a time"));
    fs::write(&path, [second.as_slice(), b",,\n"].concat()).expect("writable");
    let ran = run("--resume").expect_code(2);
    assert!(ran.stderr.contains("the input 2's size was "), "{}", ran.stderr);
    assert!(!ran.stderr.contains("the input 1"), "{}", ran.stderr);
    fs::write(&path, &second).expect("writable");
    fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(time)).expect("settable");
    assert_eq!(web.asked_for().len(), 0);

    let ran = run("--resume").expect_code(3);
    assert!(ran.stderr.contains(&format!("{} of them before", finished.len())), "{}", ran.stderr);
    assert_eq!(web.asked_for().intersection(&finished).count(), 0);
    assert_eq!((web.scored(), web.bench.text("out.csv.errors.csv")), (expected, errors));
    let ran = run("--resume").expect_code(3);
    assert!(ran.stderr.starts_with("out.csv is finished already: 40 rows"), "{}", ran.stderr);
}
