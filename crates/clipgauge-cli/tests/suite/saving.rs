//! `--save-images`: the pictures of the rows that pass, in shards that can be scored again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use clipgauge_testing::{Reply, Server};
use serde_json::{Value, json};
use tar::Archive;

use crate::bench::{Bench, repository};
use crate::tables::{FAILED, NAMES, ROWS, Table, bench, size};

const FLAGS: &str = "--model pictoclip --allow-failures --progress never";

/// One sample of a shard: its members by their extension.
type Sample = BTreeMap<String, Vec<u8>>;

/// The samples of a shard by their keys, in their order.
fn samples(shard: &Path) -> Vec<(String, Sample)> {
    let bytes = fs::read(shard).unwrap_or_else(|error| panic!("{}: {error}", shard.display()));
    assert!(bytes.len().is_multiple_of(10_240) && bytes.ends_with(&[0; 1024]), "{} is not whole", shard.display());
    let mut samples: Vec<(String, Sample)> = Vec::new();
    for member in Archive::new(bytes.as_slice()).entries().expect("a tar") {
        let mut member = member.expect("a member");
        let name = String::from_utf8(member.path_bytes().into_owned()).expect("UTF-8");
        let (key, extension) = name.split_once('.').expect("an extension");
        let mut data = Vec::new();
        member.read_to_end(&mut data).expect("data");
        if samples.last().is_none_or(|(last, _)| last != key) {
            samples.push((key.to_owned(), Sample::new()));
        }
        samples.last_mut().expect("a sample").1.insert(extension.to_owned(), data);
    }
    samples
}

/// All samples of a folder's shards, and how many each shard has.
fn saved(bench: &Bench, folder: &str) -> (Vec<(String, Sample)>, Vec<usize>) {
    let mut names: Vec<_> =
        fs::read_dir(bench.path(folder)).expect("there").map(|entry| entry.expect("one").path()).collect();
    names.sort();
    let shards: Vec<_> = names.iter().map(|name| samples(name)).collect();
    let counts = shards.iter().map(Vec::len).collect();
    (shards.into_iter().flatten().collect(), counts)
}

fn json_of(sample: &Sample) -> Value {
    serde_json::from_slice(&sample["json"]).expect("JSON")
}

/// The rows of the table whose picture has an edge of 10 pixels at least.
fn large() -> Vec<usize> {
    (0..ROWS).filter(|row| !FAILED.contains(row) && size(*row)[0].min(size(*row)[1]) >= 10).collect()
}

#[test]
fn rows_that_pass_are_saved_as_they_were_fetched_from_every_format() {
    let bench = bench();
    for name in NAMES {
        let flags = format!("--save-images saved-{name} --save-shard-size 6 --min-image-size 10 {FLAGS}");
        let ran = bench.run(&format!("score {name} -o out-{name} {flags}")).expect_code(0);
        let table = Table::read(bench.path(&format!("out-{name}")));
        let (samples, counts) = saved(&bench, &format!("saved-{name}"));
        let expected = large();
        assert_eq!(counts, [6, 6, 3], "{name}");
        assert!(ran.stderr.contains(&format!("15 pictures saved in 3 shards of saved-{name}")), "{}", ran.stderr);
        assert_eq!(table.ids(), expected, "{name}");
        let keys: Vec<_> = expected.iter().map(|row| format!("{:09}", row + 1)).collect();
        assert_eq!(samples.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys, "{name}");
        for (place, ((key, sample), row)) in samples.iter().zip(expected).enumerate() {
            assert_eq!(sample.keys().collect::<Vec<_>>(), ["bmp", "json", "txt"], "{name} {key}");
            assert!(sample["bmp"] == bench.read(&format!("{row}.bmp")), "{name} {key}");
            let caption = table.column("caption")[place].expect("a caption");
            assert_eq!(sample["txt"], caption.as_bytes(), "{name} {key}");
            let json = json_of(sample);
            let hash = blake3::hash(&sample["bmp"]).to_hex().to_string();
            let known = json!({
                "key": key, "caption": caption, "url": format!("{row}.bmp"), "width": size(row)[0], "height": size(row)[1],
                "content_hash": hash, "note": format!("note {row}"),
            });
            for (field, value) in known.as_object().expect("fields") {
                assert_eq!(json[field], *value, "{name} {key} {field}");
            }
            // Numbers stay numbers where the table has them.
            let id = if name.contains(".csv") || name.contains(".tsv") { json!(row.to_string()) } else { json!(row) };
            assert_eq!(json["id"], id, "{name} {key}");
            assert_eq!(json["similarity"].as_f64().map(|score| score as f32), table.scores()[place], "{name} {key}");
            assert_eq!(json.as_object().expect("fields").len(), 9, "{name} {key}: {json}");
            let text = String::from_utf8_lossy(&sample["json"]);
            assert!(text.starts_with("{\"key\": ") && text.find("\"url\"") < text.find("\"similarity\""), "{text}");
        }
    }
}

