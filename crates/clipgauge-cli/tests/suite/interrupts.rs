//! Signals in the middle of a run: it ends cleanly, nothing half-written looks whole, finished rows are kept.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clipgauge_testing::{Hub, Reply, Server};

use crate::bench::{Bench, repository};

/// Longer than any wait, also where every core is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run whose table comes through a pipe; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stderr: Receiver<String>,
}

impl Running {
    pub(crate) fn start(bench: &Bench, args: &str) -> (Self, ChildStdin) {
        Self::of(bench.command(args.split(' ')))
    }

    pub(crate) fn of(mut command: Command) -> (Self, ChildStdin) {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command can be run");
        let stdin = child.stdin.take().expect("piped");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (lines, received) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        (Self { child, stderr: received }, stdin)
    }

    /// Waits for a line of standard error that has this in it.
    pub(crate) fn wait_for(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        while !lines.iter().any(|line: &String| line.contains(text)) {
            match self.stderr.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(error) => panic!("no line with {text:?} ({error}): {lines:?}"),
            }
        }
    }

    pub(crate) fn send(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill is there");
        assert!(sent.success());
    }

    /// Waits for the end; returns the exit code and the rest of standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            match self.stderr.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the signal did not end the run: {lines:?}"),
            }
        }
        (self.child.wait().expect("it has ended").code(), lines.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes rows without end, a few at a time, until nobody reads them.
fn feed(mut stdin: ChildStdin) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut text = "url,caption\n".to_owned();
        while stdin.write_all(text.as_bytes()).is_ok() {
            text = "no such file.png,a cat\n".repeat(20);
            thread::sleep(Duration::from_millis(5));
        }
    })
}

#[test]
fn what_is_scored_is_kept_also_where_only_the_best_are_wanted() {
    let server = Server::start();
    server.on("/stalls", Reply::stall());
    let bench = Bench::new().with_examples();
    let pairs = bench.text("pairs.csv");
    let rows: Vec<&str> = pairs.lines().take(4).collect();
    std::fs::write(bench.path("in.csv"), format!("{}\n{},c\n", rows.join("\n"), server.url("/stalls")))
        .expect("writable");
    let flags = "--top-fraction 0.1 --progress always --model pictoclip";
    let mut command = bench.command(format!("score in.csv -o out.csv {flags}").split(' '));
    command.env("NO_PROXY", "*");
    let (running, _stdin) = Running::of(command);
    running.wait_for("3 of about");
    running.send("-INT");
    let (ended, stderr) = running.end();
    assert_eq!(ended, Some(130), "{stderr}");
    // Which are the best, nobody knows: all are there.
    assert!(stderr.contains("the finished rows are in out.csv.partial"), "{stderr}");
    let partial = bench.text("out.csv.partial");
    assert_eq!(partial.lines().count(), 4, "{partial}");
    assert!(partial.lines().zip(rows).all(|(line, row)| line.starts_with(row)), "{partial}");

    // On a pipe, they would be taken for the best.
    let mut command = bench.command(format!("score in.csv {flags}").split(' '));
    command.env("NO_PROXY", "*");
    let (mut running, _stdin) = Running::of(command);
    running.wait_for("3 of about");
    running.send("-INT");
    let mut text = String::new();
    running.child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
    assert_eq!((text.as_str(), running.end().0), ("", Some(130)));

    // In a folder of tables too, and nobody is told that there are rows.
    let mut command = bench.command(format!("score in.csv -o tables/ {flags}").split(' '));
    command.env("NO_PROXY", "*");
    let (running, _stdin) = Running::of(command);
    running.wait_for("3 of about");
    running.send("-INT");
    let (ended, stderr) = running.end();
    assert_eq!(ended, Some(130), "{stderr}");
    assert!(!stderr.contains("finished rows"), "{stderr}");
    assert_eq!(std::fs::read_dir(bench.path("tables")).expect("there").count(), 0);
}

#[test]
fn a_signal_keeps_the_finished_rows() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let bench = Bench::new().with("out.csv", "before");
        let (running, stdin) = Running::start(&bench, "score - -o out.csv --model pictoclip --progress always");
        let feeder = feed(stdin);
        running.wait_for(" rows/s");
        running.send(signal);
        let (ended, stderr) = running.end();
        feeder.join().expect("the feeder ends");
        assert_eq!(ended, Some(code), "{signal}: {stderr}");
        assert!(stderr.contains("the finished rows are in out.csv.partial"), "{signal}: {stderr}");
        assert_eq!(bench.text("out.csv"), "before", "{signal}");
        let partial = bench.text("out.csv.partial");
        let mut lines = partial.lines();
        assert_eq!(lines.next(), Some("url,caption,similarity"), "{signal}");
        let mut rows = lines.inspect(|line| assert_eq!(*line, "no such file.png,a cat,", "{signal}"));
        assert!(rows.by_ref().count() > 0 && partial.ends_with('\n'), "{signal}: {partial}");
        assert_eq!(
            bench.names(),
            ["out.csv", "out.csv.errors.csv.partial", "out.csv.journal", "out.csv.partial"],
            "{signal}"
        );
    }
}

