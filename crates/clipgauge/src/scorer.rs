//! Pairs in, scores out: any encoder with any metric. The two lanes of the design from bytes and characters to one
//! number, for a batch at a time; what comes before (rows, fetching) and after (writing) is the pipeline's.

use std::borrow::Cow;
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
use clipgauge_core::spec::ImageSpec;
use clipgauge_core::tokenize::{TokenBatch, TokenizeError, canonicalize};

use crate::picture::decode_guarded;
use crate::row::RowError;
use crate::stats::{Stage, Stats};

/// How many pairs are encoded at once where nothing else is said. Large enough that a weight is read seldom, small
/// enough that a batch's activations stay in the cache.
pub const DEFAULT_BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(16).expect("is not zero");

/// Scores pairs of an image and a caption, with one model and metric or with several at once.
///
/// A pair's score never depends on the other pairs, on how many are scored at once or on the number of threads, bit for
/// bit on one machine.
#[derive(Clone)]
pub struct Scorer {
    models: Vec<Model>,
    /// How the models want their pictures, each way once.
    preprocessings: Vec<ImageSpec>,
    decode: DecodeOptions,
    canonicalizes: bool,
    threads: NonZeroUsize,
    batch_size: NonZeroUsize,
}

/// An encoder with the metrics that its vectors are compared by.
#[derive(Clone)]
struct Model {
    encoder: Arc<dyn Encoder>,
    /// An index into [`Scorer::preprocessings`].
    preprocessing: usize,
    metrics: Vec<Arc<dyn Compare>>,
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
    /// The scores, or why there are none: of the first model by each of its metrics, then of the next.
    pub scores: Result<Vec<f32>, RowError>,
    /// Whether the caption was longer than a model takes and was cut.
    pub is_truncated: bool,
}

impl Scored {
    /// The first score, which is the only one of a [`Scorer`] of one model and one metric.
    ///
    /// # Errors
    /// Why there is none.
    pub fn score(&self) -> Result<f32, &RowError> {
        self.scores.as_ref().map(|scores| scores[0])
    }
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
        let none = Self {
            models: Vec::new(),
            preprocessings: Vec::new(),
            decode: DecodeOptions::default(),
            canonicalizes: false,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            batch_size: DEFAULT_BATCH_SIZE,
        };
        none.with_model(encoder, metric)
    }

    /// Adds another encoder with its metric. Images are decoded once for all, and preprocessed once for those that want
    /// them the same way.
    #[must_use]
    pub fn with_model(mut self, encoder: impl Into<Arc<dyn Encoder>>, metric: impl Into<Arc<dyn Compare>>) -> Self {
        let encoder = encoder.into();
        let wanted = &encoder.spec().image;
        let preprocessing = self.preprocessings.iter().position(|known| known == wanted).unwrap_or_else(|| {
            self.preprocessings.push(wanted.clone());
            self.preprocessings.len() - 1
        });
        self.models.push(Model { encoder, preprocessing, metrics: vec![metric.into()] });
        self
    }

    /// Adds another metric for the encoder that was added last.
    #[must_use]
    pub fn with_metric(mut self, metric: impl Into<Arc<dyn Compare>>) -> Self {
        let last = self.models.last_mut().expect("there is a model from the beginning");
        last.metrics.push(metric.into());
        self
    }

    /// Sets what is refused and done when decoding.
    #[must_use]
    pub fn with_decode_options(self, decode: DecodeOptions) -> Self {
        Self { decode, ..self }
    }

    /// Sets whether captions are [canonicalized](canonicalize) before they are tokenized, which the tokenizers of
    /// SigLIP 2 on the hub leave out.
    #[must_use]
    pub fn with_canonical_captions(self, canonicalizes: bool) -> Self {
        Self { canonicalizes, ..self }
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

    /// The encoders, in the order in which they were added.
    pub fn encoders(&self) -> impl Iterator<Item = &dyn Encoder> {
        self.models.iter().map(|model| &*model.encoder)
    }

    /// Scores pairs, in their order.
    pub fn score(&self, pairs: &[Pair<'_>]) -> Result<Vec<Scored>, ScoreError> {
        let batches: Vec<_> = pairs.chunks(self.batch_size.get()).collect();
        let next = AtomicUsize::new(0);
        let stats = Stats::new(0);
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
        // One picture at a time, so that a batch of large ones is never decoded all at once.
        let mut batches: Vec<Option<PixelBatch>> = vec![None; self.preprocessings.len()];
        let mut add = |picture: &Pixels| {
            for (batch, spec) in batches.iter_mut().zip(&self.preprocessings) {
                let one = stats.time(Stage::Preprocess, || preprocess([picture], spec));
                match batch {
                    Some(batch) => batch.append(one),
                    None => *batch = Some(one),
                }
            }
        };
        let failures: Vec<Option<RowError>> = pairs
            .iter()
            .map(|pair| match pair.image {
                Image::Pixels(picture) => {
                    add(picture);
                    None
                }
                Image::File(bytes) => {
                    let decoded = stats.time(Stage::Decode, || self.decode(bytes));
                    decoded.map(|picture| add(&picture)).err()
                }
            })
            .collect();

        let captions: Vec<Cow<'_, str>> = pairs
            .iter()
            .map(|pair| match self.canonicalizes {
                true => Cow::Owned(canonicalize(pair.caption)),
                false => Cow::Borrowed(pair.caption),
            })
            .collect();
        let mut scores = vec![Vec::new(); pairs.len()];
        let mut truncated = vec![false; pairs.len()];
        let whole: Vec<usize> = (0..pairs.len()).filter(|&pair| failures[pair].is_none()).collect();
        for model in &self.models {
            let tokenizer = model.encoder.spec().tokenizer.as_ref().ok_or(ScoreError::NoTokenizer)?;
            let mut tokens = TokenBatch::new();
            for (index, caption) in captions.iter().enumerate() {
                let text = stats.time(Stage::Tokenize, || tokenizer.tokenize(caption))?;
                truncated[index] |= text.truncated;
                // The captions of pictures that failed need no vector.
                if failures[index].is_none() {
                    tokens.push(&text.ids);
                }
            }
            let Some(pixels) = &batches[model.preprocessing] else { continue };
            let images = stats.time(Stage::EncodeImages, || model.encoder.encode_images(pixels))?;
            let texts = stats.time(Stage::EncodeTexts, || model.encoder.encode_texts(&tokens))?;
            stats.time(Stage::Compare, || {
                for ((&pair, image), text) in whole.iter().zip(images.rows()).zip(texts.rows()) {
                    scores[pair].extend(model.metrics.iter().map(|metric| metric.compare(image, text)));
                }
            });
        }
        let scored = failures.into_iter().zip(scores).zip(truncated);
        Ok(scored
            .map(|((failure, scores), is_truncated)| Scored { scores: failure.map_or(Ok(scores), Err), is_truncated })
            .collect())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Pixels, RowError> {
        decode_guarded(bytes, &self.decode)
    }
}
