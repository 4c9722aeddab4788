//! Why a response's body has ended before its end.

use super::{Relay, ResponseBody};
use crate::outcome::Trouble;
use crate::proxy::request::error::Refusal;
use crate::proxy::request::exchange::BodyTrouble;

impl ResponseBody {
    /// What a request would have been told instead of an answer, had that happened before there was one.
    pub(crate) fn cause(&self) -> Refusal {
        match self.source.relay() {
            Some(relay) if relay.left => Refusal::Drained,
            relay => match relay.and_then(Relay::fault) {
                Some(fault) => Refusal::Body(fault),
                None => Refusal::Upstream(Trouble::Reset),
            },
        }
    }
}

impl Relay {
    /// How the request's body ended, if that is why the exchange broke.
    pub(super) fn fault(&self) -> Option<BodyTrouble> {
        self.state.body_trouble.get()
    }
}
