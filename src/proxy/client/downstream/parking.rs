//! Connections whose clients say nothing for a while give up what only a request needs: buffers, and the room for serving it. Of thousands
//! of connections most are of that kind.

use super::{Downstream, Phase};

/// Milliseconds without a word after which a connection is parked. Whoever goes on from answer to answer should not pay for it.
const QUIET: u64 = 1000;

/// Whether a connection is parked, or to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Parking {
    /// It can't be: its handshake is under way, a request's body is not over, or it has HTTP/2.
    #[default]
    Never,
    Possible,
    /// Its task has been asked to.
    Wanted,
    Parked,
}

impl Downstream {
    /// As long as a request's body may go on, nothing but its reader knows where it ends: who began to read anew would take what is left
    /// of it for a request. That includes bodies that nobody has read to their end when the response was complete.
    pub(in crate::proxy) fn forbid_parking(&self, forbidden: bool) {
        self.parking.set(if forbidden {
            Parking::Never
        } else {
            Parking::Possible
        });
    }

    /// Whether it is to be parked: since its client was asked about last, nothing has come.
    pub(in crate::proxy) fn is_to_park(&self) -> bool {
        self.parking.get() == Parking::Wanted
    }

    /// Nobody need ask for it again.
    pub(in crate::proxy) fn park(&self) {
        self.parking.set(Parking::Parked);
    }

    /// Something comes, or is looked for.
    pub(in crate::proxy) fn unpark(&self) {
        if self.parking.get() != Parking::Never {
            self.parking.set(Parking::Possible);
        }
    }

    /// Has the connection parked if nothing has come for long enough.
    pub(super) fn sweep_parking(&self, now: u64) {
        if self.parking.get() != Parking::Possible || !self.flushed.get() {
            return;
        }
        let is_quiet = match self.phase.get() {
            Phase::Idle => true,
            Phase::Head => !self.head_begun.get(),
            Phase::Request | Phase::Between => false,
        };
        let is_due = || now >= self.due.get().saturating_sub(self.patience()) + QUIET;
        if is_quiet && is_due() {
            self.parking.set(Parking::Wanted);
            self.worker.wake_in_turn(self.sleeper.waker());
        }
    }
}
