//! Tensors come out as other readers of the same files see them.

mod hostile;
mod torch;

use std::collections::BTreeMap;
use std::fs;

use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::weights::Weights;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

use crate::golden;
use torch::{Tensor, pickle};

fn folder_with(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn open(folder: &TempDir) -> Weights {
    Weights::open(&ModelFiles::Folder(folder.path().to_owned())).unwrap()
}

/// Every tensor of every golden `*.safetensors`, against the `safetensors` crate's own view of the bytes.
#[test]
fn safetensors_hold_what_the_crate_reads() {
    let mut compared = 0;
    for folder in golden::entries("models") {
        let files = ModelFiles::Folder(folder.clone());
        if !files.contains("model.safetensors") && !files.contains("model.safetensors.index.json") {
            continue;
        }
        let weights = Weights::open(&files).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if !name.starts_with("model") || !name.ends_with(".safetensors") {
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            for (name, expected) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
                let at = format!("{name} of {}", path.display());
                assert_eq!(weights.shape(&name), Some(expected.shape()), "{at}");
                if expected.dtype() == Dtype::I64 {
                    let error = weights.f32(&name, expected.shape()).unwrap_err().to_string();
                    assert!(error.contains("is `I64`, which is not supported"), "{error}");
                    continue;
                }
                let expected_values: Vec<f32> = match expected.dtype() {
                    Dtype::F32 => numbers(expected.data(), f32::from_le_bytes),
                    Dtype::F16 => numbers(expected.data(), |bytes| f16::from_le_bytes(bytes).to_f32()),
                    Dtype::BF16 => numbers(expected.data(), |bytes| bf16::from_le_bytes(bytes).to_f32()),
                    other => panic!("{at} is {other}"),
                };
                assert!(weights.f32(&name, expected.shape()).unwrap() == expected_values, "{at}");
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "only {compared} tensors");
}

fn numbers<const SIZE: usize>(bytes: &[u8], one: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| one(*bytes)).collect()
}

#[test]
fn a_tensor_is_had_only_under_its_name_and_shape() {
    let weights = Weights::open(&golden::model("clip-f16")).unwrap();
    let name = "text_projection.weight";
    let [out, width] = *weights.shape(name).unwrap() else { panic!("not a matrix") };
    assert!(weights.contains(name));
    assert_eq!(weights.f32(name, &[out, width]).unwrap().len(), out * width);

    let error = weights.f32(name, &[width, out]).unwrap_err().to_string();
    assert!(error.ends_with(&format!("`{name}` has the shape [{out}, {width}], not [{width}, {out}]")), "{error}");
    assert!(error.contains("model.safetensors"), "{error}");

    assert!(!weights.contains("text_projection.bias"));
    assert_eq!(weights.shape("text_projection.bias"), None);
    let error = weights.f32("text_projection.bias", &[out]).unwrap_err().to_string();
    assert!(error.contains("model.safetensors: `text_projection.bias` is missing"), "{error}");
}

#[test]
fn a_folder_without_weights_says_what_is_needed() {
    let error = Weights::open(&ModelFiles::Folder("/nowhere".into())).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("/nowhere"), "{error}");
}

/// `clip-pytorch-bin.json` has what Python's own unpickler makes of the file.
#[test]
fn a_torch_archive_holds_what_python_reads() {
    #[derive(serde::Deserialize)]
    struct Summary {
        shape: Vec<usize>,
        first: f32,
        last: f32,
        sum: f64,
    }
    let weights = Weights::open(&golden::model("clip-pytorch-bin")).unwrap();
    let expected = fs::read(golden::file("weights/clip-pytorch-bin.json")).unwrap();
    let expected: BTreeMap<String, Summary> = serde_json::from_slice(&expected).unwrap();
    assert!(expected.len() > 90);
    for (name, Summary { shape, first, last, sum }) in expected {
        assert_eq!(weights.shape(&name), Some(&*shape), "{name}");
        let values = weights.f32(&name, &shape).unwrap();
        assert_eq!((values.first(), values.last()), (Some(&first), Some(&last)), "{name}");
        let total: f64 = values.iter().map(|value| f64::from(*value)).sum();
        assert!((total - sum).abs() < 1e-9 * values.len() as f64, "{name} sums to {total}, not {sum}");
    }
}

