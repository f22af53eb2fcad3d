//! Pictures and tables in buckets: over a real S3 server, and over one that says and does what it is told to.

use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use clipgauge_testing::{PUBLIC, Reply, Server, Store};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::bench::{Bench, Ran, repository};
use crate::webdataset::shards;

const FLAGS: &str = "--model pictoclip --quiet";

fn picture() -> Vec<u8> {
    fs::read(repository().join("examples/images/03-1f34e-fluent-flat.png")).expect("readable")
}

/// The command without anything that the user has of clouds, and past any proxy.
fn bare(bench: &Bench, args: &str) -> Command {
    let mut command = bench.command(args.split(' '));
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&variable);
        }
    }
    command.env("HOME", bench.path("home")).env("NO_PROXY", "*").env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn run(mut command: Command) -> Ran {
    Ran::of(command.output().expect("the command can be run"))
}

/// The command with the server's own credentials.
fn run_at(store: &Store, bench: &Bench, args: &str) -> Ran {
    let mut command = bare(bench, args);
    command.envs(store.environment());
    run(command)
}

/// The score of the picture with the caption `red apple`, from a file.
fn expected(bench: &Bench) -> String {
    fs::write(bench.path("local.png"), picture()).expect("writable");
    fs::write(bench.path("local.csv"), "url,caption\nlocal.png,red apple\n").expect("writable");
    let ran = run(bare(bench, &format!("score local.csv {FLAGS}"))).expect_code(0);
    let (_, score) = ran.text().trim_end().rsplit_once(',').expect("a score");
    assert!(score.parse::<f32>().is_ok(), "{score}");
    score.to_owned()
}

/// A table of pictures with one caption, and what its rows are expected to come to: a score or a kind of error.
fn table(cells: &[(String, &str)]) -> String {
    let mut text = csv::Writer::from_writer(Vec::new());
    text.write_record(["url", "caption"]).expect("writable");
    for (cell, _) in cells {
        text.write_record([cell.as_str(), "red apple"]).expect("writable");
    }
    String::from_utf8(text.into_inner().expect("writable")).expect("UTF-8")
}

/// Runs over a table in the folder, and compares what becomes of each row.
#[track_caller]
fn assert_rows(bench: &Bench, cells: &[(String, &str)], mut command: Command) -> Ran {
    fs::write(bench.path("pairs.csv"), table(cells)).expect("writable");
    command.args(["--error-column", "error", "--errors", "errors.csv", "--allow-failures"]);
    let ran = run(command).expect_code(0);
    let errors = fs::read_to_string(bench.path("errors.csv")).unwrap_or_default();
    let score = expected(bench);
    let mut reader = csv::Reader::from_reader(ran.stdout.as_slice());
    let rows: Vec<_> = reader.records().map(|record| record.expect("a row")).collect();
    assert_eq!(rows.len(), cells.len());
    for (row, (cell, kind)) in rows.iter().zip(cells) {
        let score = if kind.is_empty() { score.as_str() } else { "" };
        assert_eq!((&row[2], &row[3]), (score, *kind), "{cell}\n{errors}{}", ran.stderr);
    }
    ran
}

