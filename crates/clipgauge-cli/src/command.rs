//! What each subcommand does.

pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod embed;
pub(crate) mod man;
mod rows;
pub(crate) mod score;
