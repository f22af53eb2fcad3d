//! Pairs in, scores out: any encoder with any metric. The two lanes of the design from bytes and characters to one
//! number, for a batch at a time; what comes before (rows, fetching) and after (writing) is the pipeline's.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::encoder::{EncodeError, Encoder};
use clipgauge_core::metric::Compare;
use clipgauge_core::pixels::Pixels;
use clipgauge_core::tokenize::TokenizeError;

use crate::encoding::{NoVectors, PairEncoder, PairNotes, with_captions_apart};
use crate::filters::PictureLimits;
use crate::row::{RowError, RowErrorKind};
use crate::share::in_batches;
use crate::stats::{Stage, Stats};
use crate::vector_cache::VectorCache;

/// How many pairs are encoded at once where nothing else is said. Large enough that a weight is read seldom, small
/// enough that a batch's activations stay in the cache.
pub const DEFAULT_BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(16).expect("is not zero");

/// Scores pairs of an image and a caption, with one model and metric or with several at once.
///
/// A pair's score never depends on the other pairs, on how many are scored at once or on the number of threads, bit for
/// bit on one machine.
///
/// A model comes from [`hub::resolve`](crate::hub::resolve) and
/// [`family::load`](clipgauge_core::family::load), or is an encoder of your own. This one knows three colours:
///
/// ```
/// use std::sync::Arc;
///
/// use clipgauge::cancel::Cancel;
/// use clipgauge::core::embeddings::Embeddings;
/// use clipgauge::core::encoder::{EncodeError, Encoder};
/// use clipgauge::core::metric::Metric;
/// use clipgauge::core::pixels::{PixelBatch, Pixels};
/// use clipgauge::core::spec::{Filter, ImageSpec, ModelSpec, Resize, TextSpec};
/// use clipgauge::core::tokenize::{TokenBatch, Tokenizer};
/// use clipgauge::hub::{self, HubOptions};
/// use clipgauge::progress::Silent;
/// use clipgauge::scorer::{Image, Pair, Scorer};
///
/// struct Colours {
///     spec: ModelSpec,
///     /// The tokens of "red", "green" and "blue".
///     words: Vec<u32>,
/// }
///
/// impl Encoder for Colours {
///     fn spec(&self) -> &ModelSpec {
///         &self.spec
///     }
///
///     /// How much of each colour an image has.
///     fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError> {
///         let PixelBatch::Pictures { values, height, width } = batch else { unreachable!("the spec asks for pictures") };
///         let channels = values.chunks(height * width);
///         Ok(Embeddings::new(channels.map(|channel| channel.iter().sum()).collect(), 3))
///     }
///
///     /// How often a text has the word for each.
///     fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError> {
///         let count = |ids: &[u32], word| ids.iter().filter(|id| *id == word).count() as f32;
///         let counts = batch.texts().flat_map(|ids| self.words.iter().map(move |word| count(ids, word)));
///         Ok(Embeddings::new(counts.collect(), 3))
///     }
/// }
///
/// // Its spec says what it wants to be given: here pictures of 8×8 pixels from 0 to 1, and CLIP's tokens.
/// let text = TextSpec { context_length: 77, pad_token: None };
/// let files = hub::resolve("pictoclip", &HubOptions::from_env(), &Silent, &Cancel::new())?.files;
/// let tokenizer = Tokenizer::read(&files, &text)?.ok_or("the model has no tokenizer")?;
/// // The first token is the one that begins every text.
/// let words = ["red", "green", "blue"].map(|word| tokenizer.tokenize(word).map(|tokens| tokens.ids[1]));
/// let image = ImageSpec {
///     resize: Resize::Exact([8, 8]),
///     crop: None,
///     filter: Filter::Bicubic,
///     rescale_factor: 1.0 / 255.0,
///     mean: [0.0; 3],
///     std: [1.0; 3],
/// };
/// let spec = ModelSpec {
///     family: None,
///     image,
///     text,
///     tokenizer: Some(tokenizer),
///     embedding_width: 3,
///     logit_scale: None,
///     logit_bias: None,
/// };
/// let encoder: Arc<dyn Encoder> = Arc::new(Colours { spec, words: words.into_iter().collect::<Result<_, _>>()? });
///
/// let metric = Metric::Cosine.comparer(encoder.spec())?;
/// let red = Pixels::new(1, 1, vec![255, 0, 0]);
/// let pairs = ["a red square", "a blue square"].map(|caption| Pair { image: Image::Pixels(&red), caption });
/// let scored = Scorer::new(encoder, metric).score(&pairs)?;
/// assert_eq!([scored[0].score(), scored[1].score()], [Ok(1.0), Ok(0.0)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Scorer {
    pub(crate) encoder: PairEncoder,
    /// What the vectors of each encoder are compared by.
    metrics: Vec<Vec<Arc<dyn Compare>>>,
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
    #[error("the model has no tokenizer: its folder needs tokenizer.json, vocab.json with merges.txt, or vocab.txt")]
    NoTokenizer,
    /// The tokenizer fails.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// The encoder and what it is given do not fit each other.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The encoder does not keep to its contract.
    #[error(
        "for {} images, the encoder gives {} vectors of {} numbers, and for {} texts {} of {}: it has to give one for \
         each, all of one width",
        given[0], images[0], images[1], given[1], texts[0], texts[1]
    )]
    Vectors {
        /// How many images and texts it was given.
        given: [usize; 2],
        /// Vectors and numbers in each, for the images.
        images: [usize; 2],
        /// The same for the texts.
        texts: [usize; 2],
    },
}

