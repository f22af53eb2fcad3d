//! Whether the threads of a run are to end before its last row: because somebody asked, or because it failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cancel::Cancel;

/// Shared by the threads of one run.
#[derive(Clone)]
pub(super) struct Stop {
    cancel: Cancel,
    failed: Arc<AtomicBool>,
}

impl Stop {
    pub(super) fn new(cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), failed: Arc::default() }
    }

    /// Ends the run because it cannot go on.
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
    }

    /// Whether the run is to end.
    pub(super) fn is_requested(&self) -> bool {
        self.is_cancelled() || self.failed.load(Ordering::SeqCst)
    }

    /// Whether somebody asked for the end.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_requested()
    }
}
