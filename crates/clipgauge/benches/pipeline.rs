//! What the way of a row costs by itself: memory over longer and longer tables, rows a second where nothing has to be
//! computed, and fetching beside a bare loop of `reqwest` with the same concurrency, from healthy and from bad servers.
//!
//! `cargo bench -p clipgauge --bench pipeline`; with `-- small` a hundredth of the rows, to see that it works.
//!
//! Each figure comes from a process of its own, and the servers run in others. Equal images and captions are encoded
//! once, so that a table of few different ones measures everything but the encoders.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clipgauge::cancel::Cancel;
use clipgauge::options::{Input, Output, ScoreOptions};
use clipgauge::pipeline::score_table;
use clipgauge::progress::Silent;
use clipgauge::stats::Summary;
use clipgauge_testing::{Reply, Server};

/// Says in the environment of a child what it is to do.
const ROLE: &str = "CLIPGAUGE_BENCH_ROLE";

/// Rows of the tables whose memory is measured.
const LENGTHS: [u64; 3] = [1_000, 100_000, 1_000_000];

/// Rows where only speed is measured.
const ROWS: u64 = 200_000;

/// Rows that are fetched.
const FETCHED: u64 = 20_000;

/// Fetches at once.
const CONCURRENCY: usize = 64;

/// What a healthy server takes to answer, where servers are slow.
const DELAY: Duration = Duration::from_millis(20);

/// How long a fetch may take where servers stall.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Says in the environment of a child that a hundredth of the rows is enough.
const SMALL: &str = "CLIPGAUGE_BENCH_SMALL";

fn is_small() -> bool {
    std::env::var_os(SMALL).is_some() || std::env::args().any(|arg| arg == "small")
}

/// As many of so many rows as there are to be.
fn scaled(rows: u64) -> u64 {
    if is_small() { rows / 100 } else { rows }
}

fn main() {
    match std::env::var(ROLE).as_deref() {
        Ok("server") => serve(),
        Ok(role) => println!("{}", measure(role)),
        Err(_) => report(),
    }
}

fn report() {
    println!("peak memory, captions that differ, 51 images in turn");
    for rows in LENGTHS.map(scaled) {
        println!("  {rows:>9} rows   {}", child(&format!("memory {rows}")));
    }
    println!("rows whose images are in the table, nothing to compute");
    println!("  {}", child("inline"));
    let fetched = scaled(FETCHED);
    println!("{fetched} rows from a server on loopback, {CONCURRENCY} at once");
    for role in ["bare", "fetch", "bare", "fetch", "slow", "bad"] {
        println!("  {role:<6} {}", child(role));
    }
}