#[test]
fn pictures_are_found_by_their_keys_as_they_stand() {
    let (store, bench) = (Store::start(), Bench::new());
    let keys = [
        "plain.png",
        "folder/a b.png",
        "a%20b.png",
        "100%.png",
        "a+b.png",
        "a?b=c&d.png",
        "a#b.png",
        "猫/é.png",
        "q'uo\"te;=@:,$!*().png",
        "~tilde_-.png",
    ];
    for key in keys {
        store.put(Store::BUCKET, key, picture());
    }
    store.put(Store::BUCKET, "large.png", vec![0; 200_001]);
    store.put(Store::BUCKET, "text.png", "no picture");
    store.put(Store::BUCKET, "nothing.png", "");
    let mut cells: Vec<_> = keys.map(|key| (format!("s3://bucket/{key}"), "")).into();
    cells.extend([
        ("s3a://bucket/plain.png".to_owned(), ""),
        ("S3://bucket/plain.png".to_owned(), ""),
        ("s3://bucket/missing.png".to_owned(), "not_found"),
        ("s3://bucket/a b.png".to_owned(), "not_found"),
        ("s3://nobodys/plain.png".to_owned(), "not_found"),
        ("s3://bucket/large.png".to_owned(), "too_large"),
        ("s3://bucket/text.png".to_owned(), "not_an_image"),
        ("s3://bucket/nothing.png".to_owned(), "empty"),
        ("s3://bucket".to_owned(), "bad_address"),
        ("s3://bucket/a//b.png".to_owned(), "bad_address"),
    ]);
    let mut command = bare(&bench, &format!("score pairs.csv --max-bytes 200kB {FLAGS}"));
    command.envs(store.environment());
    assert_rows(&bench, &cells, command);
    let errors = bench.text("errors.csv");
    assert!(errors.contains("`s3://bucket` answers 404 Not Found (NoSuchKey)"), "{errors}");
    assert!(errors.contains("200001 bytes, more than the 200000"), "{errors}");
    assert!(!errors.contains(Store::SECRET_KEY), "{errors}");
}

