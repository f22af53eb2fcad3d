//! Two things, each an image or a text, in any pairing, to one number for each model and metric.
//!
//! Both are vectors of one space, whichever tower made them, so that what compares an image with a caption compares two
//! images or two texts as well. Tables have a way of their own, [`pipeline`](crate::pipeline).

mod error;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::embeddings::Embeddings;
use clipgauge_core::encoder::Encoder;
use clipgauge_core::family::LoadOptions;
use clipgauge_core::metric::Metric;
use clipgauge_core::pixels::Pixels;
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::tokenize::{TokenBatch, canonicalize};
use serde::Serialize;

use crate::address::Address;
use crate::cancel::Cancel;
use crate::loading::{LoadedModel, load, load_with_tokenizer};
use crate::options::{DEFAULT_MODEL, Precision};
use crate::picture::decode_guarded;
use crate::progress::Progress;
use crate::row::RowError;
use crate::scorer::ScoreError;
use crate::source::{FetchOptions, Sources};
use crate::table::number::write_f32;

pub use error::{CompareError, Place};

/// What an argument begins with that is a text and no image.
pub const TEXT_PREFIX: &str = "text:";

/// One of the two things that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An image: a path (relative ones start at the working folder), a URL or a `data:` URI.
    Image(String),
    /// A text. An empty one is compared, too.
    Text(String),
}

impl Item {
    /// Reads an argument: what begins with `text:` is the text behind it as it stands, everything else an image.
    ///
    /// ```
    /// use clipgauge::compare::Item;
    ///
    /// assert_eq!(Item::parse("text: a cat"), Item::Text(" a cat".to_owned()));
    /// assert_eq!(Item::parse("cats/1.jpg"), Item::Image("cats/1.jpg".to_owned()));
    /// ```
    pub fn parse(argument: &str) -> Self {
        match argument.strip_prefix(TEXT_PREFIX) {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Image(argument.to_owned()),
        }
    }
}

/// What two things are compared by.
#[derive(Debug, Clone)]
pub struct CompareOptions {
    /// The models: bundled ones, folders or hub ids.
    pub models: Vec<String>,
    /// The metrics. Each is taken with each model.
    pub metrics: Vec<Metric>,
    /// Whether texts are put in lower case and lose their punctuation first.
    pub canonicalize_captions: bool,
    /// What the models' linear layers are computed in.
    pub precision: Precision,
    /// Limits of fetching.
    pub fetch: FetchOptions,
    /// Limits of decoding.
    pub decode: DecodeOptions,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            models: vec![DEFAULT_MODEL.to_owned()],
            metrics: vec![Metric::default()],
            canonicalize_captions: false,
            precision: Precision::default(),
            fetch: FetchOptions::default(),
            decode: DecodeOptions::default(),
        }
    }
}

/// What a model and a metric say about the two.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The model as it was named.
    pub model: String,
    /// The commit of the model, if it came from the hub.
    pub revision: Option<String>,
    /// The name of the metric.
    pub metric: &'static str,
    /// The score.
    pub score: f32,
    /// Whether a better match has the higher score.
    pub higher_is_better: bool,
    /// Whether a text was longer than the model reads, and compared by its beginning.
    pub truncated: bool,
}

/// The bare score, as a table has it.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = Vec::new();
        write_f32(&mut number, self.score);
        f.write_str(&String::from_utf8_lossy(&number))
    }
}

