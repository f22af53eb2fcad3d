//! How many of the pairs that wait one of several workers takes at once.

use std::num::NonZeroUsize;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The fewest that are taken where more may come. Smaller batches cost more for each pair, and more than these gain
/// little.
const LEAST: usize = 4;

/// The fewest that are taken of the last ones: the workers then end within so many pairs of each other.
const LEAST_AT_THE_END: usize = 2;

/// Of so many that wait, how many one of the workers takes: a batch, while there is one for each; else its equal part of
/// what is left, so that no worker ends long after the others.
pub(crate) fn share(waiting: usize, more_may_come: bool, batch: NonZeroUsize, workers: NonZeroUsize) -> usize {
    let least = if more_may_come { LEAST } else { LEAST_AT_THE_END };
    waiting.div_ceil(workers.get()).max(least).min(batch.get()).min(waiting)
}

/// Does the work for all items, a batch at a time on each of so many threads, and gives what came of each in their order.
/// Of several batches that fail, it is the first whose error is given.
pub(crate) fn in_batches<I: Sync, T: Send, E: Send>(
    items: &[I],
    batch_size: NonZeroUsize,
    threads: NonZeroUsize,
    work: impl Fn(&[I]) -> Result<Vec<T>, E> + Sync,
) -> Result<Vec<T>, E> {
    let (mut batches, mut left) = (Vec::new(), items);
    while let count @ 1.. = share(left.len(), false, batch_size, threads) {
        let (batch, rest) = left.split_at(count);
        batches.push(batch);
        left = rest;
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(batch) = batches.get(index)
        {
            done.push((index, work(batch)));
        }
        done
    };
    let workers = threads.get().min(batches.len());
    let mut done: Vec<_> = thread::scope(|scope| {
        let helpers: Vec<_> = (1..workers).map(|_| scope.spawn(worker)).collect();
        let own = worker();
        // A helper that panicked would leave holes in the result: its panic is ours.
        let joined = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|p| panic::resume_unwind(p)));
        own.into_iter().chain(joined.flatten()).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    let mut results = Vec::with_capacity(items.len());
    for (_, batch) in done {
        results.extend(batch?);
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pairs_are_divided_among_the_workers() {
        let cases: [(&str, usize, usize, usize, &[usize]); 7] = [
            ("two full batches, then equal parts", 51, 16, 2, &[16, 16, 10, 5, 2, 2]),
            ("one worker takes what there is", 35, 16, 1, &[16, 16, 3]),
            ("batches of one stay", 3, 1, 2, &[1, 1, 1]),
            ("more workers than pairs", 3, 16, 8, &[2, 1]),
            ("one pair", 1, 16, 2, &[1]),
            ("none", 0, 16, 2, &[]),
            ("batches beyond the table", 8, 100, 2, &[4, 2, 2]),
        ];
        for (name, pairs, batch, workers, expected) in cases {
            let [batch, workers] = [batch, workers].map(|count| NonZeroUsize::new(count).expect("is not zero"));
            let mut left = pairs;
            let mut taken = Vec::new();
            while left > 0 {
                taken.push(share(left, false, batch, workers));
                left -= taken[taken.len() - 1];
            }
            assert_eq!(taken, expected, "{name}");
        }
    }

    #[test]
    fn while_more_may_come_parts_are_not_too_small() {
        let [batch, workers] = [16, 4].map(|count| NonZeroUsize::new(count).expect("is not zero"));
        let taken = [1, 3, 5, 20, 64, 1000].map(|waiting| share(waiting, true, batch, workers));
        assert_eq!(taken, [1, 3, 4, 5, 16, 16]);
    }
}
