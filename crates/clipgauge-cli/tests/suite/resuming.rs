//! `--resume`: what it goes on with, what it refuses, and what it leaves.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::{Bench, Ran, repository};
use crate::interrupts::Running;
use crate::slow_web::{SlowWeb, Table, large_picture};

/// Longer than any wait, also where every core is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within a minute");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A table over which a run, with these flags, was ended in its middle by ctrl-C.
fn interrupted(extension: &'static str, flags: &str) -> SlowWeb {
    let web = SlowWeb::new(extension, 60, Duration::from_millis(20));
    let (running, _) = Running::of(web.command(flags));
    wait_until("some rows are finished", || web.finished().len() > 5);
    running.send("-INT");
    let (code, stderr) = running.end();
    assert_eq!(code, Some(130), "{stderr}");
    assert!(stderr.contains("--resume goes on"), "{stderr}");
    web
}

/// The result of an undisturbed run.
fn undisturbed(web: &SlowWeb) -> Table {
    web.clear();
    web.run("--quiet").expect_code(3);
    let scored = web.scored();
    web.clear();
    scored
}

#[test]
fn a_run_goes_on_after_ctrl_c_without_having_been_told_before() {
    let web = interrupted("csv", "");
    let finished = web.finished();
    web.server.forget();
    let ran = web.run("--resume").expect_code(3);
    assert!(ran.stderr.contains("going on with "), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("{} of them before", finished.len())), "{}", ran.stderr);
    let again: Vec<u64> = web.asked_for().intersection(&finished).copied().collect();
    assert_eq!(again, [0; 0]);
    let asked: BTreeSet<u64> = (0..60).filter(|row| !finished.contains(row)).collect();
    assert_eq!(web.asked_for(), asked, "each row that was not finished");
    let scored = web.scored();

    // Then there is nothing to do, which is said, with the same exit code.
    web.server.forget();
    for (flags, code) in [("--resume", 3), ("--resume --allow-failures --summary s.json", 0)] {
        let ran = web.run(flags).expect_code(code);
        let said = "out.csv is finished already: 60 rows, 48 scored, 12 failed (6 http_status, 6 not_found)\n";
        assert_eq!(ran.stderr, said);
    }
    assert_eq!((web.asked_for().len(), web.scored()), (0, scored.clone()));
    assert!(web.bench.text("s.json").contains("\"scored\": 48"));
    // Unless the output is another one by now.
    fs::write(web.bench.path("out.csv"), "url,caption\n").expect("writable");
    web.run("--resume").expect_code(3);
    assert_eq!(web.asked_for().len(), 60);
    assert_eq!(web.scored(), scored);
    assert_eq!(undisturbed(&web), scored);
}

#[test]
fn filtered_runs_go_on_too() {
    for flags in ["--min-score 0.1", "--top-fraction 0.5", "--min-image-size 9999", "--limit 50 --keep-columns n"] {
        let web = interrupted("csv", flags);
        let finished = web.finished();
        web.server.forget();
        let ran = web.run(&format!("{flags} --resume")).expect_code(3);
        assert!(ran.stderr.contains(&format!("{} of them before", finished.len())), "{flags}: {}", ran.stderr);
        let again: Vec<u64> = web.asked_for().intersection(&finished).copied().collect();
        assert_eq!(again, [0; 0], "{flags}");
        let resumed = web.scored();
        web.clear();
        web.run(&format!("{flags} --quiet")).expect_code(3);
        assert_eq!(resumed, web.scored(), "{flags}");
    }
}

#[test]
fn what_is_known_of_rows_outlives_an_ended_run() {
    let web = interrupted("csv", "--diagnostics");
    let finished = web.finished();
    web.run("--diagnostics --resume").expect_code(3);
    let text = web.bench.text("out.csv");
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let column = |name| table.headers().expect("a header").iter().position(|column| column == name).expect("a column");
    let [score, tokens, hash, time] =
        ["similarity", "clipgauge_tokens", "clipgauge_content_hash", "clipgauge_fetch_ms"].map(column);
    let rows: Vec<csv::StringRecord> = table.records().collect::<Result<_, _>>().expect("a table");
    let scored: Vec<u64> = finished.into_iter().filter(|row| !rows[*row as usize][score].is_empty()).collect();
    assert!(!scored.is_empty());
    for row in scored {
        let row = &rows[row as usize];
        assert!(!row[tokens].is_empty() && row[hash].len() == 64 && !row[time].is_empty(), "{row:?}");
    }
}

