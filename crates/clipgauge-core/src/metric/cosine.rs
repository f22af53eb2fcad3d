//! `cos(i, t) = i·t / (|i| |t|)`.
//!
//! What CLIP compares by (Radford et al. 2021, figure 3); 0 where a vector is all zeros.

use super::{Compare, Entry, sums};

pub(super) const ENTRY: Entry = Entry {
    name: "cosine",
    formula: "i·t / (|i| |t|)",
    range: [-1.0, 1.0],
    higher_is_better: true,
    description: "how closely the vectors point the same way: what CLIP models compare by",
    comparer: |_| Ok(Box::new(Cosine)),
};

struct Cosine;

impl Compare for Cosine {
    fn compare(&self, image: &[f32], text: &[f32]) -> f32 {
        sums::cosine(image, text) as f32
    }

    fn higher_is_better(&self) -> bool {
        ENTRY.higher_is_better
    }
}
