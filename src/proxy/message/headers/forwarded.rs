//! `Forwarded` (RFC 7239): what proxies on the way say of the request, read and written.
//!
//! There are libraries that read it (`rfc7239`, `forwarded-header-value`). Both take a comma or semicolon within quotes for the end of
//! an element: a client whose `Host` is `"a,for=192.0.2.1"` could then claim any address through a proxy that quotes it as it should.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HOST, HeaderValue};

use crate::config::{ClientIp, Forwarding};
use crate::telemetry::mask::shown_in;

use super::{Additions, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};

/// What one proxy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// `for`: whom it has the request from. `None` if it doesn't say so, or hides it (`unknown`, `_secret`).
    pub(crate) client: Option<IpAddr>,
    /// `proto`: over what that one came.
    pub(crate) proto: Option<Cow<'a, str>>,
}

/// The elements of a field's value, the client's own proxy first; `None` if it is malformed, and with it everything that it says.
pub(crate) fn elements(value: &str) -> Option<Vec<Element<'_>>> {
    let mut elements = Vec::new();
    let mut rest = value.trim_matches(BLANK);
    while !rest.is_empty() {
        let mut element = Element::default();
        let mut names: Vec<&str> = Vec::new();
        loop {
            rest = rest.trim_start_matches(BLANK);
            if !rest.starts_with([';', ',']) && !rest.is_empty() {
                let (name, value, after) = pair(rest)?;
                if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                    return None;
                }
                names.push(name);
                if name.eq_ignore_ascii_case("for") {
                    element.client = node(&value)?;
                } else if name.eq_ignore_ascii_case("proto") {
                    element.proto = Some(value);
                }
                rest = after.trim_start_matches(BLANK);
            }
            match rest.as_bytes().first() {
                Some(b';') => rest = &rest[1..],
                Some(b',') => {
                    rest = &rest[1..];
                    break;
                }
                None => break,
                Some(_) => return None,
            }
        }
        // RFC 9110 5.6.1.2: empty elements don't count.
        if !names.is_empty() {
            elements.push(element);
        }
    }
    Some(elements)
}

/// The client that each element names, the client's own proxy's first; none if something in them is malformed.
pub(super) fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let mut hops = Vec::new();
    for value in headers.get_all(FORWARDED) {
        let Some(said) = value.to_str().ok().and_then(elements) else {
            return Vec::new();
        };
        hops.extend(said.iter().map(|element| element.client));
    }
    hops
}