#[test]
fn flags_that_leave_rows_out_do_not_go_with_parts_and_retries() {
    let web = SlowWeb::new("csv", 3, Duration::ZERO);
    web.run("").expect_code(0);
    for (flags, said) in [
        ("--retry-failed --min-score 0.1", "--retry-failed and --min-score do not go together"),
        ("--retry-failed --limit 2", "--retry-failed and --limit do not go together"),
        ("--retry-failed --diagnostics", "--retry-failed and --diagnostics do not go together"),
        ("--shard 0/2 --top-fraction 0.5", "--shard and --top-fraction do not go together"),
        ("--shard 0/2 --sample 2", "--shard and --sample do not go together"),
    ] {
        let ran = web.run(flags).expect_code(2);
        assert!(ran.stderr.contains(said), "{flags}: {}", ran.stderr);
    }
}

#[test]
fn nothing_stays_beside_an_output_unless_it_was_asked_for() {
    let web = SlowWeb::new("csv", 3, Duration::ZERO);
    let names = |web: &SlowWeb| web.bench.names();
    web.run("").expect_code(0);
    assert_eq!(names(&web), ["in.csv", "out.csv"]);
    web.run("--resume").expect_code(0);
    assert_eq!(names(&web), ["in.csv", "out.csv", "out.csv.journal"]);
    assert!(web.bench.read("out.csv.journal").len() < 2000);
    web.run("").expect_code(0);
    assert_eq!(names(&web), ["in.csv", "out.csv"]);
}

#[test]
fn without_the_flag_a_run_begins_anew_and_says_so() {
    let web = interrupted("jsonl", "");
    web.server.forget();
    let ran = web.run("").expect_code(3);
    assert!(ran.stderr.contains("beginning anew; --resume would have gone on with "), "{}", ran.stderr);
    assert_eq!(web.asked_for().len(), 60);
    assert!(!web.bench.path("out.jsonl.journal").exists());
}

#[test]
fn what_changed_is_named_and_nothing_is_lost() {
    let web = interrupted("csv", "--resume");
    let finished = web.finished();
    for (flags, said) in [
        ("--metric clipscore", "--metric was cosine and is now clipscore"),
        ("--precision int8", "--precision was f32 and is now int8"),
        ("--column other", "--column was similarity and is now other"),
        ("--background white", "--background was not given and is now #ffffff"),
        ("--max-pixels 1M", "--max-pixels was 100000000 and is now 1000000"),
        ("--canonicalize-captions", "--canonicalize-captions was not given and is now given"),
        ("--shard 0/2", "--shard was not given and is now 0/2"),
        ("--retry-failed", "out.csv is not there, so that no row of it has failed"),
    ] {
        let ran = web.run(&format!("--resume {flags}")).expect_code(2);
        assert!(ran.stderr.contains(said) && ran.stderr.lines().count() == 1, "{flags}: {}", ran.stderr);
        assert_eq!(web.finished(), finished, "{flags}");
    }
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../clipgauge-pictoclip/model");
    let args = format!("score in.csv -o out.csv --model {model} --error-column why --resume");
    let ran = web.bench.run(&args).expect_code(2);
    assert!(ran.stderr.contains(&format!("--model was pictoclip and is now {model}")), "{}", ran.stderr);

    let table = web.bench.read("in.csv");
    let modified = fs::metadata(web.bench.path("in.csv")).and_then(|metadata| metadata.modified()).expect("a time");
    fs::write(web.bench.path("in.csv"), [&table[..], b"more,\"a\",60\r\n"].concat()).expect("writable");
    let ran = web.run("--resume").expect_code(2);
    let said = format!("the input's size was {} bytes and is now {} bytes", table.len(), table.len() + 13);
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    assert!(ran.stderr.contains("the input's time was "), "{}", ran.stderr);
    assert_eq!(web.finished(), finished);

    // As it was, it goes on, whatever the limits of work.
    fs::write(web.bench.path("in.csv"), table).expect("writable");
    let file = fs::File::options().write(true).open(web.bench.path("in.csv")).expect("there");
    file.set_modified(modified).expect("settable");
    web.server.forget();
    web.run("--resume --batch-size 3 --timeout 20s --connect-timeout 5s --per-host 3").expect_code(3);
    assert!(web.asked_for().is_disjoint(&finished));
}