#[test]
fn credentials_come_from_where_the_services_tools_take_them() {
    let (store, bench) = (Store::start(), Bench::new());
    store.put(Store::BUCKET, "1.png", picture());
    store.put(PUBLIC, "1.png", picture());
    let aws = bench.path("home/.aws");
    fs::create_dir_all(&aws).expect("creatable");
    let (key, secret, endpoint) = (Store::ACCESS_KEY, Store::SECRET_KEY, store.endpoint());
    let credentials = format!(
        "[default]\naws_access_key_id = x\naws_secret_access_key = y\n[work]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    );
    fs::write(aws.join("credentials"), credentials).expect("writable");
    let config =
        format!("[profile work]\nregion = eu-test-1\nendpoint_url = {endpoint}\n[profile sso]\nsso_session = s\n");
    fs::write(aws.join("config"), config).expect("writable");

    let args = format!("score pairs.csv {FLAGS}");
    let at = ("AWS_ENDPOINT_URL", endpoint.as_str());
    let nowhere = ("HOME", "/nonexistent");
    let wrong = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", "wrong")];
    // With which variables and flags, what a bucket with a lock and one without come to, and what is told.
    type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str, [&'a str; 2], &'a str);
    let cases: [Case<'_>; 7] = [
        ("profile", vec![("AWS_PROFILE", "work")], "", ["", ""], ""),
        ("wrong key", vec![at, wrong[0], wrong[1]], "", ["http_status"; 2], "403 Forbidden (SignatureDoesNotMatch)"),
        (
            "wrong key, not used",
            vec![at, wrong[0], wrong[1]],
            " --no-sign-request",
            ["http_status", ""],
            "AccessDenied",
        ),
        ("default profile", vec![at], "", ["http_status"; 2], "403 Forbidden (NotSignedUp)"),
        ("no credentials", vec![at, nowhere], "", ["http_status", ""], "403 Forbidden (AccessDenied)"),
        (
            "signing in",
            vec![at, ("AWS_PROFILE", "sso")],
            "",
            ["network"; 2],
            "aws configure export-credentials --profile sso",
        ),
        ("no such profile", vec![at, ("AWS_PROFILE", "none")], "", ["network"; 2], "there is no AWS profile `none`"),
    ];
    for (name, variables, flags, [locked, open], told) in cases {
        let mut command = bare(&bench, &format!("{args}{flags}"));
        command.envs(variables);
        let cells = [("s3://bucket/1.png".to_owned(), locked), (format!("s3://{PUBLIC}/1.png"), open)];
        assert_rows(&bench, &cells, command);
        let errors = fs::read_to_string(bench.path("errors.csv")).unwrap_or_default();
        assert!(errors.contains(told), "{name}: {errors}");
        let _ = fs::remove_file(bench.path("errors.csv"));
    }
}

#[test]
fn servers_that_misbehave() {
    let bench = Bench::new();
    let server = Server::start();
    let good = || Reply::ok(picture()).header("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT").header("etag", "\"e\"");
    let busy = || Reply::status(503);
    let region = |status: u16| Reply::status(status).header("x-amz-bucket-region", "eu-west-9");
    // What the server does, what that comes to, and how many requests it takes.
    let cases: [(&str, Vec<Reply>, &str, usize); 12] = [
        ("good", vec![good()], "", 1),
        ("slow", vec![good().trickle(2000, Duration::from_millis(5))], "", 1),
        ("busy", vec![busy(), busy(), good()], "", 3),
        ("busy-for-a-while", vec![busy().header("retry-after", "0"), good()], "", 2),
        ("broken-off-once", vec![good().cut_after(100), good()], "", 2),
        ("broken-off", vec![good().cut_after(100)], "network", 3),
        ("stalls", vec![Reply::stall()], "timeout", 1),
        ("failing", vec![Reply::status(500)], "http_status", 3),
        ("gone", vec![Reply::status(410)], "not_found", 1),
        ("elsewhere", vec![region(301), good()], "", 2),
        ("nowhere", vec![region(301)], "http_status", 1),
        ("too-long", vec![good().claim_length(u64::MAX / 2)], "too_large", 1),
    ];
    let mut cells = Vec::new();
    for (name, replies, kind, _) in &cases {
        server.script(&format!("/{name}/1.png"), replies.clone());
        cells.push((format!("s3://{name}/1.png"), *kind));
    }
    let mut command = bare(&bench, &format!("score pairs.csv --timeout 3s --retries 2 {FLAGS}"));
    command.env("AWS_ENDPOINT_URL", server.url("")).env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
    assert_rows(&bench, &cells, command);
    for (name, _, _, requests) in &cases {
        // One that is told the region for ever asks there once.
        let expected = if *name == "nowhere" { requests + 1 } else { *requests };
        assert_eq!(server.count(&format!("/{name}/1.png")), expected, "{name}");
    }
    let signed_for = |region: &str| {
        let is_it = |request: &clipgauge_testing::Request| {
            request.path == "/elsewhere/1.png"
                && request.header("authorization").is_some_and(|value| value.contains(&format!("/{region}/s3/")))
        };
        server.requests().iter().filter(|request| is_it(request)).count()
    };
    assert_eq!((signed_for("us-east-1"), signed_for("eu-west-9")), (1, 1));
    let errors = bench.text("errors.csv");
    assert!(errors.contains("broke off after 100 bytes"), "{errors}");
}

#[test]
fn google_and_azure_are_asked_for_the_same_keys() {
    let bench = Bench::new();
    let server = Server::with(|request| {
        // Each escapes what it likes to.
        let path = unescaped(request.path.split('?').next().unwrap_or_default());
        if !["/bucket/a b%+c.png", "/account/box/a b%+c.png"].contains(&path.as_str()) {
            return Reply::status(404);
        }
        Reply::ok(picture()).header("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT").header("etag", "\"e\"")
    });
    let cells = [("gs://bucket/a b%+c.png".to_owned(), ""), ("az://box/a b%+c.png".to_owned(), "")];
    let mut command = bare(&bench, &format!("score pairs.csv --no-sign-request {FLAGS}"));
    command
        .env("GOOGLE_BASE_URL", server.url(""))
        .env("AZURE_STORAGE_ENDPOINT", server.url("/account"))
        .env("AZURE_STORAGE_ACCOUNT_NAME", "account");
    assert_rows(&bench, &cells, command);
    assert_eq!(server.requests().len(), 2, "{:?}", server.requests());
}

/// A path of a URL without its escapes.
fn unescaped(path: &str) -> String {
    let mut parts = path.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        text.push(u8::from_str_radix(code, 16).expect("two digits").into());
        text += rest;
    }
    text
}

/// A table beside its pictures, as text.
const PAIRS: &str =
    "id,url,caption\n1,images/a b.png,red apple\n2,images/none.png,red apple\n3,../shared/1.png,a rocket\n";

