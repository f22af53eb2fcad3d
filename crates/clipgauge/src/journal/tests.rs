use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn fingerprint(value: &str) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    fingerprint.add("--metric", value);
    fingerprint
}

/// A folder with the journal of one output.
struct Bench {
    folder: TempDir,
}

fn known(is_truncated: bool) -> Diagnostics {
    Diagnostics { truncated: Some(is_truncated), ..Diagnostics::default() }
}

#[test]
fn what_is_known_of_a_row_is_kept_where_it_is_asked_for() {
    let bench = Bench::new();
    let (_, writer) = bench.begin(false);
    let mut writer = writer.with_diagnostics(true);
    let all = Diagnostics {
        tokens: Some(9),
        truncated: Some(true),
        width: Some(640),
        height: Some(480),
        bytes: Some(123_456),
        content_hash: Some([7; 32]),
        fetch_ms: Some(1.5),
        encode_ms: None,
    };
    writer.add(0, hash(0), Done::Scored(&[0.5]), &all).expect("writable");
    writer.add(1, hash(1), Done::Dropped(DropReason::MinImageSize), &all).expect("writable");
    drop(writer);
    let (mut replay, _) = bench.begin(true);
    let scored = replay.take(0, hash(0)).expect("readable").expect("it is finished");
    assert_eq!((scored.done, scored.dropped, &scored.diagnostics), (Ok(vec![0.5]), None, &all));
    let dropped = replay.take(1, hash(1)).expect("readable").expect("it is finished");
    assert_eq!((dropped.dropped, &dropped.diagnostics), (Some(DropReason::MinImageSize), &all));
}

/// What became of a row, or nothing.
type Known = Option<Result<Vec<f32>, RowErrorKind>>;

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> PathBuf {
        path_of(&self.folder.path().join("out.csv"))
    }

    fn open(&self) -> Journal {
        Journal::open(&self.path()).expect("openable")
    }

    fn begin(&self, goes_on: bool) -> (Replay, JournalWriter) {
        self.open().begin(&fingerprint("cosine"), goes_on, 1).expect("writable")
    }

    /// What the journal has of the first rows.
    fn known(&self, rows: u64) -> Vec<Known> {
        let (mut replay, _) = self.begin(true);
        let row = |index| replay.take(index, hash(index)).expect("readable");
        let rows = (0..rows).map(row);
        rows.map(|row| row.map(|row| row.done.map_err(|error| error.kind))).collect()
    }
}

fn hash(index: u64) -> u64 {
    index ^ 0xabcd
}

fn score(index: u64) -> f32 {
    index as f32 / 7.0
}

fn add(writer: &mut JournalWriter, index: u64) {
    writer.add(index, hash(index), Done::Scored(&[score(index)]), &known(false)).expect("writable");
}

fn fail(writer: &mut JournalWriter, index: u64, kind: RowErrorKind) {
    writer.add(index, hash(index), Done::Failed(&RowError::new(kind, "why")), &known(false)).expect("writable");
}

