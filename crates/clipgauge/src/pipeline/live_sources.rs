//! What fetches images: the sources, and the threads that drive their fetches. A run of its own makes one; what runs again
//! and again keeps one, so that connections stay open and a host that is down is known.

use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};

use super::ScoreTableError;
use crate::source::{FetchOptions, Sources};

/// Threads that drive the fetches. They wait nearly all the time; one keeps up with thousands of fetches a second.
const FETCH_THREADS: usize = 2;

/// Sources with their threads, which end with the last clone.
#[derive(Clone)]
pub(crate) struct LiveSources {
    sources: Arc<Sources>,
    threads: Arc<Threads>,
}

impl LiveSources {
    /// Sets the sources up, and starts the threads.
    pub(crate) fn new(options: &FetchOptions) -> Result<Self, ScoreTableError> {
        let sources = Sources::new(options.clone())?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(FETCH_THREADS)
            .thread_name("clipgauge-fetch")
            .enable_all()
            .build()
            .map_err(ScoreTableError::Threads)?;
        let threads = Threads { handle: runtime.handle().clone(), runtime: Some(runtime) };
        Ok(Self { sources: Arc::new(sources), threads: Arc::new(threads) })
    }

    /// The same for another run, which has to see its images as they are then.
    pub(crate) fn anew(&self) -> Self {
        Self { sources: Arc::new(self.sources.anew()), threads: Arc::clone(&self.threads) }
    }

    pub(super) fn sources(&self) -> Arc<Sources> {
        Arc::clone(&self.sources)
    }

    pub(super) fn handle(&self) -> Handle {
        self.threads.handle.clone()
    }
}

struct Threads {
    handle: Handle,
    /// Until it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A file system that hangs must not keep anything from ending.
            runtime.shutdown_background();
        }
    }
}