/// The file's time and size are as they were.
#[test]
fn a_change_of_the_content_alone_is_seen() {
    let web = interrupted("csv", "");
    let path = web.bench.path("in.csv");
    let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
    let changed = web.bench.text("in.csv").replacen("red apple", "red maple", 1);
    fs::write(&path, changed).expect("writable");
    fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).expect("settable");
    let ran = web.run("--resume").expect_code(2);
    assert!(ran.stderr.contains("the input's content is another"), "{}", ran.stderr);
}

#[test]
fn a_table_from_a_pipe_goes_on_row_by_row() {
    let rows = "no such file.png,a cat\n".repeat(30);
    let bench = Bench::new();
    let args = "score - -o out.csv --model pictoclip --quiet";
    let (running, mut stdin) = Running::start(&bench, args);
    stdin.write_all(format!("url,caption\n{rows}").as_bytes()).expect("writable");
    let journal = bench.path("out.csv.journal");
    let finished = || clipgauge::journal::finished_rows(&journal).map_or(0, |rows| rows.len());
    wait_until("all rows are finished", || finished() == 30);
    running.send("-KILL");
    running.end();
    let table = format!("url,caption\n{rows}images/02-1f436-noto.jpg,a dog\nno such file.png,another cat\n");
    let ran = bench.run_with_stdin(&format!("{} --resume", args.replace("--quiet", "")), table).expect_code(3);
    assert!(ran.stderr.contains("32 rows, 0 scored, 32 failed (32 not_found), 30 of them before"), "{}", ran.stderr);
    // Another table has no row in common with it.
    let table = "url,caption\nno such file.png,a mouse\n";
    fs::remove_file(bench.path("out.csv")).expect("there");
    let ran = bench.run_with_stdin(&format!("{} --resume", args.replace("--quiet", "")), table).expect_code(3);
    assert!(ran.stderr.contains("1 row, 0 scored, 1 failed (1 not_found), in "), "{}", ran.stderr);
}

#[test]
fn in_place_too() {
    let web = SlowWeb::new("csv", 40, Duration::from_millis(20));
    let flags = "--model pictoclip --concurrency 2 --retries 0 --host-failures 0 --error-column why";
    let in_place = || {
        let mut command = web.bench.command(format!("score in.csv --in-place {flags} --resume").split(' '));
        command.env("NO_PROXY", "*");
        command
    };
    web.run("--quiet").expect_code(3);
    let expected = web.scored();
    web.clear();
    let journal = web.bench.path("in.csv.journal");
    let (running, _) = Running::of(in_place());
    let finished = || clipgauge::journal::finished_rows(&journal).unwrap_or_default();
    wait_until("some rows are finished", || finished().len() > 5);
    running.send("-KILL");
    running.end();
    let finished: BTreeSet<u64> = finished().into_iter().collect();
    web.server.forget();
    Ran::of(in_place().output().expect("runnable")).expect_code(3);
    assert!(web.asked_for().is_disjoint(&finished));
    assert_eq!(Table::read(&web.bench, "in.csv"), expected);
    let ran = Ran::of(in_place().output().expect("runnable")).expect_code(3);
    assert!(ran.stderr.starts_with("in.csv is finished already: 40 rows, 32 scored, 8 failed"), "{}", ran.stderr);
}

#[test]
fn one_process_at_a_time_writes_an_output() {
    let bench = Bench::new().with("in.csv", "url,caption\n");
    let (running, mut stdin) = Running::start(&bench, "score - -o out.csv --model pictoclip");
    wait_until("the journal is there", || bench.path("out.csv.journal").exists());
    for flags in ["", "--resume"] {
        let ran = bench.run(&format!("score in.csv -o out.csv --model pictoclip {flags}")).expect_code(2);
        let said =
            "error: out.csv.journal is locked: another process writes that output; wait for it, or name another\n";
        assert!(ran.stderr.ends_with(said.trim_start_matches("error: out")), "{}", ran.stderr);
    }
    stdin.write_all(b"url,caption\n").expect("writable");
    drop(stdin);
    let (code, stderr) = running.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(bench.names(), ["in.csv", "out.csv"]);
}

