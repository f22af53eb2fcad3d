//! `--retry-failed`: only rows without a score are done again, and the others stay as they are in the output.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clipgauge_testing::{Reply, Server};

use crate::bench::{Bench, Ran, repository};
use crate::slow_web::Table;

/// A server of which some pictures are there only later, and tables of them.
struct Web {
    server: Server,
    bench: Bench,
    is_later: Arc<AtomicBool>,
}

const FLAGS: &str = "--model pictoclip --retries 0 --error-column why";

impl Web {
    fn new() -> Self {
        let picture = fs::read(repository().join("examples/images/03-1f34e-fluent-flat.png")).expect("readable");
        let is_later = Arc::<AtomicBool>::default();
        let later = Arc::clone(&is_later);
        let server = Server::with(move |request| match request.path.as_str() {
            "/later" if !later.load(Ordering::SeqCst) => Reply::status(503),
            "/never" => Reply::status(404),
            _ => Reply::ok(picture.clone()),
        });
        let urls = ["/a", "/later", "/b", "/never"].map(|path| server.url(path));
        let csv: String = urls.iter().map(|url| format!("{url},\"a, b\",x\n")).collect();
        let lines: String = urls.iter().map(|url| format!("{{\"url\":\"{url}\",\"caption\":\"a, b\"}}\n")).collect();
        let bench = Bench::new().with("in.csv", format!("url,caption,n\n{csv}")).with("in.jsonl", lines);
        Self { server, bench, is_later }
    }

    fn run(&self, args: &str) -> Ran {
        let mut command = self.bench.command(args.split_whitespace());
        Ran::of(command.env("NO_PROXY", "*").output().expect("the command can be run"))
    }

    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<_> = self.server.requests().into_iter().map(|request| request.path).collect();
        paths.sort();
        paths
    }
}

#[test]
fn only_rows_without_a_score_are_fetched() {
    for (input, output) in [
        ("in.csv", "out.csv"),
        ("in.csv", "out.tsv"),
        ("in.csv", "out.jsonl"),
        ("in.csv", "out.parquet"),
        ("in.csv", "out.csv.gz"),
        ("in.jsonl", "out.jsonl"),
        ("in.parquet", "out.parquet"),
        ("in.parquet", "out.csv"),
    ] {
        let web = Web::new();
        if input == "in.parquet" {
            // A table with types, made of text.
            web.is_later.store(true, Ordering::SeqCst);
            web.run("score in.csv -o in.parquet --model pictoclip --column other --quiet").expect_code(3);
            web.is_later.store(false, Ordering::SeqCst);
        }
        let args = format!("score {input} -o {output} {FLAGS}");
        web.run(&args).expect_code(3);
        web.is_later.store(true, Ordering::SeqCst);
        web.server.forget();
        let ran = web.run(&format!("{args} --retry-failed")).expect_code(3);
        assert!(ran.stderr.contains(&format!("2 of the 4 rows of {output} are done again")), "{}", ran.stderr);
        assert!(ran.stderr.contains("4 rows, 3 scored, 1 failed (1 not_found), 2 of them before"), "{}", ran.stderr);
        assert_eq!(web.paths(), ["/later", "/never"], "{input} {output}");
        let errors = web.bench.text(&format!("{output}.errors.csv"));
        assert!(errors.lines().count() == 2 && errors.contains("\n4,"), "{errors}");
        let shown = || match output.ends_with(".gz") {
            true => Table::Text(format!("{:?}", web.bench.read(output))),
            false => Table::read(&web.bench, output),
        };
        let retried = shown();
        web.run(&format!("{args} --quiet")).expect_code(3);
        assert_eq!(retried, shown(), "{input} {output}: as if it had been there at once");
    }
}

