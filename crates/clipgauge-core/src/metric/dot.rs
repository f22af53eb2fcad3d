//! `i·t`, of the vectors as the encoder gives them.
//!
//! Their lengths count too, which no CLIP was trained for; vector databases that store raw vectors compare by it.

use super::{Compare, Entry, sums};

pub(super) const ENTRY: Entry = Entry {
    name: "dot",
    formula: "i·t",
    range: [f32::NEG_INFINITY, f32::INFINITY],
    higher_is_better: true,
    description: "the inner product of the raw vectors, whose lengths then count too",
    comparer: |_| Ok(Box::new(Dot)),
};

struct Dot;

impl Compare for Dot {
    fn compare(&self, image: &[f32], text: &[f32]) -> f32 {
        sums::dot(image, text) as f32
    }

    fn higher_is_better(&self) -> bool {
        ENTRY.higher_is_better
    }
}
