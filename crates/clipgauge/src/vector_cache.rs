//! Vectors of images and captions that were encoded before in the same run, so that equal ones are encoded once: a table
//! of prompts with many images each, say, or of images with several captions. Behind it there may be those of other runs,
//! in a [`DiskCache`].
//!
//! What decides a vector is its content's BLAKE3 hash: two contents with one hash would get one score unseen, and rows
//! may be made by anybody.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk_cache::{DiskCache, Identity, Kept, Key};
use crate::generations::Generations;

/// The memory that vectors may take: about 15,000 of 512 numbers.
const BUDGET: usize = 32 << 20;

/// What an entry takes besides its numbers, roughly.
const ENTRY_COST: usize = 160;

/// What vectors are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Content {
    /// A picture's file.
    Image([u8; 32]),
    /// A text as the encoder with this index reads it.
    Text(usize, [u8; 32]),
}

impl Content {
    /// A picture's file.
    pub(crate) fn of_image(bytes: &[u8]) -> Self {
        Self::Image(*blake3::hash(bytes).as_bytes())
    }

    /// The hash by which it is known.
    pub(crate) fn hash(&self) -> &[u8; 32] {
        match self {
            Self::Image(hash) | Self::Text(_, hash) => hash,
        }
    }

    /// The tokens of a text, for the encoder with this index.
    pub(crate) fn of_text(encoder: usize, ids: &[u32]) -> Self {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        Self::Text(encoder, *blake3::hash(&bytes).as_bytes())
    }
}

/// The vectors of a content: an image's by each encoder, a text's by its one.
pub(crate) type Vectors = Arc<[Vec<f32>]>;

/// Vectors by what they were made of, the ones that were asked for last. Shared by the threads of a run.
#[derive(Debug)]
pub(crate) struct VectorCache {
    memory: Mutex<Generations<Content, Known>>,
    disk: Option<Disk>,
}

/// What is known of a content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) vectors: Vectors,
    /// A picture's width and height.
    pub(crate) size: Option<[u32; 2]>,
}

/// Vectors on a disk.
#[derive(Debug)]
struct Disk {
    cache: DiskCache,
    /// What names those of each encoder.
    encoders: Vec<Identity>,
}

impl VectorCache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        Self { memory: Mutex::new(Generations::new(BUDGET)), disk: None }
    }

    /// A cache with what is on a disk, for encoders with these identities.
    pub(crate) fn with_disk(cache: DiskCache, encoders: Vec<Identity>) -> Self {
        Self { disk: Some(Disk { cache, encoders }), ..Self::new() }
    }

    /// The vectors of a content, if they are still here.
    pub(crate) fn get(&self, content: &Content) -> Option<Known> {
        if let Some(known) = self.memory.lock().unwrap_or_else(PoisonError::into_inner).get(content) {
            return Some(known);
        }
        let known = self.disk.as_ref()?.get(content)?;
        self.remember(*content, known.clone());
        Some(known)
    }

    /// Keeps the vectors of a content.
    pub(crate) fn put(&self, content: Content, known: Known) {
        if let Some(disk) = &self.disk {
            disk.put(&content, &known);
        }
        self.remember(content, known);
    }

    fn remember(&self, content: Content, known: Known) {
        let cost = ENTRY_COST + known.vectors.iter().map(|vector| mem::size_of_val(vector.as_slice())).sum::<usize>();
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).put(content, known, cost);
    }
}

impl Disk {
    /// What names the vectors of a content, in the order of [`Vectors`].
    fn keys(&self, content: &Content) -> Vec<Key> {
        match content {
            Content::Image(hash) => self.encoders.iter().map(|encoder| encoder.image(hash)).collect(),
            Content::Text(encoder, hash) => {
                self.encoders.get(*encoder).map(|encoder| encoder.text(hash)).into_iter().collect()
            }
        }
    }

    /// All of a content's vectors, or none.
    fn get(&self, content: &Content) -> Option<Known> {
        let kept: Vec<Kept> = self.keys(content).iter().map(|key| self.cache.get(key)).collect::<Option<_>>()?;
        let size = kept.first()?.size;
        Some(Known { vectors: kept.into_iter().map(|kept| kept.vector).collect(), size })
    }

    fn put(&self, content: &Content, known: &Known) {
        for (key, vector) in self.keys(content).iter().zip(known.vectors.iter()) {
            self.cache.put(key, vector, known.size);
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
        assert_ne!(Content::Image([1; 32]), Content::Text(0, [1; 32]));
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
