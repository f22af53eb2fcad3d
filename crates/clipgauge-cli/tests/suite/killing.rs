//! Runs that are killed at any moment go on from there: the output is that of an undisturbed run, and the server is not
//! asked again for a row that had been finished.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::slow_web::SlowWeb;

/// Where the moments come from; another one can be given in `CLIPGAUGE_SEED`.
const SEED: u64 = 20_261_125;

/// How many rows a table has.
const ROWS: usize = 120;

/// SplitMix64, so that the moments are the same everywhere.
struct Moments(u64);

impl Moments {
    /// A length of time below `longest`.
    fn next(&mut self, longest: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        longest.mul_f64((bits >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Kills runs over a table so many times, each of which goes on from where the one before was.
fn kill(extension: &'static str, kills: usize) {
    let seed = std::env::var("CLIPGAUGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let mut moments = Moments(seed);
    let web = SlowWeb::new(extension, ROWS, Duration::from_millis(8));
    let started = Instant::now();
    web.run("").expect_code(3);
    let undisturbed = started.elapsed();
    let (expected, errors) = (web.scored(), web.bench.text(&format!("{}.errors.csv", web.output())));
    // The pictures of a shard are in it.
    let is_fetched = extension != "tar";
    assert_eq!(web.asked_for().len(), if is_fetched { ROWS } else { 0 });
    web.clear();

    let (mut killed, mut finished, mut taken_over) = (0, BTreeSet::new(), 0);
    while killed < kills {
        let at = format!("CLIPGAUGE_SEED={seed}, {extension}, after {killed} kills");
        let mut child = web.command("--resume").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runnable");
        thread::sleep(moments.next(undisturbed.mul_f64(0.8)));
        let has_ended = child.try_wait().expect("it can be waited for").is_some();
        // Fails if it has ended meanwhile.
        let _ = child.kill();
        child.wait().expect("it has ended");
        let again: Vec<u64> = web.asked_for().intersection(&finished).copied().collect();
        assert_eq!(again, [0; 0], "{at}: rows that were finished are fetched again");
        taken_over += finished.len();
        let is_there = web.bench.path(&web.output()).exists();
        if is_there {
            assert!(web.scored() == expected, "{at}: the output is there, and not as it should be");
        }
        if has_ended {
            assert!(is_there, "{at}: the run ended without an output");
            web.clear();
            finished.clear();
            continue;
        }
        killed += 1;
        let now = web.finished();
        assert!(is_there || now.is_superset(&finished), "{at}: finished rows are lost");
        finished = now;
        web.server.forget();
    }
    let at = format!("CLIPGAUGE_SEED={seed}, {extension}, at the end");
    let ran = web.run("--resume").expect_code(3);
    assert!(web.scored() == expected, "{at}: {}", ran.stderr);
    assert_eq!(web.bench.text(&format!("{}.errors.csv", web.output())), errors, "{at}");
    let names = ["", ".errors.csv", ".journal"].map(|end| format!("{}{end}", web.output()));
    assert_eq!(web.bench.names()[1..], names, "{at}: what was left of killed runs is gone");
    assert!(taken_over > 0, "{at}: no run had anything to go on with");
}

#[test]
fn csv_goes_on_after_kills() {
    kill("csv", 17);
}

#[test]
fn json_lines_go_on_after_kills() {
    kill("jsonl", 17);
}

#[test]
fn parquet_goes_on_after_kills() {
    kill("parquet", 16);
}

#[test]
fn shards_go_on_after_kills() {
    kill("tar", 16);
}
