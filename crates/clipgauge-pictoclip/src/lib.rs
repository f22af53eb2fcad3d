//! The files of pictoclip, a small CLIP for pictograms in ten languages, as data.
//!
//! It makes the first command and the tests run without a network; for real work name a real model. What it is and
//! how well it does is in its card, `model/README.md`; whose drawings it was trained on in `NOTICE.md`.

/// The files that a loader needs, by the names they have in a model folder of Hugging Face's layout.
///
/// The tokenizer is there as `vocab.json` and `merges.txt`, which give the same ids as the `tokenizer.json` of the
/// repository and are less than half its size.
pub const FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../model/config.json")),
    ("preprocessor_config.json", include_bytes!("../model/preprocessor_config.json")),
    ("tokenizer_config.json", include_bytes!("../model/tokenizer_config.json")),
    ("vocab.json", include_bytes!("../model/vocab.json")),
    ("merges.txt", include_bytes!("../model/merges.txt")),
    ("model.safetensors", include_bytes!("../model/model.safetensors")),
];