#[test]
fn shards_are_scored_again_alike() {
    let bench = bench();
    bench.run(&format!("score in.csv -o out.csv --save-images saved --save-shard-size 8 {FLAGS}")).expect_code(0);
    let flags = "--overwrite --model pictoclip --quiet";
    bench.run(&format!("score saved/{{00000..00002}}.tar -o again.csv {flags}")).expect_code(0);
    let again = Table::read(bench.path("again.csv"));
    let scores: Vec<_> = Table::read(bench.path("out.csv")).scores().into_iter().filter(Option::is_some).collect();
    assert_eq!(again.scores(), scores);
    assert_eq!(scores.len(), ROWS - FAILED.len());
    // And saved again, from shards: with keys of this run, and those before among the fields.
    let flags = "--column again --min-image-size 10 --save-images twice --model pictoclip --quiet";
    bench.run(&format!("score saved/{{00000..00002}}.tar -o again/ {flags}")).expect_code(0);
    let (samples, _) = saved(&bench, "twice");
    assert_eq!(samples.len(), 15);
    let (key, sample) = &samples[14];
    let json = json_of(sample);
    assert_eq!((key.as_str(), &json["key"], &json["__key__"]), ("000000021", &json!(key), &json!("000000024")));
    assert_eq!((&json["again"], &json["note"]), (&json["similarity"], &json!("note 23")));
    assert_eq!(json["url"], "23.bmp", "where it came from, not the member's name");
}

/// A table of URLs: whole pictures, one of them twice, and rows that fail in several ways.
fn web() -> (Server, Bench) {
    let server = Server::start();
    let image = |name: &str| fs::read(repository().join("examples/images").join(name)).expect("readable");
    server.on("/a", Reply::ok(image("03-1f34e-fluent-flat.png")));
    server.on("/b", Reply::ok(image("11-1f981-fluent.png")));
    server.on("/html", Reply::ok(b"<html>gone</html>".to_vec()));
    server.on("/cut", Reply::ok(image("03-1f34e-fluent-flat.png")[..100].to_vec()));
    let url = |path: &str| server.url(path);
    let inline = format!("data:image/gif;base64,{}", "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7");
    let rows = [
        format!("{},an apple", url("/a")),
        format!("{},nothing", url("/missing")),
        format!("{},a page", url("/html")),
        format!("{},\"a lion, yellow\"", url("/b")),
        format!("\"{inline}\",a dot"),
        format!("{},half an apple", url("/cut")),
        format!("{},", url("/a")),
    ];
    let table = format!("url,caption\n{}\n", rows.join("\n"));
    (server, Bench::new().with("in.csv", table))
}

/// Runs the command without a proxy.
fn run(bench: &Bench, args: &str) -> crate::bench::Ran {
    let mut command = bench.command(args.split_whitespace());
    command.env("NO_PROXY", "*");
    crate::bench::Ran::of(command.output().expect("the command can be run"))
}

#[test]
fn pictures_from_the_web_are_saved_and_broken_ones_are_not() {
    let (server, bench) = web();
    let flags = "--save-images saved --model pictoclip --retries 0 --progress never --summary s.json";
    let ran = run(&bench, &format!("score in.csv -o out.csv {flags}")).expect_code(3);
    assert!(ran.stderr.contains("4 pictures saved in 1 shard of saved"), "{}", ran.stderr);
    assert_eq!(Table::read(bench.path("out.csv")).rows.len(), 7, "those that failed are in the table");
    let (samples, _) = saved(&bench, "saved");
    let of = |place: usize| (samples[place].0.as_str(), &samples[place].1, json_of(&samples[place].1));
    let keys: Vec<_> = samples.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["000000001", "000000004", "000000005", "000000007"]);
    assert_eq!((&of(0).2["url"], of(0).1["txt"].as_slice()), (&json!(server.url("/a")), b"an apple".as_slice()));
    assert_eq!(of(1).2["caption"], "a lion, yellow");
    // The address of a picture in its cell is the picture.
    assert_eq!((&of(2).2["url"], of(2).1.contains_key("gif")), (&Value::Null, true));
    assert_eq!((of(3).1["txt"].as_slice(), of(3).1["png"] == of(0).1["png"]), (b"".as_slice(), true));
    assert_eq!(server.count("/a"), 1);
    let summary: Value = serde_json::from_str(&bench.text("s.json")).expect("JSON");
    assert_eq!(summary["saved"], json!({ "folder": "saved", "images": 4, "shards": 1, "partial": null }));
    // Nothing passes: there is no shard.
    let ran = run(&bench, &format!("score in.csv -o none.csv --min-score 2 {}", flags.replace("saved", "none")));
    assert!(ran.expect_code(3).stderr.contains("0 pictures saved in 0 shards of none"));
    assert_eq!(fs::read_dir(bench.path("none")).expect("there").count(), 0);
}

