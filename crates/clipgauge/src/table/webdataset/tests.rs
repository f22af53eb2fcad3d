//! Shards come through with every member as it stands, whoever wrote them and whatever is in them.

use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use tar::{Archive, Builder, EntryType, Header};

use super::*;
use crate::options::Input;

fn options() -> ScoreOptions {
    ScoreOptions::new(Input::Stdin)
}

fn open_bytes(tar: &[u8], options: &ScoreOptions, keeps_rows: bool) -> Result<(TarReader, TarLayout), TableError> {
    open(Box::new(Cursor::new(tar.to_vec())), Some(tar.len() as u64), options, keeps_rows)
}

fn rows(tar: &[u8], options: &ScoreOptions, keeps_rows: bool) -> Vec<Row> {
    let (mut reader, _) = open_bytes(tar, options, keeps_rows).expect("a tar");
    std::iter::from_fn(|| reader.read().expect("a sample")).collect()
}

/// Bytes that a writer has written.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The tar with a score of 0.5 in each sample.
fn scored(tar: &[u8], options: &ScoreOptions) -> Result<Vec<u8>, TableError> {
    let (mut reader, layout) = open_bytes(tar, options, false)?;
    let sink = Sink::default();
    let mut writer = layout.writer(Box::new(sink.clone()));
    while let Some(row) = reader.read()? {
        writer.write(row.record, &[Cell::Score(Some(0.5))])?;
    }
    writer.finish()?;
    drop(writer);
    let bytes = sink.0.lock().expect("not poisoned").clone();
    assert_eq!(bytes.len() as u64 % RECORD, 0);
    Ok(bytes)
}

/// A member as the `tar` crate reads it: its name, type, header and data.
type Seen = (Vec<u8>, EntryType, Vec<u8>, Vec<u8>);

fn members(tar: &[u8]) -> Vec<Seen> {
    let mut archive = Archive::new(tar);
    let entries = archive.entries().expect("a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("a member");
            let (name, header) = (entry.path_bytes().into_owned(), entry.header().clone());
            let mut data = Vec::new();
            entry.read_to_end(&mut data).expect("data");
            (name, header.entry_type(), header.as_bytes().to_vec(), data)
        })
        .collect()
}

fn header(size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(size as u64);
    header.set_mode(0o640);
    header.set_mtime(1_234_567_890);
    header.set_uid(1000);
    header
}

/// A tar with these files.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, data) in files {
        append_raw(&mut builder, name, EntryType::Regular, data);
    }
    builder.into_inner().expect("whole")
}

/// Appends a member of whatever name: the crate's own way refuses those that nobody should unpack.
fn append_raw(builder: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, data: &[u8]) {
    let mut header = header(data.len());
    header.set_entry_type(kind);
    if name.len() > 100 {
        let mut long = Header::new_gnu();
        long.as_mut_bytes()[..13].copy_from_slice(b"././@LongLink");
        long.set_entry_type(EntryType::GNULongName);
        long.set_size(name.len() as u64 + 1);
        long.set_cksum();
        builder.append(&long, [name.as_bytes(), b"\0"].concat().as_slice()).expect("appended");
    }
    let shown = &name.as_bytes()[..name.len().min(100)];
    header.as_mut_bytes()[..shown.len()].copy_from_slice(shown);
    header.set_cksum();
    builder.append(&header, data).expect("appended");
}

fn image(row: &Row) -> Option<(&[u8], &str)> {
    match &row.image {
        Some(RowImage::Bytes { bytes, name }) => Some((bytes, name.as_deref().unwrap_or_default())),
        _ => None,
    }
}

fn kind(row: &Row) -> Option<RowErrorKind> {
    row.error.as_ref().map(|error| error.kind)
}

