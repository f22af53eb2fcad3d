//! Images from a web server that does all that web servers do, through the command: each row comes to its kind or its
//! score, in its place, whatever happens to the others.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use clipgauge_testing::{Reply, Server};

use crate::bench::{Bench, Ran, repository};

fn picture() -> Vec<u8> {
    fs::read(repository().join("examples/images/03-1f34e-fluent-flat.png")).expect("readable")
}

/// Runs the command past any proxy, as the server is on this machine.
fn run(bench: &Bench, args: &str) -> Ran {
    let mut command = bench.command(args.split(' '));
    Ran::of(command.env("NO_PROXY", "*").output().expect("the command can be run"))
}

#[test]
fn every_manner_of_a_server_is_a_row_of_its_own() {
    let picture = picture();
    let server = Server::start();
    let good = || Reply::ok(picture.clone());
    let length = picture.len() as u64;
    server.script("/later", [Reply::status(429).header("retry-after", "0"), good()]);
    server.script("/cut-once", [good().cut_after(100), good()]);
    server.on("/moved", Reply::redirect("/good"));
    server.on("/loop", Reply::redirect("/pool"));
    server.on("/pool", Reply::redirect("/loop"));
    server.on(
        "/page",
        Reply::ok("<!DOCTYPE html><html><body>Not here</body></html>").header("content-type", "image/png"),
    );
    // A port that was free a moment ago and that nobody listens at.
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    // What the server does, and what that comes to.
    let cases: [(&str, Option<Reply>, &str); 18] = [
        ("/good", Some(good()), ""),
        ("/stalls", Some(Reply::stall()), "timeout"),
        ("/trickles", Some(good().trickle(1, Duration::from_millis(100))), "timeout"),
        ("/cut", Some(good().cut_after(picture.len() / 2)), "network"),
        ("/length-too-long", Some(good().claim_length(length + 1)), "network"),
        ("/length-too-short", Some(good().claim_length(length / 2)), "truncated"),
        ("/length-much-too-long", Some(Reply::ok("").claim_length(u64::MAX / 2)), "too_large"),
        ("/endless", Some(Reply::endless()), "too_large"),
        ("/later", None, ""),
        ("/cut-once", None, ""),
        ("/moved", None, ""),
        ("/loop", None, "http_status"),
        ("/page", None, "not_an_image"),
        ("/nothing", Some(Reply::ok("")), "empty"),
        ("/broken", Some(Reply::status(500)), "http_status"),
        ("/opted-out", Some(good().header("X-Robots-Tag", "noai")), "opted_out"),
        ("/gone", Some(Reply::status(410)), "not_found"),
        ("/never-there", None, "not_found"),
    ];
    let mut table = "url,caption\n".to_owned();
    for (path, reply, _) in &cases {
        if let Some(reply) = reply {
            server.on(path, reply.clone());
        }
        writeln!(table, "{},red apple", server.url(path)).expect("a string takes it");
    }
    writeln!(table, "http://{closed}/,red apple").expect("a string takes it");
    let mut expected: Vec<_> = cases.iter().map(|(path, _, kind)| (*path, *kind)).collect();
    expected.push(("a closed port", "network"));

    let bench = Bench::new().with("web.csv", table);
    let flags = "--model pictoclip --error-column why --timeout 4s --retries 1 --max-bytes 100kB --summary s.json";
    let ran = run(&bench, &format!("score web.csv -o out.csv {flags}")).expect_code(3);

    let out = bench.text("out.csv");
    let rows: Vec<_> = csv::Reader::from_reader(out.as_bytes()).into_records().map(|row| row.expect("a row")).collect();
    let kinds: Vec<_> = expected.iter().zip(&rows).map(|((name, _), row)| (*name, &row[3])).collect();
    assert_eq!(kinds, expected, "{}", ran.stderr);
    let scores: Vec<_> = rows.iter().map(|row| &row[2]).collect();
    for (score, (name, kind)) in scores.iter().zip(&expected) {
        assert_eq!(*score, if kind.is_empty() { scores[0] } else { "" }, "{name}");
    }
    for (path, requests) in [("/later", 2), ("/cut-once", 2), ("/cut", 2), ("/broken", 2), ("/gone", 1), ("/page", 1)] {
        assert_eq!(server.count(path), requests, "{path}");
    }

    let mut failures = BTreeMap::new();
    for (_, kind) in expected.iter().filter(|(_, kind)| !kind.is_empty()) {
        *failures.entry(*kind).or_insert(0) += 1;
    }
    let summary: serde_json::Value = serde_json::from_str(&bench.text("s.json")).expect("JSON");
    assert_eq!(summary["failures"], serde_json::json!(failures));
    assert_eq!(csv::Reader::from_reader(bench.text("out.csv.errors.csv").as_bytes()).into_records().count(), 15);
}