/// What this program measures in a process of its own.
fn child(role: &str) -> String {
    let program = std::env::current_exe().expect("a running program has a path");
    let mut command = Command::new(program);
    if is_small() {
        command.env(SMALL, "");
    }
    let output = command.env(ROLE, role).stderr(Stdio::inherit()).output().expect("the program starts");
    assert!(output.status.success(), "{role}: {}", output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn measure(role: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    match role.split_once(' ').unwrap_or((role, "")) {
        ("memory", rows) => memory(folder, rows.parse().expect("a number of rows")),
        ("inline", _) => inline(folder),
        ("bare", _) => bare(),
        ("fetch", _) => fetch(folder, "fast"),
        ("slow", _) => fetch(folder, "slow"),
        ("bad", _) => fetch(folder, "bad"),
        (other, _) => panic!("no such role: {other}"),
    }
}

/// A table of so many rows.
fn table(folder: &Path, rows: u64, row: impl Fn(u64) -> String) -> PathBuf {
    let path = folder.join("in.csv");
    let mut file = BufWriter::new(File::create(&path).expect("a new file"));
    writeln!(file, "url,caption").expect("room on the disk");
    for number in 0..rows {
        writeln!(file, "{}", row(number)).expect("room on the disk");
    }
    file.flush().expect("room on the disk");
    path
}

fn run(table: PathBuf, threads: Option<usize>, timeout: Duration) -> (Summary, f64) {
    let output = Output::File(table.with_file_name("out.csv"));
    let mut options = ScoreOptions::new(Input::File(table));
    options.output = output;
    options.models = vec!["pictoclip".to_owned()];
    options.threads = threads.and_then(NonZeroUsize::new);
    options.fetch.concurrency = CONCURRENCY;
    options.fetch.per_host = CONCURRENCY;
    options.fetch.timeout = timeout;
    options.fetch.retries = 0;
    let start = Instant::now();
    let summary = score_table(&options, &Silent, &Cancel::new()).expect("a run");
    (summary, start.elapsed().as_secs_f64())
}

fn memory(folder: &Path, rows: u64) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let images: Vec<String> = std::fs::read_to_string(examples.join("pairs.csv"))
        .expect("the example")
        .lines()
        .skip(1)
        .filter_map(|line| Some(examples.join(line.split(',').next()?).display().to_string()))
        .collect();
    let table = table(folder, rows, |row| {
        let image = &images[usize::try_from(row).expect("few rows") % images.len()];
        format!("{image},a caption that no other row has: {row}")
    });
    let (summary, seconds) = run(table, None, Duration::from_secs(30));
    format!("{:.0} MB, {:.0} rows/s, {} failed", high_water_mark() / 1e6, rows as f64 / seconds, summary.failed)
}

fn inline(folder: &Path) -> String {
    let image = "data:image/gif;base64,R0lGODdhAQABAIAAAP///////ywAAAAAAQABAAACAkQBADs=";
    let table = table(folder, scaled(ROWS), |row| format!("\"{image}\",caption {}", row % 8));
    let before = cpu_seconds();
    let (summary, seconds) = run(table, Some(1), Duration::from_secs(30));
    let rows = scaled(ROWS) as f64;
    let cpu = cpu_seconds() - before;
    format!("{:.0} rows/s, {:.0} rows per CPU second, {} failed", rows / seconds, rows / cpu, summary.failed)
}

fn bare() -> String {
    let server = ServerProcess::start("fast");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    // A client wants one though nothing here is encrypted. It is the first, so that it becomes the process's.
    rustls::crypto::ring::default_provider().install_default().expect("no other provider");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let start = Instant::now();
    runtime.expect("a runtime").block_on(async {
        let turns = Arc::new(tokio::sync::Semaphore::new(CONCURRENCY));
        let mut fetches = tokio::task::JoinSet::new();
        for number in 0..scaled(FETCHED) {
            let turn = Arc::clone(&turns).acquire_owned().await.expect("never closed");
            let (client, url) = (client.clone(), format!("{}/{number}", server.url));
            fetches.spawn(async move {
                let answer = client.get(url).send().await.expect("an answer");
                let body = answer.bytes().await.expect("a body");
                drop(turn);
                body.len()
            });
        }
        while let Some(fetched) = fetches.join_next().await {
            assert!(fetched.expect("no panic") > 0, "a body is not empty");
        }
    });
    format!("{:.0} rows/s", scaled(FETCHED) as f64 / start.elapsed().as_secs_f64())
}

fn fetch(folder: &Path, kind: &str) -> String {
    let server = ServerProcess::start(kind);
    let table = table(folder, scaled(FETCHED), |row| format!("{}/{row},caption {}", server.url, row % 8));
    let (summary, seconds) = run(table, Some(1), TIMEOUT);
    // A stalled fetch holds one of the turns until its time is over: that is the time-out's time, not ours.
    let stalled =
        if kind == "bad" { (scaled(FETCHED) / 20) as f64 * TIMEOUT.as_secs_f64() / CONCURRENCY as f64 } else { 0.0 };
    let rows = scaled(FETCHED) as f64;
    let rate = rows / (seconds - stalled);
    format!("{rate:.0} rows/s ({:.0} with time-outs), {} failed", rows / seconds, summary.failed)
}

/// Answers until the process is ended.
fn serve() {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/images/03-1f34e-fluent-flat.png");
    let image = std::fs::read(image).expect("an image of the example");
    let server = Server::with(move |request| {
        let row: u64 = request.path.trim_start_matches('/').parse().unwrap_or_default();
        if kind != "fast" {
            std::thread::sleep(DELAY);
        }
        match row % 20 {
            0 if kind == "bad" => Reply::stall(),
            1..=4 if kind == "bad" => Reply::status(503),
            _ => Reply::ok(image.clone()),
        }
    });
    println!("{}", server.url(""));
    loop {
        std::thread::park();
    }
}

struct ServerProcess {
    child: Child,
    url: String,
}

impl ServerProcess {
    fn start(kind: &str) -> Self {
        let program = std::env::current_exe().expect("a running program has a path");
        let mut command = Command::new(program);
        command.arg(kind).env(ROLE, "server").stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut url).expect("a line");
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The most memory that this process has had, in bytes, where the system tells (Linux); 0 elsewhere.
fn high_water_mark() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or_default() * 1024.0
}

/// Seconds of all threads of this process, where the system tells (Linux); 0 elsewhere.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| after_name.split_whitespace().nth(field).and_then(|text| text.parse::<f64>().ok());
    // utime and stime, in hundredths of a second.
    (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0
}
