//! Files made to crash, to fill the memory or to run something are refused with a sentence about what is wrong.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::weights::Weights;
use tempfile::TempDir;

use super::torch::{self, Tensor, pickle};
use crate::golden;

fn open(files: &[(&str, &[u8])]) -> Result<Weights, String> {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    Weights::open(&ModelFiles::Folder(folder.path().to_owned())).map_err(|error| {
        let message = error.to_string();
        let is_about_a_file = files.iter().any(|(name, _)| message.contains(name));
        assert!(is_about_a_file, "it does not say which file: {message}");
        message
    })
}

/// All cases are tried; those that are not refused as they should be are listed together.
fn expect_refused(cases: impl IntoIterator<Item = (&'static str, Result<Weights, String>, &'static str)>) {
    let mut wrong = Vec::new();
    for (name, result, expected) in cases {
        match result {
            Ok(_) => wrong.push(format!("{name}: was opened")),
            Err(message) if !message.contains(expected) => wrong.push(format!("{name}: {message}")),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn open_safetensors(content: &[u8]) -> Result<Weights, String> {
    open(&[("model.safetensors", content)])
}

#[test]
fn safetensors_that_lie_are_refused() {
    let header = |header: &str| open_safetensors(&safetensors(header, &[0; 8]));
    let many: Vec<String> =
        (0..65_537).map(|n| format!(r#""{n}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#)).collect();
    expect_refused([
        ("nothing", open_safetensors(b""), "ends before the header"),
        ("half a length", open_safetensors(&[1, 0, 0, 0]), "ends before the header"),
        ("a header of a terabyte", open_safetensors(&(1_u64 << 40).to_le_bytes()), "claims a header of 1099511627776"),
        ("a header of 2^64 bytes", open_safetensors(&[0xff; 64]), "claims a header of 18446744073709551615"),
        (
            "a header longer than the file",
            open_safetensors(&[100, 0, 0, 0, 0, 0, 0, 0, b'{']),
            "ends before the header",
        ),
        ("no JSON", header("not JSON"), "is not valid"),
        ("not UTF-8", open_safetensors(&[2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), "is not valid"),
        ("deep JSON", header(&r#"{"a":"#.repeat(100_000)), "recursion limit"),
        ("deep JSON in metadata", header(&format!(r#"{{"__metadata__":{}"#, "[".repeat(100_000))), "is not valid"),
        (
            "data of terabytes",
            header(r#"{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#),
            "its header accounts for 4398046511",
        ),
        (
            "two tensors over each other",
            header(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            ),
            "invalid offset",
        ),
        ("a hole", header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#), "invalid offset"),
        (
            "an end before its start",
            header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#),
            "invalid offset",
        ),
        (
            "a shape beyond its bytes",
            header(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#),
            "invalid shape",
        ),
        (
            "a shape that overflows",
            header(r#"{"a":{"dtype":"F32","shape":[9223372036854775808,4],"data_offsets":[0,8]}}"#),
            "overflow",
        ),
        ("an unknown dtype", header(r#"{"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}"#), "F33"),
        ("bytes after the last tensor", header("{}"), "has 18 bytes where its header accounts for 10"),
        (
            "too many tensors",
            open_safetensors(&safetensors(&format!("{{{}}}", many.join(",")), b"")),
            "more than 65536",
        ),
        (
            "git's pointer",
            open_safetensors(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
            "git lfs pull",
        ),
    ]);
}

#[test]
fn indices_that_lead_elsewhere_are_refused() {
    let one = safetensors(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]);
    let index = |map: &str| {
        let index = format!(r#"{{"metadata":{{}},"weight_map":{map}}}"#);
        open(&[("model.safetensors.index.json", index.as_bytes()), ("1.safetensors", &one), ("2.safetensors", &one)])
    };
    let many: Vec<String> = (0..2_000).map(|n| format!(r#""{n}":"{n}.safetensors""#)).collect();
    assert!(index(r#"{"a":"1.safetensors"}"#).is_ok());
    expect_refused([
        ("up and away", index(r#"{"a":"../../etc/passwd"}"#), "not the name of a file beside it"),
        ("an absolute path", index(r#"{"a":"/etc/passwd"}"#), "not the name of a file beside it"),
        ("a drive", index(r#"{"a":"C:secret"}"#), "not the name of a file beside it"),
        ("a Windows path", index(r#"{"a":"..\\secret"}"#), "not the name of a file beside it"),
        ("the folder", index(r#"{"a":".."}"#), "not the name of a file beside it"),
        ("no name", index(r#"{"a":""}"#), "not the name of a file beside it"),
        ("a zero byte", index(r#"{"a":"1.safetensors\u0000"}"#), "not the name of a file beside it"),
        ("a missing shard", index(r#"{"a":"3.safetensors"}"#), "`3.safetensors` is not beside it"),
        ("two shards with one tensor", index(r#"{"a":"1.safetensors","b":"2.safetensors"}"#), "`a` is in"),
        ("a tensor that is nowhere", index(r#"{"a":"1.safetensors","b":"1.safetensors"}"#), "`b` should be in"),
        ("too many shards", index(&format!("{{{}}}", many.join(","))), "names 2000 files"),
        ("no map", open(&[("model.safetensors.index.json", b"{}")]), "weight_map"),
        ("deep JSON", open(&[("model.safetensors.index.json", "[".repeat(100_000).as_bytes())]), "is not valid"),
    ]);
}

const TWO_NUMBERS: Tensor<'_> =
    Tensor { class: "FloatStorage", key: "0", len: 2, offset: 0, shape: &[2], strides: &[1] };

fn open_torch(content: &[u8]) -> Result<Weights, String> {
    open(&[("pytorch_model.bin", content)])
}

fn open_pickle(program: &[u8]) -> Result<Weights, String> {
    open_torch(&torch::archive(&[("archive/data.pkl", program), ("archive/data/0", &[0; 8])]))
}

fn open_tensor(tensor: Tensor<'_>) -> Result<Weights, String> {
    open_torch(&torch::model(&pickle::ordered_dict(&[("a", tensor.pickled())]), &[&[0; 8]]))
}

#[test]
fn pickles_that_run_something_are_refused_and_not_run() {
    let folder = TempDir::new().unwrap();
    let proof = folder.path().join("it ran");
    let command = pickle::text(&format!("touch '{}'", proof.display()));
    let call = |module, name| pickle::call(module, name, std::slice::from_ref(&command));
    let in_a_dict = |value| pickle::program(&pickle::ordered_dict(&[("a", TWO_NUMBERS.pickled()), ("b", value)]));
    expect_refused([
        ("os.system", open_pickle(&pickle::program(&call("os", "system"))), "asks for `os.system`, which"),
        ("posix.system among tensors", open_pickle(&in_a_dict(call("posix", "system"))), "asks for `posix.system`"),
        ("eval", open_pickle(&in_a_dict(call("builtins", "eval"))), "asks for `builtins.eval`"),
        ("torch.load", open_pickle(&in_a_dict(call("torch", "load"))), "asks for `torch.load`"),
        (
            "a dotted name",
            open_pickle(&in_a_dict(call("torch._utils", "_rebuild_tensor_v2.__globals__"))),
            "asks for `torch._utils._rebuild_tensor_v2.__globals__`",
        ),
        ("a name that writes to the terminal", open_pickle(b"\x80\x02c\x1b[2J\nx\n."), r"`\u{1b}[2J.x`"),
        ("an instance", open_pickle(b"\x80\x02(ios\nsystem\n."), "instruction 0x69"),
        ("a new object", open_pickle(&[0x80, 2, b'N', b')', 0x81, b'.']), "instruction 0x81"),
        ("a text as a function", open_pickle(&pickle::program(b"X\x01\x00\x00\x00a)R")), "calls something"),
        (
            "a storage as a function",
            open_pickle(&pickle::program(b"ctorch\nFloatStorage\n)R")),
            "way that torch does not",
        ),
        (
            "attributes of a function",
            open_pickle(&pickle::program(b"ccollections\nOrderedDict\n}b")),
            "sets attributes",
        ),
    ]);
    assert!(!proof.exists());
}

#[test]
fn pickles_that_are_broken_or_too_much_are_refused() {
    let program = |bytes: &[u8]| open_pickle(&pickle::program(bytes));
    // Each tuple holds the one before twice: 2^60 items if they were copied.
    let laughs: Vec<u8> = [b")".to_vec(), b"q\x00h\x00\x86".repeat(60)].concat();
    let twice = pickle::ordered_dict(&[("a", TWO_NUMBERS.pickled()), ("a", TWO_NUMBERS.pickled())]);
    expect_refused([
        ("nothing", open_pickle(b""), "ends too early"),
        ("no end", open_pickle(b"\x80\x02}"), "ends too early"),
        ("an end on nothing", open_pickle(b"\x80\x02."), "something else than a dictionary"),
        ("protocol 4", open_pickle(b"\x80\x04}."), "protocol 4"),
        ("a text of 4 GB", program(b"X\xff\xff\xff\xffa"), "ends too early"),
        ("a name without an end", program(b"cos"), "ends too early"),
        ("a text that is not UTF-8", program(b"X\x01\x00\x00\x00\xff"), "not UTF-8"),
        ("a number of 2040 bits", program(&[&[0x8a, 255][..], &[0; 255]].concat()), "more than 64 bits"),
        ("a value that is not stored", program(b"j\xff\xff\xff\xff"), "did not store"),
        ("a tuple without a mark", program(b"t"), "misses a mark"),
        ("a tuple of values that are not there", program(b"N\x87"), "not there"),
        ("a key without a value", program(b"}(Nu"), "a key without a value"),
        ("items of nothing", program(b"(NNu"), "something else than a dictionary"),
        ("a mark as a dictionary", program(b"((NNu"), "something else than a dictionary"),
        ("a million marks", program(&b"(".repeat(1 << 21)), "more than 1048576 values"),
        ("a million values in the memo", program(&b"Nr\x00\x00\x00\x00".repeat(1 << 20)), "more than 1048576 values"),
        ("a billion laughs", program(&laughs), "something else than a dictionary"),
        ("no tensors", program(b"}"), "holds no tensors"),
        ("two tensors of one name", program(&twice), r#"two tensors of the name "a""#),
        ("a pickle of 17 MB", open_pickle(&vec![b'N'; 17 << 20]), "more than 16777216 bytes"),
    ]);
}

#[test]
fn tensors_outside_their_storage_are_refused() {
    const HUGE: i64 = i64::MAX;
    let shaped = |shape, strides| open_tensor(Tensor { shape, strides, ..TWO_NUMBERS });
    assert!(open_tensor(TWO_NUMBERS).is_ok());
    expect_refused([
        (
            "a storage that is not there",
            open_tensor(Tensor { key: "1", ..TWO_NUMBERS }),
            "has no numbers in the archive",
        ),
        (
            "a storage outside",
            open_tensor(Tensor { key: "../data.pkl", ..TWO_NUMBERS }),
            "has no numbers in the archive",
        ),
        ("a storage larger than its file", open_tensor(Tensor { len: 3, ..TWO_NUMBERS }), "has fewer numbers"),
        ("a storage that overflows", open_tensor(Tensor { len: HUGE, ..TWO_NUMBERS }), "has fewer numbers"),
        ("wider numbers", open_tensor(Tensor { class: "DoubleStorage", ..TWO_NUMBERS }), "has fewer numbers"),
        ("a negative length", open_tensor(Tensor { len: -1, ..TWO_NUMBERS }), "negative"),
        ("an offset", open_tensor(Tensor { offset: 1, ..TWO_NUMBERS }), "reaches over the end"),
        ("an offset that overflows", open_tensor(Tensor { offset: HUGE, ..TWO_NUMBERS }), "reaches over the end"),
        ("a negative offset", open_tensor(Tensor { offset: -1, ..TWO_NUMBERS }), "negative"),
        ("a stride", shaped(&[2], &[2]), "reaches over the end"),
        ("a stride that overflows", shaped(&[2, 1], &[HUGE, 1]), "reaches over the end"),
        ("a negative stride", shaped(&[2], &[-1]), "negative"),
        ("a shape that overflows", shaped(&[HUGE, HUGE, 2], &[1, 1, 1]), "larger than what is stored"),
        ("one number a million times", shaped(&[1_000_000], &[0]), "larger than what is stored"),
        ("fewer strides than axes", shaped(&[1, 2], &[1]), "shape and strides"),
        ("sixty-five axes", shaped(&[1; 65], &[1; 65]), "shape and strides"),
        (
            "an unknown storage",
            open_tensor(Tensor { class: "EvilStorage", ..TWO_NUMBERS }),
            "asks for `torch.EvilStorage`",
        ),
    ]);
}

#[test]
fn archives_that_torch_does_not_write_are_refused() {
    let state_dict = pickle::program(&pickle::ordered_dict(&[("a", TWO_NUMBERS.pickled())]));
    let good = torch::archive(&[("archive/data.pkl", &state_dict), ("archive/data/0", &[0; 8])]);
    assert!(open_torch(&good).is_ok());
    // The method stands at 10 of a file's entry in the directory.
    let mut compressed = good.clone();
    let entry = compressed.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    compressed[entry + 10] = 8;
    let big_endian = torch::archive(&[("a/data.pkl", &state_dict), ("a/byteorder", b"big"), ("a/data/0", &[0; 8])]);
    let two = torch::archive(&[("a/data.pkl", &state_dict), ("b/data.pkl", &state_dict), ("a/data/0", &[0; 8])]);
    expect_refused([
        ("nothing", open_torch(b""), "does not begin as"),
        ("torch before 1.6", open_torch(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."), "before torch 1.6"),
        ("a page that says not found", open_torch(b"<!DOCTYPE html>"), "does not begin as"),
        ("only a beginning", open_torch(b"PK\x03\x04"), "is not valid"),
        ("a compressed file", open_torch(&compressed), "compressed or encrypted"),
        ("no description", open_torch(&torch::archive(&[("archive/data/0", b"")])), "exactly one data.pkl"),
        ("two descriptions", open_torch(&two), "exactly one data.pkl"),
        ("big-endian numbers", open_torch(&big_endian), "big-endian"),
    ]);
}

/// Whatever is cut off or changed, opening and reading end with a result, and never with a crash.
#[test]
fn damaged_files_never_crash() {
    let cases = [
        ("model.safetensors", golden::file("models/clip-f16/model.safetensors")),
        ("pytorch_model.bin", golden::file("models/clip-pytorch-bin/pytorch_model.bin")),
    ];
    for (name, path) in cases {
        let whole = fs::read(&path).unwrap();
        let folder = TempDir::new().unwrap();
        let damaged = folder.path().join(name);
        fs::write(&damaged, &whole).unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(&damaged).unwrap();

        // One byte at a time: of the header or pickle, which lies at the beginning, and of the archive's directory.
        let (mut opened, mut refused) = (0, 0);
        for step in 0..1_500 {
            let position = if step % 3 == 0 { whole.len() - 1 - step * 7 % 9_000 } else { step * 8 % 12_000 };
            let mut put = |byte: u8| {
                file.seek(SeekFrom::Start(position as u64)).unwrap();
                file.write_all(&[byte]).unwrap();
            };
            put(whole[position].wrapping_add(1 + (step % 255) as u8));
            if read_all(folder.path()) {
                opened += 1;
            } else {
                refused += 1;
            }
            put(whole[position]);
        }
        assert!(opened > 0 && refused > 100, "{name}: {opened} opened, {refused} refused");

        let cuts = (0..200).chain((1..100).map(|part| whole.len() * part / 100)).chain([whole.len() - 1]);
        let mut cuts: Vec<usize> = cuts.collect();
        cuts.sort_unstable();
        for cut in cuts.into_iter().rev() {
            file.set_len(cut as u64).unwrap();
            assert!(!read_all(folder.path()), "{name} is whole when {cut} bytes of {} are left", whole.len());
        }
    }
}

/// Opens a model and reads the tensors that the undamaged one has, under the shapes that this one says.
fn read_all(folder: &Path) -> bool {
    let Ok(weights) = Weights::open(&ModelFiles::Folder(folder.to_owned())) else { return false };
    let names =
        ["logit_scale", "text_projection.weight", "visual_projection.weight", "vision_model.post_layernorm.bias"];
    for name in names {
        if let Some(shape) = weights.shape(name) {
            drop(weights.f32(name, shape));
        }
    }
    true
}
