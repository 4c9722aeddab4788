//! What a header section says about its message, found in one pass, and what in it speaks against forwarding the message. Pure.

use http::Version;
use http::header::{HOST, HeaderMap, TRANSFER_ENCODING};

use super::spelling::{begins_as, is_odd, reads_as};

/// What a header section holds of interest, found in one pass: a look-up by name costs a hash each, and most of these names
/// are in hardly any message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Survey {
    pub(in crate::proxy) hosts: u32,
    pub(in crate::proxy) codings: u32,
    /// Values of `Content-Length`; of a list, two are counted.
    pub(in crate::proxy) lengths: u32,
    pub(in crate::proxy) connection: ConnectionField,
    /// Another field that concerns only this connection is there.
    pub(in crate::proxy) hop_by_hop: bool,
    pub(in crate::proxy) upgrade: bool,
    pub(in crate::proxy) te: bool,
    pub(in crate::proxy) expect: bool,
    /// A field that claims where the request came from is there.
    pub(in crate::proxy) claim: bool,
    /// One is there in a spelling that no proxy writes.
    pub(in crate::proxy) odd_claim: bool,
    pub(in crate::proxy) via: bool,
    pub(in crate::proxy) tracestate: bool,
    request_id: bool,
    traceparent: bool,
    accept: bool,
    /// Bytes of the fields as they would be written, roughly: what `max_header_size` limits.
    pub(crate) size: usize,
}

/// What `Connection` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) enum ConnectionField {
    #[default]
    Absent,
    /// `keep-alive` or `close`, as in nearly every message that has it: names no field.
    Plain,
    /// Anything else.
    Naming,
}

impl Survey {
    /// By itself: inlined into its one busy caller, it has taken half as many instructions again.
    #[inline(never)]
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            found.size += name.len() + value.len() + 4;
            match name {
                "host" => found.hosts += 1,
                "content-length" => {
                    found.lengths += 1;
                    found.lengths += u32::from(value.as_bytes().contains(&b','));
                }
                "transfer-encoding" => found.codings += 1,
                "connection" => {
                    let plain = found.connection == ConnectionField::Absent
                        && (value.as_bytes().eq_ignore_ascii_case(b"keep-alive")
                            || value.as_bytes().eq_ignore_ascii_case(b"close"));
                    found.connection = if plain {
                        ConnectionField::Plain
                    } else {
                        ConnectionField::Naming
                    };
                }
                "upgrade" => found.upgrade = true,
                "te" => found.te = true,
                "expect" => found.expect = true,
                "keep-alive" | "proxy-connection" | "http2-settings" | "proxy-authorization" => {
                    found.hop_by_hop = true;
                }
                "x-request-id" => found.request_id = true,
                "traceparent" => found.traceparent = true,
                "tracestate" => found.tracestate = true,
                "via" => found.via = true,
                "accept" => found.accept = true,
                _ if is_claim(name) => {
                    found.claim = true;
                    found.odd_claim |= is_odd(name);
                }
                _ => {}
            }
        }
        found
    }

    /// Whether the request brings an id of its own.
    pub(crate) fn has_request_id(&self) -> bool {
        self.request_id
    }

    /// Whether the client says what it would like to get.
    pub(crate) fn has_accept(&self) -> bool {
        self.accept
    }

    /// Whether the request brings a trace context.
    pub(crate) fn has_traceparent(&self) -> bool {
        self.traceparent
    }

    /// Whether `Connection` may name other fields as concerning only this connection.
    pub(crate) fn names_fields(&self) -> bool {
        self.connection == ConnectionField::Naming
    }

    /// Whether anything but a plain `Connection` concerns only this connection.
    pub(in crate::proxy) fn has_hop_by_hop(&self) -> bool {
        self.hop_by_hop || self.te || self.upgrade || self.names_fields()
    }
}

/// Fields by which a client could claim who it is, or where its request came from, in any spelling that an app may take for them.
/// `X-Request-Id` is one too: in a head, ours takes its place.
pub(in crate::proxy) fn is_claim(name: &str) -> bool {
    // Hardly any other name gets beyond its first letters.
    match name.as_bytes() {
        [b'x', _, b'f', ..] => begins_as(name, "x-forwarded-"),
        [b'x', _, b'r', ..] => reads_as(name, "x-real-ip") || reads_as(name, "x-request-id"),
        [b'x', _, b'c', ..] | [b'c', b'l', ..] => is_certificate(name),
        [b'f', ..] => name == "forwarded" || name.starts_with("firedoor"),
        _ => false,
    }
}