impl ScoreError {
    /// Whether it is about one caption, which has a token that the tokenizer or the model cannot do anything with.
    pub(crate) fn is_of_a_caption(&self) -> bool {
        matches!(
            self,
            Self::Tokenize(_) | Self::Encode(EncodeError::TokenOutOfRange { .. } | EncodeError::TextLength { .. })
        )
    }

    /// What it is for the pair that has the caption.
    pub(crate) fn of_its_caption(&self) -> RowError {
        RowError::new(RowErrorKind::Unsupported, format!("the caption cannot be read: {self}"))
    }
}

impl Scorer {
    /// Puts an encoder and a metric together, with a thread for each core.
    pub fn new(encoder: impl Into<Arc<dyn Encoder>>, metric: impl Into<Arc<dyn Compare>>) -> Self {
        let none = Self {
            encoder: PairEncoder::default(),
            metrics: Vec::new(),
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            batch_size: DEFAULT_BATCH_SIZE,
        };
        none.with_model(encoder, metric)
    }

    /// Adds another encoder with its metric. Images are decoded once for all, and preprocessed once for those that want
    /// them the same way.
    #[must_use]
    pub fn with_model(mut self, encoder: impl Into<Arc<dyn Encoder>>, metric: impl Into<Arc<dyn Compare>>) -> Self {
        self.encoder.add(encoder.into());
        self.metrics.push(vec![metric.into()]);
        self
    }

    /// Adds another metric for the encoder that was added last.
    #[must_use]
    pub fn with_metric(mut self, metric: impl Into<Arc<dyn Compare>>) -> Self {
        let last = self.metrics.last_mut().expect("there is a model from the beginning");
        last.push(metric.into());
        self
    }

    /// Sets what is refused and done when decoding.
    #[must_use]
    pub fn with_decode_options(mut self, decode: DecodeOptions) -> Self {
        self.encoder.decode = decode;
        self
    }

    /// Sets whether captions are [canonicalized](clipgauge_core::tokenize::canonicalize) before they are tokenized,
    /// which the tokenizers of SigLIP 2 on the hub leave out.
    #[must_use]
    pub fn with_canonical_captions(mut self, canonicalizes: bool) -> Self {
        self.encoder.canonicalizes = canonicalizes;
        self
    }

    /// Sets what pictures are scored. Of the others there is nothing to say in a [`Scored`], so that this is for runs.
    #[must_use]
    pub(crate) fn with_picture_limits(mut self, limits: PictureLimits) -> Self {
        self.encoder.limits = limits;
        self
    }

    /// Sets whether all tokens of captions are counted, which only a run tells.
    #[must_use]
    pub(crate) fn with_counted_tokens(mut self, counts: bool) -> Self {
        self.encoder.counts_tokens = counts;
        self
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

    /// How many threads score at once.
    pub fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// The first metric of the first model.
    pub fn metric(&self) -> &dyn Compare {
        &*self.metrics[0][0]
    }

    /// The encoders, in the order in which they were added.
    pub fn encoders(&self) -> impl Iterator<Item = &dyn Encoder> {
        self.encoder.encoders()
    }

    /// Scores pairs, in their order.
    pub fn score(&self, pairs: &[Pair<'_>]) -> Result<Vec<Scored>, ScoreError> {
        let (stats, cache) = (Stats::new(0), VectorCache::new());
        in_batches(pairs, self.batch_size, self.threads, |batch| {
            let scored = self.score_batch(batch, &cache, &stats)?;
            Ok(scored.into_iter().map(PairScores::into_scored).collect())
        })
    }

    /// Scores pairs on this thread, all at once, and notes how long each stage took.
    pub(crate) fn score_batch(
        &self,
        pairs: &[Pair<'_>],
        cache: &VectorCache,
        stats: &Stats,
    ) -> Result<Vec<PairScores>, ScoreError> {
        let failed = |error| PairScores { scores: Err(NoVectors::Failed(error)), notes: PairNotes::default() };
        with_captions_apart(pairs, &|pairs| self.encode_and_compare(pairs, cache, stats), &failed)
    }

    fn encode_and_compare(
        &self,
        pairs: &[Pair<'_>],
        cache: &VectorCache,
        stats: &Stats,
    ) -> Result<Vec<PairScores>, ScoreError> {
        let mut scores = vec![Vec::new(); pairs.len()];
        let notes = self.encoder.encode(pairs, cache, stats, |encoded| {
            let metrics = &self.metrics[encoded.encoder];
            stats.time_of(Stage::Compare, encoded.pairs.len(), || {
                for ((&pair, image), text) in encoded.pairs.iter().zip(encoded.images.rows()).zip(encoded.texts.rows())
                {
                    scores[pair].extend(metrics.iter().map(|metric| metric.compare(image, text)));
                }
            });
        })?;
        let scored = notes.into_iter().zip(scores);
        Ok(scored
            .map(|(mut notes, scores)| PairScores { scores: notes.without.take().map_or(Ok(scores), Err), notes })
            .collect())
    }
}

/// What a run makes of one pair.
pub(crate) struct PairScores {
    /// As in [`Scored`].
    pub(crate) scores: Result<Vec<f32>, NoVectors>,
    /// What else is known of it.
    pub(crate) notes: PairNotes,
}

impl PairScores {
    fn into_scored(self) -> Scored {
        let scores = self.scores.map_err(|without| match without {
            NoVectors::Failed(error) => error,
            NoVectors::Dropped(_) => unreachable!("only a run's scorer has limits"),
        });
        Scored { scores, is_truncated: self.notes.is_truncated }
    }
}