/// Every golden `pytorch_model.bin`, also those that hold integers among the weights.
#[test]
fn every_torch_archive_opens() {
    for folder in golden::entries("models") {
        let files = ModelFiles::Folder(folder);
        if files.contains("pytorch_model.bin") {
            let weights = Weights::open(&files).unwrap();
            assert_eq!(weights.f32("logit_scale", &[]).unwrap().len(), 1);
            let positions = "text_model.embeddings.position_ids";
            if let Some(shape) = weights.shape(positions) {
                let error = weights.f32(positions, shape).unwrap_err().to_string();
                assert!(error.contains("`LongStorage`, which is not supported; supported: F32"), "{error}");
            }
        }
    }
}

/// What views of tensors `torch.save` keeps as they are: the numbers 0 to 11 in storage, seen in different ways.
#[test]
fn views_are_put_in_order() {
    let numbers: Vec<u8> = (0..12_u8).flat_map(|number| f32::from(number).to_le_bytes()).collect();
    type Case = (&'static str, i64, &'static [i64], &'static [i64], &'static [f32]);
    let cases: [Case; 9] = [
        ("row-major", 0, &[3, 4], &[4, 1], &[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11.]),
        ("transposed", 0, &[4, 3], &[1, 4], &[0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.]),
        ("rows from the second", 4, &[2, 4], &[4, 1], &[4., 5., 6., 7., 8., 9., 10., 11.]),
        ("a column", 1, &[3], &[4], &[1., 5., 9.]),
        ("every other row and column", 0, &[2, 2], &[8, 2], &[0., 2., 8., 10.]),
        ("permuted", 0, &[2, 3, 2], &[1, 4, 2], &[0., 2., 4., 6., 8., 10., 1., 3., 5., 7., 9., 11.]),
        ("an axis of one with any stride", 8, &[1, 4], &[77, 1], &[8., 9., 10., 11.]),
        ("one number", 5, &[], &[], &[5.]),
        ("none", 12, &[0, 4], &[4, 1], &[]),
    ];
    for (name, offset, shape, strides, expected) in cases {
        let tensor = Tensor { class: "FloatStorage", key: "0", len: 12, offset, shape, strides };
        let state_dict = pickle::ordered_dict(&[("a", tensor.pickled())]);
        let folder = folder_with(&[("pytorch_model.bin", &torch::model(&state_dict, &[&numbers]))]);
        let weights = open(&folder);
        let shape: Vec<usize> = shape.iter().map(|axis| *axis as usize).collect();
        assert_eq!(weights.f32("a", &shape).unwrap(), expected, "{name}");
    }
}

/// −2.5 in each kind of number, and a kind that is none.
#[test]
fn every_kind_of_number_is_widened() {
    let cases: [(&str, &[u8]); 4] = [
        ("FloatStorage", &(-2.5_f32).to_le_bytes()),
        ("HalfStorage", &f16::from_f32(-2.5).to_le_bytes()),
        ("BFloat16Storage", &bf16::from_f32(-2.5).to_le_bytes()),
        ("DoubleStorage", &(-2.5_f64).to_le_bytes()),
    ];
    for (class, bytes) in cases {
        let tensor = Tensor { class, key: "0", len: 1, offset: 0, shape: &[1], strides: &[1] };
        let parameter =
            pickle::call("torch._utils", "_rebuild_parameter", &[tensor.pickled(), vec![0x88], b"}".to_vec()]);
        let state_dict = pickle::ordered_dict(&[("a", parameter)]);
        let weights = open(&folder_with(&[("pytorch_model.bin", &torch::model(&state_dict, &[bytes]))]));
        assert_eq!(weights.f32("a", &[1]).unwrap(), [-2.5], "{class}");
    }
}

