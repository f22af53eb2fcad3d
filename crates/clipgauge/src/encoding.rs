//! Pairs to vectors, a batch at a time: the two lanes of the design up to where the vectors meet. What is made of them
//! is the business of those who ask.

use std::borrow::Cow;
use std::sync::Arc;

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::embeddings::Embeddings;
use clipgauge_core::encoder::Encoder;
use clipgauge_core::pixels::{PixelBatch, Pixels};
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::spec::ImageSpec;
use clipgauge_core::tokenize::{TokenBatch, canonicalize};

use crate::picture::decode_guarded;
use crate::row::{RowError, RowErrorKind};
use crate::scorer::{Image, Pair, ScoreError};
use crate::stats::{Stage, Stats};

/// One or more encoders, and how pairs are made fit for them.
#[derive(Clone, Default)]
pub(crate) struct PairEncoder {
    /// With indices into `preprocessings`.
    encoders: Vec<(Arc<dyn Encoder>, usize)>,
    /// How the encoders want their pictures, each way once.
    preprocessings: Vec<ImageSpec>,
    pub(crate) decode: DecodeOptions,
    pub(crate) canonicalizes: bool,
}

/// The vectors of the pairs of a batch that have some.
pub(crate) struct EncodedPairs<'a> {
    /// Which encoder made them, in the order in which they were added.
    pub(crate) encoder: usize,
    /// The indices of the pairs; the others' images failed.
    pub(crate) pairs: &'a [usize],
    pub(crate) images: Embeddings,
    pub(crate) texts: Embeddings,
}

/// What is known of each pair of a batch besides its vectors.
pub(crate) struct BatchNotes {
    /// Why a pair has no vectors.
    pub(crate) failures: Vec<Option<RowError>>,
    /// Whether a pair's caption was longer than an encoder takes.
    pub(crate) truncated: Vec<bool>,
}

/// Does the `work` for all pairs at once. One caption that a model cannot read is its own pair's error, of which `failed`
/// makes what that pair gets: which one it is shows when each is alone, where every other gets what it would have had.
pub(crate) fn with_captions_apart<T>(
    pairs: &[Pair<'_>],
    work: &impl Fn(&[Pair<'_>]) -> Result<Vec<T>, ScoreError>,
    failed: &impl Fn(RowError) -> T,
) -> Result<Vec<T>, ScoreError> {
    match (work(pairs), pairs) {
        (Err(error), [_]) if error.is_of_a_caption() => {
            let message = format!("the caption cannot be read: {error}");
            Ok(vec![failed(RowError::new(RowErrorKind::Unsupported, message))])
        }
        (Err(error), _) if error.is_of_a_caption() => {
            pairs.chunks(1).map(|pair| Ok(with_captions_apart(pair, work, failed)?.swap_remove(0))).collect()
        }
        (done, _) => done,
    }
}

impl PairEncoder {
    /// Adds an encoder. Images are decoded once for all, and preprocessed once for those that want them the same way.
    pub(crate) fn add(&mut self, encoder: Arc<dyn Encoder>) {
        let wanted = &encoder.spec().image;
        let preprocessing = self.preprocessings.iter().position(|known| known == wanted).unwrap_or_else(|| {
            self.preprocessings.push(wanted.clone());
            self.preprocessings.len() - 1
        });
        self.encoders.push((encoder, preprocessing));
    }

    /// The encoders, in the order in which they were added.
    pub(crate) fn encoders(&self) -> impl Iterator<Item = &dyn Encoder> {
        self.encoders.iter().map(|(encoder, _)| &**encoder)
    }

    /// Encodes pairs on this thread, all at once, and notes how long each stage took. `take` gets what each encoder made
    /// of them, one after the other; nothing, if no image could be used.
    pub(crate) fn encode(
        &self,
        pairs: &[Pair<'_>],
        stats: &Stats,
        mut take: impl FnMut(EncodedPairs<'_>),
    ) -> Result<BatchNotes, ScoreError> {
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
                    let decoded = stats.time(Stage::Decode, || decode_guarded(bytes, &self.decode));
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
        let mut truncated = vec![false; pairs.len()];
        let whole: Vec<usize> = (0..pairs.len()).filter(|&pair| failures[pair].is_none()).collect();
        for (index, (encoder, preprocessing)) in self.encoders.iter().enumerate() {
            let tokenizer = encoder.spec().tokenizer.as_ref().ok_or(ScoreError::NoTokenizer)?;
            let mut tokens = TokenBatch::new();
            for (index, caption) in captions.iter().enumerate() {
                let text = stats.time(Stage::Tokenize, || tokenizer.tokenize(caption))?;
                truncated[index] |= text.truncated;
                // The captions of pictures that failed need no vector.
                if failures[index].is_none() {
                    tokens.push(&text.ids);
                }
            }
            let Some(pixels) = &batches[*preprocessing] else { continue };
            let images = stats.time(Stage::EncodeImages, || encoder.encode_images(pixels))?;
            let texts = stats.time(Stage::EncodeTexts, || encoder.encode_texts(&tokens))?;
            let shapes = [&images, &texts].map(|vectors| [vectors.len(), vectors.width()]);
            if shapes[0] != shapes[1] || images.len() != whole.len() {
                return Err(ScoreError::Vectors { pairs: whole.len(), images: shapes[0], texts: shapes[1] });
            }
            take(EncodedPairs { encoder: index, pairs: &whole, images, texts });
        }
        Ok(BatchNotes { failures, truncated })
    }
}