/// Puts the pictures of [`PAIRS`] where a table in the folder `tables` looks for them.
fn put_pictures(store: &Store, bench: &Bench) {
    for key in ["tables/images/a b.png", "shared/1.png"] {
        store.put(Store::BUCKET, key, picture());
        let path = bench.path(key);
        fs::create_dir_all(path.parent().expect("a folder")).expect("creatable");
        fs::write(path, picture()).expect("writable");
    }
}

fn write_parquet(path: std::path::PathBuf) {
    let column = |index: usize| -> ArrayRef {
        Arc::new(PAIRS.lines().skip(1).map(|line| line.split(',').nth(index)).collect::<StringArray>())
    };
    let batch = RecordBatch::try_from_iter([("id", column(0)), ("url", column(1)), ("caption", column(2))]);
    let batch = batch.expect("a table");
    let mut writer =
        ArrowWriter::try_new(File::create(path).expect("creatable"), batch.schema(), None).expect("Parquet");
    writer.write(&batch).expect("writable");
    writer.close().expect("writable");
}

#[test]
fn tables_in_buckets_come_to_what_files_come_to() {
    let (store, bench) = (Store::start(), Bench::new());
    put_pictures(&store, &bench);
    let lines: String = PAIRS
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<_> = line.split(',').collect();
            format!("{{\"url\": \"{}\", \"caption\": \"{}\"}}\n", cells[1], cells[2])
        })
        .collect();
    fs::write(bench.path("tables/pairs.csv"), PAIRS).expect("writable");
    fs::write(bench.path("tables/pairs.jsonl"), lines).expect("writable");
    write_parquet(bench.path("tables/pairs.parquet"));
    // From one format to another and back, so that there are compressed and Arrow tables, too.
    for (input, output) in [
        ("pairs.csv", "pairs.parquet"),
        ("pairs.csv", "pairs.csv.gz"),
        ("pairs.csv", "pairs.csv"),
        ("pairs.jsonl", "pairs.jsonl"),
        ("pairs.parquet", "pairs.parquet"),
        ("pairs.parquet", "out.csv"),
    ] {
        let local = format!("score tables/{input} -o tables/local-{output} --allow-failures {FLAGS}");
        run(bare(&bench, &local)).expect_code(0);
        store.put(Store::BUCKET, &format!("tables/{input}"), bench.read(&format!("tables/{input}")));
        store.forget();
        let args = format!("score s3://bucket/tables/{input} -o s3://bucket/out/{output} --allow-failures {FLAGS}");
        run_at(&store, &bench, &args).expect_code(0);
        let written = store.get(Store::BUCKET, &format!("out/{output}")).expect("an object");
        assert!(written == bench.read(&format!("tables/local-{output}")), "{input} to {output} differs");
        assert_eq!(store.parts(), 0);
        let errors = store.get(Store::BUCKET, &format!("out/{output}.errors.csv")).expect("a list");
        let errors = String::from_utf8(errors).expect("UTF-8");
        assert!(errors.contains("2,images/none.png,not_found,"), "{errors}");
        assert_eq!(errors.lines().count(), 2, "{errors}");
        if input.ends_with(".parquet") {
            let asked = store.requests();
            let reads = asked.iter().filter(|line| line.starts_with("GET") && line.contains(input));
            assert!(reads.clone().all(|line| line.contains("bytes=")), "{asked:?}");
            assert_eq!(reads.count(), 1, "a small table is one block: {asked:?}");
        }
    }
    assert_eq!(bench.names(), ["shared", "tables"], "no folder called `s3:`");
}

#[test]
fn an_object_is_replaced_in_place_and_piped() {
    let (store, bench) = (Store::start(), Bench::new());
    put_pictures(&store, &bench);
    store.put(Store::BUCKET, "tables/pairs.csv", PAIRS);
    let piped = run_at(&store, &bench, &format!("score s3://bucket/tables/pairs.csv --allow-failures {FLAGS}"));
    let piped = piped.expect_code(0).stdout;
    assert!(piped.starts_with(b"id,url,caption,similarity\n1,images/a b.png,red apple,"));
    run_at(&store, &bench, &format!("score s3://bucket/tables/pairs.csv --in-place {FLAGS}")).expect_code(3);
    assert_eq!(store.get(Store::BUCKET, "tables/pairs.csv"), Some(piped));
    assert!(store.get(Store::BUCKET, "tables/pairs.csv.errors.csv").is_some());
}