/// What stands beside the tensors, `_metadata` as an attribute among it, is passed over.
#[test]
fn other_things_in_a_state_dict_are_passed_over() {
    let tensor = Tensor { class: "FloatStorage", key: "0", len: 1, offset: 0, shape: &[], strides: &[] };
    let lists = [b"](".to_vec(), pickle::text("x"), b"K\x01eNa".to_vec()].concat();
    let others = [
        ("a", tensor.pickled()),
        ("epoch", pickle::integer(3)),
        ("rate", [b"G", &[0; 8][..]].concat()),
        ("log", lists),
    ];
    let attributes = [b"}".to_vec(), pickle::text("_metadata"), pickle::ordered_dict(&[]), b"sb".to_vec()].concat();
    let state_dict = [pickle::ordered_dict(&others), attributes].concat();
    let weights = open(&folder_with(&[("pytorch_model.bin", &torch::model(&state_dict, &[&1_f32.to_le_bytes()]))]));
    assert_eq!(weights.f32("a", &[]).unwrap(), [1.0]);
    assert!(!weights.contains("epoch"));
}

#[test]
fn torch_archives_may_come_in_shards() {
    let shard = |name, value: f32| {
        let tensor = Tensor { class: "FloatStorage", key: "0", len: 1, offset: 0, shape: &[1], strides: &[1] };
        torch::model(&pickle::ordered_dict(&[(name, tensor.pickled())]), &[&value.to_le_bytes()])
    };
    let index = br#"{"weight_map":{"a":"pytorch_model-1.bin","b":"pytorch_model-2.bin"}}"#;
    let folder = folder_with(&[
        ("pytorch_model.bin.index.json", index),
        ("pytorch_model-1.bin", &shard("a", 1.0)),
        ("pytorch_model-2.bin", &shard("b", 2.0)),
    ]);
    assert_eq!(open(&folder).f32("a", &[1]).unwrap(), [1.0]);
    assert_eq!(open(&folder).f32("b", &[1]).unwrap(), [2.0]);
}

#[test]
fn safetensors_go_before_torch_archives() {
    let folder = TempDir::new().unwrap();
    fs::copy(golden::file("models/clip-f16/model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), "not even an archive").unwrap();
    assert!(open(&folder).contains("logit_scale"));
}

/// Reading all of a file leaves none of its pages with the process.
#[cfg(target_os = "linux")]
#[test]
fn pages_that_were_read_are_let_go() {
    const TENSORS: usize = 32;
    const TENSOR_BYTES: usize = 8 << 20;
    let tensors: Vec<String> = (0..TENSORS)
        .map(|n| {
            let (start, numbers) = (n * TENSOR_BYTES, TENSOR_BYTES / 4);
            let end = start + TENSOR_BYTES;
            format!(r#""{n}":{{"dtype":"F32","shape":[{numbers}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", tensors.join(","));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
    // The numbers are a hole in the file: they read as zeros and take no disk.
    let size = 8 + header.len() + TENSORS * TENSOR_BYTES;
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size as u64).unwrap();

    let weights = open(&folder);
    // Kernels that do not tell have nothing to be tested by.
    let Some(before) = resident_file_pages() else { return };
    for n in 0..TENSORS {
        assert!(weights.f32(&n.to_string(), &[TENSOR_BYTES / 4]).unwrap().iter().all(|number| *number == 0.0));
    }
    let kept = resident_file_pages().unwrap().saturating_sub(before);
    assert!(kept < 64 << 10, "{kept} kB of {} kB are still mapped in", size >> 10);
}

/// Pages of files in the memory of this process, in kB.
#[cfg(target_os = "linux")]
fn resident_file_pages() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// An archive of `torch.save` whose pickle runs a command when Python unpickles it.
pub(crate) fn archive_that_runs(command: &str) -> Vec<u8> {
    use torch::pickle;
    let call = pickle::call("os", "system", &[pickle::text(command)]);
    torch::archive(&[("archive/data.pkl", &pickle::program(&call))])
}
