//! How requests fare in the active zone, and whether they fare worse than before. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::health::report::Share;
use crate::outcome::Tally;

/// How far back "before the drill" reaches.
pub(super) const BASELINE: Duration = Duration::from_secs(60);
/// How far back "now" reaches.
pub(super) const LATELY: Duration = Duration::from_secs(10);
/// Fewer failures prove nothing: one client's nonsense must not end a drill.
const ENOUGH: u64 = 5;
/// What fails beyond twice the share of before.
const TOLERANCE: f64 = 0.05;

/// Requests and failures of the last minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic(VecDeque<(Instant, Tally)>);

impl Traffic {
    /// Adds what has ended since the last tally of one backend.
    pub(super) fn add(&mut self, tally: Tally, now: Instant) {
        while self.0.front().is_some_and(|(at, _)| *at + BASELINE <= now) {
            self.0.pop_front();
        }
        match self.0.back_mut() {
            // A second of one backend after the other.
            Some((at, last)) if *at + Duration::from_secs(1) > now => {
                last.requests = last.requests.saturating_add(tally.requests);
                last.failures = last.failures.saturating_add(tally.failures);
            }
            _ => self.0.push_back((now, tally)),
        }
    }

    /// All of the last `window`.
    pub(super) fn within(&self, window: Duration, now: Instant) -> Share {
        let recent = self.0.iter().filter(|(at, _)| *at + window > now);
        recent.fold(Share::default(), |sum, (_, tally)| Share {
            requests: sum.requests + u64::from(tally.requests),
            failures: sum.failures + u64::from(tally.failures),
        })
    }
}

/// Whether requests fail clearly more often than before: more than twice the share of before plus five in a hundred, and at least
/// five of them. Twice, since the share of a bad day moves by itself; plus five, since twice nothing is nothing.
pub(super) fn has_risen(before: Share, lately: Share) -> bool {
    lately.failures >= ENOUGH && share(lately) > share(before) * 2.0 + TOLERANCE
}

#[expect(clippy::cast_precision_loss, reason = "a rough share")]
fn share(of: Share) -> f64 {
    if of.requests == 0 {
        return 0.0;
    }
    of.failures as f64 / of.requests as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;

    #[test]
    fn errors_have_risen_when_a_clearly_larger_share_fails() {
        let of = |failures, requests| Share { requests, failures };
        for (before, lately, risen) in [
            (of(0, 0), of(0, 0), false),
            (of(0, 1000), of(4, 4), false),
            (of(0, 1000), of(5, 5), true),
            (of(0, 1000), of(5, 100), false),
            (of(0, 1000), of(6, 100), true),
            (of(10, 100), of(25, 100), false),
            (of(10, 100), of(26, 100), true),
            (of(50, 100), of(100, 100), false),
            (of(0, 0), of(10, 100), true),
        ] {
            assert_eq!(has_risen(before, lately), risen, "{before} / {lately}");
        }
    }

    #[test]
    fn only_the_last_minute_is_remembered() {
        let start = Moment::some().instant;
        let mut traffic = Traffic::default();
        for second in 0..100 {
            let tally = Tally {
                requests: 2,
                failures: 1,
                ..Tally::default()
            };
            traffic.add(tally, start + Duration::from_secs(second));
        }
        let now = start + Duration::from_secs(99);
        assert_eq!(traffic.within(LATELY, now).requests, 20);
        assert_eq!(traffic.within(BASELINE, now).failures, 60);
        assert!(traffic.0.len() <= 60);
        let much_later = now + BASELINE;
        assert_eq!(traffic.within(BASELINE, much_later), Share::default());
    }
}
