//! Pairs in, vectors out. What keeps them as files is [`vectors`](crate::vectors), the whole way of a table
//! [`embed_table`](crate::pipeline::embed_table).

mod options;

use std::num::NonZeroUsize;
use std::sync::Arc;

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::encoder::Encoder;

use crate::encoding::{NoVectors, PairEncoder, with_captions_apart};
use crate::row::RowError;
use crate::scorer::{DEFAULT_BATCH_SIZE, Pair, ScoreError};
use crate::stats::Stats;
use crate::vector_cache::VectorCache;
use crate::vectors::PairVectors;

pub use options::{EmbedOptions, IMAGE_COLUMN, TEXT_COLUMN, VectorLayout};

/// Turns pairs of an image and a caption into vectors.
///
/// As a score, a vector never depends on the other pairs.
#[derive(Clone)]
pub struct Embedder {
    encoder: PairEncoder,
    batch_size: NonZeroUsize,
}

/// What embedding one pair gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// The vectors as the model gives them, not normalised, or why there are none.
    pub vectors: Result<PairVectors, RowError>,
    /// Whether the caption was longer than the model takes and was cut.
    pub is_truncated: bool,
}

impl Embedder {
    /// An embedder with this encoder.
    pub fn new(encoder: impl Into<Arc<dyn Encoder>>) -> Self {
        let mut pairs = PairEncoder::default();
        pairs.add(encoder.into());
        Self { encoder: pairs, batch_size: DEFAULT_BATCH_SIZE }
    }

    /// Sets what is refused and done when decoding.
    #[must_use]
    pub fn with_decode_options(mut self, decode: DecodeOptions) -> Self {
        self.encoder.decode = decode;
        self
    }

    /// Sets whether captions are [canonicalized](clipgauge_core::tokenize::canonicalize) before they are tokenized.
    #[must_use]
    pub fn with_canonical_captions(mut self, canonicalizes: bool) -> Self {
        self.encoder.canonicalizes = canonicalizes;
        self
    }

    /// Sets how many pairs are encoded at once. Never changes a vector.
    #[must_use]
    pub fn with_batch_size(self, batch_size: NonZeroUsize) -> Self {
        Self { batch_size, ..self }
    }

    /// How many pairs are encoded at once.
    pub fn batch_size(&self) -> NonZeroUsize {
        self.batch_size
    }

    /// Embeds pairs, in their order, on this thread.
    ///
    /// # Errors
    ///
    /// The encoder takes nothing of what it is given. An image that cannot be used is its own pair's error only.
    pub fn embed(&self, pairs: &[Pair<'_>]) -> Result<Vec<Embedded>, ScoreError> {
        let (stats, cache) = (Stats::new(0), VectorCache::new());
        let batches = pairs.chunks(self.batch_size.get()).map(|batch| self.embed_batch(batch, &cache, &stats));
        Ok(batches.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Embeds pairs on this thread, all at once, and notes how long each stage took.
    pub(crate) fn embed_batch(
        &self,
        pairs: &[Pair<'_>],
        cache: &VectorCache,
        stats: &Stats,
    ) -> Result<Vec<Embedded>, ScoreError> {
        let failed = |error| Embedded { vectors: Err(error), is_truncated: false };
        with_captions_apart(pairs, &|pairs| self.encode(pairs, cache, stats), &failed)
    }

    fn encode(&self, pairs: &[Pair<'_>], cache: &VectorCache, stats: &Stats) -> Result<Vec<Embedded>, ScoreError> {
        let mut vectors = Vec::with_capacity(pairs.len());
        let notes = self.encoder.encode(pairs, cache, stats, |encoded| {
            let rows = encoded.images.rows().zip(encoded.texts.rows());
            vectors.extend(rows.map(|(image, text)| PairVectors { image: image.to_vec(), text: text.to_vec() }));
        })?;
        let mut vectors = vectors.into_iter();
        let embedded = notes.into_iter().map(|notes| Embedded {
            vectors: match notes.without {
                Some(NoVectors::Failed(error)) => Err(error),
                Some(NoVectors::Dropped(_)) => unreachable!("there are no limits for vectors"),
                None => Ok(vectors.next().expect("vectors of each pair that did not fail")),
            },
            is_truncated: notes.is_truncated,
        });
        Ok(embedded.collect())
    }
}
