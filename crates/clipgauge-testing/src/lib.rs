//! Loopback servers that tests of fetching are held against: one that misbehaves as told, and a small model hub.
//!
//! They are plain threads over `std::net`: they need no runtime, and send bytes that no HTTP library would agree to.

#[cfg(feature = "http2")]
mod http2;
mod hub;
mod reply;
mod server;
#[cfg(feature = "s3")]
mod store;

#[cfg(feature = "http2")]
pub use http2::Http2Server;
pub use hub::Hub;
pub use reply::Reply;
pub use server::{Request, Server};
#[cfg(feature = "s3")]
pub use store::{PUBLIC, Store};
