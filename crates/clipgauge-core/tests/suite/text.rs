//! Texts become the ids that transformers gives, whatever files the tokenizer is read from, and however long they are.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::spec::TextSpec;
use clipgauge_core::tokenize::{TokenBatch, Tokenizer};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::golden;

const CLIP_END: u32 = 49_407;

#[derive(Deserialize)]
struct Golden<Row> {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    #[serde(alias = "hf")]
    ids: Vec<u32>,
    untruncated: usize,
}

fn read_json<T: for<'de> Deserialize<'de>>(path: impl AsRef<Path>) -> T {
    serde_json::from_slice(&fs::read(path.as_ref()).expect("a golden file")).expect("valid JSON")
}

fn spec(context_length: usize) -> TextSpec {
    TextSpec { context_length, pad_token: None }
}

fn read(folder: &Path, spec: &TextSpec) -> Tokenizer {
    Tokenizer::read(&ModelFiles::Folder(folder.to_owned()), spec).unwrap().expect("a tokenizer")
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

fn pictoclip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../clipgauge-pictoclip/model")
}

/// CLIP's vocabulary follows from its merges: the bytes, the bytes at a word's end, what each merge gives, and the two
/// special tokens.
fn clip_vocabulary() -> (HashMap<String, u32>, Vec<[String; 2]>) {
    let merges: Vec<[String; 2]> = fs::read_to_string(data("clip/merges.txt"))
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| line.split_once(' ').map(|(left, right)| [left.to_owned(), right.to_owned()]).unwrap())
        .collect();
    // As GPT-2 writes bytes: those that are printable as they are, then the others from U+0100 on.
    let is_printable = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..256).filter(|byte| !is_printable(byte)).count() as u32;
    let bytes: Vec<String> = (0..256)
        .filter(is_printable)
        .chain(256..256 + others)
        .map(|code| char::from_u32(code).unwrap().to_string())
        .collect();
    let tokens = bytes.iter().cloned().chain(bytes.iter().map(|byte| format!("{byte}</w>")));
    let tokens = tokens.chain(merges.iter().map(|merge| merge.concat()));
    let tokens = tokens.chain(["<|startoftext|>".to_owned(), "<|endoftext|>".to_owned()]);
    (tokens.zip(0..).collect(), merges)
}

/// A folder with CLIP's tokenizer as `vocab.json` and `merges.txt`.
fn clip_from_merges() -> TempDir {
    let folder = TempDir::new().unwrap();
    let (vocabulary, _) = clip_vocabulary();
    fs::write(folder.path().join("vocab.json"), serde_json::to_vec(&vocabulary).unwrap()).unwrap();
    fs::copy(data("clip/merges.txt"), folder.path().join("merges.txt")).unwrap();
    fs::copy(golden::file("tokenizer/tokenizer_config.json"), folder.path().join("tokenizer_config.json")).unwrap();
    folder
}

/// A folder with CLIP's tokenizer as `tokenizer.json`, with a truncation and a padding that must not matter.
fn clip_from_json() -> TempDir {
    let folder = TempDir::new().unwrap();
    let (vocabulary, merges) = clip_vocabulary();
    let mut tokenizer: Value = read_json(golden::file("tokenizer/tokenizer-without-vocabulary.json"));
    tokenizer["model"]["vocab"] = json!(vocabulary);
    tokenizer["model"]["merges"] = json!(merges);
    tokenizer["truncation"] = json!({"max_length": 5, "strategy": "LongestFirst", "stride": 1, "direction": "Left"});
    tokenizer["padding"] = json!({"strategy": {"Fixed": 12}, "direction": "Left", "pad_to_multiple_of": null,
        "pad_id": 7, "pad_type_id": 0, "pad_token": "("});
    fs::write(folder.path().join("tokenizer.json"), serde_json::to_vec(&tokenizer).unwrap()).unwrap();
    folder
}

