//! CLIP's tokenizer from `vocab.json` and `merges.txt`, as releases without a `tokenizer.json` have it.
//!
//! The same pipeline as transformers' `CLIPTokenizer` builds from them (`models/clip/tokenization_clip.py`): composed
//! characters, single spaces, lower case; words, single digits and runs of other characters; byte pairs with `</w>`
//! at the end of a word.

use std::borrow::Cow;
use std::collections::HashMap;

use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::{self, Lowercase, NFC, Replace, replace::ReplacePattern};
use tokenizers::pre_tokenizers::{byte_level::ByteLevel, sequence::Sequence, split::Split, split::SplitPattern};
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

use super::special_tokens::SpecialTokens;
use crate::error::LoadError;
use crate::model_files::ModelFiles;

const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";

/// What CLIP marks the last piece of a word with. Vocabularies of the same two files but of other kinds (GPT-2,
/// RoBERTa) have none.
const END_OF_WORD: &str = "</w>";

/// CLIP's pieces of text: its own special tokens, English endings, words, digits one by one, anything else in runs.
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// CLIP's special tokens where the configuration names no others.
const SPECIAL_TOKENS: [(&str, &str); 3] =
    [("bos_token", "<|startoftext|>"), ("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>")];

pub(super) fn read(files: &ModelFiles) -> Result<Option<Tokenizer>, LoadError> {
    let (Some(vocabulary), Some(merges)) = (files.read(VOCABULARY)?, files.read(MERGES)?) else { return Ok(None) };
    let malformed =
        |file: &str, problem: Cow<'static, str>| LoadError::Malformed { file: files.display(file), problem };

    let vocabulary: HashMap<String, u32> =
        serde_json::from_slice(&vocabulary).map_err(|error| malformed(VOCABULARY, error.to_string().into()))?;
    if !vocabulary.keys().any(|token| token.ends_with(END_OF_WORD)) {
        return Err(malformed(
            VOCABULARY,
            format!("it is not a CLIP vocabulary: no token ends with {END_OF_WORD:?}").into(),
        ));
    }
    let merges = std::str::from_utf8(&merges).map_err(|error| malformed(MERGES, error.to_string().into()))?;
    let merges = parse_merges(merges, &vocabulary).map_err(|problem| malformed(MERGES, problem.into()))?;

    let special = SpecialTokens::read(files)?.or(&SPECIAL_TOKENS);
    let token = |usage| {
        let content = special.content(usage).unwrap_or_default().to_owned();
        match vocabulary.get(&content) {
            Some(id) => Ok((content, *id)),
            None => Err(LoadError::Field {
                file: files.display(VOCABULARY),
                field: content,
                problem: format!("is missing, though it is the `{usage}`").into(),
            }),
        }
    };
    let (start, end, (unknown, _)) = (token("bos_token")?, token("eos_token")?, token("unk_token")?);
    pipeline(vocabulary.into_iter().collect(), merges, unknown, start, end)
        .and_then(|mut tokenizer| special.add_to(&mut tokenizer).map(|()| Some(tokenizer)))
        .map_err(|error| malformed(MERGES, error.to_string().into()))
}

/// CLIP's own tokenizer, for the models whose folders have none because they mean this one.
pub(super) fn built_in() -> tokenizers::Result<Tokenizer> {
    let vocabulary = super::clip_vocabulary();
    let merges = parse_merges(super::CLIP_MERGES, &vocabulary)?;
    let special = |content: &str| (content.to_owned(), vocabulary[content]);
    let [(_, start), (_, end), (_, unknown)] = SPECIAL_TOKENS;
    let (start, end) = (special(start), special(end));
    let mut tokenizer = pipeline(vocabulary.into_iter().collect(), merges, unknown.to_owned(), start, end)?;
    SpecialTokens::none().or(&SPECIAL_TOKENS).add_to(&mut tokenizer)?;
    Ok(tokenizer)
}

/// The lines `left right`, in order of priority; the first line may be a version.
///
/// The `tokenizers` crate panics on a merge that gives no token, hence the check.
fn parse_merges(text: &str, vocabulary: &HashMap<String, u32>) -> Result<Merges, String> {
    let mut merges = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        let (left, right) = line.split_once(' ').ok_or_else(|| format!("line {} is not two tokens", number + 1))?;
        for token in [left, right, &format!("{left}{right}")] {
            if !vocabulary.contains_key(token) {
                return Err(format!("line {}: {token:?} is not in {VOCABULARY}", number + 1));
            }
        }
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(merges)
}

fn pipeline(
    vocabulary: Vocab,
    merges: Merges,
    unknown: String,
    start: (String, u32),
    end: (String, u32),
) -> tokenizers::Result<Tokenizer> {
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix(END_OF_WORD.to_owned())
        .unk_token(unknown)
        .build()?;
    let single_spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ")?;
    let words = Split::new(SplitPattern::Regex(WORDS.to_owned()), SplitDelimiterBehavior::Removed, true)?;
    let bytes = ByteLevel::default().add_prefix_space(false);
    let special = RobertaProcessing::new(end, start).trim_offsets(false).add_prefix_space(false);

    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(normalizers::Sequence::new(vec![
        NFC.into(),
        single_spaces.into(),
        Lowercase.into(),
    ])))?;
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![words.into(), bytes.into()])));
    tokenizer.with_post_processor(Some(special));
    Ok(tokenizer)
}
