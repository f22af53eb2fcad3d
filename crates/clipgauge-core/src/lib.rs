//! Bytes in, numbers out: what an image–text model needs, from the bytes of a picture and the characters of a
//! caption to one number.
//!
//! The modules are the verbs of the work, in order: [`decode`], [`preprocess`], [`tokenize`], [`encoder`] (with one
//! file for each model family in [`family`]), [`metric`]. This crate opens no socket, knows no table and reads no
//! environment variable.

pub mod backend;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod decode;
pub mod embeddings;
pub mod encoder;
pub mod error;
pub mod family;
pub mod metric;
pub mod model_files;
pub mod pixels;
pub mod precision;
pub mod preprocess;
pub mod resize;
pub mod spec;
pub mod tokenize;
pub mod weights;
