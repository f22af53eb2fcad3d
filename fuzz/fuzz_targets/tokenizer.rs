//! Tokenizers: a tokenizer.json is taken or refused, and one that is taken reads any text.
#![no_main]

use std::fs;

use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::spec::TextSpec;
use clipgauge_core::tokenize::Tokenizer;
use libfuzzer_sys::fuzz_target;

const CONTEXT_LENGTH: usize = 16;

fuzz_target!(|data: &[u8]| {
    let place = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (file, text) = (&data[..place], data.get(place + 1..).unwrap_or_default());
    let folder = tempfile::tempdir().expect("room");
    fs::write(folder.path().join("tokenizer.json"), file).expect("room");
    let spec = TextSpec { context_length: CONTEXT_LENGTH, pad_token: None };
    let Ok(Some(tokenizer)) = Tokenizer::read(&ModelFiles::Folder(folder.path().to_owned()), &spec) else { return };
    let text = String::from_utf8_lossy(text);
    for text in [&*text, "a photo of a cat", ""] {
        if let Ok(tokens) = tokenizer.tokenize(text) {
            assert!(tokens.ids.len() <= CONTEXT_LENGTH);
        }
        let _ = tokenizer.count(text);
    }
});
