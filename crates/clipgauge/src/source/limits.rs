//! Turns at the network: so many requests to one host (or bucket), so many in all. A request first waits for its host and only then
//! takes one of the turns that all share, so that a slow host cannot hold them while its own requests queue up. A host
//! that is down gives no turns, and one that asks for a pause none before its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::row::{RowError, RowErrorKind};
use crate::source::health::Health;

/// The most hosts that are known at once besides those in use; beyond it, what is known of them is learnt anew.
const MAX_REMEMBERED: usize = 1 << 14;

/// The limits of requests under way.
#[derive(Debug)]
pub(super) struct Limits {
    overall: Arc<Semaphore>,
    manners: Manners,
    /// Only hosts that somebody uses or waits for and those of which there is something to remember, so that it stays small however many
    /// hosts a table names.
    hosts: Mutex<HashMap<String, Arc<Known>>>,
}

/// How hosts are treated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    /// The most requests for a host at once.
    pub(super) per_host: usize,
    /// The least time between the beginnings of two requests for a host.
    pub(super) interval: Duration,
    /// After how many failures in a row it is down; 0 for never.
    pub(super) failures: u32,
    /// The longest pause that a host gets which asks for one. One that asks for more fails.
    pub(super) longest_pause: Duration,
}

/// What is known of a host.
#[derive(Debug)]
struct Known {
    turns: Arc<Semaphore>,
    health: Mutex<Health>,
    /// Held by the one whose request is the next, if there is to be time between requests.
    line: tokio::sync::Mutex<()>,
    /// When the next request may be made.
    opens: Mutex<Option<Instant>>,
}

/// What a request showed of the host that it went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answers, whatever it said.
    Answered,
    /// It does not.
    Silent,
    /// It answers that it wants no requests for so long.
    Busy(Duration),
}

impl Limits {
    pub(super) fn new(overall: Arc<Semaphore>, manners: Manners) -> Self {
        let per_host = manners.per_host.min(Semaphore::MAX_PERMITS);
        Self { overall, manners: Manners { per_host, ..manners }, hosts: Mutex::default() }
    }

