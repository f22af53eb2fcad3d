//! The crate's tests from outside, one module per concern.

mod backends;
mod encoders;
mod golden;
