//! Vectors of images and captions that were encoded before in the same run, so that equal ones are encoded once: a table
//! of prompts with many images each, say, or of images with several captions.
//!
//! What decides a vector is its content's BLAKE3 hash: two contents with one hash would get one score unseen, and rows
//! may be made by anybody.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::generations::Generations;

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

    /// The hash by which it is known.
    pub(crate) fn hash(&self) -> &[u8; 32] {
        match self {
            Self::Image(hash) | Self::Text(hash) => hash,
        }
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
#[derive(Debug)]
pub(crate) struct VectorCache(Mutex<Generations<Content, Known>>);

/// What is known of a content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) vectors: Vectors,
    /// A picture's width and height.
    pub(crate) size: Option<[u32; 2]>,
}

impl VectorCache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Generations::new(BUDGET)))
    }

    /// The vectors of a content, if they are still here.
    pub(crate) fn get(&self, content: &Content) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(content)
    }

    /// Keeps the vectors of a content.
    pub(crate) fn put(&self, content: Content, known: Known) {
        let cost = ENTRY_COST + known.vectors.iter().map(|vector| mem::size_of_val(vector.as_slice())).sum::<usize>();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(content, known, cost);
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
    fn what_is_put_in_comes_out() {
        let cache = VectorCache::new();
        let known = Known { vectors: vec![vec![1.0, 2.0]].into(), size: Some([3, 4]) };
        cache.put(text(1), known.clone());
        assert_eq!(cache.get(&text(1)), Some(known));
        assert_eq!(cache.get(&text(2)), None);
    }
}
