//! How well does each image match its caption?
//!
//! A table in, the same table with a `similarity` column out; or pairs in, scores out, with any encoder and any metric.

pub mod address;
pub mod atomic;
pub mod cancel;
mod client;
pub mod compare;
pub mod diagnostics;
pub mod disk_cache;
#[cfg(feature = "parquet")]
pub mod embed;
mod encoding;
pub mod errors_file;
pub mod file_identity;
pub mod filters;
pub mod fingerprint;
mod generations;
pub mod hub;
pub mod inputs;
pub mod journal;
pub mod loading;
mod members;
pub mod merge;
pub mod models;
pub mod objects;
pub mod options;
mod picture;
pub mod pipeline;
pub mod progress;
pub mod resume;
pub mod row;
pub mod save_images;
pub mod scorer;
pub mod shard;
mod share;
pub mod source;
pub mod stats;
mod stretch;
pub mod table;
mod vector_cache;
#[cfg(feature = "parquet")]
pub mod vectors;
mod waiting;

pub use clipgauge_core as core;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
