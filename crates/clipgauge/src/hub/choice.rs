//! Which files of a model are fetched. The tables below are all there is to it: a new kind of model adds its names.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::hub::cache::RepoCache;

/// Text files, taken where a model has them.
pub(super) const SMALL_FILES: &[&str] = &[
    "config.json",
    "open_clip_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
];

/// A model has at least one of these.
const CONFIGURATIONS: &[&str] = &["config.json", "open_clip_config.json"];

/// Weights, of which one is taken: the first that a model has. An index names the files that have them.
pub(super) const WEIGHTS: &[&str] = &[
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
];

/// Whether a file of weights only says which others have them.
pub(super) fn is_index(weights: &str) -> bool {
    weights.ends_with(".index.json")
}

/// The weights to take of these files.
pub(super) fn weights(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    WEIGHTS.iter().copied().find(|file| has(file))
}

/// The files that an index names, each once.
pub(super) fn shards(index: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let Index { weight_map } = serde_json::from_slice(index)?;
    let mut shards: Vec<_> = weight_map.into_values().collect();
    shards.sort();
    shards.dedup();
    Ok(shards)
}

/// The weights of a commit that are whole in the cache.
pub(super) fn cached_weights(cache: &RepoCache, commit: &str) -> Option<&'static str> {
    weights(|file| {
        let path = cache.pointer(commit, file);
        if !is_index(file) {
            return path.is_file();
        }
        let shards = std::fs::read(path).ok().and_then(|index| shards(&index).ok());
        shards.is_some_and(|shards| shards.iter().all(|shard| cache.pointer(commit, shard).is_file()))
    })
}

/// How much of a model is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What it takes to load it.
    All,
    /// What describes it: everything but the weights.
    TextFiles,
}

/// Whether what is in the cache can be loaded, as far as one can tell without asking the hub what else there is.
pub(super) fn is_usable(cache: &RepoCache, commit: &str, part: Part) -> bool {
    let has_configuration = CONFIGURATIONS.iter().any(|file| cache.pointer(commit, file).is_file());
    has_configuration && (part == Part::TextFiles || cached_weights(cache, commit).is_some())
}

/// Whether all of the model is in the cache for sure: of each file that is not, it is known that the hub lacks it, too.
pub(super) fn is_whole(cache: &RepoCache, commit: &str, part: Part) -> bool {
    let is_settled = |file: &str| cache.pointer(commit, file).is_file() || cache.is_absent(commit, file);
    is_usable(cache, commit, part) && SMALL_FILES.iter().all(|file| is_settled(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_of_weights_is_chosen() {
        let cases: [(&[&str], Option<&str>); 6] = [
            (&["pytorch_model.bin", "model.safetensors", "tf_model.h5"], Some("model.safetensors")),
            (
                &["model-00001-of-00002.safetensors", "model.safetensors.index.json", "pytorch_model.bin"],
                Some("model.safetensors.index.json"),
            ),
            (&["open_clip_pytorch_model.bin", "open_clip_model.safetensors"], Some("open_clip_model.safetensors")),
            (&["pytorch_model.bin", "flax_model.msgpack"], Some("pytorch_model.bin")),
            (&["open_clip_pytorch_model.bin"], Some("open_clip_pytorch_model.bin")),
            (&["model.onnx"], None),
        ];
        for (files, expected) in cases {
            assert_eq!(weights(|file| files.contains(&file)), expected, "{files:?}");
        }
    }

    #[test]
    fn shards_are_named_once() {
        let index = br#"{"metadata": {}, "weight_map": {"a": "2.bin", "b": "1.bin", "c": "2.bin"}}"#;
        assert_eq!(shards(index).unwrap(), ["1.bin", "2.bin"]);
        assert!(shards(b"{}").is_err());
    }
}
