//! firedoor's own answers to gRPC calls: what is an HTTP status elsewhere is `grpc-status` there, in a response that is nothing but a
//! header section ("Trailers-Only" in gRPC over HTTP2). A client would make of a bare 503 what it makes of any page.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::body::ResponseBody;
use super::error::Refusal;
use super::exchange::BodyTrouble;
use super::record::Record;
use crate::outcome::Trouble;
use crate::proxy::message::headers::X_REQUEST_ID;
use crate::proxy::message::identity::Identity;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is a gRPC call: `application/grpc`, perhaps with a format. gRPC-Web is something else, and wants a body.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    let rest = kind.as_bytes().strip_prefix(b"application/grpc");
    matches!(rest, Some([] | [b'+' | b';' | b' ', ..]))
}

/// How a call has ended, if that stands in these `fields`.
pub(crate) fn status(fields: &HeaderMap) -> Option<u32> {
    fields.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// Whether a call ended so for what its server did, as with an HTTP status of 500: UNKNOWN (an exception that nobody has caught), INTERNAL,
/// UNAVAILABLE, DATA_LOSS. Unlike 501 and 504, UNIMPLEMENTED is its caller's mistake and DEADLINE_EXCEEDED its caller's wish. (Envoy's outlier
/// detection goes by gRPC's mapping to HTTP, which has these two among the errors.)
pub(crate) fn is_server_error(status: u32) -> bool {
    matches!(status, 2 | 13 | 14 | 15)
}

/// The code for a refusal: gRPC's own mapping of HTTP statuses, but where that knows only "unknown" or firedoor knows better (a deadline
/// that has passed, a resource that is exhausted).
pub(crate) fn code(refusal: Refusal) -> Code {
    match refusal {
        Refusal::Flawed(_)
        | Refusal::BadTarget
        | Refusal::NoHttp
        | Refusal::Cleartext
        | Refusal::Body(BodyTrouble::Broken)
        | Refusal::Upstream(Trouble::Protocol) => Code::Internal,
        Refusal::LongTarget
        | Refusal::LargeHead
        | Refusal::Body(BodyTrouble::TooLarge)
        | Refusal::Limited(_) => Code::ResourceExhausted,
        Refusal::Method
        | Refusal::Options
        | Refusal::UnknownProtocol
        | Refusal::NoTunnel
        | Refusal::UnknownHost
        | Refusal::NoRoute => Code::Unimplemented,
        Refusal::SlowHead
        | Refusal::Body(BodyTrouble::TooSlow)
        | Refusal::Upstream(Trouble::ResponseTimeout) => Code::DeadlineExceeded,
        Refusal::Answered(status) => standing_for(status),
        Refusal::Redirect
        | Refusal::Misdirected
        | Refusal::Maintenance
        | Refusal::NoZone
        | Refusal::HoldFull
        | Refusal::Shed
        | Refusal::Drained
        | Refusal::Upstream(
            Trouble::Connect
            | Trouble::ConnectTimeout
            | Trouble::Handshake
            | Trouble::Reset
            | Trouble::ServerError,
        ) => Code::Unavailable,
    }
}

/// gRPC's own mapping ("HTTP to gRPC Status Code Mapping"), for a status that somebody has configured.
fn standing_for(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// Codes of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Unknown = 2,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// The answer to the client. The log has the HTTP status that it stands for.
pub(crate) fn response(refusal: Refusal, mut record: Box<Record>) -> Response<ResponseBody> {
    let code = code(refusal);
    record.ended_call(code as u32);
    if refusal == Refusal::Drained {
        // As for a call that has its head already: nobody has failed.
        record.answered(StatusCode::OK);
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(code as u16));
    // All of it is printable ASCII without a percent sign, so that there is nothing to encode.
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(refusal.text()));
    if let Some(policy) = record.policy() {
        policy.finish(&mut headers, record.came_over_tls());
    }
    if let Some(id) = record.identity().map(Identity::request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    let mut response = Response::new(ResponseBody::own(Vec::new(), record));
    *response.headers_mut() = headers;
    response
}

/// The end of a call whose response has broken off for this `cause`: without it, a client would take the reset that it gets for a fault
/// of its own library's.
pub(crate) fn broken_off(cause: Refusal) -> HeaderMap {
    end(code(cause), cause.text())
}

/// The end of a call whose client has not taken its response for `write_timeout`.
pub(crate) fn not_taken() -> HeaderMap {
    let text = "The client took the response too slowly.";
    end(Code::DeadlineExceeded, text)
}

fn end(code: Code, text: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (GRPC_STATUS, HeaderValue::from(code as u16)),
        (GRPC_MESSAGE, HeaderValue::from_static(text)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_by_its_content_type() {
        for (kind, call) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_call(&headers), call, "{kind}");
        }
        assert!(!is_call(&HeaderMap::new()));
    }
}
