//! The command as a user runs it: `examples/pairs.csv` with a model of ViT-B/32's shape, whole process.
//!
//! Prints pairs/s in the steady state and over the whole process, and the peak memory beside the size of the weights.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 5;

fn main() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let model = workspace.join("target/bench/vit-b-32");
    let weights = std::fs::metadata(model.join("model.safetensors"));
    let weights = weights.expect("`make bench` makes target/bench/vit-b-32 first").len();
    let summary = workspace.join("target/bench/summary.json");
    let mut runs: Vec<Run> = (0..RUNS).map(|_| run(&workspace, &model, &summary)).collect();
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let Run { seconds, rows, busy, .. } = runs[RUNS / 2];
    let peak = runs.iter().map(|run| run.peak_bytes).max().unwrap_or_default();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!("{rows} pairs, median of {RUNS} runs");
    println!("whole process   {seconds:.2} s, {:.1} pairs/s", rows / seconds);
    println!("without loading {busy:.2} s, {:.1} pairs/s", rows / busy);
    println!("peak memory     {:.0} MB, weights {:.0} MB", megabytes(peak), megabytes(weights));
}

struct Run {
    seconds: f64,
    /// Seconds from the loaded model to the end.
    busy: f64,
    rows: f64,
    peak_bytes: u64,
}

fn run(workspace: &Path, model: &Path, summary: &Path) -> Run {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_clipgauge"))
        .args(["score", "examples/pairs.csv", "--quiet", "--model"])
        .arg(model)
        .arg("--summary")
        .arg(summary)
        .current_dir(workspace)
        .stdout(Stdio::null())
        .spawn()
        .expect("the command starts");
    let mut peak_bytes = 0;
    let status = loop {
        peak_bytes = peak_bytes.max(high_water_mark(child.id()));
        match child.try_wait().expect("the command can be waited for") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    assert!(status.success(), "{status}");
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(summary).expect("a summary")).expect("a summary in JSON");
    let number = |pointer: &str| summary.pointer(pointer).and_then(|value| value.as_f64()).expect("a number");
    Run { seconds, busy: number("/seconds/total") - number("/seconds/stages/load"), rows: number("/rows"), peak_bytes }
}

/// The most memory that a process has had so far, where the system tells (Linux); 0 elsewhere.
fn high_water_mark(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or_default() * 1024
}
