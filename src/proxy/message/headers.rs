//! Which header fields cross the proxy. Pure, and in the one safe order: strip first, then add.
//!
//! The other order is a known hole: a client names one of our own fields in `Connection`, and the proxy deletes what it has
//! just added (Go's `ReverseProxy.Director` was replaced because of it).

mod claim;
mod context;
mod disguise;
mod forwarded;
mod trailer;
mod upgrade;

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{StatusCode, Version};

use super::coding::quality;
use super::identity::Identity;
use super::survey::{ConnectionField, Survey};
use crate::config::{ClientIp, Forwarding};
use crate::telemetry::mask::shown_in;

use claim::strip_claims;
pub(crate) use claim::{strip, strip_certificates};
pub(crate) use context::{TraceContext, trace_id};
pub(crate) use disguise::disguise;
pub(crate) use trailer::{clean_request_trailers, clean_response_trailers};
pub(crate) use upgrade::{is_offered, wants_upgrade};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Names one request in every log on its way.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C trace context.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const FIREDOOR_ZONE: HeaderName = HeaderName::from_static("firedoor-zone");
const FIREDOOR_EPOCH: HeaderName = HeaderName::from_static("firedoor-epoch");
const VIA_1_1: HeaderValue = HeaderValue::from_static("1.1 firedoor");
const VIA_2: HeaderValue = HeaderValue::from_static("2.0 firedoor");
const VIA_1_0: HeaderValue = HeaderValue::from_static("1.0 firedoor");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
const UPGRADE_OPTION: HeaderValue = HeaderValue::from_static("upgrade");

/// What one request is given on its way to a backend.
pub(crate) struct Additions<'a> {
    /// The client's address, as a field value made once a connection.
    pub(crate) client: &'a HeaderValue,
    /// Whether what the peer says of its own clients is believed.
    pub(crate) trusted: bool,
    /// How much of clients' addresses the app is told.
    pub(crate) client_ip: ClientIp,
    /// By which fields the app is told of its client.
    pub(crate) forwarding: Forwarding,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// The version that the client speaks.
    pub(crate) version: Version,
    /// `X-Request-Id` and `traceparent`.
    pub(crate) identity: &'a Identity,
}

/// Removes what concerns only the connection the request came on, and what a client may not claim. `upgrade` keeps
/// `Connection: upgrade` and the protocol's name.
pub(crate) fn clean_request(headers: &mut HeaderMap, found: &Survey, trusted: bool, upgrade: bool) {
    let protocol = if upgrade {
        headers.get(UPGRADE).cloned()
    } else {
        None
    };
    let trailers = found.te && accepts_trailers(headers);
    if found.has_hop_by_hop() {
        strip_hop_by_hop(headers);
        headers.remove(PROXY_AUTHORIZATION);
        headers.remove(HTTP2_SETTINGS);
    } else if found.connection == ConnectionField::Plain {
        headers.remove(CONNECTION);
    }
    if found.codings > 0 {
        // hyper sends a body of unknown length with GET only if the field says so; the value was checked before.
        headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
    if trailers {
        headers.insert(TE, TRAILERS);
        headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(protocol) = protocol {
        headers.append(CONNECTION, UPGRADE_OPTION);
        headers.insert(UPGRADE, protocol);
    }
    if found.claim && !trusted {
        strip_claims(headers);
    } else if found.odd_claim {
        claim::strip_odd_claims(headers);
    }
}

/// Adds what the app may rely on, after [`clean_request`].
pub(crate) fn add_to_request(headers: &mut HeaderMap, found: &Survey, add: &Additions<'_>) {
    // One growth instead of two or three.
    headers.reserve(10);
    if add.forwarding != Forwarding::XForwarded {
        forwarded::add(headers, add);
    } else if add.trusted && found.claim {
        // Most likely a client's: proxies that write the other fields pass it on as it is.
        headers.remove(FORWARDED);
    }
    if add.forwarding == Forwarding::Forwarded {
        // A trusted peer's, which would end before us.
        for name in [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST] {
            headers.remove(name);
        }
    } else {
        add_x_forwarded(headers, add);
    }
    headers.insert(X_REQUEST_ID, add.identity.request_id());
    if let Some(traceparent) = add.identity.traceparent() {
        if found.tracestate {
            // Without its parent, a trace state means nothing.
            headers.remove(TRACESTATE);
        }
        headers.insert(TRACEPARENT, traceparent);
    }
    add_via(headers, found, add.version);
}

fn add_x_forwarded(headers: &mut HeaderMap, add: &Additions<'_>) {
    let chain = if add.trusted {
        extended(headers, &X_FORWARDED_FOR, add.client)
    } else {
        None
    };
    let chain = chain.unwrap_or_else(|| add.client.clone());
    headers.insert(X_FORWARDED_FOR, shown(chain, add.client_ip));
    if !(add.trusted && headers.contains_key(X_FORWARDED_PROTO)) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(add.scheme));
    }
    if !(add.trusted && headers.contains_key(X_FORWARDED_HOST))
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
}

