//! Pairs to vectors, a batch at a time: the two lanes of the design up to where the vectors meet. What is made of them
//! is the business of those who ask.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::embeddings::Embeddings;
use clipgauge_core::encoder::Encoder;
use clipgauge_core::pixels::{PixelBatch, Pixels};
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::spec::ImageSpec;
use clipgauge_core::tokenize::{TokenBatch, canonicalize};

use crate::diagnostics::Diagnostics;
use crate::filters::{DropReason, PictureLimits};
use crate::picture::decode_guarded;
use crate::row::RowError;
use crate::scorer::{Image, Pair, ScoreError};
use crate::stats::{Stage, Stats};
use crate::vector_cache::{Content, Known, VectorCache, Vectors};

/// The longest caption whose tokens are counted to its end, in bytes. One that is longer is no caption.
const MAX_COUNTED: usize = 1 << 20;

/// The index of the encoder that encodes images or texts by themselves.
const FIRST: usize = 0;

/// One or more encoders, and how pairs are made fit for them.
#[derive(Clone, Default)]
pub(crate) struct PairEncoder {
    /// With indices into `preprocessings`.
    encoders: Vec<(Arc<dyn Encoder>, usize)>,
    /// How the encoders want their pictures, each way once.
    preprocessings: Vec<ImageSpec>,
    pub(crate) decode: DecodeOptions,
    /// What pictures are encoded.
    pub(crate) limits: PictureLimits,
    /// Whether the tokens of captions are counted beyond those that are read.
    pub(crate) counts_tokens: bool,
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

/// What is known of a pair besides its vectors.
#[derive(Debug, Clone, Default)]
pub(crate) struct PairNotes {
    /// Why it has no vectors.
    pub(crate) without: Option<NoVectors>,
    /// Whether the caption was longer than an encoder takes.
    pub(crate) is_truncated: bool,
    /// How many tokens it has for the first encoder before it is cut, where they are counted.
    tokens: Option<usize>,
    /// The picture's width and height.
    size: Option<[u32; 2]>,
    /// The BLAKE3 hash of its file.
    hash: Option<[u8; 32]>,
}

impl PairNotes {
    /// What a person may want to know of it.
    pub(crate) fn diagnostics(&self) -> Diagnostics {
        Diagnostics {
            tokens: self.tokens.map(|tokens| tokens as u64),
            truncated: Some(self.is_truncated),
            width: self.size.map(|[width, _]| width),
            height: self.size.map(|[_, height]| height),
            content_hash: self.hash,
            ..Diagnostics::default()
        }
    }
}

/// Why a pair has no vectors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NoVectors {
    /// Its picture cannot be used.
    Failed(RowError),
    /// Nobody wants them.
    Dropped(DropReason),
}

