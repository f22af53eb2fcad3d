//! Objects in the buckets of object stores: what names them, and the clients that reach them. Pictures are fetched by
//! [`source::object`](crate::source), tables are found by `list`, read by `table` and `ranged`, and written by `upload`.

#[cfg(feature = "object-store")]
mod aws_profile;
#[cfg(feature = "object-store")]
mod client;
#[cfg(feature = "object-store")]
mod list;
#[cfg(all(feature = "object-store", feature = "parquet"))]
mod ranged;
#[cfg(feature = "object-store")]
mod service;
#[cfg(feature = "object-store")]
mod stores;
#[cfg(feature = "object-store")]
mod table;
#[cfg(feature = "object-store")]
mod upload;
mod url;

#[cfg(feature = "object-store")]
pub(crate) use list::list;
#[cfg(all(feature = "object-store", feature = "parquet"))]
pub(crate) use ranged::RangedObject;
#[cfg(feature = "object-store")]
pub(crate) use service::Answer;
#[cfg(feature = "object-store")]
pub(crate) use stores::{AskError, StoreSettings, Stores};
#[cfg(feature = "object-store")]
pub(crate) use table::{ObjectTable, TableStores};
#[cfg(feature = "object-store")]
pub(crate) use upload::Upload;
pub use url::{ObjectService, ObjectUrl, ObjectUrlError};

/// How object stores are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectOptions {
    /// Whether requests go without a signature, whatever credentials there are. Without this, they do so if there are
    /// none.
    pub anonymous: bool,
}
