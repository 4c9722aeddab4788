//! How a call of gRPC has ended. That stands in a field, at the end of a response whose HTTP status is 200 all the same.

use http::HeaderMap;

use super::Record;
use crate::outcome::{Ending, Trouble};
use crate::proxy::request::grpc;

impl Record {
    /// The backend has sent these fields: the response's head, which may be its end as well, or its trailers.
    pub(crate) fn told(&mut self, fields: &HeaderMap) {
        if !self.state.is_grpc() {
            return;
        }
        let Some(status) = grpc::status(fields) else {
            return;
        };
        if let Some(words) = &mut self.words {
            words.grpc_status = Some(status);
        }
        if grpc::is_server_error(status) {
            self.ending = Ending::ServerError;
            if let Some(upstream) = &self.upstream {
                self.state.worker.report(upstream, Trouble::ServerError);
            }
        }
    }

    /// firedoor ends the call by itself.
    pub(crate) fn ended_call(&mut self, status: u32) {
        if let Some(words) = &mut self.words {
            words.grpc_status = Some(status);
        }
    }
}
