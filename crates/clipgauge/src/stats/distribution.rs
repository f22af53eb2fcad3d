//! The quantiles of a stream of numbers in bounded memory.
//!
//! Exact up to [`EXACT_LIMIT`] numbers (4 MiB). Beyond, numbers are counted in the 2^20 buckets (8 MiB) that the upper
//! 20 bits of an `f32` make: sign, exponent and 11 bits of the fraction, so that a quantile is off by at most 2^-12 of
//! its size. Unlike a t-digest or a reservoir, that has a bound for every quantile, does not depend on the order and can
//! be added up over shards.

/// How many numbers are kept as they are.
pub(super) const EXACT_LIMIT: usize = 1 << 20;

/// The bits of a number that a bucket forgets.
const FORGOTTEN_BITS: u32 = 12;

/// Counts, extremes and quantiles of finite numbers.
#[derive(Debug)]
pub(super) struct Distribution {
    count: u64,
    sum: f64,
    min: f32,
    max: f32,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    Exact(Vec<f32>),
    Buckets(Vec<u64>),
}

impl Default for Distribution {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, min: f32::INFINITY, max: f32::NEG_INFINITY, numbers: Numbers::Exact(Vec::new()) }
    }
}

impl Distribution {
    /// Adds a number. One that is not finite has no place among quantiles and is passed over.
    pub(super) fn add(&mut self, number: f32) {
        if !number.is_finite() {
            return;
        }
        self.count += 1;
        self.sum += f64::from(number);
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        match &mut self.numbers {
            Numbers::Exact(numbers) if numbers.len() < EXACT_LIMIT => numbers.push(number),
            Numbers::Exact(numbers) => {
                let mut buckets = vec![0; 1 << (u32::BITS - FORGOTTEN_BITS)];
                for &number in numbers.iter().chain([&number]) {
                    buckets[bucket(number)] += 1;
                }
                self.numbers = Numbers::Buckets(buckets);
            }
            Numbers::Buckets(buckets) => buckets[bucket(number)] += 1,
        }
    }

    pub(super) fn is_exact(&self) -> bool {
        matches!(self.numbers, Numbers::Exact(_))
    }

    /// The mean and extremes; `None` without a number.
    pub(super) fn mean_min_max(&self) -> Option<(f64, f32, f32)> {
        (self.count > 0).then(|| (self.sum / self.count as f64, self.min, self.max))
    }

    /// The quantiles at `parts` (each from 0 to 1), between two numbers by their distance, as numpy and pandas do.
    /// `None` without a number.
    pub(super) fn quantiles<const N: usize>(&self, parts: [f64; N]) -> Option<[f64; N]> {
        if self.count == 0 {
            return None;
        }
        let sorted = match &self.numbers {
            Numbers::Exact(numbers) => {
                let mut sorted = numbers.clone();
                sorted.sort_unstable_by(f32::total_cmp);
                Some(sorted)
            }
            Numbers::Buckets(_) => None,
        };
        let at = |rank: u64| match (&sorted, &self.numbers) {
            (Some(sorted), _) => f64::from(sorted[rank as usize]),
            (None, Numbers::Buckets(buckets)) => f64::from(self.in_buckets(buckets, rank)),
            (None, Numbers::Exact(_)) => f64::NAN,
        };
        Some(parts.map(|part| {
            let rank = part * (self.count - 1) as f64;
            let (below, above) = (at(rank.floor() as u64), at(rank.ceil() as u64));
            below + (above - below) * rank.fract()
        }))
    }

    fn in_buckets(&self, buckets: &[u64], rank: u64) -> f32 {
        let mut seen = 0;
        let found = buckets.iter().position(|count| {
            seen += count;
            seen > rank
        });
        found.map_or(self.max, middle).clamp(self.min, self.max)
    }
}

/// The bucket of a number; buckets are in the order of their numbers.
fn bucket(number: f32) -> usize {
    let bits = number.to_bits();
    // Negative numbers run backwards in their bits, and come first.
    let ordered = if number.is_sign_negative() { !bits } else { bits | 1 << 31 };
    (ordered >> FORGOTTEN_BITS) as usize
}

/// The number in the middle of a bucket.
fn middle(bucket: usize) -> f32 {
    let ordered = (bucket as u32) << FORGOTTEN_BITS | 1 << (FORGOTTEN_BITS - 1);
    f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(numbers: impl IntoIterator<Item = f32>) -> Distribution {
        let mut distribution = Distribution::default();
        numbers.into_iter().for_each(|number| distribution.add(number));
        distribution
    }

    #[test]
    fn few_numbers_are_exact_as_in_numpy() {
        // numpy.quantile([0.5, -1, 2, 0.25], [0.05, 0.25, 0.5, 0.75, 0.95])
        let distribution = of([0.5, -1.0, 2.0, 0.25]);
        let expected = [-0.8125, -0.0625, 0.375, 0.875, 1.775];
        let quantiles = distribution.quantiles([0.05, 0.25, 0.5, 0.75, 0.95]).expect("numbers");
        for (quantile, expected) in quantiles.into_iter().zip(expected) {
            assert!((quantile - expected).abs() < 1e-12, "{quantile} is not {expected}");
        }
        assert_eq!(distribution.mean_min_max(), Some((0.4375, -1.0, 2.0)));
        assert!(distribution.is_exact());
    }

    #[test]
    fn no_number_has_no_quantile() {
        let distribution = of([f32::NAN, f32::INFINITY]);
        assert_eq!(distribution.quantiles([0.5]), None);
        assert_eq!(distribution.mean_min_max(), None);
    }

    #[test]
    fn many_numbers_are_within_the_bound() {
        let count = EXACT_LIMIT + 1000;
        // Every number from -0.5 to 0.5 once, in a scattered order.
        let number = |at: usize| (at * 7919 % count) as f32 / (count - 1) as f32 - 0.5;
        let distribution = of((0..count).map(number));
        assert!(!distribution.is_exact());
        for part in [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0] {
            let [quantile] = distribution.quantiles([part]).expect("numbers");
            let expected = part - 0.5;
            let bound = expected.abs() / 4096.0 + 2.0 / count as f64;
            assert!((quantile - expected).abs() <= bound, "{part}: {quantile} is not {expected}");
        }
    }

    proptest! {
        #[test]
        fn buckets_are_in_order_and_near_their_numbers(a in -1e30_f32..1e30, b in -1e30_f32..1e30) {
            prop_assert_eq!(a.total_cmp(&b).is_lt() && bucket(a) > bucket(b), false);
            prop_assert!((middle(bucket(a)) - a).abs() <= a.abs() / 4096.0 + f32::MIN_POSITIVE);
        }
    }
}
