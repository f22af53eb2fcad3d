//! The tests of clipgauge-core from outside, one binary.

mod backends;
mod encoders;
mod golden;
mod images;
mod tensors;
mod text;
mod weights;