#[test]
fn the_best_rows_are_saved_when_they_are_known() {
    let bench = bench();
    let flags = format!("--top-fraction 0.3 --save-shard-size 4 {FLAGS}");
    for (name, more) in [("in.csv", ""), ("in.parquet", "--min-image-size 10 --keep-columns id")] {
        bench.run(&format!("score {name} -o out-{name} --save-images best-{name} {flags} {more}")).expect_code(0);
        let table = Table::read(bench.path(&format!("out-{name}")));
        let (samples, counts) = saved(&bench, &format!("best-{name}"));
        let ids: Vec<usize> = samples.iter().map(|(key, _)| key.parse::<usize>().expect("a number") - 1).collect();
        assert_eq!(ids, table.ids(), "{name}");
        assert!(counts.len() == 2 && counts[0] == 4, "{counts:?}");
        let json = json_of(&samples[0].1);
        assert_eq!(json.get("note").is_some(), more.is_empty(), "columns that are not kept are not saved: {json}");
    }
}

#[test]
fn large_pictures_are_made_smaller() {
    let bench = bench();
    let flags = format!("--save-image-size 16 {FLAGS}");
    bench.run(&format!("score in.csv -o out.csv --save-images saved {flags}")).expect_code(0);
    let (samples, _) = saved(&bench, "saved");
    for (key, sample) in &samples {
        let row = key.parse::<usize>().expect("a number") - 1;
        let json = json_of(sample);
        let [width, height] = size(row);
        assert_eq!([&json["original_width"], &json["original_height"]], [&json!(width), &json!(height)]);
        let is_large = [width, height] == [64, 48];
        let expected = if is_large { [21, 16] } else { [width, height] };
        assert_eq!([&json["width"], &json["height"]], [&json!(expected[0]), &json!(expected[1])], "{key}");
        assert_eq!(sample.contains_key("jpg"), is_large, "{key}: only those that are made smaller are encoded anew");
        assert_eq!(json["content_hash"], blake3::hash(&bench.read(&format!("{row}.bmp"))).to_hex().to_string());
    }
    // It is a picture, of that size and of nearly that colour.
    let flags = "--overwrite --diagnostics --model pictoclip --quiet";
    bench.run(&format!("score saved/00000.tar -o again.csv {flags}")).expect_code(0);
    let (again, before) = (Table::read(bench.path("again.csv")), Table::read(bench.path("out.csv")));
    let scores = before.scores().into_iter().flatten();
    for ((score, now), width) in scores.zip(again.scores()).zip(again.column("clipgauge_width")) {
        assert!((score - now.expect("a score")).abs() < 0.02 && width != Some("64"), "{score} {now:?} {width:?}");
    }
}

#[test]
fn the_bytes_do_not_depend_on_threads_and_parts_make_the_whole() {
    let bench = bench();
    let flags = format!("--save-shard-size 5 {FLAGS}");
    bench.run(&format!("score in.csv -o one.csv --save-images one --threads 1 {flags}")).expect_code(0);
    bench
        .run(&format!("score in.csv -o four.csv --save-images four --threads 4 --batch-size 1 {flags}"))
        .expect_code(0);
    for shard in ["00000.tar", "00004.tar"] {
        assert!(bench.read(&format!("one/{shard}")) == bench.read(&format!("four/{shard}")), "{shard}");
    }
    for part in 0..12 {
        let flags = format!("--save-images parts --shard {part}/12 {flags}");
        bench.run(&format!("score in.csv -o part-{part:02}.csv {flags}")).expect_code(0);
    }
    let parts: Vec<_> = (0..12).map(|part| format!("part-{part:02}.csv")).collect();
    bench.run(&format!("merge {} -o merged.csv", parts.join(" "))).expect_code(0);
    assert!(bench.read("merged.csv") == bench.read("one.csv"));
    assert!(bench.path("parts/00-00000.tar").exists() && bench.path("parts/11-00000.tar").exists());
    assert!(saved(&bench, "parts").0 == saved(&bench, "one").0);
}