/// Adds what we know of the request: as the last element, after those of a peer that is believed, or alone.
pub(super) fn add(headers: &mut HeaderMap, add: &Additions<'_>) {
    let mut chain = if add.trusted {
        believed(headers, add.forwarding)
    } else {
        Vec::new()
    };
    let mut client = Cow::Borrowed(add.client);
    if add.client_ip != ClientIp::Full {
        // Not what comes after: our own Host may be an address, and is nobody's.
        chain = shown_in(&String::from_utf8_lossy(&chain), add.client_ip).into_bytes();
        client = Cow::Owned(super::shown(add.client.clone(), add.client_ip));
    }
    if !chain.is_empty() {
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(b"for=");
    push_node(&mut chain, client.as_bytes());
    if let Some(host) = headers.get(HOST) {
        chain.extend_from_slice(b";host=");
        push_value(&mut chain, host.as_bytes());
    }
    chain.extend_from_slice(b";proto=");
    chain.extend_from_slice(add.scheme.as_bytes());
    // An obfuscated identifier (6.3): the address that clients come to is nobody's business behind us.
    chain.extend_from_slice(b";by=_firedoor");
    if let Ok(value) = HeaderValue::from_bytes(&chain) {
        headers.insert(FORWARDED, value);
    }
}

/// What the peer says, in its own words, unless they could hide ours: an open quote would take our element in. A peer that says it
/// by `X-Forwarded-For` alone is translated (7.4); where both count, so is one that says it by both: the other field may be its client's, and
/// apps must be told of one client only.
fn believed(headers: &HeaderMap, forwarding: Forwarding) -> Vec<u8> {
    let doubtful = forwarding == Forwarding::Both && headers.contains_key(X_FORWARDED_FOR);
    if doubtful || !headers.contains_key(FORWARDED) {
        return translated(headers);
    }
    let mut chain = Vec::new();
    for value in headers.get_all(FORWARDED) {
        let sound = value.to_str().is_ok_and(|text| elements(text).is_some());
        if !sound {
            return Vec::new();
        }
        if !chain.is_empty() {
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(value.as_bytes());
    }
    chain
}

fn translated(headers: &HeaderMap) -> Vec<u8> {
    let mut chain = Vec::new();
    for part in listed(headers) {
        if !chain.is_empty() {
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(b"for=");
        if address(part).is_some() {
            push_node(&mut chain, part.as_bytes());
        } else {
            chain.extend_from_slice(b"unknown");
        }
        if chain.contains(&b',') {
            continue;
        }
        // The first one is the client's own proxy: how the client came is known of it alone.
        let first = |name| {
            let value = headers.get(name)?.to_str().ok()?;
            let first = value.split(',').next()?.trim_matches(BLANK);
            (!first.is_empty() && !first.contains(['"', '\\'])).then_some(first)
        };
        for (name, value) in [
            ("host", first(&X_FORWARDED_HOST)),
            ("proto", first(&X_FORWARDED_PROTO)),
        ] {
            if let Some(value) = value {
                chain.push(b';');
                chain.extend_from_slice(name.as_bytes());
                chain.push(b'=');
                push_value(&mut chain, value.as_bytes());
            }
        }
    }
    chain
}

/// The elements of `X-Forwarded-For`, the client's own first.
pub(super) fn listed(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = &str> {
    let values = headers.get_all(X_FORWARDED_FOR).iter();
    // What isn't ASCII is no address; an empty element doesn't count.
    let texts: Vec<&str> = values.map(|value| value.to_str().unwrap_or("-")).collect();
    let parts = texts.into_iter().flat_map(|text| text.split(','));
    let parts: Vec<&str> = parts.map(|part| part.trim_matches(BLANK)).collect();
    parts.into_iter().filter(|part| !part.is_empty())
}

/// An address as it stands in `X-Forwarded-For`: some proxies add the port.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let alone = bare.unwrap_or(text).parse().ok();
    alone.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

const BLANK: [char; 2] = [' ', '\t'];

/// `token "=" ( token / quoted-string )` (4), and what follows it.
fn pair(text: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let (name, rest) = text.split_once('=')?;
    if name.is_empty() || !name.bytes().all(is_token) {
        return None;
    }
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest
            .bytes()
            .position(|b| !is_token(b))
            .unwrap_or(rest.len());
        // RFC 7239 wants quotes around these; proxies leave them out, and nothing else could be meant.
        let end = end
            + rest[end..]
                .bytes()
                .take_while(|b| b":[]".contains(b) || is_token(*b))
                .count();
        let (value, after) = rest.split_at(end);
        return (!value.is_empty()).then_some((name, Cow::Borrowed(value), after));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((name, Cow::Owned(value), &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

/// `node` (6): `Some(None)` where it names no address.
fn node(text: &str) -> Option<Option<IpAddr>> {
    if text.eq_ignore_ascii_case("unknown") || text.starts_with('_') {
        return Some(None);
    }
    if let Some(inside) = text.strip_prefix('[') {
        let (address, port) = inside.split_once(']')?;
        let address = address.parse::<Ipv6Addr>().ok()?;
        let sound = port.is_empty() || port.starts_with(':');
        return sound.then_some(Some(address.into()));
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(Some(address.into()));
    }
    let address = text.split_once(':').map_or(text, |(address, _)| address);
    if address.eq_ignore_ascii_case("unknown") {
        return Some(None);
    }
    Some(Some(address.parse::<Ipv4Addr>().ok()?.into()))
}

/// An address, with or without a port: IPv6 in brackets, and whatever has a colon in quotes (6).
fn push_node(out: &mut Vec<u8>, address: &[u8]) {
    let bare = std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    if bare {
        out.extend_from_slice(b"\"[");
        out.extend_from_slice(address);
        out.extend_from_slice(b"]\"");
    } else {
        push_value(out, address);
    }
}

/// In quotes where it is no token. It holds neither quotes nor backslashes.
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    if value.iter().copied().all(is_token) && !value.is_empty() {
        out.extend_from_slice(value);
    } else {
        out.push(b'"');
        out.extend_from_slice(value);
        out.push(b'"');
    }
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