/// As far as the app may know it. What isn't ASCII holds no address.
fn shown(chain: HeaderValue, client_ip: ClientIp) -> HeaderValue {
    if client_ip == ClientIp::Full {
        return chain;
    }
    let masked = chain.to_str().map(|text| shown_in(text, client_ip));
    let masked = masked
        .ok()
        .and_then(|text| HeaderValue::try_from(text).ok());
    masked.unwrap_or_else(|| HeaderValue::from_static("unknown"))
}

/// Stamps the zone that the attempt goes to and the epoch it was decided in, so that a fenced-off zone can refuse it. Anew for
/// each attempt: a retry may go to another zone.
pub(crate) fn stamp(headers: &mut HeaderMap, zone: &HeaderValue, epoch: &HeaderValue) {
    headers.insert(FIREDOOR_ZONE, zone.clone());
    headers.insert(FIREDOOR_EPOCH, epoch.clone());
}

/// Makes a response, received in `version`, fit for the client's connection.
pub(crate) fn clean_response(
    headers: &mut HeaderMap,
    found: &Survey,
    status: StatusCode,
    version: Version,
) {
    let protocol = match status {
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED => {
            headers.get(UPGRADE).cloned()
        }
        _ => None,
    };
    if found.has_hop_by_hop() {
        strip_hop_by_hop(headers);
    } else if found.connection == ConnectionField::Plain {
        headers.remove(CONNECTION);
    }
    if found.codings > 0 {
        headers.remove(TRANSFER_ENCODING);
        // RFC 9112 6.3: the coding overrides the length, which must not be sent on.
        headers.remove(CONTENT_LENGTH);
    }
    if found.lengths > 1 {
        unite_lengths(headers);
    }
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, UPGRADE_OPTION);
        headers.insert(UPGRADE, protocol);
    }
    if status == StatusCode::NO_CONTENT || status == StatusCode::SWITCHING_PROTOCOLS {
        // RFC 9110 8.6: never in a 1xx or 204.
        headers.remove(CONTENT_LENGTH);
    }
    add_via(headers, found, version);
}

/// One `Content-Length` for several, or none if they don't agree (RFC 9110 8.6). They do wherever hyper has framed a body by them.
fn unite_lengths(headers: &mut HeaderMap) {
    let lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut lengths = lengths.flat_map(|value| value.as_bytes().split(|&b| b == b','));
    let first = lengths.next().unwrap_or_default().trim_ascii();
    let one = lengths
        .all(|length| length.trim_ascii() == first)
        .then(|| HeaderValue::from_bytes(first));
    headers.remove(CONTENT_LENGTH);
    if let Some(Ok(length)) = one {
        headers.insert(CONTENT_LENGTH, length);
    }
}

/// The next hop's `Max-Forwards` for OPTIONS and TRACE (RFC 9110 7.6.2): `Some(0)` means that it ends here.
pub(crate) fn max_forwards(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(http::header::MAX_FORWARDS)?;
    value.to_str().ok()?.parse().ok()
}

/// Whether the client names the request, so that its app can tell a repetition from a second request.
pub(crate) fn has_idempotency_key(headers: &HeaderMap) -> bool {
    headers
        .get(IDEMPOTENCY_KEY)
        .is_some_and(|key| !key.is_empty())
}

