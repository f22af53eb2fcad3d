//! The special tokens that a model's configuration names, beside those that its tokenizer's own files have.
//!
//! As transformers' tokenizers do, each of them is taken whole where it stands in a text, and never split.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::AddedToken;

use crate::error::LoadError;
use crate::model_files::ModelFiles;

/// Where they are named; what the first file says goes before the second.
const FILES: [&str; 2] = ["tokenizer_config.json", "special_tokens_map.json"];

/// What they are for, in transformers' order: of two that have the same text, the first one's conditions count.
const USES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The class whose special tokens take the spaces on both sides of them (`models/siglip/tokenization_siglip.py`).
const TAKES_SPACES: &str = "SiglipTokenizer";

/// The special tokens by their use.
pub(super) struct SpecialTokens {
    tokens: HashMap<&'static str, Token>,
    /// Whether a special token that is given as its text takes the spaces beside it.
    take_spaces: bool,
}

/// A token as its text, or with the conditions under which it is found.
#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Conditions {
        content: String,
        #[serde(default)]
        single_word: bool,
        #[serde(default)]
        lstrip: bool,
        #[serde(default)]
        rstrip: bool,
        #[serde(default)]
        normalized: bool,
    },
}

impl SpecialTokens {
    /// None that a configuration names.
    pub(super) fn none() -> Self {
        Self { tokens: HashMap::new(), take_spaces: false }
    }

    /// Those that the configuration names.
    pub(super) fn read(files: &ModelFiles) -> Result<Self, LoadError> {
        let (mut tokens, mut take_spaces) = (HashMap::new(), false);
        for file in FILES {
            let Some(json) = files.read(file)? else { continue };
            let malformed =
                |problem: String| LoadError::Malformed { file: files.display(file), problem: problem.into() };
            let mut fields: HashMap<String, Value> =
                serde_json::from_slice(&json).map_err(|error| malformed(error.to_string()))?;
            take_spaces |= fields.get("tokenizer_class").and_then(Value::as_str) == Some(TAKES_SPACES);
            for usage in USES {
                let Some(value) = fields.remove(usage).filter(|value| !value.is_null()) else { continue };
                let token = serde_json::from_value(value).map_err(|_| LoadError::Field {
                    file: files.display(file),
                    field: usage.to_owned(),
                    problem: "is neither a text nor a token".into(),
                })?;
                tokens.entry(usage).or_insert(token);
            }
        }
        Ok(Self { tokens, take_spaces })
    }

    /// The same with a token's text where the configuration is silent about its use.
    pub(super) fn or(mut self, defaults: &[(&'static str, &str)]) -> Self {
        for (usage, content) in defaults {
            self.tokens.entry(usage).or_insert_with(|| Token::Text((*content).to_owned()));
        }
        self
    }

    /// The text of the token for one use.
    pub(super) fn content(&self, usage: &str) -> Option<&str> {
        self.tokens.get(usage).map(Token::content)
    }

    /// Gives a `tokenizer.json` what its class does to special tokens within a text, where that is more than it says:
    /// afterwards it cannot be changed any more.
    pub(super) fn impose_on(&self, tokenizer: &mut Value) {
        let added = tokenizer.get_mut("added_tokens").and_then(Value::as_array_mut);
        for token in added.into_iter().flatten().filter(|_| self.take_spaces) {
            let is_named = self.tokens.values().any(|named| token["content"] == *named.content());
            if let (true, Some(token)) = (is_named, token.as_object_mut()) {
                token.insert("lstrip".to_owned(), true.into());
                token.insert("rstrip".to_owned(), true.into());
            }
        }
    }

    /// Whether they are those of a `SiglipTokenizer`, to which a text goes on behind a special token in it, and to which
    /// one that ends with the end token has ended.
    pub(super) fn continue_texts(&self) -> bool {
        self.take_spaces
    }

    /// Makes them known to a tokenizer, those aside that it has among its own special tokens.
    pub(super) fn add_to(&self, tokenizer: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
        let mut known: Vec<String> =
            tokenizer.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
        let mut missing = Vec::new();
        for token in USES.iter().filter_map(|usage| self.tokens.get(usage)) {
            if !known.iter().any(|known| known == token.content()) {
                known.push(token.content().to_owned());
                missing.push(token.to_added(self.take_spaces));
            }
        }
        tokenizer.add_special_tokens(missing).map(drop)
    }
}

impl Token {
    fn content(&self) -> &str {
        match self {
            Self::Text(content) | Self::Conditions { content, .. } => content,
        }
    }

    fn to_added(&self, takes_spaces: bool) -> AddedToken {
        let added = AddedToken::from(self.content(), true);
        match *self {
            Self::Text(_) => added.lstrip(takes_spaces).rstrip(takes_spaces),
            Self::Conditions { single_word, lstrip, rstrip, normalized, .. } => {
                added.single_word(single_word).lstrip(lstrip).rstrip(rstrip).normalized(normalized)
            }
        }
    }
}
