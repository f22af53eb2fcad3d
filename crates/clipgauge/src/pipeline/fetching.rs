//! The first part of the way: a thread reads rows and sets a task to fetch each row's image.
//!
//! Rows are admitted against a budget of bytes that they hold until they are written, so that reading runs no further
//! ahead than that. Fetched images wait for the scorers against a budget of their own; a fetch that waits for room keeps
//! its turn, so that no more images are in memory than the budget and the fetches under way allow.

use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use bytes::Bytes;
use clipgauge_core::pixels::Pixels;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::ScoreTableError;
use super::join::{Message, Outcome, Ticket};
use super::known::{Known, KnownRows};
use super::live_sources::LiveSources;
use super::queue::{Feed, Queue, queue};
use super::stop::Stop;
use crate::address::Address;
use crate::diagnostics::milliseconds;
use crate::journal::MAX_ROWS_UNDER_WAY;
use crate::row::{Row, RowError, RowErrorKind, RowImage};
use crate::source::{ImageBytes, Sources};
use crate::stats::{Stage, Stats};
use crate::table::ReadTable;

/// The memory that rows between reading and writing may take, in KiB.
const ROWS_BUDGET: usize = 64 << 10;

/// How much of that has to be free before rows are read again, once it was all taken, in KiB. A thread that is woken for
/// each row that is written spends more on waking than on reading.
const ROWS_PIECE: usize = ROWS_BUDGET / 16;

/// The least that a row counts for, in KiB: what its task takes, whatever the row's size.
const ROW_COST: usize = 4;

// A journal is read on as far ahead as rows may have overtaken each other.
const _: () = assert!(ROWS_BUDGET / ROW_COST <= MAX_ROWS_UNDER_WAY as usize);

/// The memory that fetched images may take until they are scored, in KiB, for each encoder: what it encodes and what it
/// takes next, of photos as they are on the web. More would only fill up while encoders are what a run waits for.
const IMAGES_BUDGET: usize = 8 << 10;

/// The least that all encoders have together, in KiB, and the most that one image counts for.
const LEAST_IMAGES_BUDGET: usize = 32 << 10;

/// A row whose image is here.
pub(super) struct Fetched {
    pub(super) row: Row,
    pub(super) ticket: Ticket,
    pub(super) image: Picture,
    /// How long it took to fetch, if it was fetched.
    pub(super) fetch_ms: Option<f32>,
    /// What the image takes of the budget.
    _room: OwnedSemaphorePermit,
}

/// An image as it came.
pub(super) enum Picture {
    /// A picture file's bytes.
    File(Bytes),
    /// A picture that was decoded before.
    Pixels(Arc<Pixels>),
}

impl Picture {
    /// How many bytes its file has.
    pub(super) fn file_size(&self) -> Option<u64> {
        match self {
            Self::File(bytes) => Some(bytes.len() as u64),
            Self::Pixels(_) => None,
        }
    }
}

/// The rows of a run.
pub(super) struct Rows<'a> {
    pub(super) table: Box<dyn ReadTable>,
    /// What is known of them already.
    pub(super) known: KnownRows,
    /// Where relative addresses begin.
    pub(super) base: &'a Path,
}

/// Reading and fetching under way.
pub(super) struct Fetching {
    reader: JoinHandle<Result<(), ScoreTableError>>,
    images: Queue<Fetched>,
    rows_budget: Arc<Semaphore>,
    /// What is under way ends when this is dropped.
    _under_way: watch::Sender<()>,
    live_sources: LiveSources,
    stop: Stop,
}

