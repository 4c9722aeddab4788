//! When to look whether the zone that a planned flip leaves has finished what it had.

use std::time::{Duration, Instant};

/// Between two looks at the workers' counts, at first: requests are held meanwhile.
const SHORTEST: Duration = Duration::from_millis(1);
/// The same for a drain that takes its time.
const LONGEST: Duration = Duration::from_millis(10);

/// Watches one drain at a time.
#[derive(Debug, Default)]
pub(super) struct Drain(Option<Watch>);

#[derive(Clone, Copy, Debug)]
struct Watch {
    since: Instant,
    next: Instant,
}

impl Drain {
    /// A planned flip waits; the snapshot that holds new requests has been published before the first call.
    pub(super) fn begin(&mut self, now: Instant) {
        self.0.get_or_insert(Watch {
            since: now,
            next: now,
        });
    }

    /// Nothing waits.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// When to look next; `None` while nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.map(|watch| watch.next)
    }

    /// It has been looked at, and wasn't over: the next time is put off by a tenth of what it has taken so far.
    pub(super) fn look(&mut self, now: Instant) {
        if let Some(watch) = &mut self.0 {
            let taken = now.saturating_duration_since(watch.since);
            watch.next = now + (taken / 10).clamp(SHORTEST, LONGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_close_at_first_and_never_far_apart() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut drain = Drain::default();
        assert_eq!(drain.due(), None);
        drain.begin(begin);
        drain.begin(at(3));
        assert_eq!(drain.due(), Some(begin));
        for (looked, next) in [(0, 1), (5, 6), (50, 55), (20_000, 20_010)] {
            drain.look(at(looked));
            assert_eq!(drain.due(), Some(at(next)));
        }
        drain.end();
        assert_eq!(drain.due(), None);
    }
}
