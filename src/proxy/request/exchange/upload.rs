//! The request's body on its way to a backend: what its bad end means for the request.

use super::{BodyTrouble, Exchange};
use crate::proxy::client::downstream::Cut;
use crate::proxy::request::error::Refusal;

impl Exchange {
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
