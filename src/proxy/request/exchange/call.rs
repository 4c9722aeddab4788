//! How a request that waits in the hold is called.

use super::Exchange;

impl Exchange {
    /// The request looks at its clock at `due`, and otherwise waits until it is called.
    pub(crate) fn wait_for_call(&self, due: u64) {
        self.wait_until(due);
        self.watches.set(false);
    }

    /// It looks at its clock only at `due` after all.
    pub(crate) fn put_off(&self, due: u64) {
        self.request_due.set(due);
    }

    /// A place has become free.
    pub(crate) fn call(&self) {
        self.called.set(true);
        self.wake();
    }

    /// Whether it waits for that.
    pub(super) fn is_held(&self) -> bool {
        self.request_due.get() != 0 && !self.watches.get()
    }

    pub(crate) fn was_called(&self) -> bool {
        self.called.take()
    }
}