#[test]
fn rows_come_back_in_their_order_whatever_process_wrote_them() {
    let bench = Bench::new();
    let (_, mut writer) = bench.begin(false);
    [3, 0, 2].into_iter().for_each(|index| add(&mut writer, index));
    fail(&mut writer, 4, RowErrorKind::Timeout);
    fail(&mut writer, 5, RowErrorKind::NotFound);
    drop(writer);
    let (_, mut writer) = bench.begin(true);
    add(&mut writer, 4);
    add(&mut writer, 1);
    fail(&mut writer, 7, RowErrorKind::HttpStatus);
    drop(writer);
    let (_, mut writer) = bench.begin(true);
    // What came later counts.
    fail(&mut writer, 0, RowErrorKind::Empty);
    drop(writer);
    let scored = |index| Some(Ok(vec![score(index)]));
    let expected = [
        Some(Err(RowErrorKind::Empty)),
        scored(1),
        scored(2),
        scored(3),
        scored(4),
        Some(Err(RowErrorKind::NotFound)),
        None,
        None,
    ];
    assert_eq!(bench.known(8), expected);
    assert_eq!(finished_rows(&bench.path()).expect("a journal"), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn every_bit_of_a_score_and_every_word_of_a_failure_stay() {
    let bench = Bench::new();
    let numbers = [0.0, -0.0, f32::NAN, f32::from_bits(0xffc0_0001), f32::INFINITY, f32::MIN_POSITIVE / 2.0, 0.1];
    let (_, mut writer) = bench.open().begin(&fingerprint("cosine"), false, numbers.len()).expect("writable");
    writer.add(0, 1, Done::Scored(&numbers), &known(true)).expect("writable");
    for (index, kind) in RowErrorKind::ALL.iter().enumerate() {
        let error = RowError::new(*kind, format!("\"{kind}\"\nü"));
        writer.add(1 + index as u64, 1, Done::Failed(&error), &known(false)).expect("writable");
    }
    drop(writer);
    let (mut replay, _) = bench.open().begin(&fingerprint("cosine"), true, numbers.len()).expect("writable");
    let row = replay.take(0, 1).expect("readable").expect("finished");
    let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    assert_eq!((bits(&row.done.expect("scores")), row.diagnostics.truncated), (bits(&numbers), Some(true)));
    for (index, kind) in RowErrorKind::ALL.iter().enumerate() {
        let row = replay.take(1 + index as u64, 1).expect("readable");
        let expected = RowError::new(*kind, format!("\"{kind}\"\nü"));
        assert_eq!(row.is_none(), kind.is_transient(), "{kind}");
        assert!(row.is_none_or(|row| row.done == Err(expected) && row.diagnostics.truncated == Some(false)), "{kind}");
    }
}

#[test]
fn a_row_that_is_another_now_is_done_again() {
    let bench = Bench::new();
    let (_, mut writer) = bench.begin(false);
    add(&mut writer, 0);
    // As many scores as a row does not have.
    writer.add(1, hash(1), Done::Scored(&[1.0, 2.0]), &known(false)).expect("writable");
    drop(writer);
    let (mut replay, _) = bench.begin(true);
    assert_eq!(replay.take(0, hash(0) + 1).expect("readable"), None);
    assert_eq!(replay.take(1, hash(1)).expect("readable"), None);
}

/// As far out of order as rows can be, through more rows than are read ahead.
#[test]
fn rows_that_overtook_each_other_are_found() {
    let bench = Bench::new();
    let rows = 3 * MAX_ROWS_UNDER_WAY;
    let (_, mut writer) = bench.begin(false);
    // The first waits for as many others as can be under way, and so does every one after it.
    for block in 0..3 {
        let start = block * MAX_ROWS_UNDER_WAY;
        (start..start + MAX_ROWS_UNDER_WAY).rev().for_each(|index| add(&mut writer, index));
    }
    drop(writer);
    let known = bench.known(rows);
    assert!((0..rows).all(|index| known[index as usize] == Some(Ok(vec![score(index)]))));
}

#[test]
fn what_was_not_written_to_its_end_is_left_out() {
    let bench = Bench::new();
    let (_, mut writer) = bench.begin(false);
    (0..3).for_each(|index| add(&mut writer, index));
    drop(writer);
    let whole = fs::read(bench.path()).expect("there");
    for torn in [vec![], vec![0; 100], b"more".to_vec(), whole[MAGIC.len()..].to_vec()[..20].to_vec()] {
        fs::write(bench.path(), [&whole[..], &torn].concat()).expect("writable");
        assert_eq!(bench.open().useless_bytes(), torn.len() as u64);
        let (_, mut writer) = bench.begin(true);
        add(&mut writer, 3);
        drop(writer);
        assert!(bench.known(4).iter().all(Option::is_some), "{torn:?}");
    }
}

#[test]
fn the_end_is_known_by_its_output() {
    let bench = Bench::new();
    let output = FileIdentity { size: 5, sample: "x".to_owned() };
    let other = FileIdentity { size: 6, sample: "x".to_owned() };
    let ending = Ending { scored: 2, failed: vec![(RowErrorKind::Timeout, 1)], output: output.clone() };
    let (_, mut writer) = bench.begin(false);
    add(&mut writer, 0);
    writer.end(&ending).expect("writable");
    drop(writer);
    assert_eq!(bench.open().ending_of(&output), Some(&ending));
    assert_eq!(bench.open().ending_of(&other), None);
    let (_, writer) = bench.begin(true);
    drop(writer);
    assert_eq!(bench.open().ending_of(&output), None, "another process went on");

    let (_, writer) = bench.begin(true);
    writer.shrink(&fingerprint("cosine"), &ending).expect("writable");
    assert_eq!(bench.open().ending_of(&output), Some(&ending));
    assert!(fs::metadata(bench.path()).expect("there").len() < 200);
    let (_, writer) = bench.begin(false);
    writer.remove().expect("removable");
    assert!(!bench.path().exists());
}

#[test]
fn what_changed_is_named() {
    let bench = Bench::new();
    let (_, mut writer) = bench.begin(false);
    add(&mut writer, 0);
    drop(writer);
    assert!(bench.open().check(&fingerprint("cosine"), true).is_ok());
    let error = bench.open().check(&fingerprint("dot"), true).expect_err("another metric");
    assert!(error.is_usage() && error.to_string().contains("--metric was cosine and is now dot"), "{error}");
}

#[test]
fn one_process_at_a_time_has_it() {
    let bench = Bench::new();
    let (_, writer) = bench.begin(false);
    assert!(matches!(Journal::open(&bench.path()), Err(JournalError::Busy { .. })));
    drop(writer);
    assert!(Journal::open(&bench.path()).is_ok());
}

#[test]
fn nothing_is_left_where_nothing_was_done() {
    let bench = Bench::new();
    drop(bench.open());
    assert!(!bench.path().exists());
    let begun = bench.begin(false);
    drop(begun);
    assert!(!bench.path().exists());
}

#[test]
fn other_files_are_left_alone() {
    let bench = Bench::new();
    for text in ["url,caption\n", "clgjrnl9 and more"] {
        fs::write(bench.path(), text).expect("writable");
        assert!(matches!(Journal::open(&bench.path()), Err(JournalError::Foreign { .. })), "{text}");
        assert_eq!(fs::read_to_string(bench.path()).expect("there"), text);
    }
}

/// A journal of two processes over six rows.
fn sample(bench: &Bench) -> Vec<u8> {
    let (_, mut writer) = bench.begin(false);
    [1, 0, 2].into_iter().for_each(|index| add(&mut writer, index));
    drop(writer);
    let (_, mut writer) = bench.begin(true);
    fail(&mut writer, 3, RowErrorKind::Corrupt);
    [5, 4].into_iter().for_each(|index| add(&mut writer, index));
    drop(writer);
    fs::read(bench.path()).expect("there")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the bytes, a row has the score that was written, or none.
    #[test]
    fn damage_never_gives_a_wrong_score(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        more in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let bench = Bench::new();
        let mut bytes = sample(&bench);
        for (place, byte) in flips {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        bytes.extend(more);
        fs::write(bench.path(), &bytes).expect("writable");
        let Ok(journal) = Journal::open(&bench.path()) else { return Ok(()) };
        let (mut replay, mut writer) = journal.begin(&fingerprint("cosine"), true, 1).expect("writable");
        for index in 0..7 {
            match replay.take(index, hash(index)).expect("readable").map(|row| row.done) {
                None => {}
                Some(Ok(scores)) => prop_assert_eq!(scores, vec![score(index)]),
                Some(Err(error)) => prop_assert_eq!((index, error.kind), (3, RowErrorKind::Corrupt)),
            }
        }
        add(&mut writer, 6);
        drop((replay, writer));
        prop_assert_eq!(&bench.known(7)[6], &Some(Ok(vec![score(6)])));
    }

    #[test]
    fn any_bytes_are_a_journal_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), is_ours in any::<bool>()) {
        let bench = Bench::new();
        fs::write(bench.path(), [if is_ours { &MAGIC[..] } else { &[] }, &bytes].concat()).expect("writable");
        let _ = finished_rows(&bench.path());
        if let Ok(journal) = Journal::open(&bench.path()) {
            let (mut replay, _writer) = journal.begin(&fingerprint("cosine"), true, 1).expect("writable");
            for index in 0..4 {
                prop_assert_eq!(replay.take(index, hash(index)).expect("readable"), None);
            }
        }
    }
}
