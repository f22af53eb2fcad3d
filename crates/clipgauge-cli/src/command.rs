//! What each subcommand does.

pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod man;
pub(crate) mod score;
