//! How long a response is waited for that a dead or left zone doesn't go on with: `drain_timeout`. Without that, its client would
//! wait for ever, since a response may take as long as it likes.

use crate::proxy::backend::upstream::Upstream;
use crate::proxy::request::exchange::Exchange;

/// Milliseconds of the worker.
#[derive(Default)]
pub(super) struct Patience {
    /// When it ends; 0: nobody has looked yet.
    due: u64,
    /// When an HTTP/2 client is asked to open its next streams elsewhere; 0: that has been done.
    hint: u64,
}

impl Patience {
    /// Something has come: it begins anew.
    pub(super) fn renew(&mut self) {
        self.due = 0;
    }

    /// Whether to give up. Lets the request look again when there is a reason to.
    pub(super) fn is_over(&mut self, state: &Exchange, upstream: &Upstream) -> bool {
        if !(upstream.is_abandoned() || upstream.is_left()) {
            if self.due != u64::MAX {
                self.due = u64::MAX;
                state.wait_until(0);
            }
            return false;
        }
        let now = state.worker.now();
        if self.due == 0 || self.due == u64::MAX {
            let patience = state.worker.drain_patience();
            self.due = now + patience;
            self.hint = now + patience / 2;
            state.wait_until(self.hint);
        }
        if self.hint != 0 && now >= self.hint {
            self.hint = 0;
            state.leave();
            state.wait_until(self.due);
        }
        now >= self.due
    }
}
