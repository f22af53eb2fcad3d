//! What can go wrong with a request on the web.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use url::Url;

use crate::client::cause;
use crate::client::retry::{self, Retry};
use crate::row::RowErrorKind;
use crate::source::failure::Failure;
use crate::source::http::redirect::RedirectError;
use crate::source::limits::Sign;

impl Failure {
    /// No answer came. `url` is the one asked for at first.
    pub(super) fn of_request(error: &reqwest::Error, url: &Url, connect_timeout: Duration) -> Self {
        if let Some(redirect) = cause::find::<RedirectError>(error) {
            let message = format!("{} {redirect}", host(url));
            return Self::new(RowErrorKind::HttpStatus, Retry::Never, message);
        }
        let failed = error.url().unwrap_or(url);
        // A host that sends its clients on to one that fails has answered.
        let sign = if is_same_host(failed, url) { Sign::Silent } else { Sign::Answered };
        let host = host(failed);
        if error.is_timeout() {
            let message = format!("no connection to {host} within {connect_timeout:?}");
            return Self { sign, ..Self::new(RowErrorKind::Timeout, Retry::Soon, message) };
        }
        let what = if error.is_connect() { "no connection to" } else { "no answer from" };
        let retry = if cause::is_untrusted(error) || error.is_builder() { Retry::Never } else { Retry::Soon };
        let message = format!("{what} {host}: {}", cause::root(error));
        Self { sign, ..Self::new(RowErrorKind::Network, retry, message) }
    }

    /// The answer has a status without a picture. `url` is the one asked for at first.
    pub(super) fn of_status(response: &Response, url: &Url) -> Self {
        let status = response.status();
        let wish = retry::wish(response.headers());
        let sign = match wish {
            Some(pause) if is_pause(status) && is_same_host(response.url(), url) => Sign::Busy(pause),
            _ => Sign::Answered,
        };
        let kind = match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => RowErrorKind::NotFound,
            _ => RowErrorKind::HttpStatus,
        };
        // The client follows what it can, and hands over redirects to nowhere or to what is no URL of the web.
        let lack = if status.is_redirection() { ", without a web address to go to" } else { "" };
        let message = format!("{} answers {status}{lack}", host(response.url()));
        Self { sign, ..Self::new(kind, Retry::of_status(status, wish), message) }
    }

    /// The server asks by this directive not to use the picture.
    pub(super) fn of_opt_out(url: &Url, directive: &str) -> Self {
        let message = format!(
            "{} asks with `X-Robots-Tag: {directive}` not to use the picture (--ignore-opt-outs uses it all the same)",
            host(url)
        );
        Self::new(RowErrorKind::OptedOut, Retry::Never, message)
    }

    /// The body ended before it was whole.
    pub(super) fn of_transfer(error: &reqwest::Error, url: &Url, received: usize) -> Self {
        let message =
            format!("the transfer from {} broke off after {received} bytes: {}", host(url), cause::root(error));
        Self::new(RowErrorKind::Network, Retry::Soon, message)
    }
}

/// The host of a URL for a person, with its port if it is not the scheme's own.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("`{host}:{port}`"),
        None => format!("`{host}`"),
    }
}

/// Whether two URLs have the same host and port.
fn is_same_host(first: &Url, second: &Url) -> bool {
    let host = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
    host(first) == host(second)
}

/// Whether a status speaks of the host as a whole: with `Retry-After`, it wants to be left alone for a while.
fn is_pause(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}