#[test]
fn there_has_to_be_a_file_to_go_on_with() {
    let bench = Bench::new().with("in.csv", "url,caption\na.png,a\n").with("out.csv.journal", "mine");
    for (args, said) in [
        ("in.csv --resume", "--resume needs a file that it goes on with; name the output with -o FILE"),
        ("in.csv -o /dev/null --resume", "--resume needs a file"),
        ("in.csv --retry-failed", "--retry-failed needs a file"),
        ("in.csv --shard 0/2", "--shard makes a part of a table, which needs a file of its own"),
        ("in.csv --in-place --shard 0/2", "--shard makes a part of a table"),
        ("in.csv -o o.csv --shard 2/2", "a shard is its number from 0, a slash and how many there are"),
        ("in.csv -o o.csv --summary o.csv.journal", "cannot be the journal of the output and --summary at once"),
        ("in.csv -o out.csv", "out.csv.journal is there and is no journal of this version of clipgauge"),
    ] {
        let ran = bench.run(&format!("score {args} --model pictoclip")).expect_code(2);
        assert!(ran.stderr.contains(said), "{args}: {}", ran.stderr);
    }
    assert_eq!(bench.names(), ["in.csv", "out.csv.journal"]);
    assert_eq!(bench.text("out.csv.journal"), "mine");
}

/// Every byte of a journal in turn is another: the run ends as it should all the same.
#[test]
fn a_damaged_journal_costs_no_more_than_its_rows() {
    let web = interrupted("csv", "");
    let journal = web.bench.read("out.csv.journal");
    let expected = {
        web.run("--quiet").expect_code(3);
        web.scored()
    };
    let middle = journal.len() / 2;
    let damaged = [
        ("cut in its middle", journal[..middle].to_vec()),
        ("another byte in its middle", [&journal[..middle], &[journal[middle] ^ 1], &journal[middle + 1..]].concat()),
        ("zeros at its end", [&journal[..], &[0; 4096]].concat()),
        ("only its first bytes", journal[..5].to_vec()),
        ("another beginning", [&journal[..20], &[0xff; 30], &journal[50..]].concat()),
        ("empty", Vec::new()),
    ];
    for (name, bytes) in damaged {
        web.clear();
        fs::write(web.bench.path("out.csv.journal"), bytes).expect("writable");
        let finished = web.finished();
        web.run("--resume").expect_code(3);
        assert!(web.asked_for().is_disjoint(&finished), "{name}");
        assert_eq!(web.scored(), expected, "{name}");
    }
}

/// The most that may be written to a file is limited, and the signal about it ignored: as with a full disk, writing
/// fails.
#[test]
fn a_run_goes_on_after_a_full_disk() {
    let long = "x".repeat(5000);
    let rows: String = (0..300).map(|row| format!("images/{}.png,red apple,{row},{long}\n", row % 3)).collect();
    let bench = Bench::new().with("in.csv", format!("url,caption,n,text\n{rows}"));
    fs::create_dir(bench.path("images")).expect("creatable");
    for image in 0..2 {
        let from = repository().join("examples/images/03-1f34e-fluent-flat.png");
        fs::copy(from, bench.path(&format!("images/{image}.png"))).expect("copyable");
    }
    let args = "score in.csv -o out.csv --model pictoclip";
    let mut command = Command::new("sh");
    let inner = bench.command(args.split(' '));
    command.arg("-c").arg("trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\"").arg(inner.get_program());
    command.args(inner.get_args()).current_dir(bench.path(".")).stdin(Stdio::null());
    let ran = Ran::of(command.output().expect("there is a shell")).expect_code(1);
    assert!(ran.stderr.contains("the output cannot be written"), "{}", ran.stderr);
    let finished = clipgauge::journal::finished_rows(&bench.path("out.csv.journal")).expect("a journal").len();
    assert!(finished > 50, "{finished}");
    assert!(!bench.path("out.csv").exists());

    let ran = bench.run(&format!("{args} --resume")).expect_code(3);
    assert!(ran.stderr.contains(&format!("{finished} of them before")), "{}", ran.stderr);
    let resumed = bench.text("out.csv");
    bench.run(args).expect_code(3);
    assert!(resumed == bench.text("out.csv"));
}

