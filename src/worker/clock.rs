//! The worker's clock. Deadlines need no better one than a look now and then. Requests are timed by turns of the runtime: whatever came
//! from the network in one go came at that time, so that all of it shares one look. On a busy worker, looks of their own were some
//! hundredth of what requests cost.
//!
//! No request seems faster than its backend: what that has answered rings, and is timed by a look after that.

use std::cell::Cell;
use std::time::{Duration, Instant};

use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::Worker;

thread_local! {
    /// The last look is that of this turn.
    static LOOKED: Cell<bool> = const { Cell::new(false) };
}

/// Milliseconds between two sweeps after which this thread, or the whole machine, must have stood still.
const STANDSTILL: u64 = 500;

/// The same, from where on it is told: otherwise there is nothing that explains why so many requests took so long.
const NOTABLE: u64 = 1000;

/// Of the time between two looks, how many microseconds count for who waits. There is one at every tick: in what is longer, nothing was read,
/// and nobody was asked.
const MOST: u64 = 100_000;

/// A turn begins: something has come, this thread has waited, or done something that takes long. The next glance is a look.
///
/// The runtime's own hook would not do: where it always has a task to run, as with several large bodies at once, it looks at the network
/// in passing, and says nothing.
pub(crate) fn new_turn() {
    LOOKED.set(false);
}

/// Since the process started, as of the last look.
pub(super) struct Clock {
    started: Instant,
    seen: Cell<Instant>,
    micros: Cell<u64>,
    millis: Cell<u64>,
    /// Microseconds, without those in which this thread stood still.
    awake: Cell<u64>,
    /// The last sweep, and whether it was put off.
    swept: Cell<(u64, bool)>,
}

impl Clock {
    /// Of a process that was `started` then. Shows the time it is made at.
    pub(super) fn since(started: Instant) -> Self {
        let clock = Self {
            started,
            seen: Cell::new(started),
            micros: Cell::new(0),
            millis: Cell::new(1),
            awake: Cell::new(1000),
            swept: Cell::new((1, false)),
        };
        clock.look();
        clock
    }

    fn look(&self) -> Instant {
        let now = Instant::now();
        let passed = now - self.started;
        let micros = passed.as_secs() * 1_000_000 + u64::from(passed.subsec_micros());
        self.seen.set(now);
        let since = micros - self.micros.get();
        self.awake.set(self.awake.get() + since.min(MOST));
        self.micros.set(micros);
        self.millis.set((micros / 1000).max(1));
        LOOKED.set(true);
        now
    }

    fn glance(&self) -> Instant {
        if LOOKED.get() {
            self.seen.get()
        } else {
            self.look()
        }
    }
}

impl Worker {
    /// Worker milliseconds, as of the last look at the clock: up to a [`TICK`](super::TICK) old. Never 0, which means "no deadline"
    /// elsewhere.
    pub(crate) fn now(&self) -> u64 {
        self.clock.millis.get()
    }

    /// The same, without the time in which this thread stood still, which nobody who waits for something is to pay for: what has come
    /// meanwhile may not be read yet, and a flip that would have come is still to come. Never 0 either.
    pub(crate) fn awake(&self) -> u64 {
        self.clock.awake.get() / 1000
    }

    /// [`Self::now`] in microseconds.
    pub(crate) fn micros(&self) -> u64 {
        self.clock.micros.get()
    }

    /// Looks at the clock: at every tick, and where it matters that it is not later by a turn.
    pub(crate) fn tick(&self) -> Instant {
        self.clock.look()
    }

    /// Takes note of the time as of this turn: when a request begins, is sent, is answered, and ends.
    pub(crate) fn glance(&self) -> Instant {
        self.clock.glance()
    }

    /// Whether nobody may be judged by this sweep, since nothing was read for long: what came in time, or would have, is read before
    /// the next one. Never twice in a row, so that a worker that is always late still cuts who is silent.
    pub(super) fn has_stood_still(&self) -> bool {
        let now = self.now();
        let (before, put_off) = self.clock.swept.get();
        let still = now.saturating_sub(before);
        let puts_off = !put_off && still >= STANDSTILL;
        self.clock.swept.set((now, puts_off));
        if puts_off && still >= NOTABLE {
            tracing::warn!(
                worker = self.index,
                "stood still for {still} ms: firedoor or the whole machine was stopped, or had no processor; requests waited"
            );
        }
        puts_off
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_turn_shares_one_look() {
        let clock = Clock::since(Instant::now());
        let seen = clock.look();
        while seen == Instant::now() {}
        assert_eq!(clock.glance(), seen);
        assert_eq!(clock.glance(), seen);
        new_turn();
        let later = clock.glance();
        assert!(later > seen);
        while later == Instant::now() {}
        assert_eq!(clock.glance(), later);
    }
}
