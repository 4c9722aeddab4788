//! One point in time on both clocks, so that pure code never reads either.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The monotonic instant measures, the wall time is for people (journal entries, the failback window).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic: the only one to compute durations with.
    pub instant: Instant,
    /// Wall clock: may jump; only for showing and for the failback window.
    pub wall: Timestamp,
}

impl Moment {
    /// Reads both clocks. Only shells call this (monitor, workers, admin), never pure code.
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    /// The same moment, `by` later on both clocks.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        let wall = jiff::SignedDuration::try_from(by)
            .ok()
            .and_then(|by| self.wall.checked_add(by).ok())
            .unwrap_or(Timestamp::MAX);
        Self {
            instant: self.instant + by,
            wall,
        }
    }
}

#[cfg(test)]
impl Moment {
    /// Some moment for tests of pure code, which reads no clock even there. Its wall time is always 2026-01-15 03:12:07 UTC.
    pub(crate) fn some() -> Self {
        Self {
            instant: Instant::now(),
            wall: Timestamp::constant(1_768_446_727, 0),
        }
    }
}
