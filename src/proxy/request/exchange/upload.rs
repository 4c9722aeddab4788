//! The request's body on its way to a backend: whether more of it is to come.

use super::Exchange;

impl Exchange {
    /// It is passed on as it comes.
    pub(crate) fn body_begins(&self) {
        self.body_coming.set(true);
    }

    /// Whether more of it is to come.
    pub(crate) fn is_body_coming(&self) -> bool {
        self.body_coming.get()
    }
}
