//! Weights: a file is opened or refused, and what it says of its tensors is within it.
#![no_main]

use std::fs;

use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::weights::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("room");
    fs::write(folder.path().join("model.safetensors"), data).expect("room");
    let Ok(weights) = Weights::open(&ModelFiles::Folder(folder.path().to_owned())) else { return };
    for name in ["a", "b", "logit_scale", "text_projection.weight"] {
        let Some(shape) = weights.shape(name).map(<[usize]>::to_vec) else { continue };
        if let Ok(numbers) = weights.f32(name, &shape) {
            assert_eq!(numbers.len(), shape.iter().product::<usize>());
            assert!(numbers.len() <= data.len(), "more numbers than there are bytes");
        }
    }
});
