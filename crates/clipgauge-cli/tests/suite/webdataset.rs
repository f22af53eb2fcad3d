//! WebDataset shards: the scores are those of the same rows as text, and every member comes through.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};

use tar::{Archive, Builder, Header};

use crate::bench::Bench;

const FLAGS: &str = "--model pictoclip --quiet";

/// The first rows of the examples as shards of four, and their scores as text.
pub(crate) fn shards(rows: usize) -> (Bench, Vec<f32>) {
    let bench = Bench::new().with_examples();
    let ran = bench.run(&format!("score pairs.csv {FLAGS} --allow-failures")).expect_code(0);
    let mut reader = csv::Reader::from_reader(ran.stdout.as_slice());
    let records: Vec<_> = reader.records().map(|record| record.expect("a row")).take(rows).collect();
    for (shard, records) in records.chunks(4).enumerate() {
        let mut builder = Builder::new(File::create(bench.path(&format!("{shard:05}.tar"))).expect("creatable"));
        let mut add = |name: &str, data: &[u8]| {
            let mut header = Header::new_ustar();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, data).expect("appended");
        };
        for (row, record) in records.iter().enumerate() {
            let key = format!("{shard:05}{row:04}");
            let extension = record[0].rsplit('.').next().expect("an extension");
            add(&format!("{key}.{extension}"), &bench.read(&record[0]));
            add(&format!("{key}.cls"), b"3");
            match row % 2 {
                0 => add(&format!("{key}.txt"), record[1].as_bytes()),
                _ => {
                    let fields = serde_json::json!({ "caption": &record[1], "width": row });
                    add(&format!("{key}.json"), fields.to_string().as_bytes());
                }
            }
        }
        builder.finish().expect("whole");
    }
    let scores = records.iter().map(|record| record[record.len() - 1].parse().expect("a score")).collect();
    (bench, scores)
}

fn members(tar: impl Read) -> Vec<(String, Vec<u8>)> {
    let mut archive = Archive::new(tar);
    let entries = archive.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("a member");
        let name = String::from_utf8(entry.path_bytes().into_owned()).expect("UTF-8");
        let mut data = Vec::new();
        entry.read_to_end(&mut data).expect("data");
        (name, data)
    });
    entries.collect()
}

/// The scores in the members' JSON, by key.
fn scores(members: &[(String, Vec<u8>)]) -> BTreeMap<String, f32> {
    let jsons = members.iter().filter_map(|(name, data)| Some((name.strip_suffix(".json")?, data)));
    jsons
        .map(|(key, data)| {
            let json: serde_json::Value = serde_json::from_slice(data).expect("JSON");
            (key.to_owned(), json["similarity"].as_f64().expect("a score") as f32)
        })
        .collect()
}

#[test]
fn shards_keep_their_names_and_members() {
    let (bench, expected) = shards(10);
    bench.run(&format!("score {{00000..00002}}.tar -o scored/ {FLAGS}")).expect_code(0);
    let mut found = BTreeMap::new();
    for shard in ["00000.tar", "00001.tar", "00002.tar"] {
        let (before, after) =
            (members(bench.read(shard).as_slice()), members(bench.read(&format!("scored/{shard}")).as_slice()));
        found.extend(scores(&after));
        let others = |members: &[(String, Vec<u8>)]| {
            members.iter().filter(|(name, _)| !name.ends_with(".json")).cloned().collect::<Vec<_>>()
        };
        assert!(others(&before) == others(&after), "{shard}");
        let json = after.iter().find(|(name, _)| name.ends_with("0001.json")).expect("a sample");
        assert!(json.1.starts_with(b"{\"caption\":"), "{json:?}");
    }
    assert_eq!(found.into_values().collect::<Vec<_>>(), expected);
    // One shard to a file of its own, through pipes, in its own place, and compressed.
    let one = bench.read("scored/00001.tar");
    bench.run(&format!("score 00001.tar -o one.tar {FLAGS}")).expect_code(0);
    assert!(bench.read("one.tar") == one);
    let ran = bench.run_with_stdin(&format!("score - --format webdataset {FLAGS}"), bench.read("00001.tar"));
    assert!(ran.expect_code(0).stdout == one);
    bench.run(&format!("score 00001.tar -o one.tar.gz {FLAGS}")).expect_code(0);
    bench.run(&format!("score one.tar.gz --in-place --overwrite {FLAGS}")).expect_code(0);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bench.read("one.tar.gz").as_slice()).read_to_end(&mut plain).expect("gzip");
    assert!(plain == one);
    let ran = bench.run_with_stdin(&format!("score - --format webdataset {FLAGS}"), bench.read("one.tar.gz"));
    assert!(ran.expect_code(2).stderr.contains("standard input is a gzip file, not a tar"));
    // All of them as one.
    bench.run(&format!("score 0*.tar -o all.tar {FLAGS}")).expect_code(0);
    assert_eq!(scores(&members(bench.read("all.tar").as_slice())).into_values().collect::<Vec<_>>(), expected);
}

