//! Which fields may stand behind the content.

use http::header::{HeaderMap, HeaderName};

use super::claim::strip;
use super::strip_hop_by_hop;
use crate::proxy::message::spelling::{begins_as, reads_as};
use crate::proxy::message::survey::is_claim;

/// RFC 9110 6.5.1: fields that frame or route a message, authenticate or modify a request, govern caches or say how content is to be
/// read. Behind the content it is too late for them, and whoever takes them over into the head takes the message for another one.
const TIMELY: [&str; 21] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// Removes from a request's trailer section what has no place there, what concerns one connection only, and what a client may not claim.
/// Peers that are believed say that in the head, and pass on their clients' trailers. An app may take another spelling for what is `named`.
pub(crate) fn clean_request_trailers(trailers: &mut HeaderMap, named: &[HeaderName]) {
    strip(trailers, |name| {
        is_timely(name) || is_claim(name) || named.iter().any(|gone| reads_as(name, gone.as_str()))
    });
    strip_hop_by_hop(trailers);
}

/// Removes from a response's trailer section what has no place there, and what concerns one connection only.
pub(crate) fn clean_response_trailers(trailers: &mut HeaderMap, named: &[HeaderName]) {
    for name in named {
        trailers.remove(name);
    }
    strip(trailers, is_timely);
    strip_hop_by_hop(trailers);
}

fn is_timely(name: &str) -> bool {
    begins_as(name, "if-") || TIMELY.iter().any(|known| reads_as(name, known))
}
