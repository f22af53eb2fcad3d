//! The command as a user runs it: one folder, one command line, one expectation each.

mod bench;
mod buckets;
mod cache;
mod comparing;
mod crossings;
mod diagnostics;
mod documents;
mod embedding;
mod filters;
mod help;
mod http2;
mod hub;
mod inputs;
#[cfg(unix)]
mod interrupts;
#[cfg(unix)]
mod killing;
mod models;
mod outputs;
mod passthrough;
#[cfg(unix)]
mod resuming;
mod retrying;
mod saving;
mod scoring;
mod sharding;
mod slow_web;
mod tables;
mod typed;
mod usage;
mod web;
mod webdataset;