impl Fetching {
    /// Begins to read and to fetch. What fails here goes to `outcomes` at once.
    pub(super) fn start(
        rows: Rows<'_>,
        live_sources: LiveSources,
        encoders: NonZeroUsize,
        outcomes: Sender<Message>,
        stats: &Arc<Stats>,
        stop: &Stop,
    ) -> Result<Self, ScoreTableError> {
        let Rows { table, known, base } = rows;
        let (images, received) = queue();
        let rows_budget = Arc::new(Semaphore::new(ROWS_BUDGET));
        let images_budget =
            IMAGES_BUDGET.saturating_mul(encoders.get()).clamp(LEAST_IMAGES_BUDGET, Semaphore::MAX_PERMITS);
        let (under_way, over) = watch::channel(());
        let fetcher = Fetcher {
            sources: live_sources.sources(),
            over,
            rows_budget: Arc::clone(&rows_budget),
            images_budget: Arc::new(Semaphore::new(images_budget)),
            images,
            outcomes,
            stats: Arc::clone(stats),
        };
        let (base, handle, until) = (base.to_owned(), live_sources.handle(), stop.clone());
        let reader = thread::Builder::new()
            .name("clipgauge-read".to_owned())
            .spawn(move || fetcher.read_all(table, known, &base, &handle, &until))
            .map_err(ScoreTableError::Threads)?;
        let stop = stop.clone();
        Ok(Self { reader, images: received, rows_budget, _under_way: under_way, live_sources, stop })
    }

    /// The rows whose images are here, in the order in which they arrived.
    pub(super) fn images(&self) -> Queue<Fetched> {
        self.images.clone()
    }