#[test]
fn scores_stay_as_they_are() {
    let web = Web::new();
    let args = format!("score in.csv -o out.csv {FLAGS} --quiet");
    web.run(&args).expect_code(3);
    // A score that no model gives tells that it is not computed again.
    let text = web.bench.text("out.csv");
    let score = text.lines().nth(1).and_then(|line| line.rsplit(',').nth(1)).expect("a score").to_owned();
    fs::write(web.bench.path("out.csv"), text.replacen(&score, "0.123456789e-7", 1).replacen(&score, "-1e-30", 1))
        .expect("writable");
    web.is_later.store(true, Ordering::SeqCst);
    web.run(&format!("{args} --retry-failed")).expect_code(3);
    let scores: Vec<_> = csv::Reader::from_reader(web.bench.read("out.csv").as_slice())
        .records()
        .map(|row| row.expect("a row")[3].to_owned())
        .collect();
    assert_eq!(scores, ["1.2345679e-8", &score, "-1e-30", ""]);
}

#[test]
fn in_place_and_with_nothing_to_do() {
    let web = Web::new();
    let args = format!("score in.csv --in-place {FLAGS}");
    web.run(&args).expect_code(3);
    web.is_later.store(true, Ordering::SeqCst);
    web.server.forget();
    web.run(&format!("{args} --retry-failed")).expect_code(3);
    assert_eq!(web.paths(), ["/later", "/never"]);

    fs::write(web.bench.path("whole.csv"), format!("url,caption\n{},a\n", web.server.url("/a"))).expect("writable");
    let args = format!("score whole.csv -o out.csv {FLAGS}");
    web.run(&args).expect_code(0);
    web.server.forget();
    let before = web.bench.read("out.csv");
    let ran = web.run(&format!("{args} --retry-failed")).expect_code(0);
    assert!(ran.stderr.starts_with("no row of out.csv has failed: 1 row, 1 scored"), "{}", ran.stderr);
    assert_eq!((web.paths().len(), web.bench.read("out.csv")), (0, before));
}

#[test]
fn an_output_of_another_run_is_refused() {
    let web = Web::new();
    let args = format!("score in.csv -o out.csv {FLAGS}");
    let ran = web.run(&format!("{args} --retry-failed")).expect_code(2);
    assert!(ran.stderr.contains("out.csv is not there"), "{}", ran.stderr);
    web.run(&format!("{args} --resume")).expect_code(3);
    let (input, output) = (web.bench.text("in.csv"), web.bench.read("out.csv"));
    let retry = format!("{args} --retry-failed");
    let row = format!("{},\"a, b\",x\n", web.server.url("/b"));
    for (changed, said) in [
        (input.replacen(&row, "", 1), "in row 3, its image is another"),
        (input.replacen(&row, &row.replace("a, b", "a, c"), 1), "in row 3, its caption is another"),
        (format!("{input}more,a,x\n"), "it has fewer rows"),
        ("url,caption,n\n".to_owned(), "it has more rows"),
    ] {
        fs::write(web.bench.path("in.csv"), changed).expect("writable");
        let ran = web.run(&retry).expect_code(2);
        assert!(ran.stderr.contains(&format!("out.csv is no output of in.csv: {said}")), "{said}: {}", ran.stderr);
        assert_eq!(web.bench.read("out.csv"), output, "{said}");
    }
    fs::write(web.bench.path("in.csv"), input).expect("writable");
    // What is known of the run that made it is looked at, too.
    let ran = web.run(&format!("{retry} --metric dot")).expect_code(2);
    assert!(ran.stderr.contains("--metric was cosine and is now dot"), "{}", ran.stderr);
    fs::remove_file(web.bench.path("out.csv.journal")).expect("there");
    let ran = web.run(&format!("{retry} --column other")).expect_code(2);
    assert!(ran.stderr.contains("it has no column `other`"), "{}", ran.stderr);
    web.run(&retry).expect_code(3);
}

/// A finished output is known as such after its failed rows were done again, too.
#[test]
fn a_retried_output_is_finished() {
    let web = Web::new();
    let args = format!("score in.csv -o out.csv {FLAGS}");
    web.run(&format!("{args} --resume")).expect_code(3);
    web.is_later.store(true, Ordering::SeqCst);
    web.run(&format!("{args} --retry-failed")).expect_code(3);
    web.server.forget();
    let ran = web.run(&format!("{args} --resume")).expect_code(3);
    assert_eq!(ran.stderr, "out.csv is finished already: 4 rows, 3 scored, 1 failed (1 not_found)\n");
    assert_eq!(web.paths().len(), 0);
}
