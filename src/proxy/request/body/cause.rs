//! Why a response's body has ended before its end.

use super::{Relay, ResponseBody};
use crate::outcome::Trouble;
use crate::proxy::request::error::Refusal;
use crate::proxy::request::exchange::BodyTrouble;
use crate::proxy::request::record::Record;

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
    /// Tells `record` how it has ended.
    pub(super) fn tell(&self, record: &mut Record) {
        match self.fault() {
            Some(BodyTrouble::TooSlow) => record.ended("cD"),
            Some(_) => record.ended("CD"),
            None if self.excused => {
                record.ended("PD");
                record.excuse();
            }
            None => {
                record.broke_off();
                if self.spared {
                    record.excuse();
                }
            }
        }
    }

    /// How the request's body ended, if that is why the exchange broke.
    pub(super) fn fault(&self) -> Option<BodyTrouble> {
        self.state.body_trouble.get()
    }
}
