//! A backend's answer, on its way to the client.

use std::rc::Rc;

use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use crate::proxy::backend::connections::Connection;
use crate::proxy::backend::inflow::Inflow;
use crate::proxy::backend::upstream::InFlight;
use crate::proxy::message::headers;
use crate::proxy::message::survey::{self, Survey};
use crate::proxy::request::affinity::Pin;
use crate::proxy::request::body::ResponseBody;
use crate::proxy::request::exchange::Exchange;
use crate::proxy::request::prepare::Prepared;
use crate::proxy::request::record::Record;
use crate::proxy::request::upgrade::Tunnel;

/// A backend's answer, up to its head.
pub(super) struct Answer {
    pub(super) response: Response<Inflow>,
    pub(super) found: Survey,
    pub(super) connection: Connection,
    pub(super) flight: InFlight,
    pub(super) version: Version,
    pub(super) pin: Option<Box<Pin>>,
}

/// What is in the head of `response`, which came with `version` to the request `prepared`; `None`: it breaks the protocol.
pub(super) fn survey(
    response: &Response<Inflow>,
    prepared: &Prepared,
    version: Version,
) -> Option<Survey> {
    let headers = response.headers();
    let found = Survey::of(headers);
    let status = response.status();
    // With HTTP/2 a success would say that there is a tunnel (RFC 8441 5).
    let is_tunnel = version == Version::HTTP_2 && status.is_success();
    let is_sound = survey::response_is_sound(headers, &found)
        && (status != StatusCode::SWITCHING_PROTOCOLS || prepared.may_switch(headers))
        && !(is_tunnel && prepared.protocols.is_some());
    is_sound.then_some(found)
}

impl Answer {
    /// It was kept for want of a better one, and there is none: in flight again.
    pub(super) fn unkept(mut self: Box<Self>) -> Self {
        self.flight.set_counted(true);
        *self
    }

    /// Step 8: status and header fields to the client; the body follows by itself.
    pub(super) fn relay(
        self,
        state: &Rc<Exchange>,
        mut record: Box<Record>,
    ) -> Response<ResponseBody> {
        let Self {
            response,
            found,
            connection,
            flight,
            version,
            pin,
        } = self;
        let (mut parts, mut incoming) = response.into_parts();
        let bodiless = matches!(parts.status.as_u16(), 204 | 304) || record.is_head();
        if bodiless && matches!(incoming, Inflow::Shared(_)) {
            // hyper sees to that with HTTP/1.1; a stream of HTTP/2 could bring one all the same (RFC 9110 6.4.1).
            incoming = Inflow::None;
        }
        record.answered(parts.status);
        record.told(&parts.headers);
        state.begin_answer();
        let mut compressor = None;
        let mut named = Vec::new();
        if found.names_fields() {
            named = headers::named_by_connection(&parts.headers);
        }
        headers::clean_response(&mut parts.headers, &found, parts.status, parts.version);
        if let Some(policy) = record.policy() {
            policy.finish(&mut parts.headers, record.came_over_tls());
            named.extend(policy.response.displaced());
            compressor = policy.compress(parts.status, &mut parts.headers, &record);
        }
        if let Some(pin) = pin {
            pin.put_into(&mut parts.headers);
        }
        // Of all that hyper has to say besides, only the backend's own words for its status.
        let phrase = parts.extensions.remove::<ReasonPhrase>();
        parts.extensions.clear();
        if let Some(phrase) = phrase.filter(|phrase| !phrase.as_bytes().is_empty()) {
            parts.extensions.insert(phrase);
        }
        parts.version = Version::HTTP_11;
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let tunnel = Tunnel::new(connection, flight, record, &parts.headers);
            *state.tunnel.borrow_mut() = Some(tunnel);
            return Response::from_parts(parts, ResponseBody::none());
        }
        let ends_by_close = version == Version::HTTP_10
            && !bodiless
            && (compressor.is_some() || incoming.size_hint().exact().is_none())
            && !parts.headers.contains_key(CONTENT_LENGTH);
        if ends_by_close {
            let close = HeaderValue::from_static("close");
            parts.headers.insert(CONNECTION, close);
        }
        let body = ResponseBody::relayed(
            incoming,
            connection,
            flight,
            Rc::clone(state),
            record,
            ends_by_close,
            named,
        );
        let body = match compressor {
            Some(compressor) => body.compressed(compressor),
            None => body,
        };
        Response::from_parts(parts, body)
    }
}
