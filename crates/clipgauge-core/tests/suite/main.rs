//! The tests of clipgauge-core from outside, one binary.

mod backends;
mod descriptions;
mod encoders;
mod families;
mod folders;
mod golden;
mod images;
mod metrics;
mod tensors;
mod text;
mod weights;
