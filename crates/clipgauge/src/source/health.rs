//! Whether a host answers at all: a circuit breaker. A host that failed often enough in a row, over long enough, is
//! down: it is not asked any more but for a probe now and then, whose answer brings it back.

use std::time::{Duration, Instant};

/// How long a host has to be in trouble before it can be down. A server that restarts must not cost all the rows of a
/// table that come to it in that second; the retries of those that failed mostly last longer.
const SHORTEST_OUTAGE: Duration = Duration::from_secs(3);

/// How long after a failure a host that is down is asked once more.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// What is known of a host.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Failures since the last answer.
    failures: u32,
    /// Since when it may have been in trouble: the beginning of the first of these requests, or the last answer.
    since: Option<Instant>,
    /// What the last failure was, for people to read.
    last: String,
    last_answer: Option<Instant>,
    /// When it is asked the next time; `None` unless it is down.
    next_probe: Option<Instant>,
}

impl Health {
    /// Whether it is down, and no probe is due.
    pub(super) fn is_down(&self, now: Instant) -> bool {
        self.next_probe.is_some_and(|at| now < at)
    }

    /// Whether it may be asked. If it is down, that is the probe, and the next one is only after a while.
    pub(super) fn may_be_asked(&mut self, now: Instant) -> bool {
        if self.is_down(now) {
            return false;
        }
        if let Some(at) = &mut self.next_probe {
            *at = now + PROBE_INTERVAL;
        }
        true
    }

    /// It has answered, whatever it said.
    pub(super) fn answered(&mut self, now: Instant) {
        *self = Self { last_answer: Some(now), ..Self::default() };
    }

    /// A request that began then has failed without an answer. So many in a row make the host be down; 0: none do.
    pub(super) fn failed(&mut self, began: Instant, now: Instant, limit: u32, message: &str) {
        let since = *self.since.get_or_insert(self.last_answer.map_or(began, |answer| answer.max(began)));
        self.failures = self.failures.saturating_add(1);
        message.clone_into(&mut self.last);
        if limit > 0 && self.failures >= limit && now.saturating_duration_since(since) >= SHORTEST_OUTAGE {
            self.next_probe = Some(now + PROBE_INTERVAL);
        }
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_good(&self) -> bool {
        self.failures == 0
    }

    /// Why it is not asked.
    pub(super) fn reason(&self) -> String {
        format!("not asked any more after {} failures in a row, the last of them: {}", self.failures, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 3;

    /// Fails at each of these times, in milliseconds, by requests that took `took`.
    fn failing(start: Instant, times: &[u64], took: u64) -> Health {
        let mut health = Health::default();
        for time in times {
            let began = start + Duration::from_millis(time - took);
            health.failed(began, start + Duration::from_millis(*time), LIMIT, "refused");
        }
        health
    }

    #[test]
    fn a_host_is_down_after_enough_failures_over_long_enough() {
        let start = Instant::now();
        let cases: [(&str, &[u64], u64, bool); 6] = [
            ("too few", &[0, 4000], 0, false),
            ("enough", &[0, 1, 4000], 0, true),
            ("too quick", &[0, 1, 2, 3, 4, 5, 6], 0, false),
            ("just long enough", &[0, 1, 2, 3000], 0, true),
            ("time-outs at one moment", &[5000, 5000, 5000], 5000, true),
            ("short time-outs at one moment", &[1000, 1000, 1000, 1000], 1000, false),
        ];
        for (name, times, took, expected) in cases {
            let health = failing(start, times, took);
            let last = start + Duration::from_millis(*times.last().unwrap());
            assert_eq!(health.is_down(last), expected, "{name}");
            assert!(!health.is_good(), "{name}");
        }
        let mut never = Health::default();
        (0..100).for_each(|second| never.failed(start, start + Duration::from_secs(second), 0, "refused"));
        assert!(!never.is_down(start + Duration::from_secs(100)), "a limit of 0");
    }

    #[test]
    fn an_answer_begins_the_count_anew() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut health = failing(start, &[0, 4000], 0);
        health.answered(at(5));
        assert!(health.is_good());
        for second in [6, 6, 7] {
            // They began before the answer, which shows that the host was well then.
            health.failed(start, at(second), LIMIT, "stalled");
        }
        assert!(!health.is_down(at(7)));
        health.failed(at(7), at(8), LIMIT, "stalled");
        assert!(health.is_down(at(8)));
        assert!(
            health.reason().contains("after 4 failures in a row, the last of them: stalled"),
            "{}",
            health.reason()
        );
    }

    #[test]
    fn a_host_that_is_down_is_asked_now_and_then_and_comes_back() {
        let start = Instant::now();
        let mut health = failing(start, &[0, 1, 4000], 0);
        let at = |millis| start + Duration::from_secs(4) + Duration::from_millis(millis);
        assert!(!health.may_be_asked(at(9_999)));
        assert!(health.may_be_asked(at(10_000)), "a probe");
        assert!(!health.may_be_asked(at(10_001)), "one only");
        health.failed(at(10_000), at(10_002), LIMIT, "refused");
        assert!(!health.may_be_asked(at(20_000)));
        assert!(health.may_be_asked(at(20_002)), "the next one");
        health.answered(at(20_010));
        assert!(health.may_be_asked(at(20_011)) && health.may_be_asked(at(20_012)));
        assert!(health.is_good());
    }
}
