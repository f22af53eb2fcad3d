//! What went wrong with one request: the row's error, whether trying again may help, and what it shows of the host. Each
//! source adds its own kinds. Messages name the host and never a whole URL: it is in the row, and may have a password in
//! it.

use std::time::Duration;

use crate::client::retry::Retry;
use crate::row::{RowError, RowErrorKind};
use crate::source::limits::Sign;

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: RowError,
    pub(super) retry: Retry,
    /// What it shows of the host that was asked.
    pub(super) sign: Sign,
}

impl Failure {
    pub(super) fn new(kind: RowErrorKind, retry: Retry, message: String) -> Self {
        Self { error: RowError::new(kind, message), retry, sign: Sign::Answered }
    }

    /// The time for the fetch is over. `sign` says whether the host had answered before.
    pub(super) fn of_time(host: &str, timeout: Duration, sign: Sign) -> Self {
        let message = format!("nothing whole from {host} within {timeout:?}");
        Self { sign, ..Self::new(RowErrorKind::Timeout, Retry::Never, message) }
    }

    /// The error holds whatever one tries.
    pub(super) fn for_good(error: RowError) -> Self {
        Self { error, retry: Retry::Never, sign: Sign::Answered }
    }
}
