//! The rows of a table that a run takes, chosen by their places before anything is known of them.

use crate::filters::{Filters, Sample};
use crate::options::ScoreOptions;
use crate::row::Row;
use crate::table::{self, Position, ReadTable, TableError};

/// Gives only the chosen rows of `table`.
///
/// # Errors
///
/// The table cannot be read to its end where its rows have to be counted first.
pub(super) fn select(table: Box<dyn ReadTable>, options: &ScoreOptions) -> Result<Box<dyn ReadTable>, TableError> {
    let Filters { limit, sample, .. } = options.filters;
    if limit.is_none() && sample.is_none() {
        return Ok(table);
    }
    let limit = limit.map(|limit| limit.get() as u64);
    let draw = match sample {
        Some(sample) => {
            let total = match table.total_rows() {
                Some(total) => limit.map_or(total, |limit| limit.min(total)),
                None => count(options, limit)?,
            };
            Some(Draw::new(sample, total))
        }
        None => None,
    };
    Ok(Box::new(Selected { table, name: options.input.to_string(), limit, draw, read: 0, taken: 0 }))
}

/// How many rows there are, up to `limit`, by reading them.
fn count(options: &ScoreOptions, limit: Option<u64>) -> Result<u64, TableError> {
    tracing::info!(input = %options.input, "counting the rows");
    let mut table = table::open(options)?.reader;
    let mut count = 0;
    while limit.is_none_or(|limit| count < limit) && table.read()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// A table of which only some rows are given.
struct Selected {
    table: Box<dyn ReadTable>,
    name: String,
    limit: Option<u64>,
    draw: Option<Draw>,
    /// The rows that were read.
    read: u64,
    /// Those of them that were given.
    taken: u64,
}

impl ReadTable for Selected {
    fn read(&mut self) -> Result<Option<Row>, TableError> {
        loop {
            // What comes after the last chosen row is not waited for.
            let is_over = self.limit.is_some_and(|limit| self.read == limit)
                || self.draw.as_ref().is_some_and(|draw| draw.is_over());
            if is_over {
                return Ok(None);
            }
            let Some(row) = self.table.read()? else {
                return match &self.draw {
                    // Of another number of rows, each would not have been as likely as any other.
                    Some(_) => Err(TableError::Changed { name: self.name.clone() }),
                    None => Ok(None),
                };
            };
            self.read += 1;
            if self.draw.as_mut().is_none_or(Draw::takes_next) {
                self.taken += 1;
                return Ok(Some(row));
            }
        }
    }

    fn position(&self) -> Position {
        let Position { bytes_read, mut total_bytes, .. } = self.table.position();
        if let (Some(limit), Some(total), 1..) = (self.limit, total_bytes, self.read) {
            // Reading ends about where so many rows as long as those so far end.
            let end = u128::from(bytes_read) * u128::from(limit) / u128::from(self.read);
            total_bytes = Some(total.min(u64::try_from(end).unwrap_or(total)));
        }
        Position { rows: self.taken, bytes_read, total_bytes }
    }
}

/// Rows drawn at random as they come: selection sampling, algorithm S of Knuth's The Art of Computer Programming 3.4.2.
///
/// It needs to know how many rows there are, and then only two numbers; each set of rows is as likely as any other, and
/// it is exactly as large as wanted.
struct Draw {
    dice: Dice,
    /// The rows that are still to come.
    left: u64,
    /// Those of them that are to be taken.
    wanted: u64,
}

impl Draw {
    fn new(sample: Sample, total: u64) -> Self {
        let wanted = (sample.rows.get() as u64).min(total);
        Self { dice: Dice::new(sample.seed), left: total, wanted }
    }

    fn is_over(&self) -> bool {
        self.wanted == 0
    }

    /// Whether the next row is one of those that are taken.
    fn takes_next(&mut self) -> bool {
        let is_taken = self.left > 0 && self.dice.below(self.left) < self.wanted;
        self.left = self.left.saturating_sub(1);
        self.wanted -= u64::from(is_taken);
        is_taken
    }
}

/// Numbers at random that are the same for a seed for ever: BLAKE3's output for it. Those of a library for random numbers
/// may be others in its next version.
struct Dice(blake3::OutputReader);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("clipgauge --sample --seed");
        hasher.update(&seed.to_le_bytes());
        Self(hasher.finalize_xof())
    }

    /// A number below `bound`, which is not 0, each as likely as any other.
    fn below(&mut self, bound: u64) -> u64 {
        // The numbers of a last, incomplete round would make some more likely.
        let whole = u64::MAX - u64::MAX % bound;
        loop {
            let mut bytes = [0; 8];
            self.0.fill(&mut bytes);
            let number = u64::from_le_bytes(bytes);
            if number < whole {
                return number % bound;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;

    fn drawn(rows: usize, seed: u64, total: u64) -> Vec<u64> {
        let mut draw = Draw::new(Sample { rows: NonZeroUsize::new(rows).expect("not zero"), seed }, total);
        let taken = (0..total).filter(|_| draw.takes_next()).collect();
        assert!(draw.is_over());
        taken
    }

    proptest! {
        #[test]
        fn exactly_so_many_are_drawn_and_again_the_same(rows in 1_usize..300, seed: u64, total in 0_u64..300) {
            let taken = drawn(rows, seed, total);
            prop_assert_eq!(taken.len() as u64, (rows as u64).min(total));
            prop_assert_eq!(drawn(rows, seed, total), taken);
        }
    }

    #[test]
    fn every_row_is_as_likely_as_any_other() {
        const ROWS: usize = 3;
        const TOTAL: u64 = 10;
        const SEEDS: u64 = 20_000;
        let mut counts = [0_u32; TOTAL as usize];
        let mut pairs = [0_u32; 2];
        for seed in 0..SEEDS {
            let taken = drawn(ROWS, seed, TOTAL);
            taken.iter().for_each(|row| counts[*row as usize] += 1);
            pairs[0] += u32::from(taken.contains(&0) && taken.contains(&1));
            pairs[1] += u32::from(taken.contains(&4) && taken.contains(&9));
        }
        // Five standard deviations of a binomial distribution.
        let bound = |chance: f64| 5.0 * (SEEDS as f64 * chance * (1.0 - chance)).sqrt();
        let near = |count: u32, chance: f64| (f64::from(count) - SEEDS as f64 * chance).abs() < bound(chance);
        assert!(counts.iter().all(|count| near(*count, 0.3)), "{counts:?}");
        assert!(pairs.iter().all(|count| near(*count, 3.0 / 10.0 * 2.0 / 9.0)), "{pairs:?}");
    }

    #[test]
    fn a_seed_draws_the_same_rows_for_ever() {
        // From the Python package `blake3`:
        // blake3((7).to_bytes(8, 'little'), derive_key_context='clipgauge --sample --seed').digest(32)
        let mut dice = Dice::new(7);
        let numbers = [0; 4].map(|_| dice.below(u64::MAX));
        let expected = [8494144915849712027, 4301880023561276360, 11334580797484872966, 13659465539267602772];
        assert_eq!(numbers, expected);
        // And with these numbers, algorithm S by hand.
        assert_eq!(drawn(5, 7, 20), [1, 5, 8, 11, 18]);
        assert_eq!(drawn(9, 0, 24), [1, 2, 4, 10, 11, 14, 15, 17, 19]);
    }
}
