//! Spans of requests that have ended, collected until they are worth handing over.

use super::Worker;
use crate::config::ClientIp;
use crate::telemetry::trace::otlp::Span;

/// Spans that are handed over before the next tick.
const ENOUGH: usize = 128;

impl Worker {
    /// How much of a client's address may be shown.
    pub(crate) fn client_ip(&self) -> ClientIp {
        self.view.borrow().snapshot.config.access_log.client_ip
    }

    /// Takes the spans of a request.
    pub(crate) fn trace(&self, spans: Vec<Span>) {
        let enough = {
            let mut collected = self.spans.borrow_mut();
            collected.extend(spans);
            collected.len() >= ENOUGH
        };
        if enough {
            self.flush_spans();
        }
    }

    pub(super) fn flush_spans(&self) {
        let spans = self.spans.take();
        if !spans.is_empty() {
            self.parts.traces.send(spans);
        }
    }
}