    /// Ends what is still under way, and says how reading went.
    pub(super) fn end(self) -> Result<(), ScoreTableError> {
        self.rows_budget.close();
        drop(self.live_sources);
        if self.stop.is_requested() && !self.reader.is_finished() {
            // It may be waiting for input that never comes. It holds nothing that anybody else needs.
            return Ok(());
        }
        self.reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// What the reading thread and its tasks share.
#[derive(Clone)]
struct Fetcher {
    sources: Arc<Sources>,
    /// Closed when the run is over.
    over: watch::Receiver<()>,
    rows_budget: Arc<Semaphore>,
    images_budget: Arc<Semaphore>,
    images: Feed<Fetched>,
    outcomes: Sender<Message>,
    stats: Arc<Stats>,
}

impl Fetcher {
    fn read_all(
        self,
        mut table: Box<dyn ReadTable>,
        mut known: KnownRows,
        base: &Path,
        runtime: &tokio::runtime::Handle,
        stop: &Stop,
    ) -> Result<(), ScoreTableError> {
        let mut index = 0;
        while !stop.is_requested() {
            let start = Instant::now();
            let Some(mut row) = table.read()? else { return known.end() };
            self.stats.stage(Stage::Read, 1, start.elapsed());
            let cost = kib(row.size()).clamp(ROW_COST, ROWS_BUDGET);
            let Ok(admitted) = runtime.block_on(admit(&self.rows_budget, cost)) else { break };
            let hash = known.hash(&row);
            let ticket = Ticket::new(index, hash, table.position(), admitted);
            let taken_over = known.of(index, &row, hash)?;
            index += 1;
            if let Some(Known { values, diagnostics }) = taken_over {
                self.report(Outcome { row, ticket, values, diagnostics, picture: None, is_taken_over: true });
                continue;
            }
            match wanted(&mut row, base) {
                Ok(Wanted::At(address)) => self.spawn(runtime, self.clone().fetch(row, address, ticket)),
                Ok(Wanted::Here(image)) => self.spawn(runtime, self.clone().take(row, image, ticket)),
                Err(error) => self.report(Outcome::failed(row, ticket, error)),
            }
        }
        Ok(())
    }

    /// Does it beside, unless the run is over first.
    fn spawn(&self, runtime: &tokio::runtime::Handle, work: impl Future<Output = ()> + Send + 'static) {
        let mut over = self.over.clone();
        // Within the other's future it would be there twice.
        let work = Box::pin(work);
        runtime.spawn(async move {
            tokio::select! {
                () = work => {}
                // Nothing is ever sent: it changes when the sender is dropped.
                _ = over.changed() => {}
            }
        });
    }

    async fn fetch(self, row: Row, address: Address, ticket: Ticket) {
        let start = Instant::now();
        // On its own, so that a row whose image is here and waits for its turn takes no room for fetching it.
        let fetched = or_panic(Box::pin(self.sources.fetch(&address))).await;
        let took = start.elapsed();
        self.stats.stage(Stage::Fetch, 1, took);
        let fetch_ms = Some(milliseconds(took));
        match fetched {
            Ok(fetched) => {
                let cost = kib(fetched.len()).min(LEAST_IMAGES_BUDGET);
                // Closed only when the run is over.
                let Ok(room) = acquire(&self.images_budget, cost).await else { return };
                let image = Picture::File(fetched.release());
                self.images.put(Fetched { row, ticket, image, fetch_ms, _room: room });
            }
            Err(error) => {
                let mut outcome = Outcome::failed(row, ticket, error);
                outcome.diagnostics.fetch_ms = fetch_ms;
                self.report(outcome);
            }
        }
    }

    /// Hands on an image that came with its row.
    async fn take(self, row: Row, image: Picture, ticket: Ticket) {
        let size = match &image {
            Picture::File(bytes) => match self.sources.check_size(bytes.len()) {
                Ok(()) => bytes.len(),
                Err(error) => return self.report(Outcome::failed(row, ticket, error)),
            },
            Picture::Pixels(pixels) => pixels.rgb().len(),
        };
        // Closed only when the run is over.
        let Ok(room) = acquire(&self.images_budget, kib(size).min(LEAST_IMAGES_BUDGET)).await else { return };
        self.images.put(Fetched { row, ticket, image, fetch_ms: None, _room: room });
    }

    fn report(&self, outcome: Outcome) {
        // Nobody receives any more when the run is over.
        let _ = self.outcomes.send(Message::Outcome(Box::new(outcome)));
    }
}

/// A row's image.
enum Wanted {
    At(Address),
    Here(Picture),
}

/// Where a row's image is, or why the row cannot be scored, which is known without fetching anything.
fn wanted(row: &mut Row, base: &Path) -> Result<Wanted, RowError> {
    if let Some(error) = row.error.take() {
        return Err(error);
    }
    let has_caption = row.caption.is_some();
    let no_caption = || RowError::new(RowErrorKind::NoCaption, "the row has no caption");
    match &mut row.image {
        Some(RowImage::Bytes { bytes, .. }) if has_caption => Ok(Wanted::Here(Picture::File(std::mem::take(bytes)))),
        Some(RowImage::Pixels(pixels)) if has_caption => Ok(Wanted::Here(Picture::Pixels(Arc::clone(pixels)))),
        Some(RowImage::Address(address)) if !address.trim().is_empty() && has_caption => {
            let base = row.origin.as_ref().map_or(base, |origin| &origin.base);
            Address::parse(address, base).map(Wanted::At)
        }
        Some(RowImage::Address(address)) if address.trim().is_empty() => Err(no_image()),
        Some(_) => Err(no_caption()),
        None => Err(no_image()),
    }
}

fn no_image() -> RowError {
    RowError::new(RowErrorKind::NoImage, "the row names no image")
}

/// A fetch that panics has met an address or an answer that nobody foresaw: that is its row's error. A row lost without
/// a word would hold up all that come after it.
async fn or_panic(fetch: impl Future<Output = Result<ImageBytes, RowError>>) -> Result<ImageBytes, RowError> {
    let mut fetch = std::pin::pin!(fetch);
    std::future::poll_fn(move |context| {
        panic::catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(context))).unwrap_or_else(|_| {
            Poll::Ready(Err(RowError::new(RowErrorKind::Network, "fetching the image made the program panic")))
        })
    })
    .await
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

/// Room for the next row. All that is under way ends without it, so that there is always a piece in the end.
async fn admit(budget: &Arc<Semaphore>, kib: usize) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
    if budget.available_permits() >= kib {
        return acquire(budget, kib).await;
    }
    let mut piece = acquire(budget, kib.max(ROWS_PIECE)).await?;
    Ok(piece.split(kib).expect("the piece is as large"))
}

async fn acquire(budget: &Arc<Semaphore>, kib: usize) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
    let permits = u32::try_from(kib).expect("budgets are far below 4 TiB");
    Arc::clone(budget).acquire_many_owned(permits).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fetch_that_panics_is_its_rows_error() {
        let panics = async {
            tokio::task::yield_now().await;
            panic!("nobody foresaw this")
        };
        let error = or_panic(panics).await.expect_err("no bytes");
        assert_eq!(error.kind, RowErrorKind::Network);
        let bytes = or_panic(async { Ok(ImageBytes::new(vec![1], None)) }).await.expect("bytes");
        assert_eq!(*bytes.release(), [1]);
    }
}
