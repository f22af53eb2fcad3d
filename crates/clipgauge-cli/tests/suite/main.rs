//! The command as a user runs it: one folder, one command line, one expectation each.

mod bench;
mod comparing;
mod documents;
mod embedding;
mod help;
mod hub;
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
mod scoring;
mod sharding;
mod slow_web;
mod typed;
mod usage;
mod web;
