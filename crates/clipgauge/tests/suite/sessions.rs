//! A session gives what a table gets, bit for bit, call after call; what fails is its own row's, and what is asked to end
//! ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clipgauge::cancel::{Cancel, Cause};
use clipgauge::core::decode::decode;
use clipgauge::core::embeddings::Embeddings;
use clipgauge::core::encoder::{EncodeError, Encoder};
use clipgauge::core::family;
use clipgauge::core::metric::Metric;
use clipgauge::core::model_files::ModelFiles;
use clipgauge::core::pixels::PixelBatch;
use clipgauge::core::spec::ModelSpec;
use clipgauge::core::tokenize::TokenBatch;
use clipgauge::disk_cache::CacheOptions;
use clipgauge::options::{Input, ScoreOptions};
use clipgauge::pipeline::ScoreTableError;
use clipgauge::pipeline::session::{PairRow, RowResults, Session};
use clipgauge::progress::{Progress, Silent};
use clipgauge::row::{RowErrorKind, RowImage};
use clipgauge::scorer::{Image, Pair, Scorer};
use clipgauge::source::{FetchOptions, fetch_all};
use clipgauge::table::Position;
use clipgauge_testing::{Reply, Server};

fn examples() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut table = csv::Reader::from_path(folder.join("pairs.csv")).unwrap();
    let row = |row: csv::StringRecord| (folder.join(&row[0]), row[1].to_owned());
    table.records().map(|record| row(record.unwrap())).collect()
}

fn options() -> ScoreOptions {
    ScoreOptions { models: vec!["pictoclip".to_owned()], ..ScoreOptions::new(Input::Stdin) }
}

fn session() -> Session {
    Session::load(&options(), &Silent, &Cancel::new()).unwrap()
}

fn address(path: &Path) -> RowImage {
    RowImage::Address(path.to_str().unwrap().to_owned())
}

fn pair(image: RowImage, caption: &str) -> PairRow {
    PairRow { image: Some(image), caption: Some(caption.to_owned()) }
}

fn score(session: &Session, pairs: Vec<PairRow>) -> RowResults {
    session.score(pairs, &Silent, &Cancel::new()).unwrap()
}

fn numbers(results: &RowResults) -> Vec<&[f32]> {
    results.iter().map(|result| result.as_deref().unwrap()).collect()
}

/// The scores of the examples by the library's simplest door.
fn expected() -> Vec<f32> {
    let encoder: Arc<dyn Encoder> = family::load(&ModelFiles::Bundled(clipgauge_pictoclip::FILES)).unwrap().into();
    let metric = Metric::Cosine.comparer(encoder.spec()).unwrap();
    let rows: Vec<_> = examples().into_iter().map(|(path, caption)| (fs::read(path).unwrap(), caption)).collect();
    let pairs: Vec<_> = rows.iter().map(|(image, caption)| Pair { image: Image::File(image), caption }).collect();
    Scorer::new(encoder, metric).score(&pairs).unwrap().iter().map(|scored| scored.score().unwrap()).collect()
}

/// The image of the row with this index, whose file is here.
type ImageOf<'a> = dyn Fn(usize, &Path) -> RowImage + 'a;

#[test]
fn images_score_the_same_however_they_come_and_as_often_as_they_do() {
    let (session, expected) = (session(), expected());
    let server = Server::start();
    let pixels = |path: &Path| decode(&fs::read(path).unwrap(), &Default::default()).unwrap();
    let forms: [(&str, &ImageOf); 4] = [
        ("addresses", &|_, path| address(path)),
        ("bytes", &|_, path| RowImage::Bytes { bytes: fs::read(path).unwrap().into(), name: None }),
        ("pixels", &|_, path| RowImage::Pixels(Arc::new(pixels(path)))),
        ("URLs", &|index, path| {
            server.on(&format!("/{index}"), Reply::ok(fs::read(path).unwrap()));
            RowImage::Address(server.url(&format!("/{index}")))
        }),
    ];
    for (name, image) in forms {
        for round in 1..=2 {
            let pairs =
                examples().iter().enumerate().map(|(i, (path, caption))| pair(image(i, path), caption)).collect();
            assert_eq!(numbers(&score(&session, pairs)).concat(), expected, "{name}, round {round}");
        }
    }
}

