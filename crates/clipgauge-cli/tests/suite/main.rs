//! The command as a user runs it: one folder, one command line, one expectation each.

mod bench;
mod buckets;
mod cache;
mod comparing;
mod documents;
mod embedding;
mod help;
mod http2;
mod hub;
#[cfg(unix)]
mod interrupts;
mod models;
mod outputs;
mod passthrough;
mod scoring;
mod typed;
mod usage;
mod web;