/// Fields that speak of the client's certificate (RFC 9440, and our own). Whoever ends the TLS that it was shown in is the one to
/// write them.
pub(in crate::proxy) fn is_certificate(name: &str) -> bool {
    reads_as(name, "client-cert")
        || reads_as(name, "client-cert-chain")
        || begins_as(name, "x-client-cert")
}

/// What stands in the way of forwarding a request: it could be understood in two ways, or isn't a request to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// HTTP/1.1 without `Host`, several of them, or one that isn't a host (RFC 9112 3.2).
    Host,
    /// Several transfer codings, or one that isn't `chunked` at the end (RFC 9112 6.1).
    TransferEncoding,
    /// A coding before `chunked` that a recipient may not understand (RFC 9112 6.1: 501).
    UnknownCoding,
    /// Several `Content-Length` fields (RFC 9112 6.3).
    ContentLength,
}

/// Looks for what hyper lets through though RFC 9112 has it rejected.
pub(crate) fn flaw(headers: &HeaderMap, found: &Survey, version: Version) -> Option<Flaw> {
    let host = headers.get(HOST);
    if found.hosts > 1
        || (found.hosts == 0 && version >= Version::HTTP_11)
        || host.is_some_and(|host| !is_host(host.as_bytes()))
    {
        return Some(Flaw::Host);
    }
    if found.codings > 1 {
        return Some(Flaw::TransferEncoding);
    }
    if found.codings == 1 {
        let coding = headers.get(TRANSFER_ENCODING)?.as_bytes();
        if !coding.eq_ignore_ascii_case(b"chunked") {
            let mut codings = coding.split(|&b| b == b',').map(<[u8]>::trim_ascii);
            let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
            let framed = codings.next_back().is_some_and(is_chunked) && !codings.any(is_chunked);
            return Some(if framed {
                Flaw::UnknownCoding
            } else {
                Flaw::TransferEncoding
            });
        }
    }
    (found.lengths > 1).then_some(Flaw::ContentLength)
}

/// The bytes of a registered name. A comma is allowed by the grammar, but is how two Host fields look once somebody has joined them.
const IN_HOST: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let character = byte as u8;
        table[byte] = character.is_ascii_alphanumeric()
            || matches!(
                character,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b';'
                    | b'='
                    | b'%'
            );
        byte += 1;
    }
    table
};

/// `uri-host [":" port]` without user information, and not empty (RFC 9110 4.2.1, 4.2.4, 7.2).
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value {
        [b'[', ..] => match value.iter().position(|&b| b == b']') {
            Some(end) => {
                let address = std::str::from_utf8(&value[1..end]).unwrap_or("");
                if address.parse::<std::net::Ipv6Addr>().is_err() {
                    return false;
                }
                (&value[..=end], &value[end + 1..])
            }
            None => return false,
        },
        _ => {
            let end = value.iter().position(|&b| !IN_HOST[usize::from(b)]);
            let (host, port) = value.split_at(end.unwrap_or(value.len()));
            let is_coded = |after: &[u8]| {
                let code = after.get(..2);
                code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
            };
            if host.contains(&b'%') && !host.split(|&b| b == b'%').skip(1).all(is_coded) {
                return false;
            }
            (host, port)
        }
    };
    let port_is_sound = match port {
        [] => true,
        [b':', digits @ ..] => {
            let number = |digits: &[u8]| {
                digits.iter().try_fold(0, |number: u32, digit| {
                    let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'));
                    Some(number * 10 + digit?)
                })
            };
            digits.len() <= 5 && number(digits).is_some_and(|port| port <= u16::MAX.into())
        }
        _ => false,
    };
    !host.is_empty() && port_is_sound
}

/// Whether the response's framing can be trusted: hyper has unchunked it, so nothing but `chunked` may stand there.
pub(crate) fn response_is_sound(headers: &HeaderMap, found: &Survey) -> bool {
    match found.codings {
        0 => true,
        1 => headers
            .get(TRANSFER_ENCODING)
            .is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
