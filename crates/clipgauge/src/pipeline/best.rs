//! Which of many scores are the best: known only when the last one is, exact, and in memory that does not grow.
//!
//! Scores are counted by the upper half of their bits as they come. When all are known, that tells in which of 65,536
//! classes the last of the best ones is; a second look at the scores of that class alone tells which one it is. This is
//! the selection by digits that a radix sort makes, with two digits of 16 bits.

/// How many bits a digit has.
const DIGIT: u32 = 16;

/// Counts scores, so that the best of them can be told.
pub(super) struct Scores {
    higher_is_better: bool,
    /// By the upper digit of the rank.
    counts: Vec<u64>,
    count: u64,
}

impl Scores {
    pub(super) fn new(higher_is_better: bool) -> Self {
        Self { higher_is_better, counts: no_counts(), count: 0 }
    }

    /// Counts a score. One that is no number is never among the best.
    pub(super) fn add(&mut self, score: f32) {
        if let Some(rank) = rank(score, self.higher_is_better) {
            self.counts[upper(rank)] += 1;
            self.count += 1;
        }
    }

    /// What tells the best part from the rest: of so many scores the nearest whole number, halves up, but at least one.
    /// `again` gives the same scores once more.
    pub(super) fn best<E>(&self, fraction: f64, again: impl Iterator<Item = Result<f32, E>>) -> Result<Best, E> {
        let wanted = ((self.count as f64 * fraction).round() as u64).clamp(self.count.min(1), self.count);
        let (class, above) = class_of(&self.counts, wanted);
        let wanted = wanted - above;
        let mut counts = no_counts();
        for score in again {
            if let Some(rank) = rank(score?, self.higher_is_better)
                && upper(rank) == class
            {
                counts[lower(rank)] += 1;
            }
        }
        let (place, above) = class_of(&counts, wanted);
        let last = (class as u32) << DIGIT | place as u32;
        Ok(Best { higher_is_better: self.higher_is_better, last, equals: wanted - above })
    }
}

/// Tells the best scores from the rest.
pub(super) struct Best {
    higher_is_better: bool,
    /// The rank of the last of them.
    last: u32,
    /// How many of this rank are still to be taken.
    equals: u64,
}

impl Best {
    /// Whether a score is one of the best. Of equal ones the first are, so that all have to be shown in their order.
    pub(super) fn takes(&mut self, score: f32) -> bool {
        match rank(score, self.higher_is_better) {
            Some(rank) if rank == self.last => {
                let is_taken = self.equals > 0;
                self.equals -= u64::from(is_taken);
                is_taken
            }
            Some(rank) => rank > self.last,
            None => false,
        }
    }
}

/// The place of a score among all 32-bit numbers, the better the higher. Zeros are equal whatever their sign.
fn rank(score: f32, higher_is_better: bool) -> Option<u32> {
    if score.is_nan() {
        return None;
    }
    let bits = (score + 0.0).to_bits();
    // Negative numbers run backwards in their bits, and come first.
    let rank = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    Some(if higher_is_better { rank } else { !rank })
}

fn upper(rank: u32) -> usize {
    (rank >> DIGIT) as usize
}

fn lower(rank: u32) -> usize {
    (rank & ((1 << DIGIT) - 1)) as usize
}

fn no_counts() -> Vec<u64> {
    vec![0; 1 << DIGIT]
}

/// The class in which the `wanted`th is, counted from the highest class down, and how many are in those above it.
fn class_of(counts: &[u64], wanted: u64) -> (usize, u64) {
    let mut above = 0;
    for (class, count) in counts.iter().enumerate().rev() {
        if above + count >= wanted {
            return (class, above);
        }
        above += count;
    }
    (0, above)
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn chosen(scores: &[f32], fraction: f64, higher_is_better: bool) -> Vec<usize> {
        let mut counted = Scores::new(higher_is_better);
        scores.iter().for_each(|score| counted.add(*score));
        let mut best =
            counted.best(fraction, scores.iter().map(|score| Ok::<_, Infallible>(*score))).expect("no error");
        (0..scores.len()).filter(|index| best.takes(scores[*index])).collect()
    }

    /// The same with a sort: the best first, equal ones by their order.
    fn sorted(scores: &[f32], fraction: f64, higher_is_better: bool) -> Vec<usize> {
        let mut order: Vec<usize> = (0..scores.len()).filter(|index| !scores[*index].is_nan()).collect();
        // As it compares numbers, zeros are equal.
        let compare = |a: usize, b: usize| scores[a].partial_cmp(&scores[b]).expect("numbers");
        order.sort_by(|a, b| if higher_is_better { compare(*b, *a) } else { compare(*a, *b) });
        let wanted = (order.len() as f64 * fraction + 0.5).floor() as usize;
        order.truncate(wanted.max(1));
        order.sort_unstable();
        order
    }

    /// Scores among which some are equal, and some nearly so.
    fn score() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => -1.0_f32..1.0,
            4 => (0_u32..20).prop_map(|number| number as f32 / 20.0 - 0.5),
            4 => (0_u32..200).prop_map(|number| f32::from_bits(0.25_f32.to_bits() + number)),
            1 => prop::sample::select(vec![0.0, -0.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
            1 => any::<f32>(),
        ]
    }

    proptest! {
        #[test]
        fn the_best_are_those_of_a_sort(
            scores in prop::collection::vec(score(), 0..300),
            fraction in prop_oneof![0.001_f64..=1.0, prop::sample::select(vec![0.1, 0.25, 0.5, 1.0])],
            higher_is_better: bool,
        ) {
            let expected = sorted(&scores, fraction, higher_is_better);
            prop_assert_eq!(chosen(&scores, fraction, higher_is_better), expected);
        }
    }

    #[test]
    fn parts_are_rounded_and_the_first_of_equals_are_taken() {
        let equal = [0.5; 10];
        for (fraction, expected) in [(0.14, 1), (0.15, 2), (0.5, 5), (0.95, 10), (1.0, 10), (1e-9, 1)] {
            assert_eq!(chosen(&equal, fraction, true), (0..expected).collect::<Vec<_>>(), "{fraction}");
        }
        assert_eq!(chosen(&[], 0.5, true), [0; 0]);
        assert_eq!(chosen(&[f32::NAN], 1.0, true), [0; 0]);
        assert_eq!(chosen(&[0.1, 0.3, 0.2, 0.3], 0.5, true), [1, 3]);
        assert_eq!(chosen(&[0.1, 0.3, 0.2, 0.3], 0.5, false), [0, 2]);
    }

    #[test]
    fn many_scores_take_no_more_memory_and_are_exact() {
        // Every number once, in a scattered order.
        const COUNT: usize = 100_003;
        let scores: Vec<f32> = (0..COUNT).map(|at| (at * 7919 % COUNT) as f32).collect();
        let best = chosen(&scores, 0.01, true);
        let mut found: Vec<usize> = best.iter().map(|index| scores[*index] as usize).collect();
        found.sort_by_key(|number| Reverse(*number));
        assert_eq!(found, (COUNT - 1000..COUNT).rev().collect::<Vec<_>>());
    }
}