#[test]
fn vectors_compare_to_the_scores() {
    let (session, expected) = (session(), expected());
    let (paths, captions): (Vec<_>, Vec<_>) = examples().into_iter().unzip();
    let images = paths.iter().map(|path| Some(address(path))).collect();
    let images = session.embed_images(images, &Silent, &Cancel::new()).unwrap();
    let texts: Vec<_> = captions.into_iter().map(Some).collect();
    let texts = session.embed_texts(&texts, &Silent, &Cancel::new()).unwrap();
    let (images, texts) = (numbers(&images), numbers(&texts));
    assert!(images.iter().chain(&texts).all(|vector| vector.len() == session.spec().embedding_width));
    let compared: Vec<_> = images.iter().zip(texts).map(|(image, text)| session.compare(image, text)).collect();
    assert_eq!(compared, expected);
}

#[test]
fn what_fails_is_its_own_rows() {
    let (session, examples) = (session(), examples());
    let whole = address(&examples[0].0);
    let rows = [
        ("whole", Some(whole.clone()), Some("a"), None),
        ("no image", None, Some("a"), Some(RowErrorKind::NoImage)),
        ("no caption", Some(whole.clone()), None, Some(RowErrorKind::NoCaption)),
        ("no file", Some(address(Path::new("no/such.png"))), Some("a"), Some(RowErrorKind::NotFound)),
        ("no scheme", Some(address(Path::new("ftp://b/k"))), Some("a"), Some(RowErrorKind::BadAddress)),
        ("no byte", Some(RowImage::Bytes { bytes: vec![].into(), name: None }), Some("a"), Some(RowErrorKind::Empty)),
        ("whole again", Some(whole), Some("b"), None),
    ];
    let pairs = rows
        .iter()
        .map(|(_, image, caption, _)| PairRow { image: image.clone(), caption: caption.map(str::to_owned) })
        .collect();
    for ((name, .., kind), result) in rows.iter().zip(score(&session, pairs)) {
        assert_eq!(result.err().map(|error| error.kind), *kind, "{name}");
    }
    let images = rows.iter().map(|(_, image, ..)| image.clone()).collect();
    let embedded = session.embed_images(images, &Silent, &Cancel::new()).unwrap();
    let failed: Vec<_> = embedded.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, true, false, true, true, true, false]);
    let texts = session.embed_texts(&[None, Some("a".to_owned())], &Silent, &Cancel::new()).unwrap();
    assert_eq!(texts.iter().map(Result::is_err).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_picture_that_changed_is_seen_anew() {
    let (session, examples) = (session(), examples());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    let scores: Vec<_> = examples[..2]
        .iter()
        .map(|(example, _)| {
            fs::copy(example, &path).unwrap();
            numbers(&score(&session, vec![pair(address(&path), "a cat")]))[0].to_vec()
        })
        .collect();
    assert_ne!(scores[0], scores[1]);
}

#[test]
fn what_is_asked_to_end_ends_and_the_session_goes_on() {
    let (session, examples) = (session(), examples());
    let server = Server::start();
    server.on("/stalls", Reply::stall());
    let stalls = || pair(RowImage::Address(server.url("/stalls")), "a");
    let cancel = Cancel::new();
    let asked = thread::scope(|scope| {
        let run = scope.spawn(|| session.score(vec![stalls(), stalls()], &Silent, &cancel));
        while server.count("/stalls") == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        cancel.request(Cause::Interrupt);
        run.join().unwrap()
    });
    assert!(matches!(asked, Err(ScoreTableError::Cancelled)), "{asked:?}");
    let texts = session.embed_texts(&[Some("a".to_owned())], &Silent, &cancel);
    assert!(matches!(texts, Err(ScoreTableError::Cancelled)));
    let (path, caption) = &examples[0];
    assert_eq!(numbers(&score(&session, vec![pair(address(path), caption)])).concat(), expected()[..1]);
}

/// Counts the rows that it is told of.
#[derive(Default)]
struct Counted(AtomicU64);

impl Progress for Counted {
    fn rows(&self, done: u64, _: u64) {
        self.0.fetch_max(done, Ordering::Relaxed);
    }
    fn input(&self, _: Position) {}
    fn download(&self, _: &str, _: u64, _: Option<u64>) {}
    fn message(&self, _: &str) {}
}

#[test]
fn progress_is_told_of_every_row() {
    let session = session();
    let progress = Counted::default();
    let pairs = examples().iter().map(|(path, caption)| pair(address(path), caption)).collect();
    session.score(pairs, &progress, &Cancel::new()).unwrap();
    assert_eq!(progress.0.into_inner(), 51);
    let progress = Counted::default();
    let texts: Vec<_> = examples().into_iter().map(|(_, caption)| Some(caption)).collect();
    session.embed_texts(&texts, &progress, &Cancel::new()).unwrap();
    assert_eq!(progress.0.into_inner(), 51);
}

/// An encoder of the caller's own over the towers of another.
struct Wrapped {
    towers: Box<dyn Encoder>,
    spec: ModelSpec,
}

impl Encoder for Wrapped {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }
    fn encode_images(&self, batch: &PixelBatch) -> Result<Embeddings, EncodeError> {
        self.towers.encode_images(batch)
    }
    fn encode_texts(&self, batch: &TokenBatch) -> Result<Embeddings, EncodeError> {
        self.towers.encode_texts(batch)
    }
}