/// Does the `work` for all pairs at once. One caption that a model cannot read is its own pair's error, of which `failed`
/// makes what that pair gets: which one it is shows when each is alone, where every other gets what it would have had.
pub(crate) fn with_captions_apart<T>(
    pairs: &[Pair<'_>],
    work: &impl Fn(&[Pair<'_>]) -> Result<Vec<T>, ScoreError>,
    failed: &impl Fn(RowError) -> T,
) -> Result<Vec<T>, ScoreError> {
    match (work(pairs), pairs) {
        (Err(error), [_]) if error.is_of_a_caption() => Ok(vec![failed(error.of_its_caption())]),
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

    /// Encodes pairs on this thread, all at once, and notes how long each stage took. Equal images and equal captions are
    /// encoded once, and those that `cache` knows not at all. `take` gets what each encoder made of the pairs, one after
    /// the other; nothing, if no image could be used.
    pub(crate) fn encode(
        &self,
        pairs: &[Pair<'_>],
        cache: &VectorCache,
        stats: &Stats,
        mut take: impl FnMut(EncodedPairs<'_>),
    ) -> Result<Vec<PairNotes>, ScoreError> {
        let Pictures { origins, mut notes, sizes, contents, batches } =
            self.preprocess(pairs.iter().map(|pair| pair.image), cache, stats);
        let captions: Vec<_> = pairs.iter().map(|pair| self.caption(pair.caption)).collect();
        let whole: Vec<usize> = (0..pairs.len()).filter(|&pair| origins[pair].is_ok()).collect();
        let mut made = vec![Vec::with_capacity(self.encoders.len()); contents.len()];
        for (index, (encoder, preprocessing)) in self.encoders.iter().enumerate() {
            let tokenizer = encoder.spec().tokenizer.as_ref().ok_or(ScoreError::NoTokenizer)?;
            let mut texts = Texts::default();
            for (pair, caption) in captions.iter().enumerate() {
                let text = stats.time(Stage::Tokenize, || tokenizer.tokenize(caption))?;
                notes[pair].is_truncated |= text.truncated;
                if self.counts_tokens && index == 0 && caption.len() <= MAX_COUNTED {
                    notes[pair].tokens = tokenizer.count(caption).ok();
                }
                // The captions of pictures that failed need no vector.
                if origins[pair].is_ok() {
                    texts.push(Content::of_text(index, &text.ids), &text.ids, cache);
                }
            }
            if whole.is_empty() {
                continue;
            }
            let new_images = batches[*preprocessing]
                .as_ref()
                .map(|pixels| stats.time_of(Stage::EncodeImages, pixels.len(), || encoder.encode_images(pixels)));
            let new_texts = (!texts.tokens.is_empty())
                .then(|| stats.time_of(Stage::EncodeTexts, texts.tokens.len(), || encoder.encode_texts(&texts.tokens)));
            let (new_images, new_texts) = (new_images.transpose()?, new_texts.transpose()?);
            check_vectors([(&new_images, contents.len()), (&new_texts, texts.contents.len())])?;

            let images = whole.iter().filter_map(|&pair| origins[pair].as_ref().ok());
            let images = gather(images, new_images.as_ref(), index);
            take(EncodedPairs {
                encoder: index,
                pairs: &whole,
                images,
                texts: gather(texts.origins.iter(), new_texts.as_ref(), 0),
            });
            for (made, vector) in made.iter_mut().zip(new_images.iter().flat_map(Embeddings::rows)) {
                made.push(vector.to_vec());
            }
            for (content, vector) in texts.contents.into_iter().zip(new_texts.iter().flat_map(Embeddings::rows)) {
                cache.put(content, Known { vectors: [vector.to_vec()].into(), size: None });
            }
        }
        for ((content, size), vectors) in contents.into_iter().zip(sizes).zip(made) {
            if let Some(content) = content {
                cache.put(content, Known { vectors: vectors.into(), size: Some(size) });
            }
        }
        for (notes, origin) in notes.iter_mut().zip(origins) {
            notes.without = origin.err();
        }
        Ok(notes)
    }

    /// Encodes images on this thread, all at once, with the first encoder, as [`encode`](Self::encode) does.
    pub(crate) fn encode_images<'a>(
        &self,
        images: impl Iterator<Item = Image<'a>>,
        cache: &VectorCache,
        stats: &Stats,
    ) -> Result<Vec<Result<Vec<f32>, NoVectors>>, ScoreError> {
        let Pictures { origins, sizes, contents, batches, .. } = self.preprocess(images, cache, stats);
        let (encoder, preprocessing) = &self.encoders[FIRST];
        let new = batches[*preprocessing]
            .as_ref()
            .map(|pixels| stats.time_of(Stage::EncodeImages, pixels.len(), || encoder.encode_images(pixels)))
            .transpose()?;
        check_vectors([(&new, contents.len()), (&None, 0)])?;
        // Vectors of an image are kept by all encoders or not at all.
        if self.encoders.len() == 1 {
            for ((content, size), vector) in contents.into_iter().zip(sizes).zip(new.iter().flat_map(Embeddings::rows))
            {
                if let Some(content) = content {
                    cache.put(content, Known { vectors: [vector.to_vec()].into(), size: Some(size) });
                }
            }
        }
        let vector = |origin| vector(&origin, new.as_ref(), FIRST).to_vec();
        Ok(origins.into_iter().map(|origin| origin.map(vector)).collect())
    }

    /// Encodes texts on this thread, all at once, with the first encoder, as [`encode`](Self::encode) does.
    pub(crate) fn encode_texts(
        &self,
        texts: &[&str],
        cache: &VectorCache,
        stats: &Stats,
    ) -> Result<Vec<Vec<f32>>, ScoreError> {
        let (encoder, _) = &self.encoders[FIRST];
        let tokenizer = encoder.spec().tokenizer.as_ref().ok_or(ScoreError::NoTokenizer)?;
        let mut read = Texts::default();
        for text in texts {
            let tokens = stats.time(Stage::Tokenize, || tokenizer.tokenize(&self.caption(text)))?;
            read.push(Content::of_text(FIRST, &tokens.ids), &tokens.ids, cache);
        }
        let new = (!read.tokens.is_empty())
            .then(|| stats.time_of(Stage::EncodeTexts, read.tokens.len(), || encoder.encode_texts(&read.tokens)))
            .transpose()?;
        check_vectors([(&None, 0), (&new, read.contents.len())])?;
        let vectors = read.origins.iter().map(|origin| vector(origin, new.as_ref(), 0).to_vec()).collect();
        for (content, vector) in read.contents.into_iter().zip(new.iter().flat_map(Embeddings::rows)) {
            cache.put(content, Known { vectors: [vector.to_vec()].into(), size: None });
        }
        Ok(vectors)
    }

    /// A caption as tokenizers are to read it.
    fn caption<'a>(&self, caption: &'a str) -> Cow<'a, str> {
        if self.canonicalizes { Cow::Owned(canonicalize(caption)) } else { Cow::Borrowed(caption) }
    }

    /// Decodes and preprocesses the pictures of which there is no vector yet.
    fn preprocess<'a>(&self, images: impl Iterator<Item = Image<'a>>, cache: &VectorCache, stats: &Stats) -> Pictures {
        let mut batches: Vec<Option<PixelBatch>> = vec![None; self.preprocessings.len()];
        let (mut contents, mut sizes) = (Vec::new(), Vec::new());
        // One picture at a time, so that a batch of large ones is never decoded all at once.
        let mut add = |picture: &Pixels, content| {
            let size = [picture.width(), picture.height()];
            if let Some(reason) = self.limits.drops(size) {
                return Err(NoVectors::Dropped(reason));
            }
            for (batch, spec) in batches.iter_mut().zip(&self.preprocessings) {
                let one = stats.time(Stage::Preprocess, || preprocess([picture], spec));
                match batch {
                    Some(batch) => batch.append(one),
                    None => *batch = Some(one),
                }
            }
            contents.push(content);
            sizes.push(size);
            Ok(Origin::New(contents.len() - 1))
        };
        let mut first = HashMap::<Content, usize>::new();
        let mut origins: Vec<Result<Origin, NoVectors>> = Vec::with_capacity(images.size_hint().0);
        let mut notes: Vec<PairNotes> = Vec::with_capacity(images.size_hint().0);
        for image in images {
            let mut note = PairNotes::default();
            origins.push(match image {
                Image::Pixels(picture) => {
                    note.size = Some([picture.width(), picture.height()]);
                    add(picture, None)
                }
                Image::File(bytes) => {
                    let content = Content::of_image(bytes);
                    note.hash = Some(*content.hash());
                    match first.entry(content) {
                        // A picture that failed or is not wanted is so for every pair that has it.
                        Entry::Occupied(earlier) => {
                            note.size = notes[*earlier.get()].size;
                            origins[*earlier.get()].clone()
                        }
                        Entry::Vacant(place) => {
                            place.insert(origins.len());
                            match cache.get(&content) {
                                // One that another run has encoded may be one that this one drops.
                                Some(known) => {
                                    note.size = known.size;
                                    let dropped = known.size.and_then(|size| self.limits.drops(size));
                                    dropped.map_or(Ok(Origin::Known(known.vectors)), |reason| {
                                        Err(NoVectors::Dropped(reason))
                                    })
                                }
                                None => stats
                                    .time(Stage::Decode, || decode_guarded(bytes, &self.decode))
                                    .map_err(NoVectors::Failed)
                                    .and_then(|picture| {
                                        note.size = Some([picture.width(), picture.height()]);
                                        add(&picture, Some(content))
                                    }),
                            }
                        }
                    }
                }
            });
            notes.push(note);
        }
        Pictures { origins, notes, sizes, contents, batches }
    }
}

/// Where a vector comes from.
#[derive(Clone)]
enum Origin {
    /// From earlier in the run.
    Known(Vectors),
    /// It is to be made: its index among those that are.
    New(usize),
}

/// The pictures of a batch.
struct Pictures {
    /// Where each pair's vectors come from, or why it has none.
    origins: Vec<Result<Origin, NoVectors>>,
    /// What is known of each pair by its picture.
    notes: Vec<PairNotes>,
    /// How wide and high each new picture is.
    sizes: Vec<[u32; 2]>,
    /// What each new picture is; `None` for one that is not kept.
    contents: Vec<Option<Content>>,
    /// The new ones, preprocessed each way; `None` if there are none.
    batches: Vec<Option<PixelBatch>>,
}

/// The captions of a batch, for one encoder.
#[derive(Default)]
struct Texts {
    /// Where the vector of each comes from.
    origins: Vec<Origin>,
    first: HashMap<Content, usize>,
    /// The new ones.
    contents: Vec<Content>,
    tokens: TokenBatch,
}

impl Texts {
    fn push(&mut self, content: Content, ids: &[u32], cache: &VectorCache) {
        let origin = match self.first.entry(content) {
            Entry::Occupied(text) => self.origins[*text.get()].clone(),
            Entry::Vacant(place) => {
                place.insert(self.origins.len());
                match cache.get(&content) {
                    Some(known) => Origin::Known(known.vectors),
                    None => {
                        self.tokens.push(ids);
                        self.contents.push(content);
                        Origin::New(self.contents.len() - 1)
                    }
                }
            }
        };
        self.origins.push(origin);
    }
}

/// The vectors that an encoder gave, if it was given something, are one for each image and text, all of one width.
fn check_vectors(given: [(&Option<Embeddings>, usize); 2]) -> Result<(), ScoreError> {
    let [images, texts] = given.map(|(vectors, _)| vectors.as_ref().map(|vectors| [vectors.len(), vectors.width()]));
    let counts_fit =
        given.iter().all(|(vectors, count)| vectors.as_ref().is_none_or(|vectors| vectors.len() == *count));
    let widths_fit = images.zip(texts).is_none_or(|(images, texts)| images[1] == texts[1]);
    if counts_fit && widths_fit {
        return Ok(());
    }
    let [(_, given_images), (_, given_texts)] = given;
    Err(ScoreError::Vectors {
        given: [given_images, given_texts],
        images: images.unwrap_or_default(),
        texts: texts.unwrap_or_default(),
    })
}

/// The vectors from wherever they come, of those that are known the one with this index. There is at least one.
fn gather<'a>(origins: impl Iterator<Item = &'a Origin>, new: Option<&Embeddings>, index: usize) -> Embeddings {
    let mut values = Vec::new();
    let mut width = 0;
    for origin in origins {
        let vector = vector(origin, new, index);
        width = vector.len();
        values.extend_from_slice(vector);
    }
    Embeddings::new(values, width)
}

/// A vector from wherever it comes, of those that are known the one with this index.
fn vector<'a>(origin: &'a Origin, new: Option<&'a Embeddings>, index: usize) -> &'a [f32] {
    match origin {
        Origin::Known(vectors) => &vectors[index],
        Origin::New(row) => new.expect("it was encoded").row(*row),
    }
}
