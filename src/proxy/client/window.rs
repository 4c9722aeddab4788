//! The clock of a slow client: what it sends or takes must make some progress in each stretch of waiting for it.

use std::cell::Cell;
use std::time::Duration;

use crate::worker::millis;

/// A body that is sent, or a response that is read, must move by this many bytes (or to its end) in each window of
/// `body_timeout` or `write_timeout`. Without such a floor, one byte just before each deadline holds a connection for ever.
const LEAST_PROGRESS: u64 = 1024;

/// A stretch of waiting that must see [`LEAST_PROGRESS`].
#[derive(Default)]
pub(in crate::proxy) struct Window {
    /// Running: when it ends. 0 = not running.
    pub(in crate::proxy) due: Cell<u64>,
    /// Stopped with too little progress: how much of it is left.
    left: Cell<u64>,
    moved: Cell<u64>,
    /// Milliseconds of a whole one.
    length: Cell<u64>,
}

impl Window {
    /// The other side keeps us waiting.
    pub(in crate::proxy) fn wait(&self, now: u64, length: Duration) {
        if self.due.get() == 0 {
            self.length.set(millis(length));
            let left = match self.left.get() {
                0 => self.length.get(),
                left => left,
            };
            self.due.set(now + left);
        }
    }

    /// `bytes` have moved; time spent on our side from now on doesn't count.
    pub(in crate::proxy) fn progress(&self, now: u64, bytes: u64) {
        let due = self.due.replace(0);
        let moved = self.moved.get() + bytes;
        if moved >= LEAST_PROGRESS {
            self.left.set(0);
            self.moved.set(0);
        } else {
            if due != 0 {
                self.left.set(due.saturating_sub(now).max(1));
            }
            self.moved.set(moved);
        }
    }

    /// What moves the other way shows that somebody is there: a stretch that is running begins anew.
    pub(in crate::proxy) fn renew(&self, now: u64) {
        self.left.set(0);
        if self.due.get() != 0 {
            self.due.set(now + self.length.get());
        }
    }

    /// All that was to move has moved.
    pub(in crate::proxy) fn end(&self) {
        self.due.set(0);
        self.left.set(0);
        self.moved.set(0);
    }

    pub(in crate::proxy) fn is_over(&self, now: u64) -> bool {
        let due = self.due.get();
        due != 0 && now >= due
    }
}
