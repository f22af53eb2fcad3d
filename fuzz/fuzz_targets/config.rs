//! Configurations: config.json and preprocessor_config.json, or open_clip's, make a description or an error.
#![no_main]

use std::fs;

use clipgauge_core::family;
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::spec::ImageSpec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    // Two files, with a byte between them that JSON has not.
    let place = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (config, preprocessor) = (&data[..place], data.get(place + 1..).unwrap_or_default());
    let _ = ImageSpec::from_preprocessor_config(preprocessor, "preprocessor_config.json");
    let folder = tempfile::tempdir().expect("room");
    let name = if choice % 2 == 0 { "config.json" } else { "open_clip_config.json" };
    fs::write(folder.path().join(name), config).expect("room");
    fs::write(folder.path().join("preprocessor_config.json"), preprocessor).expect("room");
    let files = ModelFiles::Folder(folder.path().to_owned());
    let _ = family::of(&files);
    if let Ok(spec) = ImageSpec::read(&files) {
        assert!(spec.picture_size().is_none_or(|size| !size.contains(&0)));
    }
    let _ = family::describe(&files).map(|description| description.remarks());
    // It has no weights.
    assert!(family::load(&files).is_err());
});
