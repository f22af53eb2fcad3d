//! A model that stays loaded, with its connections and the vectors that it made lately, for pairs that come again and
//! again: what a notebook or a worker of a cluster holds. Its pairs go the same way as a table's.

#[cfg(feature = "parquet")]
mod batches;
mod collected;
mod pairs;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use clipgauge_core::encoder::Encoder;
use clipgauge_core::spec::ModelSpec;

use super::compute::{Compute, Computed, Values};
use super::join::Finished;
use super::live_sources::LiveSources;
use super::{Loaded, Places, Run, ScoreTableError, load_scorer, put_together, set, vector_cache};
use crate::cancel::Cancel;
use crate::diagnostics::Diagnostics;
use crate::disk_cache::DiskCache;
use crate::encoding::PairEncoder;
use crate::errors_file::ErrorsFile;
use crate::loading;
use crate::options::{OptionsError, ScoreOptions};
use crate::progress::Progress;
use crate::row::{RowError, RowErrorKind, RowImage};
use crate::scorer::{Pair, ScoreError, Scorer};
use crate::share::in_batches;
use crate::stats::Stats;
use crate::vector_cache::VectorCache;
use collected::Collected;
use pairs::Pairs;

#[cfg(feature = "parquet")]
pub use batches::ScoredBatches;
pub use pairs::PairRow;

/// Scores pairs and embeds images and texts, as often as it is asked to.
///
/// What it gives is what a table of the same rows gets, bit for bit. Clones share the model and the connections. All of
/// its calls block, and must not be made from within an asynchronous runtime.
///
/// ```
/// use clipgauge::cancel::Cancel;
/// use clipgauge::options::{Input, ScoreOptions};
/// use clipgauge::pipeline::session::{PairRow, Session};
/// use clipgauge::progress::Silent;
/// use clipgauge::row::{RowErrorKind, RowImage};
///
/// let options = ScoreOptions { models: vec!["pictoclip".to_owned()], ..ScoreOptions::new(Input::Stdin) };
/// let session = Session::load(&options, &Silent, &Cancel::new())?;
/// let image = Some(RowImage::Address("no/such.png".to_owned()));
/// let pairs = vec![PairRow { image, caption: Some("a red apple".to_owned()) }];
/// let scored = session.score(pairs, &Silent, &Cancel::new())?;
/// assert_eq!(scored[0].as_ref().map_err(|error| error.kind), Err(RowErrorKind::NotFound));
/// # Ok::<(), clipgauge::pipeline::ScoreTableError>(())
/// ```
#[derive(Clone)]
pub struct Session {
    scorer: Scorer,
    sources: LiveSources,
    cache: Arc<VectorCache>,
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only tables need them"))]
    options: ScoreOptions,
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only summaries of tables name them"))]
    model_ids: Vec<Option<String>>,
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only summaries of tables name them"))]
    revisions: Vec<Option<String>>,
}

/// What each row gets: one number for each model and metric or a vector, or why there is none.
pub type RowResults = Vec<Result<Vec<f32>, RowError>>;

impl Session {
    /// Loads the models that the options name. What they say about a table's place is of no matter here.
    ///
    /// # Errors
    ///
    /// A model or a metric cannot be used, or options do not go together.
    pub fn load(options: &ScoreOptions, progress: &dyn Progress, cancel: &Cancel) -> Result<Self, ScoreTableError> {
        let sources = LiveSources::new(&options.fetch)?;
        let cache = options.cache.as_ref().map(DiskCache::open).transpose()?;
        let Loaded { scorer, model_ids, revisions, files, .. } = load_scorer(options, progress, cancel)?;
        let cache = vector_cache(cache, &files, options.precision, &options.decode)?;
        Ok(Self::new(scorer, sources, cache, options).of_models(model_ids, revisions))
    }

