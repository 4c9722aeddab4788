//! What the worker tells a client connection: that time has passed, that the drain begins.

use super::{Cut, Downstream, Phase};
use crate::worker::millis;

/// Milliseconds that a fresh connection has for its first byte once the drain has begun.
pub(super) const DRAIN_PATIENCE: u64 = 1000;

/// Milliseconds that a handshake may take while others wait for its place: many round trips to anywhere.
const HANDSHAKE_PATIENCE: u64 = 2000;

impl Downstream {
    /// Looks at the clock, for the first time in `ticks`: has the connection end if something is due.
    pub(crate) fn sweep(&self, now: u64, ticks: u32) {
        let mut due = self.due.get();
        if due != 0 && now >= due && !self.flushed.get() {
            // The last response is still on its way out, and a next request can't be read before: only the write's clock counts.
            due = now + self.patience();
            self.due.set(due);
        }
        if due != 0 && now >= due {
            self.let_go(match self.phase.get() {
                Phase::Idle => Cut::Idle,
                Phase::Between if !self.streams.is_in_head() => Cut::Idle,
                Phase::Head | Phase::Request | Phase::Between => Cut::Head,
            });
        } else if self.write.is_over(now) {
            self.let_go(Cut::Write);
        }
        self.streams.calm_down(ticks);
        self.sweep_parking(now);
    }

    /// This one goes on where `before` ends: nobody gets twice the time for saying nothing.
    pub(crate) fn keep_time_of(&self, before: &Self) {
        self.due.set(before.due.get());
    }

    /// Others wait for this one's place: a handshake that has taken long enough ends.
    pub(crate) fn make_way(&self, now: u64) {
        let since = self.handshake.get();
        if since != 0 && now >= since + HANDSHAKE_PATIENCE {
            self.let_go(Cut::Head);
        }
    }

    /// [`Self::cut`] for one that may be one of thousands.
    fn let_go(&self, cut: Cut) {
        if self.cut.get().is_none() {
            self.cut.set(Some(cut));
            self.worker.wake_in_turn(self.sleeper.waker());
        }
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
