//! When to try again: exponential back-off with full jitter, or what the server says in `Retry-After` (RFC 9110,
//! section 10.2.3).

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest wait between two tries that is not the server's wish.
const MAX_DELAY: Duration = Duration::from_secs(20);

/// Whether a failure may pass, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// The same would happen again.
    Never,
    /// After a while.
    Soon,
    /// After as long as the server asks for.
    After(Duration),
}

impl Retry {
    /// What an answer with this status means, and the wait that it asks for.
    pub(crate) fn of_status(status: StatusCode, wish: Option<Duration>) -> Self {
        let passes =
            status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        match wish {
            _ if !passes => Self::Never,
            Some(delay) => Self::After(delay),
            None => Self::Soon,
        }
    }
}

/// How often and how fast to try again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// How many retries there are at most.
    pub(crate) retries: u32,
    /// The longest wait before the first one.
    pub(crate) delay: Duration,
}

impl Backoff {
    /// How long to wait before retry number `retry` (from 0); `None` when there shall be none, or when the wait would
    /// take all of the time `left`.
    pub(crate) fn wait(&self, retry: u32, wish: Retry, left: Duration) -> Option<Duration> {
        if retry >= self.retries {
            return None;
        }
        let wait = match wish {
            Retry::Never => return None,
            Retry::Soon => {
                let most = self.delay.saturating_mul(2u32.saturating_pow(retry)).min(MAX_DELAY);
                most.mul_f64(fastrand::f64())
            }
            Retry::After(wait) => wait,
        };
        (wait < left).then_some(wait)
    }
}

/// The wait that a server asks for.
pub(crate) fn wish(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers, SystemTime::now())
}

/// The wait as of a certain time: a number of seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date that has passed means now.
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn answers() {
        let now = SystemTime::now();
        let in_an_hour = httpdate::fmt_http_date(now + LONG);
        let cases = [
            ("not found", 404, None, Retry::Never),
            ("not found, with a wish", 404, Some("1"), Retry::Never),
            ("too many", 429, None, Retry::Soon),
            ("too many, seconds", 429, Some(" 7 "), Retry::After(Duration::from_secs(7))),
            (
                "unavailable, a date of the past",
                503,
                Some("Sun, 06 Nov 1994 08:49:37 GMT"),
                Retry::After(Duration::ZERO),
            ),
            ("unavailable, nonsense", 503, Some("soon"), Retry::Soon),
            ("unavailable, a negative number", 503, Some("-1"), Retry::Soon),
            ("request timeout", 408, None, Retry::Soon),
            ("server error", 500, None, Retry::Soon),
        ];
        for (name, status, wish, expected) in cases {
            let headers: HeaderMap = wish.map(|wish| (RETRY_AFTER, wish.parse().unwrap())).into_iter().collect();
            assert_eq!(
                Retry::of_status(StatusCode::from_u16(status).unwrap(), super::wish(&headers)),
                expected,
                "{name}"
            );
        }
        let headers = HeaderMap::from_iter([(RETRY_AFTER, in_an_hour.parse().unwrap())]);
        let wait = retry_after(&headers, now).unwrap();
        assert!(wait <= LONG && wait + Duration::from_secs(2) > LONG, "{wait:?}");
    }

    #[test]
    fn waits_grow_within_their_bounds_and_end() {
        let backoff = Backoff { retries: 40, delay: Duration::from_millis(100) };
        for retry in 0..40 {
            let most = Duration::from_millis(100).saturating_mul(2u32.saturating_pow(retry)).min(MAX_DELAY);
            for _ in 0..20 {
                assert!(backoff.wait(retry, Retry::Soon, LONG).unwrap() <= most);
            }
        }
        assert_eq!(backoff.wait(40, Retry::Soon, LONG), None);
        assert_eq!(backoff.wait(0, Retry::Never, LONG), None);
        let second = Duration::from_secs(1);
        assert_eq!(backoff.wait(0, Retry::After(second), LONG), Some(second));
        assert_eq!(backoff.wait(0, Retry::After(second), second), None, "no time would be left for the try itself");
    }
}