#[test]
fn an_encoder_of_ones_own_gets_what_the_model_would() {
    let towers = family::load(&ModelFiles::Bundled(clipgauge_pictoclip::FILES)).unwrap();
    let wrap = |spec| -> Arc<dyn Encoder> { Arc::new(Wrapped { towers, spec }) };
    let session = Session::with_encoder(&options(), wrap, &Silent, &Cancel::new()).unwrap();
    let pairs = examples().iter().map(|(path, caption)| pair(address(path), caption)).collect();
    assert_eq!(numbers(&score(&session, pairs)).concat(), expected());
}

#[test]
fn vectors_are_kept_on_a_disk_where_a_model_names_them() {
    let (folder, examples, expected) = (tempfile::tempdir().unwrap(), examples(), expected());
    let options = ScoreOptions {
        cache: Some(CacheOptions { folder: folder.path().to_owned(), max_bytes: 1 << 30 }),
        ..options()
    };
    let pairs = || examples.iter().map(|(path, caption)| pair(address(path), caption)).collect();
    for round in 1..=2 {
        let session = Session::load(&options, &Silent, &Cancel::new()).unwrap();
        assert_eq!(numbers(&score(&session, pairs())).concat(), expected, "round {round}");
    }
    assert!(fs::read_dir(folder.path()).unwrap().count() > 1);
    let towers = family::load(&ModelFiles::Bundled(clipgauge_pictoclip::FILES)).unwrap();
    let wrap = |spec| -> Arc<dyn Encoder> { Arc::new(Wrapped { towers, spec }) };
    let refused = Session::with_encoder(&options, wrap, &Silent, &Cancel::new());
    assert!(refused.is_err_and(|error| error.is_usage()));
}

