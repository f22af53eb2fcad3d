//! The middle of the way: one thread per core takes rows whose images are here, up to as many as a batch has, and
//! computes what they are to get.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::ScoreTableError;
use super::compute::{Compute, Computed};
use super::fetching::{Fetched, Picture};
use super::join::{Message, Outcome};
use super::queue::{Queue, Taken};
use super::saving::Saver;
use super::stop::Stop;
use crate::diagnostics::milliseconds;
use crate::scorer::{Image, Pair};
use crate::stats::Stats;
use crate::vector_cache::VectorCache;

/// How long a thread waits for rows before it looks whether the run is to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// What is kept of the work besides what is computed.
pub(super) struct Kept {
    /// The vectors.
    pub(super) cache: Arc<VectorCache>,
    /// What lays pictures aside, if they are saved.
    pub(super) saver: Option<Saver>,
}

/// The computing threads.
pub(super) struct Computing {
    threads: Vec<JoinHandle<Instant>>,
    started: Instant,
    stats: Arc<Stats>,
}

impl Computing {
    /// Starts the threads.
    pub(super) fn start(
        compute: &Arc<dyn Compute>,
        kept: Kept,
        count: NonZeroUsize,
        images: Queue<Fetched>,
        outcomes: Sender<Message>,
        stats: &Arc<Stats>,
        stop: &Stop,
    ) -> Result<Self, ScoreTableError> {
        let Kept { cache, saver } = kept;
        let worker = Worker {
            compute: Arc::clone(compute),
            saver: saver.map(Arc::new),
            count,
            images,
            outcomes,
            cache,
            stats: Arc::clone(stats),
            stop: stop.clone(),
        };
        let thread = |index| {
            let worker = worker.clone();
            thread::Builder::new().name(format!("clipgauge-compute-{index}")).spawn(move || {
                worker.work();
                Instant::now()
            })
        };
        let threads = (0..count.get()).map(thread).collect::<Result<_, _>>().map_err(ScoreTableError::Threads)?;
        Ok(Self { threads, started: Instant::now(), stats: Arc::clone(stats) })
    }

    /// How many threads there are.
    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Waits for the threads, which end when nothing more can come or the run is to end.
    pub(super) fn end(self) {
        let count = self.count();
        // The last one's end, not now: what came after it was writing.
        let mut took = Duration::ZERO;
        for thread in self.threads {
            let end = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            took = took.max(end.duration_since(self.started));
        }
        self.stats.encoders(count, took);
    }
}

#[derive(Clone)]
struct Worker {
    compute: Arc<dyn Compute>,
    /// What lays pictures aside, if they are saved.
    saver: Option<Arc<Saver>>,
    /// How many workers there are.
    count: NonZeroUsize,
    images: Queue<Fetched>,
    outcomes: Sender<Message>,
    cache: Arc<VectorCache>,
    stats: Arc<Stats>,
    stop: Stop,
}

impl Worker {
    fn work(self) {
        // However this thread ends, the joining one must not wait for it.
        let _leave = Leave(self.outcomes.clone());
        loop {
            let waiting = Instant::now();
            let batch = self.next_batch();
            self.stats.encoder_waited(waiting.elapsed());
            let Some(batch) = batch else { return };
            let working = Instant::now();
            let goes_on = self.compute(batch);
            self.stats.encoder_worked(working.elapsed());
            if !goes_on {
                return;
            }
        }
    }

    /// Computes what the rows of a batch are to get, and passes it on; whether anything more can be computed.
    fn compute(&self, batch: Vec<Fetched>) -> bool {
        let pairs: Vec<Pair<'_>> = batch.iter().map(pair).collect();
        let start = Instant::now();
        let computed = match self.compute.compute(&pairs, &self.cache, &self.stats) {
            Ok(computed) => computed,
            Err(error) => {
                let _ = self.outcomes.send(Message::Broken(error.into()));
                return false;
            }
        };
        let share = milliseconds(start.elapsed() / u32::try_from(batch.len()).unwrap_or(u32::MAX));
        for (fetched, computed) in batch.into_iter().zip(computed) {
            let Fetched { row, ticket, image, fetch_ms, .. } = fetched;
            let Computed { values, mut diagnostics } = computed;
            diagnostics.bytes = image.file_size();
            diagnostics.fetch_ms = fetch_ms;
            diagnostics.encode_ms = values.is_ok().then_some(share);
            let picture = match (&self.saver, &values, &image) {
                (Some(saver), Ok(values), Picture::File(bytes)) => {
                    saver.save(&row, ticket.index(), bytes, values, &diagnostics)
                }
                _ => Ok(None),
            };
            let picture = match picture {
                Ok(picture) => picture,
                Err(error) => {
                    let _ = self.outcomes.send(Message::Broken(error.into()));
                    return false;
                }
            };
            let outcome = Outcome { row, ticket, values, diagnostics, picture, is_taken_over: false };
            // Nobody receives any more when the run is over.
            let _ = self.outcomes.send(Message::Outcome(Box::new(outcome)));
        }
        true
    }

    /// Rows that are here, at least one and at most a batch; `None` when no more will come or the run is to end.
    fn next_batch(&self) -> Option<Vec<Fetched>> {
        while !self.stop.is_requested() {
            match self.images.take(self.compute.batch_size(), self.count, PATIENCE) {
                Taken::Some(batch) => return Some(batch),
                Taken::NoneYet => {}
                Taken::NoMore => return None,
            }
        }
        None
    }
}

fn pair(fetched: &Fetched) -> Pair<'_> {
    let image = match &fetched.image {
        Picture::File(bytes) => Image::File(bytes),
        Picture::Pixels(pixels) => Image::Pixels(pixels),
    };
    Pair { image, caption: fetched.row.caption.as_deref().unwrap_or_default() }
}

/// Says that a computing thread is gone, and whether it panicked.
struct Leave(Sender<Message>);

impl Drop for Leave {
    fn drop(&mut self) {
        let _ = self.0.send(Message::WorkerGone { panicked: thread::panicking() });
    }
}