/// Compares two things by each model and, within a model, by each metric, in the order of the options.
///
/// An image–text pair has the score that it has in a table, bit for bit, whichever of the two comes first. Blocks, and
/// must not be called from within an asynchronous runtime.
///
/// # Errors
///
/// An image or a model cannot be had or used; [`CompareError::is_usage`] tells whether other options mend it.
///
/// ```
/// use clipgauge::cancel::Cancel;
/// use clipgauge::compare::{CompareOptions, Item, compare};
/// use clipgauge::progress::Silent;
///
/// let items = [Item::Text("a cat".to_owned()), Item::Text("a cat".to_owned())];
/// let options = CompareOptions { models: vec!["pictoclip".to_owned()], ..CompareOptions::default() };
/// let compared = compare(&items, &options, &Silent, &Cancel::new())?;
/// assert_eq!(compared[0].score, 1.0);
/// # Ok::<(), clipgauge::compare::CompareError>(())
/// ```
pub fn compare(
    items: &[Item; 2],
    options: &CompareOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<Comparison>, CompareError> {
    // Before the models, which may have to be downloaded.
    let contents = fetch(items, options, cancel)?;
    let reads_text = items.iter().any(|item| matches!(item, Item::Text(_)));
    let mut comparisons = Vec::with_capacity(options.models.len() * options.metrics.len());
    let load_options = LoadOptions { precision: options.precision, ..LoadOptions::default() };
    for name in &options.models {
        let LoadedModel { encoder, revision, .. } = match reads_text {
            true => load_with_tokenizer(name, load_options, progress, cancel)?,
            false => load(name, load_options, progress, cancel)?,
        };
        let metrics = options.metrics.iter().map(|metric| Ok((*metric, metric.comparer(encoder.spec())?)));
        let metrics = metrics.collect::<Result<Vec<_>, CompareError>>()?;
        let [a, b] = &contents;
        let (a, b) = (a.encode(&*encoder)?, b.encode(&*encoder)?);
        comparisons.extend(metrics.into_iter().map(|(metric, comparer)| Comparison {
            model: name.clone(),
            revision: revision.clone(),
            metric: metric.name(),
            score: comparer.compare(a.vector.row(0), b.vector.row(0)),
            higher_is_better: comparer.higher_is_better(),
            truncated: a.is_truncated || b.is_truncated,
        }));
    }
    Ok(comparisons)
}

/// An item at hand.
enum Content<'a> {
    Image(Pixels),
    Text(Cow<'a, str>),
}

/// An item as a model sees it.
struct Encoded {
    vector: Embeddings,
    is_truncated: bool,
}

impl Content<'_> {
    fn encode(&self, encoder: &dyn Encoder) -> Result<Encoded, ScoreError> {
        let spec = encoder.spec();
        match self {
            Self::Image(pixels) => {
                let vector = encoder.encode_images(&preprocess([pixels], &spec.image))?;
                Ok(Encoded { vector, is_truncated: false })
            }
            Self::Text(text) => {
                let tokenizer = spec.tokenizer.as_ref().ok_or(ScoreError::NoTokenizer)?;
                let tokens = tokenizer.tokenize(text)?;
                let vector = encoder.encode_texts(&TokenBatch::from_iter([&*tokens.ids]))?;
                Ok(Encoded { vector, is_truncated: tokens.truncated })
            }
        }
    }
}

/// Fetches the images among the items, both at once, and decodes them.
fn fetch<'a>(
    items: &'a [Item; 2],
    options: &CompareOptions,
    cancel: &Cancel,
) -> Result<[Content<'a>; 2], CompareError> {
    let sources = Sources::new(options.fetch.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CompareError::Runtime)?;
    let fetched = runtime.block_on(async {
        let [a, b] = items;
        tokio::select! {
            fetched = async { tokio::join!(content(a, &sources, options), content(b, &sources, options)) } => Ok(fetched),
            () = cancel.requested() => Err(CompareError::Interrupted),
        }
    });
    // A file system that hangs must not keep the process from ending.
    runtime.shutdown_background();
    let (a, b) = fetched?;
    let at = |place, items: &Item| {
        let is_path = matches!(items, Item::Image(image) if matches!(address(image), Ok(Address::File(_))));
        move |error| CompareError::Image { place, error, is_path }
    };
    Ok([a.map_err(at(Place::A, &items[0]))?, b.map_err(at(Place::B, &items[1]))?])
}

async fn content<'a>(item: &'a Item, sources: &Sources, options: &CompareOptions) -> Result<Content<'a>, RowError> {
    match item {
        Item::Text(text) => Ok(Content::Text(match options.canonicalize_captions {
            true => Cow::Owned(canonicalize(text)),
            false => Cow::Borrowed(text),
        })),
        Item::Image(image) => {
            let bytes = sources.fetch(&address(image)?).await?.release();
            Ok(Content::Image(decode_guarded(&bytes, &options.decode)?))
        }
    }
}

fn address(image: &str) -> Result<Address, RowError> {
    Address::parse(image, Path::new(""))
}
