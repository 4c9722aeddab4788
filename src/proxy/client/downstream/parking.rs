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
    /// Its task is to hear of it.
    Wanted,
    Parked,
}

impl Downstream {
    /// It is served from now on, and may be parked again after a while.
    pub(in crate::proxy) fn take_up(&self) {
        self.parking.set(Parking::Possible);
        self.taken_up_at.set(self.worker.now());
    }

    /// As long as a request's body may go on, nothing but its reader knows where it ends: who began to read anew would take what is left
    /// of it for a request. That includes bodies that nobody has read to their end when the response was complete.
    pub(in crate::proxy) fn forbid_parking(&self, forbidden: bool) {
        self.parking.set(if forbidden {
            Parking::Never
        } else {
            Parking::Possible
        });
    }

    /// Whether it is to be parked: since that was found, nothing has come.
    pub(crate) fn is_to_park(&self) -> bool {
        self.parking.get() == Parking::Wanted
    }

    /// Nobody need ask for it again.
    pub(in crate::proxy) fn park(&self) {
        self.parking.set(Parking::Parked);
    }

    /// Something has come.
    pub(super) fn unpark(&self) {
        if self.parking.get() != Parking::Never {
            self.parking.set(Parking::Possible);
        }
    }

    /// Whether it is to be parked from now on, since nothing has come for long enough.
    pub(super) fn begin_to_park(&self, now: u64) -> bool {
        if self.parking.get() != Parking::Possible || !self.is_quiet() {
            return false;
        }
        let since = self.due.get().saturating_sub(self.patience());
        let is_due = now >= since.max(self.taken_up_at.get()) + QUIET;
        if is_due {
            self.parking.set(Parking::Wanted);
        }
        is_due
    }

    /// Nothing is on its way in either direction. A response that hyper has still to write would be lost with hyper's buffers: it is there
    /// from the request's head until all of it has been flushed, also while an interim response stands before it.
    fn is_quiet(&self) -> bool {
        let nothing_comes = match self.phase.get() {
            Phase::Idle => true,
            Phase::Head => !self.head_begun.get(),
            Phase::Request | Phase::Between => false,
        };
        nothing_comes && self.flushed.get() && !self.owes.get() && self.interim_out().is_none()
    }
}
