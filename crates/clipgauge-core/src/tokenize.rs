//! Captions to token ids.
//!
//! The algorithms are those of the `tokenizers` crate, which the reference implementations use too. Here is what
//! surrounds them: finding a model's tokenizer in its files (one file of this module for each kind), cutting and
//! filling up as the model's [`TextSpec`] says, and bounding the work that a very long text makes.

mod batch;
mod canonical;
mod clip_bpe;
mod clip_vocabulary;
mod continued;
mod head;
mod special_tokens;
mod tokenizer_json;
mod word_piece;

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use crate::config::ConfigFile;
use crate::error::LoadError;
use crate::model_files::ModelFiles;
use crate::spec::TextSpec;
pub use batch::TokenBatch;
pub use canonical::canonicalize;
pub use clip_vocabulary::{CLIP_MERGES, clip_vocabulary};
use continued::Continued;
use head::Vocabulary;
use special_tokens::SpecialTokens;

/// The kinds of tokenizer that a folder may hold, in the order they are looked for. Each gives what its files make,
/// or `None` when they are not there.
const KINDS: [ReadKind; 3] = [tokenizer_json::read, clip_bpe::read, word_piece::read];

type ReadKind = fn(&ModelFiles) -> Result<Option<tokenizers::Tokenizer>, LoadError>;

/// A text of which an encoder is asked for the special tokens it puts around every text.
const PROBE: &str = "a";

/// A model's tokenizer, read from the model's files. Cheap to clone.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    encoder: tokenizers::Tokenizer,
    vocabulary: Vocabulary,
    /// The special tokens before the text's own.
    before: Vec<u32>,
    /// The special tokens after them, which stay when a text is cut.
    after: Vec<u32>,
    /// Reads texts with special tokens in them, where those do not begin anew. Such a text that ends with `after` has
    /// ended.
    continued: Option<Continued>,
    spec: TextSpec,
}

/// A caption as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The ids, special tokens included, at most the context length of them; exactly that many where the model's
    /// padding counts ([`TextSpec::pad_token`]).
    pub ids: Vec<u32>,
    /// Whether the caption was longer and had to be cut.
    pub truncated: bool,
}

/// A caption that cannot be tokenized.
#[derive(Debug, thiserror::Error)]
#[error("the tokenizer failed on this text")]
pub struct TokenizeError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl Tokenizer {
    /// Reads the tokenizer of a model; `None` when its files hold none.
    ///
    /// `tokenizer.json` goes before `vocab.json` with `merges.txt`, and that before `vocab.txt`. The special tokens that `tokenizer_config.json` or
    /// `special_tokens_map.json` name are known to it besides those of its own files. What a `tokenizer.json` says
    /// about truncation and padding is not followed: `spec` rules.
    ///
    /// # Errors
    /// When one of the files is malformed, or the special tokens fill the whole context.
    pub fn read(files: &ModelFiles, spec: &TextSpec) -> Result<Option<Self>, LoadError> {
        for read in KINDS {
            if let Some(encoder) = read(files)? {
                return Self::new(encoder, spec, files).map(Some);
            }
        }
        Ok(None)
    }

    /// CLIP's own tokenizer, which a model means whose files hold none.
    ///
    /// # Errors
    /// When the special tokens fill the whole context.
    pub fn clip(spec: &TextSpec) -> Result<Self, LoadError> {
        const PLACE: ModelFiles = ModelFiles::Bundled(&[]);
        let malformed =
            |error: tokenizers::Error| LoadError::Malformed { file: PLACE.place(), problem: error.to_string().into() };
        Self::new(clip_bpe::built_in().map_err(malformed)?, spec, &PLACE)
    }

