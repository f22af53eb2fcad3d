//! Tensors come out as other readers of the same files see them.

use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::weights::Weights;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use crate::golden;

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
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if !name.starts_with("model") || !name.ends_with(".safetensors") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
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
