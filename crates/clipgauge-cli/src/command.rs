//! What each subcommand does.

pub(crate) mod completions;
pub(crate) mod man;
pub(crate) mod models;
pub(crate) mod score;
