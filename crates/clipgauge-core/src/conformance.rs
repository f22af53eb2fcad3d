//! What every implementation of this crate's traits must do, as functions that a test calls with its own.
//!
//! They are for whoever brings a metric, an encoder or a backend of their own as much as for those that have a name
//! here. Each panics with the rule that was broken. The module is there with the feature `conformance`.

mod backend;
mod encoder;
mod metric;

pub use backend::{backend, backend_within};
pub use encoder::encoder;
pub use metric::metric;
