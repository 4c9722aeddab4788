//! The spans of a request that is traced, made when it ends.

use std::time::Instant;

use http::uri::Authority;
use http::{Method, Version};
use jiff::Timestamp;

use super::Record;
use super::trace::{Attempt, Trace};
use crate::config::ClientIp;
use crate::proxy::backend::upstream::Upstream;
use crate::telemetry::mask::shown;
use crate::telemetry::trace::otlp::{Code, KeyValue, Kind, Span, Status};

/// Bit 8: whether the parent is somebody else's is known; bit 9: it is.
const LOCAL_PARENT: u32 = 0x100;
const REMOTE_PARENT: u32 = 0x300;

/// What a moment of ours is in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Calendar {
    now: Instant,
    nanos: u64,
}

impl Calendar {
    fn now() -> Self {
        Self {
            now: Instant::now(),
            nanos: u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0),
        }
    }

    fn at(&self, moment: Instant) -> u64 {
        let ago = self.now.saturating_duration_since(moment).as_nanos();
        self.nanos.saturating_sub(u64::try_from(ago).unwrap_or(0))
    }
}

impl Record {
    /// The spans of a request that has ended: one for all of it, and one for each time that it waited and each attempt, in their order.
    pub(super) fn spans(&self, trace: &Trace, client_ip: ClientIp) -> Vec<Span> {
        let calendar = Calendar::now();
        let mut spans = vec![self.whole(trace, client_ip, calendar)];
        for wait in &trace.waits {
            let id = fastrand::u64(1..);
            let mut span = trace.new_span(id, Some(trace.span), "hold", Kind::Internal);
            span.start_time_unix_nano = calendar.at(wait.begun);
            span.end_time_unix_nano = calendar.at(wait.ended);
            spans.push(span);
        }
        for (number, attempt) in trace.attempts.iter().enumerate() {
            spans.push(self.part(trace, attempt, number, calendar));
        }
        spans
    }

    /// Semantic conventions for HTTP spans 1.37, "HTTP server".
    fn whole(&self, trace: &Trace, client_ip: ClientIp, calendar: Calendar) -> Span {
        let method = method(&self.method);
        let name = name(method);
        let mut span = trace.new_span(trace.span, trace.context.parent, name, Kind::Server);
        span.start_time_unix_nano = calendar.at(self.begun);
        span.end_time_unix_nano = calendar.nanos;
        span.attributes = vec![
            KeyValue::text("http.request.method", method),
            KeyValue::text("url.scheme", self.state.scheme),
            KeyValue::text("url.path", trace.uri.path()),
            KeyValue::text("network.protocol.version", version(self.version)),
            KeyValue::text("firedoor.termination", self.termination),
        ];
        let host = trace.host.as_ref().and_then(|host| host.to_str().ok());
        if let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) {
            let name = authority.host().trim_matches(['[', ']']);
            span.attributes.push(KeyValue::text("server.address", name));
            if let Some(port) = authority.port_u16() {
                span.attributes.push(KeyValue::number("server.port", port));
            }
        }
        if client_ip != ClientIp::None {
            let client = shown(trace.client, client_ip);
            span.attributes
                .push(KeyValue::text("client.address", client));
        }
        if let Some(identity) = &self.identity {
            let id = identity.request_id_text();
            span.attributes
                .push(KeyValue::text("firedoor.request_id", id));
        }
        if let Some(attempt) = trace.attempts.last() {
            span.attributes.extend(attempt.place());
        }
        if self.status > 0 {
            let status = KeyValue::number("http.response.status_code", self.status);
            span.attributes.push(status);
        }
        if let Some(reason) = trace.reason {
            let reason = KeyValue::text("firedoor.reason", reason.as_str());
            span.attributes.push(reason);
        }
        let error = match (self.status, self.termination) {
            (_, "SD") => Some("broken_off".to_owned()),
            (status @ 500.., _) => Some(status.to_string()),
            _ => None,
        };
        fail(&mut span, error);
        span
    }

    /// The same, "HTTP client".
    fn part(&self, trace: &Trace, attempt: &Attempt, number: usize, calendar: Calendar) -> Span {
        let method = method(&self.method);
        let name = name(method);
        let mut span = trace.new_span(attempt.span, Some(trace.span), name, Kind::Client);
        span.start_time_unix_nano = calendar.at(attempt.begun);
        span.end_time_unix_nano = attempt.ended.map_or(calendar.nanos, |at| calendar.at(at));
        span.attributes = vec![
            KeyValue::text("http.request.method", method),
            KeyValue::text("url.path", trace.uri.path()),
        ];
        span.attributes.extend(attempt.place());
        if let Some(address) = attempt.upstream.address {
            let (ip, port) = (address.ip().to_string(), address.port());
            span.attributes.push(KeyValue::text("server.address", ip));
            span.attributes.push(KeyValue::number("server.port", port));
        }
        if number > 0 {
            let resent = KeyValue::number("http.request.resend_count", number as u64);
            span.attributes.push(resent);
        }
        if let Some(took) = attempt.connect {
            let micros = KeyValue::number("firedoor.connect_us", took.as_micros());
            span.attributes.push(micros);
        }
        if let Some(status) = attempt.status {
            let status = KeyValue::number("http.response.status_code", status.as_u16());
            span.attributes.push(status);
        }
        let error = match (attempt.setback, attempt.status) {
            (Some(setback), _) => Some(setback.to_owned()),
            (None, Some(_)) if self.termination == "SD" => Some("broken_off".to_owned()),
            (None, Some(status)) if status.as_u16() >= 400 => Some(status.as_str().to_owned()),
            (None, Some(_)) => None,
            (None, None) if self.termination.starts_with(['C', 'c']) => {
                Some("client_left".to_owned())
            }
            (None, None) => Some("_OTHER".to_owned()),
        };
        fail(&mut span, error);
        span
    }
}

impl Trace {
    fn new_span(&self, id: u64, parent: Option<u64>, name: &str, kind: Kind) -> Span {
        let remote = kind == Kind::Server && parent.is_some();
        Span {
            trace_id: self.context.trace.to_be_bytes().to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            trace_state: self.state.clone(),
            parent_span_id: parent.map_or_else(Vec::new, |parent| parent.to_be_bytes().to_vec()),
            name: name.to_owned(),
            kind: kind.into(),
            start_time_unix_nano: 0,
            end_time_unix_nano: 0,
            attributes: Vec::new(),
            status: None,
            flags: 1 | if remote { REMOTE_PARENT } else { LOCAL_PARENT },
        }
    }
}

impl Attempt {
    fn place(&self) -> [KeyValue; 4] {
        let Upstream { key, pool, .. } = &*self.upstream;
        [
            KeyValue::text("firedoor.zone", &*key.zone),
            KeyValue::text("firedoor.pool", &**pool),
            KeyValue::text("firedoor.backend", &*key.name),
            KeyValue::number("firedoor.epoch", self.epoch),
        ]
    }
}

fn fail(span: &mut Span, error: Option<String>) {
    if let Some(error) = error {
        span.attributes.push(KeyValue::text("error.type", error));
        span.status = Some(Status {
            message: String::new(),
            code: Code::Error.into(),
        });
    }
}

/// Any other method is `_OTHER`: what clients make up must not become names of spans.
fn method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE"
        | "PATCH") => known,
        _ => "_OTHER",
    }
}

fn name(method: &str) -> &str {
    if method == "_OTHER" { "HTTP" } else { method }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
