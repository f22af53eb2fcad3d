//! `1 − arccos(cos(i, t)) / π`.
//!
//! Unlike the cosine it falls evenly with the angle, and one minus it is a metric in the mathematical sense.

use std::f64::consts::PI;

use super::{Compare, Entry, sums};

pub(super) const ENTRY: Entry = Entry {
    name: "angular",
    formula: "1 − arccos(cos(i, t)) / π",
    range: [0.0, 1.0],
    higher_is_better: true,
    description: "the cosine straightened out: even in the angle, from 0 to 1",
    comparer: |_| Ok(Box::new(Angular)),
};

struct Angular;

impl Compare for Angular {
    fn compare(&self, image: &[f32], text: &[f32]) -> f32 {
        (1.0 - sums::cosine(image, text).acos() / PI) as f32
    }

    fn higher_is_better(&self) -> bool {
        ENTRY.higher_is_better
    }
}
