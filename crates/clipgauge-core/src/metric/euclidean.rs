//! `|i/|i| − t/|t||`: the straight distance between two points of the unit sphere.
//!
//! It is `√(2 − 2 cos)`, but computed from the differences. A vector of zeros is the middle of the sphere, 1 from all.

use super::{Compare, Entry, sums};

pub(super) const ENTRY: Entry = Entry {
    name: "euclidean",
    formula: "√ Σ (i/|i| − t/|t|)²",
    range: [0.0, 2.0],
    higher_is_better: false,
    description: "the distance between the normalised vectors, for tools that think in distances",
    comparer: |_| Ok(Box::new(Euclidean)),
};

struct Euclidean;

impl Compare for Euclidean {
    fn compare(&self, image: &[f32], text: &[f32]) -> f32 {
        sums::sum_of_differences(image, text, |difference| difference * difference).sqrt() as f32
    }

    fn higher_is_better(&self) -> bool {
        ENTRY.higher_is_better
    }
}