#[test]
fn many_fetches_are_under_way_at_once_and_rows_stay_in_order() {
    let picture = picture();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (in_server, most_in_server) = (Arc::clone(&now), Arc::clone(&most));
    let server = Server::with(move |request| {
        most_in_server.fetch_max(in_server.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // The earlier a row, the later its picture, a few rows at a time.
        let row: u64 = request.path.trim_start_matches('/').parse().expect("a number");
        thread::sleep(Duration::from_millis(150 + 10 * (8 - row % 8)));
        in_server.fetch_sub(1, Ordering::SeqCst);
        Reply::ok(picture.clone())
    });
    let rows: Vec<_> = (0..60).map(|row| format!("{},apple {row}", server.url(&format!("/{row}")))).collect();
    let bench = Bench::new().with("web.csv", format!("url,caption\n{}\n", rows.join("\n")));
    let ran = run(&bench, "score web.csv --model pictoclip --quiet --per-host 12 --batch-size 4").expect_code(0);
    let kept: Vec<_> = ran.text().lines().skip(1).map(|line| line.rsplit_once(',').expect("a cell").0).collect();
    assert_eq!(kept, rows);
    let most = most.load(Ordering::SeqCst);
    assert!((6..=12).contains(&most), "{most} at once");
}

#[test]
fn a_dead_host_fails_its_rows_soon_and_no_others() {
    let (picture, stalling) = (picture(), Server::with(|_| Reply::stall()));
    let healthy = Server::with(move |_| Reply::ok(picture.clone()));
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let mut table = "url,caption\n".to_owned();
    for row in 0..200 {
        for url in [format!("http://{closed}/{row}"), stalling.url(&format!("/{row}")), healthy.url(&format!("/{row}"))]
        {
            writeln!(table, "{url},red apple").expect("a string takes it");
        }
    }
    let bench = Bench::new().with("web.csv", table);
    let flags = "--model pictoclip --error-column why --timeout 2s --per-host 4 --host-failures 5";
    run(&bench, &format!("score web.csv -o out.csv {flags}")).expect_code(3);

    let out = bench.text("out.csv");
    let mut kinds = [const { BTreeMap::new() }; 3];
    for (index, row) in csv::Reader::from_reader(out.as_bytes()).into_records().enumerate() {
        *kinds[index % 3].entry(row.expect("a row")[3].to_owned()).or_insert(0) += 1;
    }
    let [closed, stalled, healthy] = kinds;
    assert_eq!(healthy, BTreeMap::from([(String::new(), 200)]));
    for (name, kinds, own) in [("closed", closed, "network"), ("stalled", stalled, "timeout")] {
        let others = kinds.keys().filter(|kind| ![own, "host_down"].contains(&kind.as_str())).count();
        assert_eq!((others, kinds.values().sum::<i32>()), (0, 200), "{name}: {kinds:?}");
    }
    // Four at once, each for two seconds: it is down after the second four of them. Without that, it would be asked 200
    // times, for 100 seconds. A slow machine may get to ask a few more, as probes.
    let asked = stalling.requests().len();
    assert!((8..100).contains(&asked), "asked {asked} times");
}

#[test]
fn equal_addresses_are_fetched_once() {
    let picture = picture();
    let server = Server::with(move |request| match request.path.as_str() {
        "/9" => Reply::status(404),
        _ => Reply::ok(picture.clone()),
    });
    let mut table = "url,caption\n".to_owned();
    for row in 0..1000 {
        writeln!(table, "{},red apple", server.url(&format!("/{}", row % 10))).expect("a string takes it");
    }
    let bench = Bench::new().with("web.csv", table);
    // Far fewer fetches at once than rows that wait for the same: they must not hold each other up.
    let ran = run(&bench, "score web.csv --model pictoclip --error-column why --concurrency 2").expect_code(3);
    let rows =
        csv::Reader::from_reader(ran.text().as_bytes()).into_records().map(|row| row.expect("a row")[3].to_owned());
    let expected = (0..1000).map(|row| if row % 10 == 9 { "not_found" } else { "" });
    assert!(rows.eq(expected), "{}", ran.stderr);
    assert_eq!(server.requests().len(), 10);
}
