//! BERT's tokenizer from `vocab.txt`, as Chinese-CLIP has it.
//!
//! The same pipeline as transformers' `BertTokenizer` builds from it (`models/bert/tokenization_bert.py`).

use std::collections::HashMap;

use tokenizers::Tokenizer;
use tokenizers::models::bpe::Vocab;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;

use super::special_tokens::SpecialTokens;
use crate::config::ConfigFile;
use crate::error::LoadError;
use crate::model_files::ModelFiles;

const VOCABULARY: &str = "vocab.txt";
const CONFIG: &str = "tokenizer_config.json";

/// BERT's special tokens where the configuration names no others.
const SPECIAL_TOKENS: [(&str, &str); 5] = [
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

pub(super) fn read(files: &ModelFiles) -> Result<Option<Tokenizer>, LoadError> {
    let Some(vocabulary) = files.read(VOCABULARY)? else { return Ok(None) };
    let malformed = |problem: String| LoadError::Malformed { file: files.display(VOCABULARY), problem: problem.into() };
    let vocabulary = std::str::from_utf8(&vocabulary).map_err(|error| malformed(error.to_string()))?;
    // A token's id is its line's number. Of a token that stands twice, the later one counts, as in the reference.
    let vocabulary: HashMap<String, u32> =
        vocabulary.lines().map(|line| line.trim_end_matches('\r').to_owned()).zip(0..).collect();

    let special = SpecialTokens::read(files)?.or(&SPECIAL_TOKENS);
    let token = |usage| {
        let content = special.content(usage).unwrap_or_default().to_owned();
        let id = vocabulary.get(&content).copied();
        id.map(|id| (content.clone(), id)).ok_or_else(|| malformed(format!("{content:?}, the `{usage}`, is missing")))
    };
    let (start, end, (unknown, _)) = (token("cls_token")?, token("sep_token")?, token("unk_token")?);
    let normalizer = normalizer(files)?;
    let tokenizer = WordPiece::builder().vocab(vocabulary.into_iter().collect::<Vocab>()).unk_token(unknown).build();
    tokenizer
        .and_then(|model| {
            let mut tokenizer = Tokenizer::new(model);
            tokenizer.with_normalizer(Some(normalizer))?;
            tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
            tokenizer.with_post_processor(Some(BertProcessing::new(end, start)));
            special.add_to(&mut tokenizer)?;
            Ok(Some(tokenizer))
        })
        .map_err(|error| malformed(error.to_string()))
}

/// What the configuration says of letters; where it is silent or not there, as in the reference.
fn normalizer(files: &ModelFiles) -> Result<BertNormalizer, LoadError> {
    if !files.contains(CONFIG) {
        return Ok(BertNormalizer::new(true, true, None, true));
    }
    let config = ConfigFile::read(files, CONFIG)?;
    let root = config.root();
    let handle_chinese_chars = root.flag("tokenize_chinese_chars", true)?;
    // Without a word on accents they go with the capitals.
    let lowercase = root.flag("do_lower_case", true)?;
    let strip_accents = root.flag("strip_accents", lowercase)?;
    Ok(BertNormalizer::new(true, handle_chinese_chars, Some(strip_accents), lowercase))
}