    /// Takes an encoder of the caller's own, which `encoder` makes for the spec of the first model that the options name.
    /// Of that model only the small files are needed, not the weights.
    ///
    /// # Errors
    ///
    /// The model's files or a metric cannot be used, or options do not go together.
    pub fn with_encoder(
        options: &ScoreOptions,
        encoder: impl FnOnce(ModelSpec) -> Arc<dyn Encoder>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Self, ScoreTableError> {
        if options.cache.is_some() {
            return Err(OptionsError::UnnamedVectors.into());
        }
        let sources = LiveSources::new(&options.fetch)?;
        let model = options.models.first().ok_or(OptionsError::Missing { flag: "--model" })?;
        let spec = loading::spec(model, progress, cancel)?;
        let scorer = set(put_together(None, encoder(spec), options)?, options);
        let options = ScoreOptions { models: vec![model.clone()], ..options.clone() };
        Ok(Self::new(scorer, sources, Arc::new(VectorCache::new()), &options).of_models(vec![None], vec![None]))
    }

    fn new(scorer: Scorer, sources: LiveSources, cache: Arc<VectorCache>, options: &ScoreOptions) -> Self {
        let scorer = match options.threads {
            Some(threads) => scorer.with_threads(threads),
            None => scorer,
        };
        let (options, model_ids, revisions) = (options.clone(), Vec::new(), Vec::new());
        Self { scorer, sources, cache, options, model_ids, revisions }
    }

    fn of_models(self, model_ids: Vec<Option<String>>, revisions: Vec<Option<String>>) -> Self {
        Self { model_ids, revisions, ..self }
    }

    /// What the first model wants, and what its vectors are.
    pub fn spec(&self) -> &ModelSpec {
        self.scorer.encoders().next().expect("there is a model from the beginning").spec()
    }

    /// Compares two vectors of the first model's space by the first metric, whatever they were made of.
    pub fn compare(&self, a: &[f32], b: &[f32]) -> f32 {
        self.scorer.metric().compare(a, b)
    }

    /// Scores pairs: a number for each model and metric, in the order of the options. Relative paths start at the working
    /// folder.
    ///
    /// # Errors
    ///
    /// Nothing can be scored at all, or `cancel` was requested. A pair that fails is none of these.
    pub fn score(
        &self,
        pairs: Vec<PairRow>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<RowResults, ScoreTableError> {
        self.collect(pairs, self.scorer.clone(), progress, cancel)
    }

    /// The vectors of images by the first model, as it gives them, not normalised.
    ///
    /// # Errors
    ///
    /// As [`score`](Self::score).
    pub fn embed_images(
        &self,
        images: Vec<Option<RowImage>>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<RowResults, ScoreTableError> {
        let pairs = images.into_iter().map(|image| PairRow { image, caption: Some(String::new()) }).collect();
        let images = Images { encoder: self.scorer.encoder.clone(), batch_size: self.scorer.batch_size() };
        self.collect(pairs, images, progress, cancel)
    }

    /// The vectors of texts by the first model, as it gives them, not normalised.
    ///
    /// # Errors
    ///
    /// As [`score`](Self::score).
    pub fn embed_texts(
        &self,
        texts: &[Option<String>],
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<RowResults, ScoreTableError> {
        let stats = Stats::new(0);
        in_batches(texts, self.scorer.batch_size(), self.scorer.threads(), |batch| {
            if cancel.is_requested() {
                return Err(ScoreTableError::Cancelled);
            }
            let embedded = self.embed_some(batch, &stats)?;
            embedded.iter().for_each(|text| match text {
                Ok(_) => stats.scored(&[]),
                Err(error) => stats.failed(error.kind),
            });
            progress.rows(stats.rows(), stats.failures());
            Ok(embedded)
        })
    }

    /// The vectors of a batch of texts, all at once where none of them fails.
    fn embed_some(&self, texts: &[Option<String>], stats: &Stats) -> Result<RowResults, ScoreError> {
        let there: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
        match self.scorer.encoder.encode_texts(&there, &self.cache, stats) {
            Ok(vectors) => {
                let mut vectors = vectors.into_iter();
                let vector = |text: &Option<String>| match text {
                    Some(_) => Ok(vectors.next().expect("a vector for each text")),
                    None => Err(RowError::new(RowErrorKind::NoCaption, "the text is missing")),
                };
                Ok(texts.iter().map(vector).collect())
            }
            Err(error) if error.is_of_a_caption() && texts.len() > 1 => {
                let alone = texts.chunks(1).map(|text| self.embed_some(text, stats));
                Ok(alone.collect::<Result<Vec<_>, _>>()?.concat())
            }
            Err(error) if error.is_of_a_caption() => Ok(vec![Err(error.of_its_caption())]),
            Err(error) => Err(error),
        }
    }

    /// Takes pairs the whole way, and keeps what each gets.
    fn collect(
        &self,
        pairs: Vec<PairRow>,
        compute: impl Compute + 'static,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<RowResults, ScoreTableError> {
        let mut results = Vec::with_capacity(pairs.len());
        let (stats, errors) = (Arc::new(Stats::new(0)), ErrorsFile::new(None)?);
        let (reader, writer) = (Box::new(Pairs::new(pairs)), Collected(&mut results));
        let places = Places::only(errors);
        match self.run(&stats, progress, cancel).all(reader, compute, Box::new(writer), places)? {
            Finished { interrupted: true, .. } => Err(ScoreTableError::Cancelled),
            Finished { interrupted: false, .. } => Ok(results),
        }
    }

    fn run<'a>(&self, stats: &'a Arc<Stats>, progress: &'a dyn Progress, cancel: &'a Cancel) -> Run<'a> {
        Run {
            base: Path::new(""),
            threads: Some(self.scorer.threads()),
            sources: self.sources.anew(),
            cache: Arc::clone(&self.cache),
            stats,
            progress,
            cancel,
        }
    }
}

/// Encodes the images of pairs, and leaves their captions alone.
struct Images {
    encoder: PairEncoder,
    batch_size: NonZeroUsize,
}

impl Compute for Images {
    fn batch_size(&self) -> NonZeroUsize {
        self.batch_size
    }

    fn compute(&self, pairs: &[Pair<'_>], cache: &VectorCache, stats: &Stats) -> Result<Vec<Computed>, ScoreError> {
        let encoded = self.encoder.encode_images(pairs.iter().map(|pair| pair.image), cache, stats)?.into_iter();
        let values = encoded.map(|vector| vector.map_or_else(Values::without, |vector| Ok(Values::Image(vector))));
        Ok(values.map(|values| Computed { values, diagnostics: Diagnostics::default() }).collect())
    }
}