/// Whether the client wants a final status, or `100 (Continue)`, before it sends the body.
pub(crate) fn expects_continue(headers: &HeaderMap, found: &Survey) -> bool {
    found.expect
        && headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether the client came over https, by what a trusted peer says, or [`add_to_request`] has told the app. With several proxies in front of us,
/// the first one has seen the client.
pub(crate) fn is_https(headers: &HeaderMap) -> bool {
    if let Some(protos) = headers.get(X_FORWARDED_PROTO) {
        let mut protos = protos.as_bytes().split(|&b| b == b',');
        return protos
            .next()
            .is_some_and(|proto| proto.trim_ascii().eq_ignore_ascii_case(b"https"));
    }
    let told = headers.get(FORWARDED).and_then(|told| told.to_str().ok());
    let elements = told.and_then(forwarded::elements).unwrap_or_default();
    let first = elements.first().and_then(|first| first.proto.as_deref());
    first.is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

/// The client behind `peer`, who is trusted, by what it and others that are trusted say: the nearest address that isn't trusted. Which
/// fields say so is what apps are told by; where a peer could send both, a client's own forgery in the other ones must not count.
pub(crate) fn client_behind(
    headers: &HeaderMap,
    forwarding: Forwarding,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let standard = match forwarding {
        Forwarding::XForwarded => false,
        Forwarding::Forwarded => headers.contains_key(FORWARDED),
        Forwarding::Both => !headers.contains_key(X_FORWARDED_FOR),
    };
    let hops = if standard {
        forwarded::hops(headers)
    } else {
        forwarded::listed(headers).map(forwarded::address).collect()
    };
    let mut client = peer;
    for hop in hops.into_iter().rev() {
        let Some(address) = hop else { break };
        client = address.to_canonical();
        if !trusts(client) {
            break;
        }
    }
    client
}

/// The client's address as the last element of the chain.
pub(crate) fn client_value(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_canonical().to_string())
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// RFC 9110 7.6.1: the fields that `Connection` names, and those that concern one connection even where it doesn't name them.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        for name in named_by_connection(headers) {
            // Removing these would change the message's meaning or its framing, which no client may ask for.
            if !matches!(
                name,
                HOST | CONTENT_LENGTH | TRANSFER_ENCODING | TRAILER | CONNECTION
            ) {
                headers.remove(name);
            }
        }
        headers.remove(CONNECTION);
    }
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
    headers.remove(TE);
    headers.remove(UPGRADE);
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(|value| {
        value
            .as_bytes()
            .split(|&b| b == b',')
            .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

fn names_option(headers: &HeaderMap, wanted: &[u8]) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted))
}

fn extended(headers: &HeaderMap, name: &HeaderName, last: &HeaderValue) -> Option<HeaderValue> {
    if !headers.contains_key(name) {
        return None;
    }
    let mut chain = Vec::with_capacity(64);
    for value in headers.get_all(name) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(last.as_bytes());
    HeaderValue::from_bytes(&chain).ok()
}

/// RFC 9110 7.6.3: an intermediary names itself, as the last element, with the version in which it has received the message.
fn add_via(headers: &mut HeaderMap, found: &Survey, version: Version) {
    let ours = match version {
        Version::HTTP_10 => VIA_1_0,
        Version::HTTP_2 => VIA_2,
        _ => VIA_1_1,
    };
    let chain = if found.via {
        extended(headers, &VIA, &ours)
    } else {
        None
    };
    headers.insert(VIA, chain.unwrap_or(ours));
}

/// The fields that `Connection` names, which must not cross as trailers either. Empty for nearly every message.
pub(crate) fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .collect()
}

/// Whether the client would rather read JSON than a page. Whoever likes both as much gets the page: it is for people.
pub(crate) fn prefers_json(headers: &HeaderMap) -> bool {
    let values = || {
        let values = headers.get_all(http::header::ACCEPT).iter();
        values.filter_map(|accept| accept.to_str().ok())
    };
    // Nearly nobody names it, and each request comes by here.
    if !values().any(|accept| accept.contains("json")) {
        return false;
    }
    let (mut json, mut page) = (0, 0);
    for member in values().flat_map(|accept| accept.split(',')) {
        let mut parts = member.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let liked = parts.find_map(|part| quality(part.as_bytes()));
        let liked = liked.unwrap_or(1000);
        if kind.contains("json") {
            json = liked.max(json);
        } else if kind.eq_ignore_ascii_case("text/html") {
            page = liked.max(page);
        }
    }
    json > page
}

#[cfg(test)]
mod tests;
