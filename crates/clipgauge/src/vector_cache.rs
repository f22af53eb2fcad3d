//! Vectors of images and captions that were encoded before in the same run, so that equal ones are encoded once: a table
//! of prompts with many images each, say, or of images with several captions.
//!
//! What decides a vector is its content's BLAKE3 hash: two contents with one hash would get one score unseen, and rows
//! may be made by anybody.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

/// The memory that vectors may take: about 30,000 of 512 numbers.
const BUDGET: usize = 64 << 20;

/// What an entry takes besides its numbers, roughly.
const ENTRY_COST: usize = 160;

/// What vectors are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Content {
    /// A picture's file.
    Image([u8; 32]),
    /// A text as one of the encoders reads it.
    Text([u8; 32]),
}

impl Content {
    /// A picture's file.
    pub(crate) fn of_image(bytes: &[u8]) -> Self {
        Self::Image(*blake3::hash(bytes).as_bytes())
    }

    /// The tokens of a text, for the encoder with this index.
    pub(crate) fn of_text(encoder: usize, ids: &[u32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(encoder as u64).to_le_bytes());
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        hasher.update(&bytes);
        Self::Text(*hasher.finalize().as_bytes())
    }
}

/// The vectors of a content: an image's by each encoder, a text's by its one.
pub(crate) type Vectors = Arc<[Vec<f32>]>;

/// Vectors by what they were made of, the ones that were asked for last. Shared by the threads of a run.
///
/// There are two generations: what is put in or asked for is in the recent one, and when that has half of the memory, it
/// becomes the older one, and what the older one had is forgotten.
#[derive(Debug)]
pub(crate) struct VectorCache(Mutex<Generations>);

#[derive(Debug)]
struct Generations {
    recent: HashMap<Content, Vectors>,
    recent_bytes: usize,
    older: HashMap<Content, Vectors>,
    budget: usize,
}

impl VectorCache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        Self::with_budget(BUDGET)
    }

    fn with_budget(budget: usize) -> Self {
        let (recent, older) = (HashMap::new(), HashMap::new());
        Self(Mutex::new(Generations { recent, recent_bytes: 0, older, budget }))
    }

    /// The vectors of a content, if they are still here.
    pub(crate) fn get(&self, content: &Content) -> Option<Vectors> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vectors) = generations.recent.get(content) {
            return Some(Arc::clone(vectors));
        }
        let vectors = generations.older.remove(content)?;
        generations.put(*content, Arc::clone(&vectors));
        Some(vectors)
    }

    /// Keeps the vectors of a content.
    pub(crate) fn put(&self, content: Content, vectors: Vectors) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(content, vectors);
    }
}

impl Generations {
    fn put(&mut self, content: Content, vectors: Vectors) {
        let cost = ENTRY_COST + vectors.iter().map(|vector| mem::size_of_val(vector.as_slice())).sum::<usize>();
        if self.recent_bytes + cost > self.budget / 2 {
            self.older = mem::take(&mut self.recent);
            self.recent_bytes = 0;
        }
        if self.recent.insert(content, vectors).is_none() {
            self.recent_bytes += cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u32) -> Content {
        Content::of_text(0, &[number])
    }

    #[test]
    fn contents_are_told_apart() {
        let contents = [
            Content::of_image(b""),
            Content::of_image(&[0; 8]),
            Content::of_text(0, &[]),
            Content::of_text(1, &[]),
            Content::of_text(0, &[1]),
        ];
        for (index, content) in contents.iter().enumerate() {
            assert!(!contents[index + 1..].contains(content), "{index}");
        }
        assert_ne!(Content::Image([1; 32]), Content::Text([1; 32]));
    }

    #[test]
    fn the_memory_is_bounded_and_what_is_asked_for_stays() {
        let vectors = |number: u32| -> Vectors { vec![vec![number as f32; 10]].into() };
        let budget = 20 * (ENTRY_COST + 40);
        let cache = VectorCache::with_budget(budget);
        for number in 0..1000 {
            cache.put(text(number), vectors(number));
            assert_eq!(cache.get(&text(0)).as_deref(), Some(&*vectors(0)), "asked for again and again: {number}");
        }
        assert_eq!(cache.get(&text(999)), Some(vectors(999)));
        assert_eq!(cache.get(&text(900)), None);
        let generations = cache.0.lock().unwrap();
        assert!(generations.recent.len() + generations.older.len() <= 20);
    }

    #[test]
    fn putting_the_same_again_takes_no_more() {
        let cache = VectorCache::new();
        (0..100).for_each(|_| cache.put(text(1), vec![vec![1.0]].into()));
        assert_eq!(cache.0.lock().unwrap().recent_bytes, ENTRY_COST + 4);
    }
}