/// A disk that is really full, where a file system of one's own can be made; the limit above stands for it elsewhere.
#[cfg(target_os = "linux")]
#[test]
fn a_run_goes_on_after_a_file_system_is_full() {
    let long = "x".repeat(5000);
    let rows: String = (0..300).map(|row| format!("image.png,red apple,{row},{long}\n")).collect();
    let bench = Bench::new().with("in.csv", format!("url,caption,n,text\n{rows}"));
    let from = repository().join("examples/images/03-1f34e-fluent-flat.png");
    fs::copy(from, bench.path("image.png")).expect("copyable");
    fs::create_dir(bench.path("disk")).expect("creatable");
    let is_mountable = |command: &mut Command| command.output().is_ok_and(|ran| ran.status.success());
    let mount = "mount -t tmpfs -o size=600k clipgauge disk";
    let in_namespace = ["-Urm", "bash", "-c"];
    let mut command = Command::new("unshare");
    if !is_mountable(command.args(in_namespace).arg(mount).current_dir(bench.path("."))) {
        // Then the limit on the size of a file shows all that can be shown here.
        return a_run_goes_on_after_a_full_disk();
    }
    // A table on the disk that is full, whose rows are read from elsewhere; then there is more room.
    let script = format!(
        "{mount}
         \"$0\" score in.csv -o disk/out.csv --model pictoclip --quiet 2> first.txt; echo $? >> first.txt
         ls disk > left.txt
         mount -o remount,size=50m disk
         \"$0\" score in.csv -o disk/out.csv --model pictoclip --resume 2> second.txt; echo $? >> second.txt
         cp disk/out.csv out.csv"
    );
    let inner = bench.command([]);
    let mut command = Command::new("unshare");
    command.args(in_namespace).arg(script).arg(inner.get_program()).current_dir(bench.path("."));
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(command.output().expect("unshare is there")).expect_code(0);
    let (first, second) = (bench.text("first.txt"), bench.text("second.txt"));
    assert!(first.starts_with("error: ") && first.contains("cannot be written") && first.ends_with("1\n"), "{first}");
    assert!(first.to_lowercase().contains("no space left"), "{first}");
    assert!(!bench.text("left.txt").lines().any(|name| name == "out.csv"), "nothing half-written");
    assert!(second.contains("300 rows, 300 scored") && second.ends_with("0\n"), "{second}");
    let resumed = bench.text("out.csv");
    bench.run("score in.csv -o out.csv --model pictoclip --quiet").expect_code(0);
    assert!(resumed == bench.text("out.csv"));
}

/// Pictures that are in their table, or are the table, are not fetched, and those that are finished not scored again.
#[test]
fn shards_and_folders_of_pictures_go_on_too() {
    let web = SlowWeb::new("tar", 60, Duration::ZERO);
    fs::create_dir(web.bench.path("pictures")).expect("creatable");
    for row in 0..60 {
        fs::write(web.bench.path(&format!("pictures/{row:02}.jpg")), large_picture(row)).expect("writable");
        fs::write(web.bench.path(&format!("pictures/{row:02}.txt")), format!("number {row}")).expect("writable");
    }
    for (input, output) in [("in.tar", "out.tar"), ("in.tar", "out.jsonl"), ("pictures", "out.csv")] {
        let args = format!("score {input} -o {output} --model pictoclip --threads 1 --batch-size 2 --allow-failures");
        web.bench.run(&args).expect_code(0);
        let expected = web.bench.read(output);
        web.clear();
        let journal = web.bench.path(&format!("{output}.journal"));
        let finished = || clipgauge::journal::finished_rows(&journal).map_or(0, |rows| rows.len());
        let (running, _) = Running::of(web.bench.command(args.split(' ')));
        wait_until("some rows are finished", || journal.exists() && finished() > 5);
        running.send("-INT");
        let (code, stderr) = running.end();
        assert_eq!(code, Some(130), "{stderr}");
        let finished = finished();
        let ran = web.bench.run(&format!("{args} --resume")).expect_code(0);
        assert!(ran.stderr.contains(&format!("{finished} of them before")), "{input} to {output}: {}", ran.stderr);
        assert!(web.bench.read(output) == expected, "{input} to {output}");
        web.clear();
    }
}

/// No file can be created there, whoever one is.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_to_is_told_at_once() {
    let bench = Bench::new().with("in.csv", "url,caption\na.png,a\n");
    for flags in ["", "--resume"] {
        let ran = bench.run(&format!("score in.csv -o /proc/out.csv --model pictoclip {flags}")).expect_code(1);
        let said = "error: /proc/out.csv cannot be written: no file can be created in the folder /proc";
        assert!(ran.stderr.starts_with(said), "{}", ran.stderr);
    }
}
