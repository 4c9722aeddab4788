//! What the worker tells a client connection: that time has passed, that the drain begins.

use super::{Cut, Downstream, Phase};
use crate::worker::millis;

/// Milliseconds that a fresh connection has for its first byte once the drain has begun.
pub(super) const DRAIN_PATIENCE: u64 = 1000;

/// Milliseconds that a handshake may take while others wait for its place: many round trips to anywhere.
const HANDSHAKE_PATIENCE: u64 = 2000;

/// What a connection's task is to be woken for, when its turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// The connection's time is over.
    End,
    /// It may be parked.
    Park,
}

impl Downstream {
    /// Looks at the clock, for the first time in `ticks`. `crowded`: others wait for the place of one that shakes hands.
    pub(crate) fn sweep(&self, now: u64, ticks: u32, crowded: bool) -> Option<Wakeup> {
        self.streams.calm_down(ticks);
        if self.cut.get().is_some() {
            return None;
        }
        if let Some(cut) = self.overdue(now, crowded) {
            self.cut.set(Some(cut));
            return Some(Wakeup::End);
        }
        // One that has been in line since before is found there.
        (self.begin_to_park(now) && !self.in_line.replace(true)).then_some(Wakeup::Park)
    }

    /// Its turn has come.
    pub(crate) fn wake_up(&self, why: Wakeup) {
        if why == Wakeup::Park {
            self.in_line.set(false);
        }
        if why == Wakeup::End || self.is_to_park() {
            self.wake();
        }
    }

    /// Why it has to end now, if it has.
    fn overdue(&self, now: u64, crowded: bool) -> Option<Cut> {
        let mut due = self.due.get();
        if due != 0 && now >= due && !self.flushed.get() {
            // The last response is still on its way out, and a next request can't be read before: only the write's clock counts.
            due = now + self.patience();
            self.due.set(due);
        }
        if due != 0 && now >= due {
            return Some(match self.phase.get() {
                Phase::Idle => Cut::Idle,
                Phase::Between if !self.streams.is_in_head() => Cut::Idle,
                Phase::Head | Phase::Request | Phase::Between => Cut::Head,
            });
        }
        if self.write.is_over(now) {
            return Some(Cut::Write);
        }
        (crowded && self.makes_way(now)).then_some(Cut::Head)
    }

    /// This one goes on where `before` ends: nobody gets twice the time for saying nothing.
    pub(crate) fn keep_time_of(&self, before: &Self) {
        self.due.set(before.due.get());
    }

    /// Others wait for this one's place: a handshake that has taken long enough ends.
    fn makes_way(&self, now: u64) -> bool {
        let since = self.handshake.get();
        since != 0 && now >= since + HANDSHAKE_PATIENCE
    }

    /// Milliseconds for the next head to begin, or to end.
    pub(super) fn patience(&self) -> u64 {
        let view = self.worker.view();
        millis(match self.phase.get() {
            Phase::Idle | Phase::Between => view.limits().idle_timeout,
            Phase::Head | Phase::Request => view.limits().header_timeout,
        })
    }

    /// The drain begins: a connection that was just made and has said nothing yet is not waited for as long as usual, nor is the
    /// next stream of one with HTTP/2, which hears of the drain.
    pub(crate) fn begin_drain(&self) {
        let unused = match self.phase.get() {
            Phase::Head => !self.head_begun.get(),
            Phase::Between => true,
            Phase::Idle | Phase::Request => false,
        };
        if unused {
            let soon = self.worker.now() + DRAIN_PATIENCE;
            self.due.set(self.due.get().min(soon));
        }
        self.wake();
    }

    /// Whether its client has nothing to ask at the moment.
    pub(crate) fn is_idle(&self) -> bool {
        match self.phase.get() {
            Phase::Idle | Phase::Between => true,
            Phase::Head => !self.head_begun.get() && self.handshake.get() == 0,
            Phase::Request => false,
        }
    }

    /// Whether a request is on its way, or the very first one is waited for.
    pub(crate) fn is_expecting_head(&self) -> bool {
        self.phase.get() == Phase::Head
    }

    /// The drain has come to its deadline.
    pub(crate) fn end_now(&self) {
        self.cut(Cut::Drain);
    }

    /// Why the connection is to end now, if it is.
    pub(in crate::proxy) fn is_cut(&self) -> Option<Cut> {
        self.cut.get()
    }

    /// Whether a byte of the current head has come.
    pub(in crate::proxy) fn has_begun_head(&self) -> bool {
        self.head_begun.get()
    }

    pub(in crate::proxy) fn cut(&self, cut: Cut) {
        if self.cut.get().is_none() {
            self.cut.set(Some(cut));
            self.wake();
        }
    }
}
