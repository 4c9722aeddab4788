//! The worker's clock. Deadlines need no better one than a look now and then, and most requests get by with two looks of their own.

use std::time::Instant;

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
}