#[test]
fn several_tables_are_counted_through() {
    let bench = crate::tables::bench_with_parts();
    for (name, inputs, place) in [
        ("joined", "a.csv b.csv", "joined.csv"),
        ("row groups", "a.parquet b.parquet", "joined.parquet"),
        ("mixed", "a.parquet b.csv", "mixed.csv"),
        ("apart", "a.csv b.jsonl", "apart/"),
    ] {
        let folder = format!("saved-{}", name.replace(' ', "-"));
        bench.run(&format!("score {inputs} -o {place} --save-images {folder} {FLAGS}")).expect_code(0);
        let (samples, _) = saved(&bench, &folder);
        let keys: Vec<usize> = samples.iter().map(|(key, _)| key.parse().expect("a number")).collect();
        let expected: Vec<usize> = (1..=ROWS).filter(|number| !FAILED.contains(&(number - 1))).collect();
        assert_eq!(keys, expected, "{name}");
        for (key, sample) in &samples {
            let row = key.parse::<usize>().expect("a number") - 1;
            assert_eq!(json_of(sample)["note"], format!("note {row}"), "{name} {key}");
        }
    }
}

#[test]
fn folders_of_pictures_and_standard_input_are_saved() {
    let bench = Bench::new().with_examples();
    fs::write(bench.path("images/03-1f34e-fluent-flat.txt"), "a red apple\n").expect("writable");
    bench.run(&format!("score images -o out.csv --save-images saved {FLAGS}")).expect_code(0);
    let (samples, _) = saved(&bench, "saved");
    assert_eq!(samples.len(), 1);
    let json = json_of(&samples[0].1);
    assert_eq!((&json["url"], &json["caption"]), (&json!("03-1f34e-fluent-flat.png"), &json!("a red apple")));
    let ran = bench
        .run_with_stdin("score - --limit 3 --save-images piped --model pictoclip --quiet", bench.read("pairs.csv"));
    assert_eq!(ran.expect_code(0).text().lines().count(), 4);
    assert_eq!(saved(&bench, "piped").0.len(), 3);
}

#[test]
fn what_is_there_is_never_written_over() {
    let bench = bench().with("file", "").with("old.csv", "url,caption,similarity\n");
    bench.run(&format!("score in.csv -o out.csv --save-images saved {FLAGS}")).expect_code(0);
    let before = bench.read("saved/00000.tar");
    fs::create_dir(bench.path("partly")).expect("creatable");
    fs::write(bench.path("partly/00007.tar.partial"), "kept").expect("writable");
    let mut told = String::new();
    for args in [
        "score in.csv -o out.csv --save-images saved",
        "score in.csv -o out.csv --save-images partly",
        "score in.csv -o out.csv --save-images new --resume",
        "score in.csv -o old.csv --save-images new --retry-failed",
        "score in.csv -o new/ --save-images new",
        "score in.csv --save-image-size 100",
        "score in.csv --save-shard-size 100",
        "score in.csv --save-images new --save-shard-size 0",
        "score in.csv --save-images new --save-image-size small",
        "score in.csv --save-images no/where",
        "score in.csv --save-images s3://bucket/shards",
    ] {
        let ran = bench.run(&format!("{args} --model pictoclip")).expect_code(2);
        told.push_str(&format!("$ clipgauge {args}\n{}\n", ran.stderr));
    }
    insta::assert_snapshot!(told);
    let ran = bench.run("score in.csv --save-images file --model pictoclip").expect_code(1);
    assert!(ran.stderr.contains("file cannot be written"), "{}", ran.stderr);
    assert!(bench.read("saved/00000.tar") == before);
    assert!(!bench.path("new").exists());
}