/// While a model is being fetched there are no rows yet.
#[test]
fn a_signal_ends_a_download() {
    let hub = Hub::start();
    hub.add_folder("org/model", &repository().join("tests/golden/families/siglip"));
    hub.hold("model.safetensors");
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        for args in ["models fetch org/model", "score - -o out.csv --model org/model"] {
            let bench = Bench::new();
            let mut command = bench.command(args.split(' '));
            command.env("HF_HUB_OFFLINE", "0").env("HF_ENDPOINT", hub.endpoint());
            hub.forget();
            let (running, mut stdin) = Running::of(command);
            stdin.write_all(b"url,caption\n").expect("it reads");
            let until = Instant::now() + PATIENCE;
            while hub.storage_requests().is_empty() && Instant::now() < until {
                thread::sleep(Duration::from_millis(10));
            }
            running.send(signal);
            let (ended, stderr) = running.end();
            assert_eq!(ended, Some(code), "{args}, {signal}: {stderr}");
            assert!(stderr.contains("interrupted while the model was being fetched"), "{args}: {stderr}");
        }
    }
}

#[test]
fn rows_on_standard_output_are_whole() {
    let bench = Bench::new();
    let (mut running, stdin) = Running::start(&bench, "score - --model pictoclip --quiet");
    let feeder = feed(stdin);
    let mut stdout = BufReader::new(running.child.stdout.take().expect("piped"));
    let mut text = String::new();
    for _ in 0..2 {
        stdout.read_line(&mut text).expect("readable");
    }
    running.send("-INT");
    stdout.read_to_string(&mut text).expect("readable");
    let (code, stderr) = running.end();
    feeder.join().expect("the feeder ends");
    assert_eq!((code, stderr.as_str()), (Some(130), ""));
    assert!(text.starts_with("url,caption,similarity\n") && text.ends_with("png,a cat,\n"), "{text}");
}

#[test]
fn a_run_that_waits_for_its_header_can_be_ended() {
    for (args, signal, code) in [
        ("score - --model pictoclip", "-INT", 130),
        ("score - -o out.csv --model pictoclip", "-TERM", 143),
        ("score fifo.csv -o out.csv --model pictoclip", "-INT", 130),
        ("score in.csv -o fifo.csv --model pictoclip", "-TERM", 143),
    ] {
        let bench = Bench::new().with("in.csv", "url,caption\n");
        let made = Command::new("mkfifo").arg(bench.path("fifo.csv")).status().expect("mkfifo is there");
        assert!(made.success());
        let (running, mut stdin) = Running::start(&bench, &format!("{args} -v"));
        stdin.write_all(b"url,cap").expect("writable");
        running.wait_for("opening the table");
        running.send(signal);
        let (ended, stderr) = running.end();
        assert_eq!(ended, Some(code), "{args}: {stderr}");
        assert!(stderr.contains("the run was ended before its first row"), "{args}: {stderr}");
        assert_eq!(bench.names(), ["fifo.csv", "in.csv"], "{args}");
    }
}

/// A folder may lie on a disk that hangs: here, a file of it is a pipe that nobody writes to.
#[test]
fn a_signal_ends_the_loading_of_a_model() {
    for (args, signal, code) in [
        ("score in.csv -o out.csv --model model -v", "-INT", 130),
        ("embed in.csv -o out.parquet --model model -v", "-TERM", 143),
        ("compare text:a text:b --model model -v", "-INT", 130),
    ] {
        let bench = Bench::new().with("in.csv", "url,caption\n");
        std::fs::create_dir(bench.path("model")).expect("creatable");
        let made = Command::new("mkfifo").arg(bench.path("model/config.json")).status().expect("mkfifo is there");
        assert!(made.success());
        let (running, _stdin) = Running::start(&bench, args);
        running.wait_for("loading the model");
        running.send(signal);
        let (ended, stderr) = running.end();
        assert_eq!(ended, Some(code), "{args}: {stderr}");
        assert_eq!(bench.names(), ["in.csv", "model"], "{args}");
    }
}
