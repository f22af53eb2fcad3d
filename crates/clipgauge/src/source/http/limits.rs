//! Turns at the network: so many requests to one host, so many in all. A request first waits for its host and only then
//! takes one of the turns that all share, so that a slow host cannot hold them while its own requests queue up. A host
//! that is down gives no turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::row::{RowError, RowErrorKind};
use crate::source::http::health::Health;

/// The most hosts that are known at once besides those in use; beyond it, what is known of them is learnt anew.
const MAX_REMEMBERED: usize = 1 << 14;

/// The limits of requests under way.
#[derive(Debug)]
pub(super) struct Limits {
    overall: Arc<Semaphore>,
    per_host: usize,
    host_failures: u32,
    /// Only hosts that somebody uses or waits for and those that are in trouble, so that it stays small however many
    /// hosts a table names.
    hosts: Mutex<HashMap<String, Arc<Known>>>,
}

/// What is known of a host.
#[derive(Debug)]
struct Known {
    turns: Arc<Semaphore>,
    health: Mutex<Health>,
}

/// What a request showed of the host that it went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answers, whatever it said.
    Answered,
    /// It does not.
    Silent,
}

impl Limits {
    /// So many requests for a host at once; and so many failures in a row until it is down, 0 for never.
    pub(super) fn new(overall: Arc<Semaphore>, per_host: usize, host_failures: u32) -> Self {
        Self { overall, per_host: per_host.min(Semaphore::MAX_PERMITS), host_failures, hosts: Mutex::default() }
    }

    /// Waits for a turn at the host and port of `url`. It lasts until it is dropped. Fails when the host is down.
    pub(super) async fn turn(&self, url: &Url) -> Result<Turn<'_>, RowError> {
        let host = self.host(url);
        host.check()?;
        let at_host = acquire(&host.known.turns).await;
        // It may have gone down meanwhile, which nobody has to wait for a turn to be told.
        host.check()?;
        let overall = acquire(&self.overall).await;
        let began = Instant::now();
        if !host.known.health().may_be_asked(began) {
            return Err(host.down());
        }
        Ok(Turn { overall, _at_host: at_host, host, began })
    }

    fn host(&self, url: &Url) -> Host<'_> {
        let port = url.port_or_known_default().unwrap_or_default();
        let name = format!("{}:{port}", url.host_str().unwrap_or_default());
        let mut hosts = self.lock();
        let known = hosts.entry(name.clone()).or_insert_with(|| Arc::new(Known::new(self.per_host)));
        let known = Arc::clone(known);
        Host { limits: self, name, known }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Known>>> {
        // No panic can leave the map half-changed.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn new(per_host: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(per_host)), health: Mutex::default() }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is like a host that nobody has asked yet.
    fn is_as_new(&self) -> bool {
        self.health().is_good()
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
    host: Host<'a>,
    began: Instant,
}

impl Turn<'_> {
    /// Lets the host be asked by others, and keeps the turn that all hosts share. What the request showed of the host
    /// is remembered; `message` says what failed, if something did.
    pub(super) fn leave_host(self, sign: Sign, message: &str) -> OwnedSemaphorePermit {
        let now = Instant::now();
        let mut health = self.host.known.health();
        match sign {
            Sign::Answered => health.answered(now),
            Sign::Silent => health.failed(self.began, now, self.host.limits.host_failures, message),
        }
        drop(health);
        self.overall
    }
}

/// A host in use. When the last one that uses it is dropped, waiting or not, it is forgotten if it is well.
#[derive(Debug)]
struct Host<'a> {
    limits: &'a Limits,
    name: String,
    known: Arc<Known>,
}

impl Host<'_> {
    fn check(&self) -> Result<(), RowError> {
        if self.known.health().is_down(Instant::now()) { Err(self.down()) } else { Ok(()) }
    }

    fn down(&self) -> RowError {
        RowError::new(RowErrorKind::HostDown, self.known.health().reason())
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        let mut hosts = self.limits.lock();
        // The map's own and this one: the lock keeps others from taking one meanwhile.
        if Arc::strong_count(&self.known) == 2 {
            if self.known.is_as_new() {
                hosts.remove(&self.name);
            } else if hosts.len() > MAX_REMEMBERED {
                hosts.retain(|_, known| Arc::strong_count(known) > 1);
            }
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
        let limits = Limits::new(Arc::new(Semaphore::new(3)), 2, 0);
        let [slow, other] = ["http://slow.example/", "http://other.example:80/"].map(|url| Url::parse(url).unwrap());

        let first = limits.turn(&slow).await.unwrap();
        let second = limits.turn(&slow).await.unwrap();
        assert!(!is_ready(limits.turn(&slow)), "two at once to one host");
        assert!(is_ready(limits.turn(&other)), "those that wait for a host take no overall turn");

        let third = limits.turn(&other).await.unwrap();
        assert!(!is_ready(limits.turn(&other)), "three in all");
        drop(first);
        assert!(is_ready(limits.turn(&slow)));
        assert_eq!(limits.lock().len(), 2);

        drop((second, third));
        assert!(limits.lock().is_empty(), "{limits:?}");
        assert_eq!(limits.overall.available_permits(), 3);
    }

    #[tokio::test]
    async fn hosts_in_trouble_are_remembered_up_to_a_limit() {
        let limits = Limits::new(Arc::new(Semaphore::new(3)), 2, 10);
        let url = |number: usize| Url::parse(&format!("http://{number}.example/")).unwrap();
        let in_use = limits.turn(&url(0)).await.unwrap();
        for number in 0..3 * MAX_REMEMBERED {
            drop(limits.turn(&url(number)).await.unwrap().leave_host(Sign::Silent, "refused"));
            assert!(limits.lock().len() <= MAX_REMEMBERED + 1, "{number}");
        }
        assert!(limits.lock().contains_key("0.example:80"), "it is in use");
        assert!(!limits.lock().get("0.example:80").unwrap().health().is_good());
        drop(in_use.leave_host(Sign::Answered, ""));
        assert!(!limits.lock().contains_key("0.example:80"), "it is well, and nobody uses it");
    }
}
