//! What each subcommand does.

pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod embed;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod models;
mod rows;
pub(crate) mod score;