#[test]
fn large_tables_go_in_parts() {
    let (store, bench) = (Store::start(), Bench::new());
    put_pictures(&store, &bench);
    let wide = "x".repeat(12 << 20);
    let table = format!(
        "url,caption,note\nimages/a b.png,red apple,{wide}\nimages/a b.png,a rocket,{wide}\nimages/a b.png,,{wide}\n"
    );
    store.put(Store::BUCKET, "tables/wide.csv", &table);
    store.forget();
    run_at(&store, &bench, &format!("score s3://bucket/tables/wide.csv -o s3://bucket/out.csv {FLAGS}")).expect_code(0);
    let out = String::from_utf8(store.get(Store::BUCKET, "out.csv").expect("an object")).expect("UTF-8");
    assert_eq!(
        out.len() - table.len(),
        out.lines().map(|line| line.len() - line.rfind(',').expect("a cell")).sum::<usize>()
    );
    assert!(out.lines().zip(table.lines()).all(|(new, old)| new.starts_with(old)));
    let parts = store.requests().iter().filter(|line| line.contains("out.csv?partNumber=")).count();
    assert_eq!(parts, 3, "{:?}", store.requests());
    assert_eq!(store.parts(), 0);
}

#[test]
fn what_fails_leaves_nothing_in_the_bucket() {
    let (store, bench) = (Store::start(), Bench::new());
    put_pictures(&store, &bench);
    store.put(Store::BUCKET, "tables/pairs.csv", PAIRS);
    let mut damaged = Vec::new();
    std::io::Write::write_all(&mut damaged, b"url,caption\nimages/a b.png,red apple\n").expect("writable");
    damaged.extend(format!("images/a b.png,\"{}", "x".repeat(65 << 20)).as_bytes());
    store.put(Store::BUCKET, "tables/open.csv", damaged);
    store.put(Store::BUCKET, "out.csv", "before");
    let cases = [
        (
            "tables/none.csv",
            "s3://bucket/out.csv",
            1,
            "s3://bucket/tables/none.csv cannot be read: `s3://bucket` answers 404",
        ),
        ("tables/pairs.csv", "s3://bucket", 2, "no object in it"),
        ("tables/a//b.csv", "s3://bucket/out.csv", 2, "empty part"),
        ("tables/pairs.csv", "s3://bucket/out.tsv --column url", 2, "url"),
        ("tables/open.csv", "s3://bucket/out.csv", 1, "64 MiB"),
    ];
    for (input, output, code, told) in cases {
        let args = format!("score s3://bucket/{input} -o {output} --allow-failures {FLAGS}");
        let ran = run_at(&store, &bench, &args).expect_code(code);
        assert!(ran.stderr.contains(told), "{input} {output}: {}", ran.stderr);
        assert_eq!(store.parts(), 0, "{input} {output}");
        assert_eq!(store.get(Store::BUCKET, "out.csv").as_deref(), Some(&b"before"[..]));
    }

    // A bucket that may be read and not written to is known before the model is loaded.
    store.put(PUBLIC, "pairs.csv", PAIRS);
    let mut command = bare(&bench, "score s3://public/pairs.csv -o s3://public/out.csv --model ./none");
    command.env("AWS_ENDPOINT_URL", store.endpoint());
    let ran = run(command).expect_code(1);
    assert!(
        ran.stderr
            .contains("s3://public/out.csv cannot be written: `s3://public` answers 403 Forbidden (AccessDenied)"),
        "{}",
        ran.stderr
    );
    assert_eq!(store.get(PUBLIC, "out.csv"), None);
}

