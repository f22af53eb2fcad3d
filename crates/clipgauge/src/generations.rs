//! A memory of bounded size that forgets what was not asked for lately.
//!
//! There are two generations: what is put in or asked for is in the recent one, and when that has half of the budget, it
//! becomes the older one, and what the older one had is forgotten.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// Values by their keys, the ones that were asked for last.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    /// With what each costs.
    recent: HashMap<K, (V, usize)>,
    recent_cost: usize,
    older: HashMap<K, (V, usize)>,
    budget: usize,
}

impl<K: Copy + Eq + Hash, V: Clone> Generations<K, V> {
    /// An empty memory in which all values together cost no more than this.
    pub(crate) fn new(budget: usize) -> Self {
        Self { recent: HashMap::new(), recent_cost: 0, older: HashMap::new(), budget }
    }

    /// The value of a key, if it is still here.
    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.recent.get(key) {
            return Some(value.clone());
        }
        let (value, cost) = self.older.remove(key)?;
        self.put(*key, value.clone(), cost);
        Some(value)
    }

    /// Keeps a value, unless it alone would take more than half of the budget.
    pub(crate) fn put(&mut self, key: K, value: V, cost: usize) {
        if cost > self.budget / 2 {
            return;
        }
        if self.recent_cost + cost > self.budget / 2 {
            self.older = mem::take(&mut self.recent);
            self.recent_cost = 0;
        }
        if let Some((_, before)) = self.recent.insert(key, (value, cost)) {
            self.recent_cost -= before;
        }
        self.recent_cost += cost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_bounded_and_what_is_asked_for_stays() {
        let mut memory = Generations::new(200);
        for number in 0..1000 {
            memory.put(number, -number, 10);
            assert_eq!(memory.get(&0), Some(0), "asked for again and again: {number}");
        }
        assert_eq!(memory.get(&999), Some(-999));
        assert_eq!(memory.get(&900), None);
        assert!(memory.recent.len() + memory.older.len() <= 20);
    }

    #[test]
    fn putting_the_same_again_takes_no_more() {
        let mut memory = Generations::new(1000);
        (0..100).for_each(|cost| memory.put(1, "one", cost));
        assert_eq!(memory.recent_cost, 99);
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_drives_nothing_out() {
        let mut memory = Generations::new(100);
        memory.put(1, "small", 50);
        memory.put(2, "large", 51);
        assert_eq!((memory.get(&1), memory.get(&2)), (Some("small"), None));
    }
}
