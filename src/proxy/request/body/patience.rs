//! How long is waited for what a dead or left zone doesn't go on with, a response or the end of a request that is still being sent:
//! `drain_timeout`. Without that, its client would wait for ever, since both may take as long as they like.

use crate::proxy::backend::upstream::Upstream;
use crate::proxy::request::exchange::Exchange;

/// Milliseconds of the worker, awake.
#[derive(Default)]
pub(crate) struct Patience {
    /// When it ends; 0: there is no end in sight.
    due: u64,
    /// When an HTTP/2 client is asked to open its next streams elsewhere; 0: that has been done.
    hint: u64,
}

impl Patience {
    /// Something has come: it begins anew.
    pub(crate) fn renew(&mut self) {
        self.due = 0;
    }

    /// When to look again: at this time (0: none), and at every new snapshot. `None`: it is over.
    pub(crate) fn look(&mut self, state: &Exchange, upstream: &Upstream) -> Option<u64> {
        if !(upstream.is_abandoned() || upstream.is_left()) {
            self.due = 0;
            return Some(0);
        }
        let now = state.worker.awake();
        if self.due == 0 {
            let patience = state.worker.drain_patience();
            self.due = now + patience;
            self.hint = now + patience / 2;
        }
        if self.hint != 0 && now >= self.hint {
            self.hint = 0;
            state.leave();
        }
        let next = if self.hint == 0 { self.due } else { self.hint };
        (now < self.due).then_some(next)
    }

    /// Whether to give up. Lets the request look again when there is a reason to.
    pub(super) fn is_over(&mut self, state: &Exchange, upstream: &Upstream) -> bool {
        match self.look(state, upstream) {
            Some(again) => {
                state.wait_until(again);
                false
            }
            None => true,
        }
    }
}
