//! Loopback servers that tests of fetching are held against.
//!
//! They are plain threads over `std::net`: they need no runtime, and send bytes that no HTTP library would agree to.

mod reply;
mod server;

pub use reply::Reply;
pub use server::{Request, Server};