#[cfg(unix)]
mod ended {
    use std::process::{Command, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::interrupts::Running;
    use crate::slow_web::SlowWeb;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn names(bench: &Bench, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(bench.path(folder)).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn wait_for(bench: &Bench, name: &str) {
        let until = Instant::now() + PATIENCE;
        while !bench.path(name).exists() {
            assert!(Instant::now() < until, "{name} does not appear: {:?}", names(bench, "saved"));
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_signal_keeps_whole_shards_and_what_is_in_the_last_one_apart() {
        let web = SlowWeb::new("csv", 60, Duration::from_millis(20));
        let (running, _) = Running::of(web.command("--save-images saved --save-shard-size 5"));
        wait_for(&web.bench, "saved/00001.tar");
        running.send("-INT");
        let (code, stderr) = running.end();
        assert_eq!(code, Some(130), "{stderr}");
        assert!(stderr.contains("in out.csv.partial") && !stderr.contains("--resume"), "{stderr}");
        let (whole, partial): (Vec<_>, Vec<_>) =
            names(&web.bench, "saved").into_iter().partition(|name| name.ends_with(".tar"));
        assert!(whole.len() >= 2 && partial.len() <= 1, "{whole:?} {partial:?}");
        let mut keys: Vec<String> = Vec::new();
        for name in whole.iter().chain(&partial) {
            let samples = samples(&web.bench.path(&format!("saved/{name}")));
            assert!(samples.len() == 5 || partial.contains(name));
            keys.extend(samples.into_iter().map(|(key, _)| key));
        }
        // Just the rows of the unfinished table that have a score.
        let table = Table::of_text(&web.bench.read("out.csv.partial"), b',');
        let rows = table.column("n").into_iter().zip(table.scores()).filter(|(_, score)| score.is_some());
        let rows = rows.map(|(row, _)| format!("{:09}", row.expect("a number").parse::<usize>().expect("one") + 1));
        assert_eq!(keys, rows.collect::<Vec<_>>());
    }

    #[test]
    fn a_run_that_is_killed_leaves_only_whole_shards_behind() {
        let web = SlowWeb::new("jsonl", 60, Duration::from_millis(10));
        let flags = "--save-images saved --save-shard-size 7";
        for after in ["", "saved/00000.tar", "saved/00002.tar"] {
            let _ = fs::remove_dir_all(web.bench.path("saved"));
            let mut child =
                web.command(flags).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command can be run");
            wait_for(&web.bench, if after.is_empty() { "saved" } else { after });
            child.kill().and_then(|()| child.wait()).expect("it ends");
            let names = names(&web.bench, "saved");
            let (whole, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.ends_with(".tar"));
            whole.iter().for_each(|name| assert_eq!(samples(&web.bench.path(&format!("saved/{name}"))).len(), 7));
            // What else there is has a name that nobody takes for a shard's, and what waited has none.
            assert!(others.len() <= 1 && others.iter().all(|name| name.ends_with(".partial")), "{names:?}");
            if after.is_empty() {
                // Then the next run clears it away.
                web.run(flags).expect_code(3);
                assert_eq!(self::names(&web.bench, "saved").len(), 48_usize.div_ceil(7));
            } else {
                let ran = web.run(flags).expect_code(2);
                assert!(ran.stderr.contains("00000.tar is there already"), "{}", ran.stderr);
            }
        }
    }

    #[test]
    fn a_second_run_with_the_same_folder_is_refused() {
        let server = Server::start();
        server.on("/stalls", Reply::stall());
        let bench = Bench::new().with("in.csv", format!("url,caption\n{},c\n", server.url("/stalls")));
        let mut command = bench.command("score in.csv -o a.csv --save-images saved -v --model pictoclip".split(' '));
        command.env("NO_PROXY", "*");
        let (running, _stdin) = Running::of(command);
        running.wait_for("loading the model");
        let ran = bench.run("score in.csv -o b.csv --save-images saved --model pictoclip").expect_code(2);
        assert!(ran.stderr.contains("another run is saving pictures in saved"), "{}", ran.stderr);
        running.send("-INT");
        assert_eq!(running.end().0, Some(130));
        assert_eq!(names(&bench, "saved"), [""; 0]);
    }

    /// A limit on the size of files, which a run meets as it does a disk without room.
    #[test]
    fn a_disk_that_is_full_ends_the_run_with_one_sentence() {
        let bench = bench();
        // In blocks of 512 or 1024 bytes, as the shell has it: more than the table, less than its pictures.
        let script = format!(
            "ulimit -f 16; trap '' XFSZ; exec \"$0\" score in.csv -o out.csv --save-images saved --batch-size 2 {FLAGS}"
        );
        let program = bench.command([]);
        let ran = Command::new("bash")
            .args(["-c", &script])
            .arg(program.get_program())
            .current_dir(bench.path(""))
            .output()
            .expect("bash is there");
        let ran = crate::bench::Ran::of(ran).expect_code(1);
        assert!(ran.stderr.contains("error: ") && ran.stderr.contains("saved"), "{}", ran.stderr);
        assert!(!bench.path("out.csv").exists());
        let left = names(&bench, "saved");
        assert!(left.iter().all(|name| name.ends_with(".partial")), "{left:?}");
    }
}