#[test]
fn shards_become_a_table() {
    let (bench, expected) = shards(10);
    fs::create_dir(bench.path("set")).expect("creatable");
    for shard in ["00000.tar", "00001.tar", "00002.tar"] {
        fs::rename(bench.path(shard), bench.path(&format!("set/{shard}"))).expect("movable");
    }
    for name in ["out.csv", "out.jsonl", "out.parquet"] {
        bench.run(&format!("score set -o {name} {FLAGS}")).expect_code(0);
    }
    let out = bench.text("out.csv");
    let mut reader = csv::Reader::from_reader(out.as_bytes());
    let names = ["__key__", "txt", "caption", "width", "similarity"];
    assert_eq!(reader.headers().expect("a header"), names.as_slice());
    let rows: Vec<_> = reader.records().map(|record| record.expect("a row")).collect();
    assert_eq!(rows.iter().map(|row| row[4].parse().expect("a score")).collect::<Vec<f32>>(), expected);
    assert_eq!((&rows[9][0], &rows[9][1], &rows[9][3]), ("000020001", "", "1"));
    let line: serde_json::Value =
        serde_json::from_str(bench.text("out.jsonl").lines().nth(1).expect("a row")).expect("JSON");
    assert_eq!((&line["__key__"], &line["txt"], &line["width"]), (&"000000001".into(), &().into(), &1.into()));
    let ran =
        bench.run(&format!("score out.parquet --image-column __key__ --caption-column txt {FLAGS}")).expect_code(2);
    assert!(ran.stderr.contains("has a column `similarity` already"), "{}", ran.stderr);
    bench.run(&format!("embed set -o vectors.parquet {FLAGS}")).expect_code(0);
    let ran = bench.run(&format!("score set -o out.arrow {FLAGS}")).expect_code(2);
    assert!(ran.stderr.contains("cannot become arrow"), "{}", ran.stderr);
}

#[test]
fn samples_are_dropped_and_fields_kept_as_in_a_table() {
    let (bench, expected) = shards(10);
    let mut sorted = expected.clone();
    sorted.sort_by(f32::total_cmp);
    let least = sorted[4];
    let flags = format!("--min-score {least} --keep-columns width --diagnostics {FLAGS}");
    bench.run(&format!("score 0*.tar -o all.tar {flags}")).expect_code(0);
    bench.run(&format!("score 0*.tar -o apart/ {flags}")).expect_code(0);
    bench.run(&format!("score 0*.tar -o all.jsonl {flags}")).expect_code(0);
    let all = members(bench.read("all.tar").as_slice());
    let found = scores(&all).into_values().collect::<Vec<_>>();
    assert_eq!(found, expected.iter().copied().filter(|score| *score >= least).collect::<Vec<_>>());
    assert_eq!(found.len(), 6);
    let before: BTreeMap<_, _> =
        (0..3).flat_map(|shard| members(bench.read(&format!("{shard:05}.tar")).as_slice())).collect();
    for (name, data) in &all {
        let Some(key) = name.strip_suffix(".json") else {
            assert!(&before[name] == data, "{name}");
            continue;
        };
        let json: serde_json::Value = serde_json::from_slice(data).expect("JSON");
        let had_json = before.contains_key(name);
        assert_eq!(json.get("width").is_some(), had_json, "{key}: {json}");
        assert!(json.get("caption").is_none(), "{key}: {json}");
        assert_eq!(json["clipgauge_truncated"], false);
        assert!(json["clipgauge_tokens"].is_u64() && json["clipgauge_content_hash"].is_string(), "{json}");
        assert_eq!(json["clipgauge_error_kind"], serde_json::Value::Null);
        assert_eq!(json.as_object().expect("fields").len(), 1 + 9 + usize::from(had_json), "{json}");
    }
    let apart = (0..3).flat_map(|shard| members(bench.read(&format!("apart/{shard:05}.tar")).as_slice()));
    assert_eq!(scores(&apart.collect::<Vec<_>>()), scores(&all));
    let line: serde_json::Value =
        serde_json::from_str(bench.text("all.jsonl").lines().next().expect("a row")).expect("JSON");
    assert_eq!(line.as_object().expect("fields").len(), 1 + 1 + 9, "{line}");
    let ran = bench.run(&format!("score 00000.tar --keep-columns height {FLAGS}")).expect_code(2);
    assert!(ran.stderr.contains("has no column `height`"), "{}", ran.stderr);
}

#[test]
fn a_shard_that_is_cut_is_told_with_what_came_before() {
    let (bench, expected) = shards(4);
    let whole = bench.read("00000.tar");
    // In the last member of the last sample.
    let end = whole.iter().rposition(|byte| *byte != 0).expect("a member");
    File::create(bench.path("cut.tar")).and_then(|mut file| file.write_all(&whole[..end - 1])).expect("writable");
    let ran = bench.run(&format!("score cut.tar -o out.tar {FLAGS}")).expect_code(1);
    assert!(
        ran.stderr.contains("cut.tar cannot be read as a tar from row 4 on: it ends within a member"),
        "{}",
        ran.stderr
    );
    assert!(!bench.path("out.tar").exists());
    let partial = members(bench.read("out.tar.partial").as_slice());
    assert_eq!(scores(&partial).into_values().collect::<Vec<_>>(), expected[..3]);
}

#[test]
fn shards_with_nothing_to_score_are_told() {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    builder.append_data(&mut header, "1.npy", &b"x"[..]).expect("appended");
    let bench = Bench::new().with("a.tar", builder.into_inner().expect("whole")).with("empty.tar", b"");
    for (args, told) in [
        ("a.tar", "a.tar: none of the first samples has a picture (there are `.npy`)"),
        ("a.tar --image-column jpg", "a.tar: none of the first samples has a member `.jpg` (there are `.npy`)"),
        ("a.tar --image-column npy", "none of the first samples has a `.txt` or a field `caption` in its JSON"),
        ("empty.tar", "empty.tar is a file of 0 bytes, not a tar; a tar has a kilobyte of zeros at its end"),
        ("missing-{0..3}.tar", "missing-0.tar cannot be read"),
    ] {
        let ran = bench.run(&format!("score {args} {FLAGS}"));
        assert_eq!(ran.code, Some(if args.starts_with("missing") { 1 } else { 2 }), "{args}");
        assert!(ran.stderr.contains(told), "{args}: {}", ran.stderr);
    }
}
