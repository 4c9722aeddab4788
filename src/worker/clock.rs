//! The worker's clock. Deadlines need no better one than a look now and then, and most requests get by with two looks of their own.

use std::time::{Duration, Instant};

use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::Worker;

impl Worker {
    /// Worker milliseconds, as of the last look at the clock: up to a [`TICK`](super::TICK) old. Never 0, which means "no deadline"
    /// elsewhere.
    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    /// The same in microseconds.
    pub(crate) fn micros(&self) -> u64 {
        self.micros.get()
    }

    /// Looks at the clock: when a request begins, when it is answered, and at every tick.
    pub(crate) fn tick(&self) -> Instant {
        let now = Instant::now();
        let passed = now - self.parts.started;
        let micros = passed.as_secs() * 1_000_000 + u64::from(passed.subsec_micros());
        self.micros.set(micros);
        self.now.set((micros / 1000).max(1));
        now
    }

    /// Somebody may have set the calendar since the last tick.
    pub(super) fn look_at_calendar(&self) {
        let passed = i64::try_from(self.micros()).unwrap_or(0);
        self.origin.set(Timestamp::now().as_microsecond() - passed);
    }

    /// When it was `micros` worker microseconds.
    pub(crate) fn calendar(&self, micros: u64) -> Timestamp {
        let since_1970 = self.origin.get().saturating_add_unsigned(micros);
        Timestamp::from_microsecond(since_1970).unwrap_or_default()
    }

    /// `Date` (RFC 9110 6.6.1), made once a second.
    pub(crate) fn date(&self) -> HeaderValue {
        let second = self.now() / 1000 + 1;
        let mut date = self.date.borrow_mut();
        if date.0 != second
            && let Ok(text) = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now())
            && let Ok(value) = HeaderValue::try_from(text)
        {
            *date = (second, value);
        }
        date.1.clone()
    }
}

/// Whole milliseconds, at least 1: a deadline of 0 would mean none.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX / 4)
        .max(1)
}
