//! The request's body on its way to a backend: whether more of it is to come, and what its bad end means for the request.

use super::{BodyTrouble, Exchange};
use crate::proxy::client::downstream::Cut;
use crate::proxy::request::error::Refusal;

impl Exchange {
    /// It is passed on as it comes.
    pub(crate) fn body_begins(&self) {
        self.body_coming.set(true);
    }

    /// Whether more of it is to come.
    pub(crate) fn is_body_coming(&self) -> bool {
        self.body_coming.get()
    }

    /// Why the request won't be answered, if its body has ended badly.
    pub(crate) fn body_refusal(&self) -> Option<Refusal> {
        let trouble = self.body_trouble.take()?;
        Some(match (trouble, self.is_cut()) {
            // It was firedoor that has ended the connection it came by.
            (BodyTrouble::Broken, Some(Cut::Drain)) => Refusal::Drained,
            _ => Refusal::Body(trouble),
        })
    }
}