    fn new(mut encoder: tokenizers::Tokenizer, spec: &TextSpec, files: &ModelFiles) -> Result<Self, LoadError> {
        let unusable = |problem: String| LoadError::Malformed {
            file: format!("the tokenizer in {}", files.place()),
            problem: problem.into(),
        };
        encoder.with_padding(None);
        encoder.with_truncation(None).map_err(|error| unusable(error.to_string()))?;

        let probe = guarded(|| encoder.encode(PROBE, true)).map_err(|error| unusable(error.to_string()))?;
        let is_own = |&mask: &u32| mask == 0;
        let mask = probe.get_special_tokens_mask();
        let (Some(first), Some(last)) = (mask.iter().position(is_own), mask.iter().rposition(is_own)) else {
            return Err(unusable(format!("it knows no token for {PROBE:?}")));
        };
        let before = probe.get_ids()[..first].to_vec();
        let after = probe.get_ids()[last + 1..].to_vec();
        if before.len() + after.len() >= spec.context_length {
            let problem = format!(
                "{} special tokens leave no room in a context of {}",
                before.len() + after.len(),
                spec.context_length
            );
            return Err(unusable(problem));
        }
        let vocabulary = Vocabulary::of(encoder.get_vocab(true).keys());
        let special = SpecialTokens::read(files)?;
        let continued = if special.continue_texts() { Continued::of(&encoder) } else { None };
        let mut spec = spec.clone();
        if let Some(pad) = &mut spec.pad_token {
            // The tokenizer's own configuration knows better than the model's, which often has a class's default.
            let named = special.content("pad_token").and_then(|token| encoder.token_to_id(token));
            *pad = named.unwrap_or(*pad);
        }
        Ok(Self(Arc::new(Inner { encoder, vocabulary, before, after, continued, spec })))
    }

    /// The ids of `text`, cut to the context length so that the end token stays.
    ///
    /// Of a long text only its beginning is looked at, as much of it as decides the first tokens; the work is bounded
    /// however long the text is.
    ///
    /// # Errors
    /// When the tokenizer's files are contradictory in a way that shows on this text only.
    pub fn tokenize(&self, text: &str) -> Result<Tokens, TokenizeError> {
        let Inner { vocabulary, before, after, continued, spec, .. } = &*self.0;
        let room = spec.context_length - before.len() - after.len();
        let (own, truncated) =
            head::first_tokens(text, room, vocabulary, |part, with_offsets| self.0.encode(part, with_offsets))
                .map_err(TokenizeError)?;

        let mut ids = Vec::with_capacity(spec.context_length);
        ids.extend_from_slice(before);
        ids.extend_from_slice(&own);
        if !(continued.is_some() && ids.ends_with(after)) {
            ids.extend_from_slice(after);
        }
        if let Some(pad) = spec.pad_token {
            ids.resize(spec.context_length, pad);
        }
        Ok(Tokens { ids, truncated })
    }

    /// How many tokens `text` has, special ones included, before it is cut to the context length or filled up to it.
    ///
    /// The whole text is looked at, and the work is that of its whole length.
    ///
    /// # Errors
    /// As [`Tokenizer::tokenize`].
    pub fn count(&self, text: &str) -> Result<usize, TokenizeError> {
        let Inner { before, after, continued, .. } = &*self.0;
        let own = self.0.encode(text, false).map_err(TokenizeError)?;
        let has_ended = continued.is_some() && own.get_ids().ends_with(after);
        Ok(before.len() + own.len() + if has_ended { 0 } else { after.len() })
    }
}

impl Inner {
    /// The tokens of a text without those that stand around every text; with their byte offsets if they are needed.
    fn encode(
        &self,
        text: &str,
        with_offsets: bool,
    ) -> Result<tokenizers::Encoding, Box<dyn std::error::Error + Send + Sync>> {
        guarded(|| match self.continued.as_ref().and_then(|continued| continued.encode(text, &self.encoder)) {
            Some(encoding) => encoding,
            None if with_offsets => self.encoder.encode(text, false),
            None => self.encoder.encode_fast(text, false),
        })
    }
}

/// The most tokens of a text, for a text tower that has so many `positions`: as many as that, or as
/// `tokenizer_config.json` allows in `model_max_length`, which is what the reference cuts at.
///
/// # Errors
/// When that file is malformed.
pub(crate) fn context_length(files: &ModelFiles, positions: usize) -> Result<usize, LoadError> {
    const CONFIG: &str = "tokenizer_config.json";
    if !files.contains(CONFIG) {
        return Ok(positions);
    }
    let config = ConfigFile::read(files, CONFIG)?;
    // Transformers writes 10³⁰ for no limit.
    let limit = config.root().positive("model_max_length", f32::INFINITY).unwrap_or(f32::INFINITY);
    Ok(if limit < positions as f32 { (limit as usize).max(1) } else { positions })
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The vocabulary would fill pages.
        formatter
            .debug_struct("Tokenizer")
            .field("vocabulary", &self.0.encoder.get_vocab_size(true))
            .field("before", &self.0.before)
            .field("after", &self.0.after)
            .field("spec", &self.0.spec)
            .finish_non_exhaustive()
    }
}

/// Runs the `tokenizers` crate, which panics on some contradictions in a tokenizer's files (a merge that is longer
/// than any token, a template with an unknown token) instead of refusing them.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the tokenizer's files contradict each other".into()))
}
