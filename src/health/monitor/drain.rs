//! When the zone that a planned flip leaves has finished what it had.

use std::time::{Duration, Instant};

/// Between two looks at the workers' counts.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the counts must have been zero. A worker may have read the snapshot just before the one that holds new requests
/// was published, and count its request only now; between the two it does nothing but pick, so this is ample. Reading
/// zero once would flip under such a request.
const QUIET: Duration = Duration::from_millis(10);

/// Watches one drain at a time.
#[derive(Debug, Default)]
pub(super) struct Drain {
    next: Option<Instant>,
    quiet_since: Option<Instant>,
}

impl Drain {
    /// A planned flip waits; the snapshot that holds new requests has been published before the first call.
    pub(super) fn begin(&mut self, now: Instant) {
        self.next.get_or_insert(now);
    }

    /// Nothing waits.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// When [`Self::look`] wants to be called next; `None` while nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// Whether the zone is drained, now that `in_flight` requests are left.
    pub(super) fn look(&mut self, in_flight: u32, now: Instant) -> bool {
        self.next = Some(now + PAUSE);
        if in_flight > 0 {
            self.quiet_since = None;
            return false;
        }
        let since = *self.quiet_since.get_or_insert(now);
        now.saturating_duration_since(since) >= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_drained_only_when_it_stays_at_zero() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut drain = Drain::default();
        drain.begin(begin);
        assert_eq!(drain.due(), Some(begin));
        assert!(!drain.look(1, at(0)));
        assert!(!drain.look(0, at(5)), "zero for the first time");
        assert!(!drain.look(1, at(10)), "a late one came in");
        assert!(!drain.look(0, at(15)));
        assert!(!drain.look(0, at(20)), "zero for 5 ms only");
        assert!(drain.look(0, at(25)));
        drain.end();
        assert_eq!(drain.due(), None);
    }
}