#[test]
fn images_are_fetched_by_themselves() {
    let server = Server::start();
    server.on("/a", Reply::ok("A"));
    server.on("/b", Reply::ok("B").trickle(1, Duration::from_millis(20)));
    let addresses = [server.url("/b"), server.url("/none"), server.url("/a"), "data:,C".to_owned()];
    let fetched = fetch_all(&addresses, FetchOptions::default(), &Cancel::new()).unwrap();
    let fetched: Vec<_> =
        fetched.into_iter().map(|image| image.map(|bytes| bytes.to_vec()).map_err(|e| e.kind)).collect();
    assert_eq!(fetched, [Ok(b"B".to_vec()), Err(RowErrorKind::NotFound), Ok(b"A".to_vec()), Ok(b"C".to_vec())]);
    let cancel = Cancel::new();
    cancel.request(Cause::Terminate);
    server.on("/stalls", Reply::stall());
    assert!(fetch_all(&[server.url("/stalls")], FetchOptions::default(), &cancel).is_err());
}

#[cfg(feature = "parquet")]
mod batches {
    use super::*;
    use std::num::{NonZeroU32, NonZeroUsize};

    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, Int32Type, Int64Type};
    use arrow_array::{Int32Array, RecordBatch, RecordBatchIterator, RecordBatchReader, StringArray};
    use clipgauge::filters::{Filters, PictureLimits, Sample};
    use clipgauge::options::{Output, ResumeOptions, TableFormat};

    fn batch(rows: &[(PathBuf, String)]) -> RecordBatch {
        let url: StringArray = rows.iter().map(|(path, _)| path.to_str()).collect();
        let caption: StringArray = rows.iter().map(|(_, caption)| Some(caption.as_str())).collect();
        let id: Int32Array = (0..rows.len() as i32).collect();
        RecordBatch::try_from_iter([
            ("id", Arc::new(id) as _),
            ("url", Arc::new(url) as _),
            ("caption", Arc::new(caption) as _),
        ])
        .unwrap()
    }

    fn reader(batches: Vec<RecordBatch>) -> Box<dyn RecordBatchReader + Send> {
        let schema = batches[0].schema();
        Box::new(RecordBatchIterator::new(batches.into_iter().map(Ok), schema))
    }

    #[test]
    fn a_table_in_memory_gets_its_columns() {
        let (session, expected, rows) = (session(), expected(), examples());
        let batches = vec![batch(&rows[..20]), batch(&[]), batch(&rows[20..])];
        let scored = session.score_batches(reader(batches.clone()), &options(), &Silent, &Cancel::new()).unwrap();
        let names: Vec<_> = scored.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["id", "url", "caption", "similarity"]);
        assert_eq!(scored.batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [20, 31]);
        let scores: Vec<f32> = scored
            .batches
            .iter()
            .flat_map(|batch| batch.column(3).as_primitive::<Float32Type>().values().to_vec())
            .collect();
        assert_eq!(scores, expected);
        for (before, after) in [(&batches[0], &scored.batches[0]), (&batches[2], &scored.batches[1])] {
            assert_eq!(before.columns(), &after.columns()[..3]);
        }
        assert_eq!((scored.summary.rows, scored.summary.scored), (51, 51));
    }

    fn ids(batches: &[RecordBatch]) -> Vec<i32> {
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().values().to_vec()).collect()
    }

    #[test]
    fn rows_and_columns_are_chosen_as_in_a_file() {
        let (session, expected, rows) = (session(), expected(), examples());
        let sizes: Vec<u32> = rows
            .iter()
            .map(|(path, _)| decode(&fs::read(path).unwrap(), &Default::default()).unwrap())
            .map(|picture| picture.width().min(picture.height()))
            .collect();
        let largest = *sizes.iter().max().unwrap();
        assert!(sizes.iter().any(|size| *size < largest), "a filter of sizes has something to do");
        let mut best: Vec<usize> = (0..51).collect();
        best.sort_by(|a, b| expected[*b].total_cmp(&expected[*a]).then(a.cmp(b)));
        best.truncate(5);
        best.sort_unstable();
        let of = |filters| ScoreOptions { filters, ..options() };
        let number = |count| NonZeroUsize::new(count);
        let pictures = PictureLimits { min_size: NonZeroU32::new(largest), ..Default::default() };
        let cases: [(&str, Filters, Vec<usize>); 5] = [
            ("no filter", Filters::default(), (0..51).collect()),
            ("a limit", Filters { limit: number(7), ..Filters::default() }, (0..7).collect()),
            (
                "the best",
                Filters { top_fraction: Some(0.1), keep_columns: Some(vec!["id".to_owned()]), ..Filters::default() },
                best,
            ),
            (
                "a bound",
                Filters { min_score: Some(expected[3]), ..Filters::default() },
                (0..51).filter(|row| expected[*row] >= expected[3]).collect(),
            ),
            // All pictures are known by now.
            (
                "sizes",
                Filters { pictures, ..Filters::default() },
                (0..51).filter(|row| sizes[*row] >= largest).collect(),
            ),
        ];
        for (name, filters, wanted) in cases {
            let batches = reader(vec![batch(&rows)]);
            let scored = session.score_batches(batches, &of(filters), &Silent, &Cancel::new()).unwrap();
            let found: Vec<usize> = ids(&scored.batches).into_iter().map(|id| id as usize).collect();
            assert_eq!(found, wanted, "{name}");
            assert_eq!(scored.summary.written, wanted.len() as u64, "{name}");
        }
        let sample = Some(Sample { rows: number(9).unwrap(), seed: 3 });
        let sampled = of(Filters { sample, ..Filters::default() });
        let scored = session.score_batches(reader(vec![batch(&rows)]), &sampled, &Silent, &Cancel::new()).unwrap();
        assert_eq!(scored.batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 9);
    }

    #[test]
    fn diagnostics_have_their_types() {
        let (session, rows) = (session(), examples());
        let options = ScoreOptions { diagnostics: true, ..options() };
        let scored = session.score_batches(reader(vec![batch(&rows[..2])]), &options, &Silent, &Cancel::new()).unwrap();
        let added: Vec<_> = options.added_columns().into_iter().map(|column| column.name).collect();
        let names: Vec<_> = scored.schema.fields().iter().skip(3).map(|field| field.name().clone()).collect();
        assert_eq!(names, added);
        let bytes = scored.batches[0].column_by_name("clipgauge_bytes").unwrap().as_primitive::<Int64Type>();
        assert_eq!(bytes.value(1) as u64, fs::metadata(&rows[1].0).unwrap().len());
    }

    #[test]
    fn what_is_about_files_is_refused() {
        let (session, rows) = (session(), examples());
        let cases = [
            ("--in-place", ScoreOptions { output: Output::InPlace, ..options() }),
            ("--resume", ScoreOptions { resume: ResumeOptions { resume: true, retry_failed: false }, ..options() }),
            ("--shard", ScoreOptions { shard: "0/2".parse().ok(), ..options() }),
            ("--format", ScoreOptions { format: Some(TableFormat::Csv), ..options() }),
        ];
        for (flag, options) in cases {
            let batches = reader(vec![batch(&rows[..1])]);
            let error = session.score_batches(batches, &options, &Silent, &Cancel::new()).unwrap_err();
            assert!(error.to_string().starts_with(flag) && error.is_usage(), "{flag}: {error}");
        }
    }

    #[test]
    fn columns_are_checked_before_a_row() {
        let (session, rows) = (session(), examples());
        let missing = ScoreOptions { image_column: "image".to_owned(), ..options() };
        let error = session.score_batches(reader(vec![batch(&rows)]), &missing, &Silent, &Cancel::new()).unwrap_err();
        assert!(matches!(error, ScoreTableError::Table(_)) && error.is_usage(), "{error}");
        let cancel = Cancel::new();
        cancel.request(Cause::Interrupt);
        let error = session.score_batches(reader(vec![batch(&rows)]), &options(), &Silent, &cancel).unwrap_err();
        assert!(error.is_interrupted(), "{error}");
    }
}
