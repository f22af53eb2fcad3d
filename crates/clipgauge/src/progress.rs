//! What a run tells while it works, to whoever shows it.

use crate::table::Position;

/// Takes what a run tells. Is called often and from several threads, so each call must be quick.
pub trait Progress: Send + Sync {
    /// So many rows are done, of which so many failed.
    fn rows(&self, done: u64, failed: u64);

    /// The input is read up to here, which is ahead of the rows that are done.
    fn input(&self, position: Position);

    /// So many bytes of a model's file are here, of so many where that is known. Called a last time with `done` equal to
    /// `total`.
    fn download(&self, file: &str, done: u64, total: Option<u64>);

    /// Something that a person should know at once, in one sentence.
    fn message(&self, text: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn rows(&self, _: u64, _: u64) {}
    fn input(&self, _: Position) {}
    fn download(&self, _: &str, _: u64, _: Option<u64>) {}
    fn message(&self, _: &str) {}
}
