//! Which redirects are followed: so many, and only to web addresses. The client itself keeps `Authorization` and
//! `Cookie` headers from going to another host.

use reqwest::redirect::{Action, Attempt, Policy};

/// The most redirects that are followed for one picture.
const MAX_REDIRECTS: usize = 10;

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RedirectError {
    #[error("redirects in a loop")]
    Loop,
    #[error("redirects more than {MAX_REDIRECTS} times")]
    TooMany,
    #[error("redirects to a `{scheme}:` address")]
    Scheme { scheme: String },
}

/// The policy of the client.
pub(super) fn policy() -> Policy {
    Policy::custom(decide)
}

fn decide(attempt: Attempt<'_>) -> Action {
    let scheme = attempt.url().scheme();
    if !matches!(scheme, "http" | "https") {
        let scheme = scheme.to_owned();
        return attempt.error(RedirectError::Scheme { scheme });
    }
    // The first of the previous URLs is the one asked for. A URL that comes back is no loop yet: some servers send one
    // to the same place until they are ready.
    if attempt.previous().len() <= MAX_REDIRECTS {
        return attempt.follow();
    }
    let was_there = attempt.previous().contains(attempt.url());
    attempt.error(if was_there { RedirectError::Loop } else { RedirectError::TooMany })
}
