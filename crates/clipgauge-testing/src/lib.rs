//! Loopback servers that tests of fetching are held against: one that misbehaves as told, and a small model hub.
//!
//! They are plain threads over `std::net`: they need no runtime, and send bytes that no HTTP library would agree to.

mod hub;
mod reply;
mod server;

pub use hub::Hub;
pub use reply::Reply;
pub use server::{Request, Server};
