//! CLIP's own vocabulary, which the binary carries: every model in open_clip's form means it and stores it nowhere.
//!
//! Radford et al. 2021; the merges are OpenAI's `bpe_simple_vocab_16e6.txt`, and the vocabulary follows from them.

use std::collections::HashMap;

/// CLIP's `merges.txt`: a version, then a merge of two tokens a line, in order of priority.
pub const CLIP_MERGES: &str = include_str!("../../data/clip/merges.txt");

/// CLIP's `vocab.json`: 49,408 tokens with their ids.
///
/// They are the bytes, the bytes at a word's end, what each merge gives, and the two special tokens.
pub fn clip_vocabulary() -> HashMap<String, u32> {
    // As GPT-2 writes bytes: those that are printable as they are, then the others from U+0100 on.
    let is_printable = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..256).filter(|byte| !is_printable(byte)).count() as u32;
    let bytes = (0..256).filter(is_printable).chain(256..256 + others).filter_map(char::from_u32).map(String::from);
    let word_ends = bytes.clone().map(|byte| byte + "</w>");
    let merged = CLIP_MERGES.lines().skip(1).map(|merge| merge.replacen(' ', "", 1));
    let special = ["<|startoftext|>", "<|endoftext|>"].map(str::to_owned);
    bytes.chain(word_ends).chain(merged).chain(special).zip(0..).collect()
}