#[test]
fn vectors_go_to_a_bucket_as_parquet() {
    let (store, bench) = (Store::start(), Bench::new());
    put_pictures(&store, &bench);
    store.put(Store::BUCKET, "tables/pairs.csv", PAIRS);
    let embed = |rest: &str| {
        run_at(&store, &bench, &format!("embed s3://bucket/tables/pairs.csv {rest} --allow-failures {FLAGS}"))
    };
    embed("-o s3://bucket/vectors.parquet").expect_code(0);
    let bytes = store.get(Store::BUCKET, "vectors.parquet").expect("an object");
    fs::write(bench.path("vectors.parquet"), bytes).expect("writable");
    let file = File::open(bench.path("vectors.parquet")).expect("there");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    assert_eq!(reader.metadata().file_metadata().num_rows(), 3);
    let ran = embed("-o s3://bucket/vectors --format npy").expect_code(2);
    assert!(ran.stderr.contains("use --format parquet"), "{}", ran.stderr);
}

/// Tables of two rows each beside the pictures of [`PAIRS`], in the store and in the folder.
fn put_tables(store: &Store, bench: &Bench, names: &[&str]) {
    put_pictures(store, bench);
    for (number, name) in names.iter().enumerate() {
        let table = format!("id,url,caption\n{number},images/a b.png,red apple\n{number},images/none.png,a dog\n");
        store.put(Store::BUCKET, name, &table);
        let path = bench.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("creatable");
        fs::write(path, table).expect("writable");
    }
}

#[test]
fn patterns_and_ranges_stand_for_objects_as_for_files() {
    let (store, bench) = (Store::start(), Bench::new());
    let names = ["tables/p-0.csv", "tables/p-1.csv", "tables/p-10.csv", "tables/images/q.csv", "tables/p-[01].csv"];
    put_tables(&store, &bench, &names);
    store.put(Store::BUCKET, "tables/readme.txt", "no table");
    for pattern in [
        "tables/p-{0..1}.csv",
        "tables/{p-10,p-0}.csv",
        "tables/p-*.csv",
        "tables/p-?.csv",
        "tables/*[!]].csv",
        "tables/**/*.csv",
        "*/images/q.csv",
        // A key that there is.
        "tables/p-[01].csv",
    ] {
        let local = run(bare(&bench, &format!("score {pattern} --allow-failures {FLAGS}"))).expect_code(0);
        let ran = run_at(&store, &bench, &format!("score s3://bucket/{pattern} --allow-failures {FLAGS}"));
        assert_eq!(ran.expect_code(0).text(), local.text(), "{pattern}");
    }

    // Apart, under their own names; in a bucket, too.
    let apart = format!("score s3://bucket/tables/p-{{0..1}}.csv --allow-failures {FLAGS} -o");
    run(bare(&bench, &format!("score tables/p-{{0..1}}.csv --allow-failures -o local/ {FLAGS}"))).expect_code(0);
    run_at(&store, &bench, &format!("{apart} scored/")).expect_code(0);
    run_at(&store, &bench, &format!("{apart} s3://bucket/scored/")).expect_code(0);
    for name in ["p-0.csv", "p-1.csv"] {
        let expected = bench.text(&format!("local/{name}"));
        assert_eq!(bench.text(&format!("scored/{name}")), expected);
        assert_eq!(store.get(Store::BUCKET, &format!("scored/{name}")), Some(expected.into_bytes()));
    }
    assert!(store.get(Store::BUCKET, "scored.errors.csv").is_some());
    let own = format!("score s3://bucket/tables/p-*0.csv --in-place --allow-failures {FLAGS}");
    run_at(&store, &bench, &own).expect_code(0);
    assert_eq!(store.get(Store::BUCKET, "tables/p-0.csv"), Some(bench.read("local/p-0.csv")));
    assert_eq!(store.parts(), 0);

    for (pattern, code, told) in [
        ("s3://bucket/tables/*.tsv", 2, "s3://bucket/tables/*.tsv matches no file"),
        ("s3://bucket/tables/[.csv", 2, "is no pattern"),
        ("s3://bucket/*/", 2, "ends with a slash"),
        ("s3://nobodys/*.csv", 1, "s3://nobodys/*.csv cannot be read: `s3://nobodys` answers 404"),
    ] {
        let ran = run_at(&store, &bench, &format!("score {pattern} {FLAGS}")).expect_code(code);
        assert!(ran.stderr.contains(told), "{pattern}: {}", ran.stderr);
    }
    // As the flag says that buckets are asked, before anything else is known.
    store.put(PUBLIC, "1.csv", "url,caption\n");
    let mut command = bare(&bench, &format!("score s3://public/*.csv --no-sign-request {FLAGS}"));
    command.env("AWS_ENDPOINT_URL", store.endpoint()).env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y");
    assert_eq!(run(command).expect_code(0).text(), "url,caption,similarity\n");
    assert_eq!(bench.names(), ["local", "local.errors.csv", "scored", "scored.errors.csv", "shared", "tables"]);
}

