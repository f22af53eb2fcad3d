//! Turns at the network: so many requests to one host, so many in all. A request first waits for its host and only then
//! takes one of the turns that all share, so that a slow host cannot hold them while its own requests queue up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

/// The limits of requests under way.
#[derive(Debug)]
pub(super) struct Limits {
    overall: Arc<Semaphore>,
    per_host: usize,
    /// Only hosts that somebody uses or waits for, so that it stays small however many hosts a table names.
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Limits {
    pub(super) fn new(overall: Arc<Semaphore>, per_host: usize) -> Self {
        Self { overall, per_host: per_host.min(Semaphore::MAX_PERMITS), hosts: Mutex::default() }
    }

    /// Waits for a turn at the host and port of `url`. It lasts until it is dropped.
    pub(super) async fn turn(&self, url: &Url) -> Turn<'_> {
        let host = self.host(url);
        let host_permit = acquire(&host.turns).await;
        let overall_permit = acquire(&self.overall).await;
        Turn { overall: overall_permit, _at_host: host_permit, _host: host }
    }

    fn host(&self, url: &Url) -> Host<'_> {
        let port = url.port_or_known_default().unwrap_or_default();
        let name = format!("{}:{port}", url.host_str().unwrap_or_default());
        let mut hosts = self.lock();
        let turns = hosts.entry(name.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.per_host)));
        let turns = Arc::clone(turns);
        Host { limits: self, name, turns }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        // No panic can leave the map half-changed.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquire(turns: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(turns).acquire_owned().await.expect("the semaphore is never closed")
}

/// The right to one request.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    // Dropped in this order: the host may be forgotten only after its permit has gone back.
    overall: OwnedSemaphorePermit,
    _at_host: OwnedSemaphorePermit,
    _host: Host<'a>,
}

impl Turn<'_> {
    /// Lets the host be asked by others, and keeps the turn that all hosts share.
    pub(super) fn leave_host(self) -> OwnedSemaphorePermit {
        self.overall
    }
}

/// A host in use. Forgets it when the last one that uses it is dropped, waiting or not.
#[derive(Debug)]
struct Host<'a> {
    limits: &'a Limits,
    name: String,
    turns: Arc<Semaphore>,
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        let mut hosts = self.limits.lock();
        // The map's own and this one: the lock keeps others from taking one meanwhile.
        if Arc::strong_count(&self.turns) == 2 {
            hosts.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_ready<T>(future: impl Future<Output = T>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn one_host_leaves_turns_for_others_and_is_forgotten() {
        let limits = Limits::new(Arc::new(Semaphore::new(3)), 2);
        let [slow, other] = ["http://slow.example/", "http://other.example:80/"].map(|url| Url::parse(url).unwrap());

        let first = limits.turn(&slow).await;
        let second = limits.turn(&slow).await;
        assert!(!is_ready(limits.turn(&slow)), "two at once to one host");
        assert!(is_ready(limits.turn(&other)), "those that wait for a host take no overall turn");

        let third = limits.turn(&other).await;
        assert!(!is_ready(limits.turn(&other)), "three in all");
        drop(first);
        assert!(is_ready(limits.turn(&slow)));
        assert_eq!(limits.lock().len(), 2);

        drop((second, third));
        assert!(limits.lock().is_empty(), "{limits:?}");
        assert_eq!(limits.overall.available_permits(), 3);
    }
}
