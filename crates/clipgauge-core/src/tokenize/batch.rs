//! Token ids of several texts, as a text tower takes them.

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
