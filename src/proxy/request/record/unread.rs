//! Records of what never became a request.

use std::rc::Rc;

use http::Version;

use super::{Record, Words};
use crate::proxy::client::downstream::Downstream;
use crate::proxy::client::farewell::Farewell;
use crate::proxy::request::error::Refusal;
use crate::proxy::request::exchange::Exchange;

impl Record {
    /// It was answered, past hyper.
    pub(crate) fn parted(state: &Rc<Downstream>, farewell: Farewell) -> Self {
        let mut record = Self::unread(state, farewell.refusal);
        record.identified(farewell.identity, None);
        record.sent(farewell.body);
        record
    }

    /// It was not answered, or by hyper.
    pub(crate) fn unread(state: &Rc<Downstream>, refusal: Refusal) -> Self {
        let mut record = Self::new(&Exchange::on(state), state.worker.tick());
        let (reason, termination) = (refusal.reason(), refusal.termination());
        record.refused(reason, refusal.status(), termination, false);
        if state.worker.is_logging() {
            record.words = Some(Box::new(Words::by(state.peer.ip())));
        }
        record
    }

    /// The client has broken the rules of HTTP/2, so that the connection can't go on; `flood`: it has made work and meant nothing by it.
    pub(crate) fn broken_connection(state: &Rc<Downstream>, flood: bool) -> Self {
        let mut record = Self::unread(state, Refusal::NoHttp);
        record.version = Version::HTTP_2;
        if flood {
            record.ended("flood");
        }
        record
    }
}
