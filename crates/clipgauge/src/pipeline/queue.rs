//! Where what one stage has done waits for the threads of the next, which take several at once.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::share::share;

/// The end where things are put in. When all its clones are gone, nothing more will come.
pub(super) struct Feed<T>(Arc<Shared<T>>);

/// The end where they are taken out.
pub(super) struct Queue<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    feeds: usize,
}

/// What one finds who wants to take something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken<T> {
    /// At least one, in the order in which they were put in.
    Some(Vec<T>),
    /// Nothing, so far.
    NoneYet,
    /// Nothing, and nothing will come.
    NoMore,
}

/// An empty queue.
pub(super) fn queue<T>() -> (Feed<T>, Queue<T>) {
    let state = Mutex::new(State { waiting: VecDeque::new(), feeds: 1 });
    let shared = Arc::new(Shared { state, changed: Condvar::new() });
    (Feed(Arc::clone(&shared)), Queue(shared))
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Poisoned means that another thread panicked; what the lock guards is whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Feed<T> {
    /// Puts something in.
    pub(super) fn put(&self, thing: T) {
        self.0.lock().waiting.push_back(thing);
        self.0.changed.notify_one();
    }
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        self.0.lock().feeds += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.feeds -= 1;
        if state.feeds == 0 {
            drop(state);
            self.0.changed.notify_all();
        }
    }
}

impl<T> Queue<T> {
    /// Takes what is one's [`share`] as one of so many workers; waits so long for something to come.
    pub(super) fn take(&self, batch: NonZeroUsize, workers: NonZeroUsize, patience: Duration) -> Taken<T> {
        let is_idle = |state: &mut State<T>| state.waiting.is_empty() && state.feeds > 0;
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), patience, is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match share(state.waiting.len(), state.feeds > 0, batch, workers) {
            0 if state.feeds > 0 => Taken::NoneYet,
            0 => Taken::NoMore,
            count => Taken::Some(state.waiting.drain(..count).collect()),
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const BATCH: NonZeroUsize = NonZeroUsize::new(16).expect("is not zero");
    const WORKERS: NonZeroUsize = NonZeroUsize::new(2).expect("is not zero");

    #[test]
    fn what_is_put_in_comes_out_in_its_order_and_then_nothing() {
        let (feed, queue) = queue();
        assert_eq!(queue.take(BATCH, WORKERS, Duration::ZERO), Taken::NoneYet);
        let other = feed.clone();
        (0..10).for_each(|thing| feed.put(thing));
        drop(feed);
        assert_eq!(queue.take(BATCH, WORKERS, Duration::ZERO), Taken::Some((0..5).collect()));
        assert_eq!(queue.take(BATCH, WORKERS, Duration::ZERO), Taken::Some((5..9).collect()), "more may come");
        other.put(10);
        drop(other);
        assert_eq!(queue.take(BATCH, WORKERS, Duration::ZERO), Taken::Some(vec![9, 10]), "the last ones");
        assert_eq!(queue.take(BATCH, WORKERS, Duration::ZERO), Taken::NoMore);
    }

    #[test]
    fn every_worker_wakes_for_what_comes_and_for_the_end() {
        let (feed, queue) = queue();
        let worker = || {
            let queue = queue.clone();
            thread::spawn(move || {
                let mut taken = Vec::new();
                loop {
                    match queue.take(BATCH, WORKERS, Duration::from_secs(60)) {
                        Taken::Some(things) => taken.extend(things),
                        Taken::NoneYet => panic!("nothing for a minute"),
                        Taken::NoMore => return taken,
                    }
                }
            })
        };
        let workers = [worker(), worker()];
        (0..1000).for_each(|thing| feed.put(thing));
        drop(feed);
        let mut taken: Vec<i32> = workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect();
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..1000));
    }
}