fn expect_golden(tokenizer: &Tokenizer, context_length: usize, rows: &[Row]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let tokens = tokenizer.tokenize(&row.text).unwrap();
            let is_right = tokens.ids == row.ids && tokens.truncated == (row.untruncated > context_length);
            (!is_right).then(|| format!("{:?}: {tokens:?}, not {:?}", row.text, row.ids))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn clip_gives_the_reference_ids_from_vocab_and_merges() {
    let golden: Golden<Row> = read_json(golden::file("tokenizer/golden-public.json"));
    assert!(golden.rows.len() > 40);
    expect_golden(&read(clip_from_merges().path(), &spec(77)), 77, &golden.rows);
}

#[test]
fn clip_gives_the_reference_ids_from_tokenizer_json() {
    let golden: Golden<Row> = read_json(golden::file("tokenizer/golden-public.json"));
    expect_golden(&read(clip_from_json().path(), &spec(77)), 77, &golden.rows);
}

/// `golden-pictoclip.json` has what `AutoTokenizer` of transformers 5.23 gives for the same strings.
#[test]
fn pictoclip_gives_the_reference_ids_both_ways() {
    let golden: Golden<Row> = read_json(golden::file("tokenizer/golden-pictoclip.json"));
    assert!(golden.rows.len() > 40);
    for files in [vec!["tokenizer.json"], vec!["vocab.json", "merges.txt"]] {
        let folder = TempDir::new().unwrap();
        for file in files {
            fs::copy(pictoclip().join(file), folder.path().join(file)).unwrap();
        }
        expect_golden(&read(folder.path(), &spec(32)), 32, &golden.rows);
    }
}

/// The kinds of tokenizer of other families that a `tokenizer.json` describes wholly.
#[test]
fn other_kinds_give_the_reference_ids() {
    #[derive(Deserialize)]
    struct SmallGolden {
        limit: usize,
        rows: Vec<SmallRow>,
    }
    #[derive(Deserialize)]
    struct SmallRow {
        text: String,
        ids: Vec<u32>,
    }
    for folder in golden::entries("tokenizer/small") {
        if !folder.join("tokenizer.json").exists() {
            continue;
        }
        let golden: SmallGolden = read_json(folder.join("golden.json"));
        let tokenizer = read(&folder, &spec(golden.limit));
        for row in golden.rows {
            // SigLIP's golden ids are those of its `spiece.model`, whose reader forgets the space after a special token.
            if !(folder.ends_with("siglip") && row.text.contains("</s>")) {
                assert_eq!(
                    tokenizer.tokenize(&row.text).unwrap().ids,
                    row.ids,
                    "{:?} by {}",
                    row.text,
                    folder.display()
                );
            }
        }
    }
}

/// What transformers 5.23 gives for a configuration with these three special tokens.
#[test]
fn special_tokens_of_the_configuration_are_taken_whole() {
    let folder = clip_from_merges();
    let token = |content: &str| {
        json!({"content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": true, "__type": "AddedToken"})
    };
    let config = json!({"bos_token": token("<|startoftext|>"), "eos_token": token("<|endoftext|>"), "pad_token": "!"});
    fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    let tokenizer = read(folder.path(), &spec(77));
    for (text, ids) in [
        ("a cat!", vec![49_406, 320, 2_368, 0, CLIP_END]),
        ("<|ENDOFTEXT|> b", vec![49_406, CLIP_END, 321, CLIP_END]),
        ("a!b", vec![49_406, 320, 0, 321, CLIP_END]),
    ] {
        assert_eq!(tokenizer.tokenize(text).unwrap().ids, ids, "{text:?}");
    }
}

#[test]
fn a_long_text_keeps_its_end_token() {
    let tokenizer = read(clip_from_merges().path(), &spec(77));
    for (words, is_longer) in [(74, false), (75, false), (76, true), (2_000, true)] {
        let tokens = tokenizer.tokenize(&"cat ".repeat(words)).unwrap();
        assert_eq!(tokens.truncated, is_longer, "{words} words");
        assert_eq!(tokens.ids.len(), words.min(75) + 2);
        assert_eq!(tokens.ids.last(), Some(&CLIP_END));
        assert_eq!(tokens.ids.iter().filter(|id| **id == CLIP_END).count(), 1);
    }
}

#[test]
fn padding_that_counts_fills_the_context() {
    let padded = TextSpec { context_length: 8, pad_token: Some(1) };
    // The first names its padding, the end token; of the second only the spec does.
    let (named, silent) = (clip_from_merges(), clip_from_merges());
    fs::remove_file(silent.path().join("tokenizer_config.json")).unwrap();
    for (folder, pad) in [(&named, CLIP_END), (&silent, 1)] {
        let tokenizer = read(folder.path(), &padded);
        assert_eq!(tokenizer.tokenize("a cat").unwrap().ids, [49_406, 320, 2_368, CLIP_END, pad, pad, pad, pad]);
        assert_eq!(tokenizer.tokenize("").unwrap().ids, [49_406, CLIP_END, pad, pad, pad, pad, pad, pad]);
        let long = tokenizer.tokenize("a cat a cat a cat a cat").unwrap();
        assert_eq!(long.ids, [49_406, 320, 2_368, 320, 2_368, 320, 2_368, CLIP_END]);
        assert!(long.truncated);
    }
}

/// Texts that are looked at in part, against all their tokens.
#[test]
fn the_beginning_of_a_text_gives_the_tokens_of_the_whole() {
    let context_length = 16;
    let tokenizer = read(&pictoclip(), &spec(context_length));
    let whole = tokenizers::Tokenizer::from_file(pictoclip().join("tokenizer.json"));
    let mut whole = whole.unwrap();
    whole.with_truncation(None).unwrap();
    let varied = |length: usize| -> String {
        let letters = "etaoinshrdlucatdogsunção";
        // A fixed sequence without a short period.
        (0_u64..).map(|n| letters.chars().nth((n * n / 7 + n) as usize % 24).unwrap()).take(length).collect()
    };
    let cases = [
        ("words", "a red cat sleeps, ".repeat(20_000)),
        ("one word", varied(400_000)),
        ("one letter", "a".repeat(400_000)),
        ("a word after many spaces", " ".repeat(30_000) + &varied(400_000)),
        ("short words, then a long one", "the cat ".repeat(3) + &varied(300_000) + " end"),
        ("no spaces", "一只猫".repeat(60_000)),
        ("marks out of order", "cat".to_owned() + &"\u{301}\u{316}".repeat(5_000) + &" dog".repeat(1_000)),
        ("other spaces", "sun\u{2003}moon\n\n".repeat(10_000)),
        ("special tokens", "<|endoftext|>x".repeat(20_000)),
        ("digits", "1234567890".repeat(30_000)),
        ("few tokens, much space", ("cat".to_owned() + &" ".repeat(5_000)).repeat(30)),
    ];
    for (name, text) in cases {
        let all = whole.encode_fast(text.as_str(), false).unwrap();
        let tokens = tokenizer.tokenize(&text).unwrap();
        let own = &tokens.ids[1..tokens.ids.len() - 1];
        assert_eq!(own, &all.get_ids()[..all.get_ids().len().min(context_length - 2)], "{name}");
        assert!(tokens.truncated, "{name}");
    }
}

proptest! {
    /// Any text has the same ids both ways, and a context that is long enough shows all of them.
    #[test]
    fn any_text_is_the_same_both_ways(text in any_text()) {
        let [from_json, from_merges, cut] = &*PICTOCLIP;
        let tokens = from_json.tokenize(&text).unwrap();
        prop_assert_eq!(&tokens, &from_merges.tokenize(&text).unwrap());
        prop_assert!(!tokens.truncated);
        let cut = cut.tokenize(&text).unwrap();
        prop_assert_eq!(cut.truncated, tokens.ids.len() > 6);
        let own = tokens.ids.len() - 1;
        prop_assert_eq!(&cut.ids[..own.min(5)], &tokens.ids[..own.min(5)]);
        prop_assert_eq!(cut.ids.last(), tokens.ids.last());
    }
}

/// Any characters, or those that CLIP's pipeline treats in ways of their own, more often than chance would have them.
fn any_text() -> impl Strategy<Value = String> {
    let special = proptest::sample::select(vec![
        "<|endoftext|>",
        "<|startoftext|>",
        "'ll",
        "'",
        " ",
        "\u{a0}",
        "\t\n",
        "\u{301}",
        "e",
        "É",
        "İ",
        "7",
        "½",
        "👩\u{200d}👧",
        "猫",
        "!?",
        "&amp;",
        "\0",
    ]);
    let piece = prop_oneof![special.prop_map(str::to_owned), any::<String>()];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// pictoclip's tokenizer from `tokenizer.json`, from its vocabulary and merges, and with a short context.
static PICTOCLIP: LazyLock<[Tokenizer; 3]> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    for file in ["vocab.json", "merges.txt"] {
        fs::copy(pictoclip().join(file), folder.path().join(file)).unwrap();
    }
    let long = spec(10_000);
    [read(&pictoclip(), &long), read(folder.path(), &long), read(&pictoclip(), &spec(6))]
});

