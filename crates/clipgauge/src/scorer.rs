//! Pairs in, scores out: any encoder with any metric. The two lanes of the design from bytes and characters to one
//! number, for a batch at a time; what comes before (rows, fetching) and after (writing) is the pipeline's.

use std::num::NonZeroUsize;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::encoder::{EncodeError, Encoder};
use clipgauge_core::metric::Compare;
use clipgauge_core::pixels::{PixelBatch, Pixels};
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::tokenize::{TokenBatch, TokenizeError};

use crate::picture::decode_guarded;
use crate::row::RowError;
use crate::stats::{Stage, Stats};

/// How many pairs are encoded at once where nothing else is said. Large enough that a weight is read seldom, small
/// enough that a batch's activations stay in the cache.
pub const DEFAULT_BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(16).expect("is not zero");

/// Scores pairs of an image and a caption.
///
/// A pair's score never depends on the other pairs, on how many are scored at once or on the number of threads, bit for
/// bit on one machine.
#[derive(Clone)]
pub struct Scorer {
    encoder: Arc<dyn Encoder>,
    metric: Arc<dyn Compare>,
    decode: DecodeOptions,
    threads: NonZeroUsize,
    batch_size: NonZeroUsize,
}

/// An image and a caption that may belong together.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The image.
    pub image: Image<'a>,
    /// The caption. An empty one is scored, too.
    pub caption: &'a str,
}

/// An image of a pair.
#[derive(Debug, Clone, Copy)]
pub enum Image<'a> {
    /// A picture file's bytes, in any format that [`decode`](clipgauge_core::decode::decode) knows.
    File(&'a [u8]),
    /// A picture that is decoded already.
    Pixels(&'a Pixels),
}

/// What scoring one pair gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The score, or why there is none.
    pub score: Result<f32, RowError>,
    /// Whether the caption was longer than the model takes and was cut.
    pub is_truncated: bool,
}

/// Why pairs cannot be scored at all. An image that cannot be used is not among the reasons: it is its pair's
/// [`RowError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// The model's files hold no tokenizer.
    #[error("the model has no tokenizer: its folder needs tokenizer.json, or vocab.json and merges.txt")]
    NoTokenizer,
    /// The tokenizer fails.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// The encoder and what it is given do not fit each other.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Scorer {
    /// Puts an encoder and a metric together, with a thread for each core.
    pub fn new(encoder: impl Into<Arc<dyn Encoder>>, metric: impl Into<Arc<dyn Compare>>) -> Self {
        Self {
            encoder: encoder.into(),
            metric: metric.into(),
            decode: DecodeOptions::default(),
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            batch_size: DEFAULT_BATCH_SIZE,
        }
    }

    /// Sets what is refused and done when decoding.
    #[must_use]
    pub fn with_decode_options(self, decode: DecodeOptions) -> Self {
        Self { decode, ..self }
    }

    /// Sets how many threads score at once, each with batches of its own.
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets how many pairs a thread encodes at once. Never changes a score.
    #[must_use]
    pub fn with_batch_size(self, batch_size: NonZeroUsize) -> Self {
        Self { batch_size, ..self }
    }

    /// How many pairs a thread encodes at once.
    pub fn batch_size(&self) -> NonZeroUsize {
        self.batch_size
    }

    /// The encoder.
    pub fn encoder(&self) -> &dyn Encoder {
        &*self.encoder
    }

    /// The metric.
    pub fn metric(&self) -> &dyn Compare {
        &*self.metric
    }

    /// Scores pairs, in their order.
    pub fn score(&self, pairs: &[Pair<'_>]) -> Result<Vec<Scored>, ScoreError> {
        let batches: Vec<_> = pairs.chunks(self.batch_size.get()).collect();
        let next = AtomicUsize::new(0);
        let stats = Stats::new();
        let work = || {
            let mut done = Vec::new();
            while let index = next.fetch_add(1, Ordering::Relaxed)
                && let Some(batch) = batches.get(index)
            {
                done.push((index, self.score_batch(batch, &stats)));
            }
            done
        };
        let workers = self.threads.get().min(batches.len());
        let mut done: Vec<_> = thread::scope(|scope| {
            let helpers: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let own = work();
            // A helper that panicked would leave holes in the result: its panic is ours.
            let joined = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|p| panic::resume_unwind(p)));
            own.into_iter().chain(joined.flatten()).collect()
        });
        done.sort_by_key(|(index, _)| *index);
        let mut scored = Vec::with_capacity(pairs.len());
        for (_, batch) in done {
            scored.extend(batch?);
        }
        Ok(scored)
    }

    /// Scores pairs on this thread, all at once, and notes how long each stage took.
    pub(crate) fn score_batch(&self, pairs: &[Pair<'_>], stats: &Stats) -> Result<Vec<Scored>, ScoreError> {
        let spec = self.encoder.spec();
        let tokenizer = spec.tokenizer.as_ref().ok_or(ScoreError::NoTokenizer)?;

        // One picture at a time, so that a batch of large ones is never decoded all at once.
        let mut pixels: Option<PixelBatch> = None;
        let mut preprocess = |picture: &Pixels| {
            let one = stats.time(Stage::Preprocess, || preprocess([picture], &spec.image));
            match &mut pixels {
                Some(batch) => batch.append(one),
                None => pixels = Some(one),
            }
        };
        let failures: Vec<Option<RowError>> = pairs
            .iter()
            .map(|pair| match pair.image {
                Image::Pixels(picture) => {
                    preprocess(picture);
                    None
                }
                Image::File(bytes) => match stats.time(Stage::Decode, || self.decode(bytes)) {
                    Ok(picture) => {
                        preprocess(&picture);
                        None
                    }
                    Err(error) => Some(error),
                },
            })
            .collect();

        // The captions of pictures that failed need no vector.
        let mut tokens = TokenBatch::new();
        let mut truncated = Vec::with_capacity(pairs.len());
        for (pair, failure) in pairs.iter().zip(&failures) {
            let text = stats.time(Stage::Tokenize, || tokenizer.tokenize(pair.caption))?;
            truncated.push(text.truncated);
            if failure.is_none() {
                tokens.push(&text.ids);
            }
        }

        let mut scores = Vec::new();
        if let Some(pixels) = pixels {
            let images = stats.time(Stage::EncodeImages, || self.encoder.encode_images(&pixels))?;
            let texts = stats.time(Stage::EncodeTexts, || self.encoder.encode_texts(&tokens))?;
            let pairs = images.rows().zip(texts.rows());
            stats.time(Stage::Compare, || {
                scores.extend(pairs.map(|(image, text)| self.metric.compare(image, text)));
            });
        }
        let mut scores = scores.into_iter();
        let scored = failures.into_iter().zip(truncated).map(|(failure, is_truncated)| Scored {
            score: match failure {
                Some(error) => Err(error),
                None => Ok(scores.next().expect("a score for each pair that did not fail")),
            },
            is_truncated,
        });
        Ok(scored.collect())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Pixels, RowError> {
        decode_guarded(bytes, &self.decode)
    }
}