#[test]
fn shards_of_samples_are_read_from_a_bucket() {
    let (bench, _) = shards(6);
    let store = Store::start();
    for name in ["00000.tar", "00001.tar"] {
        store.put(Store::BUCKET, name, bench.read(name));
    }
    for (output, is_object) in [("scored.csv", false), ("scored.tar", true)] {
        let rest = format!("--allow-failures {FLAGS}");
        run(bare(&bench, &format!("score {{00000..00001}}.tar -o local-{output} {rest}"))).expect_code(0);
        let place = if is_object { format!("s3://bucket/{output}") } else { output.to_owned() };
        store.forget();
        run_at(&store, &bench, &format!("score s3://bucket/{{00000..00001}}.tar -o {place} {rest}")).expect_code(0);
        let written = if is_object { store.get(Store::BUCKET, output) } else { Some(bench.read(output)) };
        assert!(written == Some(bench.read(&format!("local-{output}"))), "{output}");
        let reads = store.requests();
        let reads: Vec<_> = reads.iter().filter(|line| line.starts_with("GET") && line.contains(".tar")).collect();
        assert_eq!(reads.len(), 2, "each in one transfer: {reads:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_over_a_table_in_a_bucket_goes_on() {
    use crate::interrupts::Running;
    use crate::slow_web::SlowWeb;

    for extension in ["csv", "parquet"] {
        let (web, store) = (SlowWeb::new(extension, 60, Duration::from_millis(20)), Store::start());
        let (input, output) = (web.input(), web.output());
        store.put(Store::BUCKET, &input, web.bench.read(&input));
        let command = |flags: &str| {
            let args = format!("score s3://bucket/{input} -o {output} {} {flags}", crate::slow_web::FLAGS);
            let mut command = bare(&web.bench, args.trim_end());
            command.envs(store.environment());
            command
        };
        let (running, _) = Running::of(command(""));
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while web.finished().len() <= 5 {
            assert!(std::time::Instant::now() < until, "no row is finished");
            std::thread::sleep(Duration::from_millis(10));
        }
        running.send("-INT");
        let (code, stderr) = running.end();
        assert_eq!(code, Some(130), "{stderr}");
        let finished = web.finished();
        web.server.forget();
        let ran = run(command("--resume")).expect_code(3);
        assert!(ran.stderr.contains(&format!("{} of them before", finished.len())), "{}", ran.stderr);
        assert_eq!(web.asked_for().intersection(&finished).count(), 0);
        let scored = web.scored();

        store.forget();
        let ran = run(command("--resume")).expect_code(3);
        assert!(ran.stderr.contains("is finished already: 60 rows"), "{}", ran.stderr);
        let requests = store.requests();
        assert!(requests.iter().all(|line| line.starts_with("HEAD")), "nothing is read: {requests:?}");

        // Only the failed rows, for which both tables are read beside each other.
        web.server.forget();
        run(command("--retry-failed")).expect_code(3);
        assert_eq!(web.asked_for().len(), 12);
        assert_eq!(web.scored(), scored);

        // A table that another has taken the place of.
        run(command("--resume --overwrite")).expect_code(2);
        store.put(Store::BUCKET, &input, [web.bench.read(&input), b"x".to_vec()].concat());
        let ran = run(command("--resume")).expect_code(2);
        assert!(ran.stderr.contains("the input's size was "), "{}", ran.stderr);

        web.clear();
        web.run("--quiet").expect_code(3);
        assert_eq!(web.scored(), scored, "{extension}");
    }
}

#[test]
fn parts_of_a_table_in_a_bucket_become_a_whole_there() {
    let (store, bench) = (Store::start(), Bench::new());
    put_pictures(&store, &bench);
    write_parquet(bench.path("tables/pairs.parquet"));
    fs::write(bench.path("tables/pairs.csv"), PAIRS).expect("writable");
    for format in ["csv", "parquet"] {
        store.put(Store::BUCKET, &format!("tables/pairs.{format}"), bench.read(&format!("tables/pairs.{format}")));
        let score = |rest: &str| {
            let args = format!("score s3://bucket/tables/pairs.{format} {rest} --allow-failures {FLAGS}");
            run_at(&store, &bench, &args).expect_code(0)
        };
        for shard in 0..2 {
            score(&format!("--shard {shard}/2 -o {shard}.{format}"));
        }
        let merge = format!("merge 0.{format} 1.{format} -o s3://bucket/whole.{format} --quiet");
        run_at(&store, &bench, &merge).expect_code(0);
        score(&format!("-o whole.{format}"));
        assert!(store.get(Store::BUCKET, &format!("whole.{format}")).is_some(), "{format}");
        if format == "csv" {
            assert_eq!(store.get(Store::BUCKET, "whole.csv"), Some(bench.read("whole.csv")));
        }
        assert_eq!(
            store.get(Store::BUCKET, &format!("whole.{format}.errors.csv")),
            Some(bench.read(&format!("whole.{format}.errors.csv")))
        );
    }
}

#[test]
fn the_best_rows_of_a_table_in_a_bucket() {
    let (store, bench) = (Store::start(), Bench::new());
    put_pictures(&store, &bench);
    fs::write(bench.path("tables/pairs.csv"), PAIRS).expect("writable");
    store.put(Store::BUCKET, "tables/pairs.csv", PAIRS);
    let flags = format!("--top-fraction 0.5 --allow-failures {FLAGS}");
    let local = run(bare(&bench, &format!("score tables/pairs.csv {flags}"))).expect_code(0);
    assert_eq!(local.text().lines().count(), 2, "{}", local.text());
    run_at(&store, &bench, &format!("score s3://bucket/tables/pairs.csv -o s3://bucket/best.csv {flags}"))
        .expect_code(0);
    assert_eq!(store.get(Store::BUCKET, "best.csv"), Some(local.stdout));
}

#[test]
fn what_needs_a_disk_is_refused_in_a_bucket() {
    let (store, bench) = (Store::start(), Bench::new());
    store.put(Store::BUCKET, "pairs.csv", PAIRS);
    let disk = "needs an output on a disk, and s3://bucket/out.csv is an object; write to a file, and copy it there";
    for (args, told) in [
        ("score s3://bucket/pairs.csv -o s3://bucket/out.csv --resume", disk),
        ("score s3://bucket/pairs.csv -o s3://bucket/out.csv --retry-failed", disk),
        ("score s3://bucket/pairs.csv -o s3://bucket/out.csv --shard 0/2", disk),
        ("score s3://bucket/pairs.csv --in-place --resume", "needs an output on a disk, and s3://bucket/pairs.csv is"),
        ("score s3://bucket/pairs.csv -o s3://bucket/out/ --resume", "--resume needs a file"),
        ("score s3://bucket/pairs.csv -o s3:///", "cannot be a bucket's name"),
        ("score s3://bucket/pairs.csv --cache s3://bucket/vectors", "vectors are kept on a disk"),
        (
            "merge s3://bucket/0.csv s3://bucket/1.csv -o whole.csv",
            "s3://bucket/0.csv is an object, and parts are put together from a disk; fetch it and \
             s3://bucket/0.csv.shard.json first",
        ),
    ] {
        let flags = if args.starts_with("merge") { "" } else { " --model pictoclip" };
        let ran = run_at(&store, &bench, &format!("{args}{flags} --quiet")).expect_code(2);
        assert!(ran.stderr.contains(told), "{args}: {}", ran.stderr);
        assert_eq!(bench.names(), [""; 0], "{args}");
        assert_eq!(store.parts(), 0, "{args}");
    }
}
