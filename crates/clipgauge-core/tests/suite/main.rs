//! The tests of clipgauge-core from outside, one binary.

mod golden;
mod metrics;
mod text;
mod weights;