#[test]
fn samples_become_rows() {
    let tar = tar_of(&[
        ("d/1.txt", b"a cat\n"),
        ("d/1.png", b"png"),
        ("d/1.JPG", b"jpg"),
        ("d/1.cls", b"3"),
        ("readme", b"none of them"),
        ("d/1.json", br#"{"caption": "another", "w": 5, "s": "t", "n": null}"#),
        ("d/2.webp", b"webp"),
        ("d/2.json", br#"{"caption": "a dog", "x": [1, {"y": "z"}]}"#),
        ("d/1.gif", b"gif"),
        ("d/1.txt", b""),
    ]);
    for keeps_rows in [false, true] {
        let rows = rows(&tar, &options(), keeps_rows);
        let seen: Vec<_> = rows.iter().map(|row| (row.number, image(row), row.caption.as_deref(), kind(row))).collect();
        assert_eq!(
            seen,
            [
                (1, Some((&b"jpg"[..], "d/1.JPG")), Some("a cat"), None),
                (2, Some((b"webp", "d/2.webp")), Some("a dog"), None),
                // Another sample, since it stands apart from the first of this key.
                (3, Some((b"gif", "d/1.gif")), Some(""), None),
            ]
        );
        let (_, layout) = open_bytes(&tar, &options(), keeps_rows).expect("a tar");
        assert_eq!(layout.names(), ["__key__", "txt", "caption", "w", "s", "n", "x"]);
        let texts =
            |row: usize| rows[row].record.texts().into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
        assert_eq!(texts(0), ["d/1", "a cat", "another", "5", "t", "", ""]);
        assert_eq!(texts(1), ["d/2", "", "a dog", "", "", "", r#"[1, {"y": "z"}]"#]);
        let Record::Tar(record) = &rows[1].record else { panic!("{:?}", rows[1].record) };
        assert_eq!(record.json()[2..], [r#""a dog""#, "null", "null", "null", r#"[1, {"y": "z"}]"#]);
    }
    let chosen = ScoreOptions { image_column: "png".to_owned(), caption_column: "cls".to_owned(), ..options() };
    let rows = rows(&tar, &chosen, false);
    assert_eq!((image(&rows[0]), rows[0].caption.as_deref()), (Some((&b"png"[..], "d/1.png")), Some("3")));
    assert_eq!((kind(&rows[1]), rows[1].caption.as_deref()), (Some(RowErrorKind::NoImage), None));
    let field = ScoreOptions { caption_column: "s".to_owned(), ..options() };
    assert_eq!(self::rows(&tar, &field, false)[0].caption.as_deref(), Some("t"));
}

#[test]
fn what_is_wrong_with_a_sample_is_its_own_error() {
    let mut builder = Builder::new(Vec::new());
    let good: [(&str, &[u8]); 2] = [("0.jpg", b"jpg"), ("0.txt", b"a cat")];
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Files<'_>, RowErrorKind); 8] = [
        (&[("1.npy", b"x"), ("1.txt", b"x")], RowErrorKind::NoImage),
        (&[("2.jpg", b"x"), ("2.jpg", b"y"), ("2.txt", b"x")], RowErrorKind::Corrupt),
        (&[("3.jpg", b"x"), ("3.json", b"[]")], RowErrorKind::Corrupt),
        (&[("4.jpg", b"x"), ("4.txt", b"x"), ("4.json", b"{\"a\":")], RowErrorKind::Corrupt),
        (&[("5.jpg", b"x"), ("5.json", br#"{"caption": 5}"#)], RowErrorKind::NoCaption),
        (&[("6.jpg", b"more than allowed"), ("6.txt", b"x")], RowErrorKind::TooLarge),
        (&[("7.jpg", b"x"), ("7.txt", b"more than allowed")], RowErrorKind::TooLarge),
        (&[("8.jpg", b"x"), ("8.txt", b"x"), ("8.json", b"{\"caption\": \"\"}   ")], RowErrorKind::TooLarge),
    ];
    for (name, data) in good.iter().chain(cases.iter().flat_map(|(files, _)| files.iter())) {
        append_raw(&mut builder, name, EntryType::Regular, data);
    }
    let tar = builder.into_inner().expect("whole");
    let mut options = options();
    options.fetch.max_bytes = 16;
    let rows = rows(&tar, &options, false);
    assert_eq!(rows.len(), 1 + cases.len());
    assert_eq!(kind(&rows[0]), None);
    for (row, (files, expected)) in rows[1..].iter().zip(cases) {
        assert_eq!(kind(row), Some(expected), "{}: {:?}", files[0].0, row.error);
    }
    assert_eq!(rows[1].error.as_ref().expect("an error").message, "the sample has no picture, only `.npy`, `.txt`");
    // All of them are written, with a score wherever it has a place.
    let out = members(&scored(&tar, &options).expect("written"));
    let jsons = out.iter().filter(|(name, ..)| name.ends_with(b".json")).count();
    assert_eq!(jsons, rows.len());
    let others =
        |members: Vec<Seen>| members.into_iter().filter(|(name, ..)| !name.ends_with(b".json")).collect::<Vec<_>>();
    assert_eq!(others(out), others(members(&tar)));
}

#[test]
fn the_score_is_a_field_of_the_json() {
    let pretty = b"{\n  \"b\": 1.0,\n  \"a\": \"\\u0041\"\n}\n";
    let tar = tar_of(&[
        ("1.jpg", b"jpg"),
        ("1.txt", b"x"),
        ("1.json", pretty),
        ("1.z", b"z"),
        ("2.jpg", b"jpg"),
        ("2.txt", b"x"),
        ("3.jpg", b"jpg"),
        ("3.txt", b"x"),
        ("3.json", b"{}"),
    ]);
    let out = members(&scored(&tar, &options()).expect("written"));
    let seen: Vec<_> =
        out.iter().map(|(name, _, _, data)| (std::str::from_utf8(name).expect("UTF-8"), &data[..])).collect();
    assert_eq!(
        seen,
        [
            ("1.jpg", &b"jpg"[..]),
            ("1.txt", b"x"),
            ("1.json", b"{\n  \"b\": 1.0,\n  \"a\": \"\\u0041\", \"similarity\": 0.5\n}\n"),
            ("1.z", b"z"),
            ("2.jpg", b"jpg"),
            ("2.txt", b"x"),
            ("2.json", b"{\"similarity\": 0.5}"),
            ("3.jpg", b"jpg"),
            ("3.txt", b"x"),
            ("3.json", b"{\"similarity\":0.5}"),
        ]
    );
    let made = Header::from_byte_slice(&out[6].2);
    assert_eq!((made.mode().expect("one"), made.mtime().expect("one")), (0o640, 1_234_567_890));
    // Again: it is there already, and only replaced if that is allowed.
    let again = scored(&tar, &options()).expect("written");
    let error = scored(&again, &options()).expect_err("there");
    assert!(error.to_string().contains("has a column `similarity` already"), "{error}");
    assert_eq!(scored(&again, &ScoreOptions { overwrite: true, ..options() }).expect("written"), again);
}

#[test]
fn names_that_are_long_or_lead_elsewhere_stay_names() {
    let long = format!("{}/x", "folder".repeat(50));
    for key in ["../../x", "/abs/x", long.as_str(), "猫/x"] {
        let tar = tar_of(&[(&format!("{key}.jpg"), b"jpg"), (&format!("{key}.txt"), b"x")]);
        let out = members(&scored(&tar, &options()).expect("written"));
        let names: Vec<_> = out.iter().map(|(name, ..)| String::from_utf8_lossy(name).into_owned()).collect();
        assert_eq!(names, ["jpg", "txt", "json"].map(|extension| format!("{key}.{extension}")));
        assert_eq!(rows(&tar, &options(), true)[0].record.texts()[0].as_deref(), Some(key));
    }
}

#[test]
fn what_takes_too_much_memory_goes_through_a_file() {
    let big: Vec<u8> = (0..3_000_000u32).map(|index| (index % 251) as u8).collect();
    let tar = tar_of(&[
        ("a/", b""),
        ("a/1.mp4", &big),
        ("a/1.jpg", b"jpg"),
        ("a/1.txt", b"x"),
        ("a/1.npy", &big[..2_000_000]),
        ("a/1.json", b"{}"),
        ("a/2.jpg", &big),
        ("a/2.txt", b"x"),
    ]);
    let mut options = options();
    options.fetch.max_bytes = 100_000;
    let rows = rows(&tar, &options, false);
    assert_eq!(rows.iter().map(kind).collect::<Vec<_>>(), [None, Some(RowErrorKind::TooLarge)]);
    assert!(rows.iter().all(|row| row.size() < 100_000), "{:?}", rows.iter().map(Row::size).collect::<Vec<_>>());
    let out = members(&scored(&tar, &options).expect("written"));
    let without_json =
        |members: Vec<Seen>| members.into_iter().filter(|(name, ..)| !name.ends_with(b".json")).collect::<Vec<_>>();
    assert!(without_json(out) == without_json(members(&tar)));
}

#[test]
fn sparse_files_stay_and_are_no_pictures() {
    // As GNU tar writes them: in the old format, a map in the header and its continuation; in the new, notes.
    let mut sparse = Header::new_gnu();
    sparse.as_mut_bytes()[..5].copy_from_slice(b"1.jpg");
    sparse.set_entry_type(EntryType::GNUSparse);
    sparse.set_size(512);
    let gnu = sparse.as_gnu_mut().expect("GNU's");
    gnu.set_real_size(1 << 20);
    gnu.set_is_extended(true);
    sparse.set_cksum();
    let mut tar = sparse.as_bytes().to_vec();
    tar.extend_from_slice(&[0; 512]);
    tar.extend_from_slice(&[7; 512]);
    let mut builder = Builder::new(tar);
    append_raw(&mut builder, "1.txt", EntryType::Regular, b"x");
    let notes: [(&str, &[u8]); 3] =
        [("GNU.sparse.major", b"1"), ("GNU.sparse.name", b"2.png"), ("GNU.sparse.realsize", b"9")];
    builder.append_pax_extensions(notes).expect("appended");
    append_raw(&mut builder, "GNUSparseFile.0/2.png", EntryType::Regular, b"1\n0\n1\n");
    append_raw(&mut builder, "2.txt", EntryType::Regular, b"x");
    let tar = builder.into_inner().expect("whole");
    let rows = rows(&tar, &options(), false);
    assert_eq!(rows.iter().map(kind).collect::<Vec<_>>(), [Some(RowErrorKind::Unsupported); 2]);
    let out = scored(&tar, &options()).expect("written");
    let until_first_json = 512 * 3 + 1024;
    assert_eq!(out[..until_first_json], tar[..until_first_json]);
}

#[test]
fn sizes_in_notes_count() {
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("size", &b"3"[..])]).expect("appended");
    let mut lying = header(0);
    lying.as_mut_bytes()[..6].copy_from_slice(b"1.json");
    lying.set_cksum();
    builder.append(&lying, &b"{ }\0"[..3]).expect("appended");
    let mut tar = builder.into_inner().expect("whole");
    tar.truncate(3 * 512);
    tar.extend_from_slice(b"{ }");
    tar.resize(4 * 512, 0);
    tar.extend_from_slice(&tar_of(&[("1.jpg", b"jpg"), ("1.txt", b"x")]));
    let out = members(&scored(&tar, &options()).expect("written"));
    let seen: Vec<_> =
        out.iter().map(|(name, _, _, data)| (std::str::from_utf8(name).expect("UTF-8"), &data[..])).collect();
    assert_eq!(seen, [("1.json", &b"{\"similarity\":0.5 }"[..]), ("1.jpg", b"jpg"), ("1.txt", b"x")]);
}

#[test]
fn what_is_no_tar_or_cut_is_told() {
    let tar = tar_of(&[("1.jpg", b"jpg"), ("1.txt", b"x"), ("2.jpg", b"jpg"), ("2.txt", b"x")]);
    let fails = |bytes: &[u8]| {
        let (mut reader, _) = match open_bytes(bytes, &options(), false) {
            Ok(opened) => opened,
            Err(error) => return (0, error),
        };
        let mut rows = 0;
        loop {
            match reader.read() {
                Ok(Some(_)) => rows += 1,
                Ok(None) => panic!("read to its end"),
                Err(error) => return (rows, error),
            }
        }
    };
    for (name, bytes, told) in [
        ("text", &b"url,caption\n"[..], "ends within a member"),
        ("long text", &[b'x'; 600], "a wrong sum"),
        ("gzip", b"\x1f\x8b\x08\x00", "is a gzip file, not a tar; name it .tar.gz"),
        ("cut in a header", &tar[..512 * 4 + 100], "ends within a member"),
        ("cut in data", &tar[..512 * 5 + 1], "ends within a member"),
    ] {
        let (_, error) = fails(bytes);
        let chain =
            format!("{error}: {}", std::error::Error::source(&error).map_or_else(String::new, ToString::to_string));
        assert!(chain.contains(told), "{name}: {chain}");
    }
    // The sample before the one that is cut is whole.
    let mut long = tar_of(&[]);
    long.clear();
    for index in 0..150 {
        let files = tar_of(&[(&format!("{index}.jpg"), b"jpg"), (&format!("{index}.txt"), b"x")]);
        long.extend_from_slice(&files[..2048]);
    }
    let (rows, error) = fails(&long[..long.len() - 2048 + 512 + 1]);
    assert_eq!(rows, 149);
    assert!(error.to_string().contains("from row 150 on"), "{error}");
    // Without the blocks of zeros that end a tar it is whole, too, as `tarfile` has it.
    assert_eq!(self::rows(&long, &options(), false).len(), 150);
}

#[test]
fn a_tar_without_samples_stays_as_it_is() {
    for tar in [tar_of(&[]), tar_of(&[("README", b"x"), ("folder/", b"")])] {
        assert_eq!(members(&scored(&tar, &options()).expect("written")), members(&tar));
        assert!(rows(&tar, &options(), true).is_empty());
    }
    // A shard that was never fetched must not look like one that has nothing in it.
    let error = open_bytes(b"", &options(), false).err().expect("no tar");
    assert!(matches!(error, TableError::NotTar { .. }), "{error}");
}

#[test]
fn samples_without_what_is_needed_are_told_before_the_run() {
    let tar = tar_of(&[("1.npy", b"x"), ("1.txt", b"x")]);
    let error = open_bytes(&tar, &options(), false).err().expect("no picture");
    assert_eq!(
        error.to_string(),
        "standard input: none of the first samples has a picture (there are `.npy`, `.txt`); choose one with --image-column EXTENSION"
    );
    let tar = tar_of(&[("1.jpg", b"x"), ("1.json", b"{\"text\": \"x\"}")]);
    let error = open_bytes(&tar, &options(), false).err().expect("no caption");
    assert!(error.is_usage() && error.to_string().contains("has a `.txt` or a field `caption` in its JSON"), "{error}");
    let chosen = ScoreOptions { caption_column: "text".to_owned(), ..options() };
    assert!(open_bytes(&tar, &chosen, false).is_ok());
}

/// What Python's `tarfile` writes in each of its formats, made by `tests/golden/make/tars.py`.
#[test]
fn what_python_writes_comes_through() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/tars"));
    for format in ["ustar", "gnu", "pax"] {
        let tar = std::fs::read(folder.join(format!("{format}.tar"))).expect("a golden tar");
        let rows = rows(&tar, &options(), false);
        let captions: Vec<_> = rows.iter().filter_map(|row| row.caption.as_deref()).collect();
        assert_eq!(captions, ["a caption", "ein Fuchs, ü", "the third"], "{format}");
        assert!(rows.iter().all(|row| row.error.is_none() && image(row).is_some()), "{format}");
        let out = members(&scored(&tar, &options()).expect("written"));
        let without_json =
            |members: Vec<Seen>| members.into_iter().filter(|(name, ..)| !name.ends_with(b".json")).collect::<Vec<_>>();
        assert_eq!(without_json(out), without_json(members(&tar)), "{format}");
    }
}

/// A member of a tar of whatever kind.
#[derive(Debug, Clone)]
struct Any {
    name: String,
    kind: EntryType,
    data: Vec<u8>,
    note: Option<Vec<u8>>,
}

fn any_member() -> impl Strategy<Value = Any> {
    let name = prop_oneof![
        4 => "[ab]{1,2}\\.(jpg|txt|json|png|npy|seg\\.png|JPG)",
        1 => "[a-z/.]{1,30}",
        1 => "(\\.\\./){0,2}[a-zé猫]{1,80}/[a-z]{1,120}\\.(jpg|txt)",
        1 => "__[a-z]{1,5}__/a\\.json",
    ];
    let kind = prop_oneof![
        8 => Just(EntryType::Regular),
        1 => Just(EntryType::Directory),
        1 => Just(EntryType::Symlink),
        1 => Just(EntryType::Link),
        1 => Just(EntryType::Continuous),
    ];
    let data = prop_oneof![
        3 => vec(any::<u8>(), 0..1500),
        1 => Just(b"{\"caption\": \"a\", \"x\": 1}".to_vec()),
        1 => Just(vec![9; 40_000]),
    ];
    let note = proptest::option::weighted(0.2, vec(any::<u8>(), 1..700));
    (name, kind, data, note).prop_map(|(name, kind, data, note)| {
        let has_data = matches!(kind, EntryType::Regular | EntryType::Continuous);
        Any { name, kind, data: if has_data { data } else { Vec::new() }, note }
    })
}

fn write_any(members: &[Any]) -> Vec<u8> {
    let mut builder = Builder::new(tar_of(&[("0.jpg", b"jpg"), ("0.txt", b"x")]));
    builder.get_mut().truncate(4 * BLOCK);
    for Any { name, kind, data, note } in members {
        if let Some(note) = note {
            let key = "SCHILY.xattr.user.note";
            builder.append_pax_extensions([(key, note.as_slice())]).expect("appended");
        }
        append_raw(&mut builder, name, *kind, data);
    }
    builder.into_inner().expect("whole")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// But for the JSON of samples, what comes out is what came in, in its order; and that is changed, never dropped.
    #[test]
    fn any_members_come_through(any in vec(any_member(), 0..25), max_bytes in prop_oneof![Just(1 << 20), Just(30_000), Just(100)]) {
        let tar = write_any(&any);
        let mut options = options();
        options.fetch.max_bytes = max_bytes;
        let out = scored(&tar, &options).expect("it begins with a pair");
        let (before, after) = (members(&tar), members(&out));
        let mut after = after.into_iter().peekable();
        for (name, kind, header, data) in before {
            // A new member comes behind its sample.
            while let Some(made) = after.next_if(|(_, _, _, made)| *made == b"{\"similarity\": 0.5}" && *made != data) {
                prop_assert!(made.0.ends_with(b".json"));
            }
            let (name_after, kind_after, header_after, data_after) = after.next().expect("no member is lost");
            prop_assert_eq!((&name, kind), (&name_after, kind_after));
            if data_after != data {
                prop_assert!(name.to_ascii_lowercase().ends_with(b".json"));
                prop_assert_eq!(data_after, b"{\"caption\": \"a\", \"x\": 1, \"similarity\": 0.5}");
            } else {
                prop_assert_eq!(header, header_after);
            }
        }
        for (name, ..) in after {
            prop_assert!(name.ends_with(b".json"));
        }
    }

    /// Whatever the bytes are, they are read or refused.
    #[test]
    fn broken_tars_are_errors(any in vec(any_member(), 1..6), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut tar = write_any(&any);
        let at = at.index(tar.len());
        tar[at] = byte;
        tar.truncate(cut.index(tar.len()) + 1);
        for keeps_rows in [false, true] {
            if let Ok((mut reader, _)) = open_bytes(&tar, &options(), keeps_rows) {
                let rows = std::iter::from_fn(|| reader.read().ok().flatten()).count();
                prop_assert!(rows <= any.len() + 2);
            }
        }
    }
}
