//! `100 · max(cos(i, t), 0)`.
//!
//! CLIPScore (Hessel et al. 2021, section 3), which multiplies with 2.5 where torchmetrics and most code since has 100.

use super::{Compare, Entry, sums};

pub(super) const ENTRY: Entry = Entry {
    name: "clipscore",
    formula: "100 · max(cos(i, t), 0)",
    range: [0.0, 100.0],
    higher_is_better: true,
    description: "CLIPScore as torchmetrics gives it: 40 times the paper's",
    comparer: |_| Ok(Box::new(ClipScore)),
};

struct ClipScore;

impl Compare for ClipScore {
    fn compare(&self, image: &[f32], text: &[f32]) -> f32 {
        let cosine = sums::cosine(image, text);
        // Not `max`, which would give 0 for vectors that hold no numbers.
        if cosine < 0.0 { 0.0 } else { (100.0 * cosine) as f32 }
    }

    fn higher_is_better(&self) -> bool {
        ENTRY.higher_is_better
    }
}