/// The limit is a multiple of what the slowest takes, far below what any of them takes when looked at wholly.
#[test]
fn a_text_of_any_length_takes_bounded_time() {
    let tokenizer = read(clip_from_merges().path(), &spec(77));
    let length = 50 << 20;
    for (name, text) in
        [("words", "cat ".repeat(length / 4)), ("a word", "ab".repeat(length / 2)), ("spaces", " ".repeat(length))]
    {
        let start = Instant::now();
        assert!(tokenizer.tokenize(&text).unwrap().truncated, "{name}");
        let taken = start.elapsed();
        eprintln!("50 MiB of {name}: {taken:?}");
        assert!(taken < Duration::from_secs(15), "50 MiB of {name} took {taken:?}");
    }
}

#[test]
fn a_folder_without_a_tokenizer_has_none() {
    let folder = TempDir::new().unwrap();
    let files = ModelFiles::Folder(folder.path().to_owned());
    assert!(Tokenizer::read(&files, &spec(77)).unwrap().is_none());
    // Merges without their vocabulary are not one either.
    fs::copy(data("clip/merges.txt"), folder.path().join("merges.txt")).unwrap();
    assert!(Tokenizer::read(&files, &spec(77)).unwrap().is_none());
}

#[test]
fn contradictory_files_are_refused() {
    let bpe = |model: Value| json!({"version": "1.0", "added_tokens": [], "model": model}).to_string();
    let long_merge = bpe(json!({"type": "BPE", "vocab": {"aa": 0, "bb": 1}, "merges": [["aa", "bb"]]}));
    let cases = [
        ("no JSON", vec![("tokenizer.json", "{".to_owned())], "tokenizer.json"),
        ("deep JSON", vec![("tokenizer.json", "[".repeat(100_000))], "tokenizer.json"),
        ("merge beyond every token", vec![("tokenizer.json", long_merge)], "tokenizer.json"),
        (
            "another kind of vocabulary",
            vec![("vocab.json", r#"{"a": 0}"#.into()), ("merges.txt", String::new())],
            "</w>",
        ),
        (
            "merge of unknown tokens",
            vec![("vocab.json", r#"{"a": 0, "b</w>": 1}"#.into()), ("merges.txt", "#version: 0.2\na b\n".into())],
            r#"line 2: "b" is not in vocab.json"#,
        ),
        (
            "merge of one token",
            vec![("vocab.json", r#"{"a": 0, "b</w>": 1}"#.into()), ("merges.txt", "a".into())],
            "line 1 is not two tokens",
        ),
        (
            "no special tokens",
            vec![("vocab.json", r#"{"a</w>": 0}"#.into()), ("merges.txt", String::new())],
            "<|startoftext|>",
        ),
    ];
    for (name, files, expected) in cases {
        let folder = TempDir::new().unwrap();
        for (file, content) in files {
            fs::write(folder.path().join(file), content).unwrap();
        }
        let result = Tokenizer::read(&ModelFiles::Folder(folder.path().to_owned()), &spec(77));
        let error = result.expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn special_tokens_must_leave_room() {
    let folder = clip_from_merges();
    let result = Tokenizer::read(&ModelFiles::Folder(folder.path().to_owned()), &spec(2));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("2 special tokens leave no room in a context of 2"), "{error}");
    assert_eq!(read(folder.path(), &spec(3)).tokenize("a cat").unwrap().ids, [49_406, 320, CLIP_END]);
}

#[test]
fn a_batch_gives_back_its_texts() {
    let batch: TokenBatch = [&[1, 2, 3][..], &[], &[4]].into_iter().collect();
    assert_eq!(batch.len(), 3);
    assert_eq!(batch.ids(), [1, 2, 3, 4]);
    assert_eq!(batch.ends(), [3, 3, 4]);
    assert_eq!(batch.texts().collect::<Vec<_>>(), [&[1, 2, 3][..], &[], &[4]]);
    assert!(TokenBatch::new().is_empty());
}
