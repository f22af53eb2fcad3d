//! Texts with a special token in them, as transformers' `SiglipTokenizer` reads them: what follows such a token goes on
//! with the text, and has no mark of a word's beginning before it (`models/siglip/tokenization_siglip.py`).
//!
//! The `tokenizers` crate would mark each piece of the text as if it were one of its own.

use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{Encoding, Tokenizer};

/// What reads a text from its first special token on.
pub(super) struct Continued {
    special: Vec<String>,
    encoder: Tokenizer,
}

impl Continued {
    /// Such a reader beside `encoder`; `None` where that marks no words.
    pub(super) fn of(encoder: &Tokenizer) -> Option<Self> {
        let Some(PreTokenizerWrapper::Metaspace(marks)) = encoder.get_pre_tokenizer() else { return None };
        let unmarked = Metaspace::new(marks.get_replacement(), PrependScheme::Never, marks.split);
        let special = encoder.get_added_tokens_decoder().into_values().filter(|token| token.special);
        let special = special.map(|token| token.content).filter(|content| !content.is_empty()).collect();
        let mut encoder = encoder.clone();
        encoder.with_pre_tokenizer(Some(unmarked));
        Some(Self { special, encoder })
    }

    /// The text before its first special token, and the rest with that; `None` for a text that has none.
    fn split<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let first = self.special.iter().filter_map(|token| text.find(token.as_str())).min()?;
        Some(text.split_at(first))
    }

    /// The tokens of a text with a special token in it; `None` for one without.
    pub(super) fn encode(&self, text: &str, beginning: &Tokenizer) -> Option<tokenizers::Result<Encoding>> {
        let (before, rest) = self.split(text)?;
        Some(beginning.encode(before, false).and_then(|mut encoding| {
            encoding.merge_with(self.encoder.encode(rest, false)?, true);
            Ok(encoding)
        }))
    }
}