    /// Waits for a turn at the host of this name. It lasts until it is dropped. Fails when the host is down.
    pub(super) async fn turn(&self, host: &str) -> Result<Turn<'_>, RowError> {
        let host = self.host(host);
        host.check()?;
        let at_host = acquire(&host.known.turns).await;
        let interval = self.manners.interval;
        let next_in_line = if interval.is_zero() { None } else { Some(host.known.line.lock().await) };
        let overall = loop {
            // It may have gone down meanwhile, which nobody has to wait for a turn to be told.
            host.check()?;
            if let Some(at) = host.known.opens_at() {
                // Without an overall turn: others can use it meanwhile.
                tokio::time::sleep_until(at.into()).await;
                continue;
            }
            let overall = acquire(&self.overall).await;
            // The host may have asked for a pause meanwhile.
            if host.known.opens_at().is_none() {
                break overall;
            }
        };
        let began = Instant::now();
        if !host.known.health().may_be_asked(began) {
            return Err(host.down());
        }
        if !interval.is_zero() {
            host.known.close(began, interval);
        }
        drop(next_in_line);
        Ok(Turn { overall, _at_host: at_host, host, began })
    }

    fn host(&self, name: &str) -> Host<'_> {
        let mut hosts = self.lock();
        let known = hosts.entry(name.to_owned()).or_insert_with(|| Arc::new(Known::new(self.manners.per_host)));
        let known = Arc::clone(known);
        Host { limits: self, name: name.to_owned(), known }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Known>>> {
        // No panic can leave the map half-changed.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn new(per_host: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(per_host)),
            health: Mutex::default(),
            line: tokio::sync::Mutex::default(),
            opens: Mutex::default(),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next request may be made; `None` for now.
    fn opens_at(&self) -> Option<Instant> {
        self.opens.lock().unwrap_or_else(PoisonError::into_inner).filter(|at| *at > Instant::now())
    }

    /// Lets nobody make a request until then.
    fn close(&self, from: Instant, length: Duration) {
        let mut opens = self.opens.lock().unwrap_or_else(PoisonError::into_inner);
        // `None` comes before every time; it is also a length that no clock can count to.
        *opens = (*opens).max(from.checked_add(length));
    }

    /// Whether it is like a host that nobody has asked yet.
    fn is_as_new(&self) -> bool {
        self.health().is_good() && self.opens_at().is_none()
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
        let (known, manners) = (&self.host.known, self.host.limits.manners);
        match sign {
            Sign::Answered => known.health().answered(now),
            Sign::Busy(pause) if pause <= manners.longest_pause => {
                known.health().answered(now);
                known.close(now, pause);
            }
            // It would be asked again and again in vain.
            Sign::Busy(_) | Sign::Silent => known.health().failed(self.began, now, manners.failures, message),
        }
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

    const MANNERS: Manners =
        Manners { per_host: 2, interval: Duration::ZERO, failures: 10, longest_pause: Duration::from_secs(30) };

    fn is_ready<T>(future: impl Future<Output = T>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn one_host_leaves_turns_for_others_and_is_forgotten() {
        let limits = Limits::new(Arc::new(Semaphore::new(3)), MANNERS);
        let [slow, other] = ["slow.example:80", "other.example:80"];

        let first = limits.turn(slow).await.unwrap();
        let second = limits.turn(slow).await.unwrap();
        assert!(!is_ready(limits.turn(slow)), "two at once to one host");
        assert!(is_ready(limits.turn(other)), "those that wait for a host take no overall turn");

        let third = limits.turn(other).await.unwrap();
        assert!(!is_ready(limits.turn(other)), "three in all");
        drop(first);
        assert!(is_ready(limits.turn(slow)));
        assert_eq!(limits.lock().len(), 2);

        drop((second, third));
        assert!(limits.lock().is_empty(), "{limits:?}");
        assert_eq!(limits.overall.available_permits(), 3);
    }

    #[tokio::test]
    async fn hosts_in_trouble_are_remembered_up_to_a_limit() {
        let limits = Limits::new(Arc::new(Semaphore::new(3)), MANNERS);
        let host = |number: usize| format!("{number}.example:80");
        let in_use = limits.turn(&host(0)).await.unwrap();
        for number in 0..3 * MAX_REMEMBERED {
            drop(limits.turn(&host(number)).await.unwrap().leave_host(Sign::Silent, "refused"));
            assert!(limits.lock().len() <= MAX_REMEMBERED + 1, "{number}");
        }
        assert!(limits.lock().contains_key("0.example:80"), "it is in use");
        assert!(!limits.lock().get("0.example:80").unwrap().health().is_good());
        drop(in_use.leave_host(Sign::Answered, ""));
        assert!(!limits.lock().contains_key("0.example:80"), "it is well, and nobody uses it");
    }

    #[tokio::test]
    async fn a_host_that_is_busy_is_left_alone_and_others_are_not() {
        let limits = Limits::new(Arc::new(Semaphore::new(3)), MANNERS);
        let [busy, other] = ["busy.example:80", "other.example:80"];
        let pause = Duration::from_millis(300);
        let start = Instant::now();
        drop(limits.turn(busy).await.unwrap().leave_host(Sign::Busy(pause), ""));
        assert!(!is_ready(limits.turn(busy)));
        assert!(is_ready(limits.turn(other)));
        assert_eq!(limits.overall.available_permits(), 3, "those that wait for the pause to end hold no turn");
        drop(limits.turn(busy).await.unwrap());
        assert!(start.elapsed() >= pause);

        let too_long = MANNERS.longest_pause + Duration::from_secs(1);
        drop(limits.turn(busy).await.unwrap().leave_host(Sign::Busy(too_long), ""));
        assert!(is_ready(limits.turn(busy)), "that would be as good as down");
    }
}
