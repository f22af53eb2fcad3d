//! A request to end a run early and cleanly, from another thread or a signal handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How often one that waits for the request looks whether it is there. A signal handler can wake nobody.
const TICK: Duration = Duration::from_millis(50);

/// Why a run is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Cause {
    /// A person asked (ctrl-C, `SIGINT`).
    Interrupt = 1,
    /// The system or a scheduler asked (`SIGTERM`).
    Terminate = 2,
}

/// Whether a run is to end; clones share the request.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    cause: Arc<AtomicUsize>,
}

impl Cancel {
    /// Nothing requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to end. The first cause is the one that is remembered.
    pub fn request(&self, cause: Cause) {
        // Failing means that another request was there first.
        let _ = self.cause.compare_exchange(0, cause as usize, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Whether the run is to end.
    pub fn is_requested(&self) -> bool {
        self.cause().is_some()
    }

    /// Why the run is to end; `None` if it is not.
    pub fn cause(&self) -> Option<Cause> {
        match self.cause.load(Ordering::SeqCst) {
            0 => None,
            cause if cause == Cause::Interrupt as usize => Some(Cause::Interrupt),
            _ => Some(Cause::Terminate),
        }
    }

    /// Waits until the run is to end. Must be called within a Tokio runtime with a clock.
    pub(crate) async fn requested(&self) {
        while !self.is_requested() {
            tokio::time::sleep(TICK).await;
        }
    }

    /// The number behind it, for a signal handler that may do no more than store: 0, or a [`Cause`] `as usize`.
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_stays_and_clones_share_it() {
        let cancel = Cancel::new();
        let clone = cancel.clone();
        assert_eq!(clone.cause(), None);
        cancel.request(Cause::Terminate);
        cancel.request(Cause::Interrupt);
        assert_eq!(clone.cause(), Some(Cause::Terminate));
    }
}
