//! The tries of one fetch: each takes a turn at its host, has what is left of the time, and is followed by another where
//! that may help.

use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::client::retry::Backoff;
use crate::row::RowError;
use crate::source::body::Body;
use crate::source::failure::Failure;
use crate::source::limits::{Limits, Manners, Sign};
use crate::source::{FetchOptions, ImageBytes};

/// What can be asked for, and asked for again.
pub(super) trait Request: Sync {
    /// The name of the host whose turn it takes.
    fn host(&self) -> &str;

    /// One request and its whole body, within the time that is left.
    fn send(&self, time: &mut TimeLeft) -> impl Future<Output = Result<Body, Failure>> + Send;
}

/// How fetches of one kind are tried.
#[derive(Debug)]
pub(super) struct Tries {
    limits: Limits,
    backoff: Backoff,
    timeout: Duration,
}

impl Tries {
    /// Tries of which each takes one of the `turns`.
    pub(super) fn new(options: &FetchOptions, turns: Arc<Semaphore>) -> Self {
        let manners = Manners {
            per_host: options.per_host,
            interval: options.per_host_interval,
            failures: options.host_failures,
            longest_pause: options.timeout,
        };
        Self {
            limits: Limits::new(turns, manners),
            backoff: Backoff { retries: options.retries, delay: options.retry_delay },
            timeout: options.timeout,
        }
    }

    /// Sends a request until it is answered with a whole body, or until that is not to be hoped for.
    pub(super) async fn fetch(&self, request: impl Request) -> Result<ImageBytes, RowError> {
        let mut time = TimeLeft(self.timeout);
        let mut failed = None;
        let mut retry = 0;
        loop {
            // Taken anew for each try: one that waits to be tried again keeps nobody else waiting.
            let turn = match self.limits.turn(request.host()).await {
                Ok(turn) => turn,
                // What this fetch has met itself says more than what others have.
                Err(down) => return Err(failed.unwrap_or(down)),
            };
            let failure = match request.send(&mut time).await {
                Ok(Body { bytes, room }) => {
                    let turn = turn.leave_host(Sign::Answered, "");
                    return Ok(ImageBytes::new(bytes, iter::once(turn).chain(room)));
                }
                Err(failure) => failure,
            };
            drop(turn.leave_host(failure.sign, &failure.error.message));
            let Some(wait) = self.backoff.wait(retry, failure.retry, time.0) else {
                return Err(failure.error);
            };
            tracing::debug!(host = request.host(), error = %failure.error, ?wait, "trying again");
            tokio::time::sleep(wait).await;
            time.0 = time.0.saturating_sub(wait);
            failed = Some(failure.error);
            retry += 1;
        }
    }
}

/// What is left of the time that a fetch may take. Only what the server is responsible for counts.
pub(super) struct TimeLeft(Duration);

impl TimeLeft {
    /// Does some work; `None` if the time is over before it is done.
    pub(super) async fn spend<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let start = Instant::now();
        let done = tokio::time::timeout(self.0, work).await;
        self.0 = self.0.saturating_sub(start.elapsed());
        done.ok()
    }
}
