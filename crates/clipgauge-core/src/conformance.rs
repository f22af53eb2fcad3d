//! What every implementation must do, as functions that any can be put through: a backend, a metric, an encoder.
//!
//! They panic with what is wrong, and are meant to be called from tests.

mod backend;
mod encoder;

pub use backend::backend;
pub use encoder::encoder;
