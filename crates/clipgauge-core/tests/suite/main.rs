//! The tests of clipgauge-core from outside, one binary.

mod golden;
mod text;
mod weights;
