//! `Σ |i/|i| − t/|t||`: the distance between two points of the unit sphere along the axes.
//!
//! At most `2 √width`; a vector of zeros is the middle of the sphere.

use super::{Compare, Entry, sums};

pub(super) const ENTRY: Entry = Entry {
    name: "manhattan",
    formula: "Σ |i/|i| − t/|t||",
    range: [0.0, f32::INFINITY],
    higher_is_better: false,
    description: "the sum of the differences of the normalised vectors, less ruled by a few large ones",
    comparer: |_| Ok(Box::new(Manhattan)),
};

struct Manhattan;

impl Compare for Manhattan {
    fn compare(&self, image: &[f32], text: &[f32]) -> f32 {
        sums::sum_of_differences(image, text, f64::abs) as f32
    }

    fn higher_is_better(&self) -> bool {
        ENTRY.higher_is_better
    }
}
