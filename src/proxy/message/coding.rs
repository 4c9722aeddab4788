//! Which responses are compressed, and in which coding: `Accept-Encoding`, and what speaks against it. Pure.
//!
//! A response that is compressed is another representation than its backend's. What of its fields was about the bytes has to
//! follow: the length is gone, ranges can't be had, the entity tag is weak (RFC 9110 8.8.1).

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, RANGE, TRAILER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

use crate::config::{Coding, Compression};

/// Bytes below which the fields that compression brings cost as much as it saves.
const LEAST: u64 = 1024;

/// Fields that are a checksum over the content as it was.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// The coding that the answer to a request with these fields may have. Of those that the client likes best, it is the first that
/// is offered.
pub(crate) fn wish(headers: &HeaderMap, version: Version, offered: &[Coding]) -> Option<Coding> {
    // HTTP/1.0 has no chunks: a stream without a length could not be told from one that broke off.
    if version < Version::HTTP_11 || headers.contains_key(RANGE) || forbids(headers) {
        return None;
    }
    let wishes = Wishes::of(headers);
    let mut best: Option<(u16, Coding)> = None;
    for &coding in offered {
        let quality = wishes.quality(coding);
        if quality > best.map_or(0, |(best, _)| best) {
            best = Some((quality, coding));
        }
    }
    // As it is, is what is left when nothing else is said about it; so only a client that prefers that says so.
    let (quality, coding) = best?;
    (quality >= wishes.identity.unwrap_or(0)).then_some(coding)
}

/// What `Accept-Encoding` says (RFC 9110 12.5.3), in thousandths.
#[derive(Default)]
struct Wishes {
    named: [Option<u16>; Coding::ALL.len()],
    any: Option<u16>,
    identity: Option<u16>,
}

impl Wishes {
    fn of(headers: &HeaderMap) -> Self {
        let mut wishes = Self::default();
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        for member in values.flat_map(|value| value.as_bytes().split(|&b| b == b',')) {
            let mut parts = member.split(|&b| b == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let quality = match parts.next() {
                None => 1000,
                // What can't be understood is not wished for.
                Some(weight) => quality(weight)
                    .filter(|_| parts.next().is_none())
                    .unwrap_or(0),
            };
            let is = |coding: &str| name.eq_ignore_ascii_case(coding.as_bytes());
            let slot = if is("*") {
                &mut wishes.any
            } else if is("identity") {
                &mut wishes.identity
            } else if is("x-gzip") {
                &mut wishes.named[Coding::Gzip as usize]
            } else if let Some(coding) = Coding::ALL.iter().find(|coding| is(coding.name())) {
                &mut wishes.named[*coding as usize]
            } else {
                continue;
            };
            *slot = Some(quality);
        }
        wishes
    }

    fn quality(&self, coding: Coding) -> u16 {
        self.named[coding as usize].or(self.any).unwrap_or(0)
    }
}

/// `q=0.5` in thousandths (RFC 9110 12.4.2).
pub(super) fn quality(weight: &[u8]) -> Option<u16> {
    let (name, value) = weight.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, rest) = value.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = digits.get(place).copied().unwrap_or(b'0');
        thousandths = thousandths * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    match (whole, thousandths) {
        (b'0', _) => Some(thousandths),
        (b'1', 0) => Some(1000),
        _ => None,
    }
}

/// Decides about a response, and brings its fields in line. `wished` is what [`wish`] has found; `room` is asked at last whether
/// it can be had.
pub(crate) fn settle(
    status: StatusCode,
    headers: &mut HeaderMap,
    compression: &Compression,
    wished: Option<Coding>,
    room: impl FnOnce(Coding) -> bool,
) {
    if status == StatusCode::NOT_MODIFIED {
        // Mostly it says nothing of what it is about; what does, and would not be compressed, is left alone.
        let told = headers.contains_key(CONTENT_TYPE);
        if !is_open(status, headers) || (told && !is_worth_it(headers, compression)) {
            return;
        }
        // RFC 9110 15.4.5: all that the 200 would have, which varies for whoever gets it as it is, too.
        vary(headers);
        if wished.is_some() {
            // The client has the compressed one, under its weak tag.
            weaken(headers);
        }
        return;
    }
    if !is_open(status, headers) || !is_worth_it(headers, compression) {
        return;
    }
    vary(headers);
    let Some(coding) = wished.filter(|coding| room(*coding)) else {
        return;
    };
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    weaken(headers);
}

/// Whether nothing stands in the way.
fn is_open(status: StatusCode, headers: &HeaderMap) -> bool {
    let bodiless = matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
    );
    !bodiless
        && !status.is_informational()
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && !DIGESTS.iter().any(|digest| headers.contains_key(digest))
        && !announces_digest(headers)
        && !forbids(headers)
}

/// Whether a checksum follows the content.
fn announces_digest(headers: &HeaderMap) -> bool {
    headers.contains_key(TRAILER)
        && DIGESTS
            .iter()
            .any(|digest| lists(headers, &TRAILER, digest.as_str().as_bytes()))
}

/// Removes from the trailer section of a response that has been compressed what is not true of it any more: backends need not announce it.
pub(crate) fn drop_digests(trailers: &mut HeaderMap) {
    for digest in &DIGESTS {
        trailers.remove(digest);
    }
}

fn is_worth_it(headers: &HeaderMap, compression: &Compression) -> bool {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    if length.is_some_and(|length| length.parse().is_ok_and(|length: u64| length < LEAST)) {
        return false;
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (types.next(), types.next()) else {
        return false;
    };
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim_ascii();
    // Events are small and must not wait for each other; gRPC has codings of its own.
    let streamed = kind.eq_ignore_ascii_case("text/event-stream")
        || kind
            .get(..16)
            .is_some_and(|start| start.eq_ignore_ascii_case("application/grpc"));
    !streamed && compression.types.iter().any(|range| range.covers(kind))
}

/// `no-transform`, in a request or response (RFC 9111 5.2.1.6, 5.2.2.6).
fn forbids(headers: &HeaderMap) -> bool {
    lists(headers, &CACHE_CONTROL, b"no-transform")
}

fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &[u8]) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .any(|member| member.trim_ascii().eq_ignore_ascii_case(wanted))
}

/// Caches have to keep one for each coding.
fn vary(headers: &mut HeaderMap) {
    if !lists(headers, &VARY, b"accept-encoding") && !lists(headers, &VARY, b"*") {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// A strong tag promises the same bytes.
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers
        .get(ETAG)
        .filter(|tag| tag.as_bytes().starts_with(b"\""))
    else {
        return;
    };
    let weak = [b"W/", tag.as_bytes()].concat();
    if let Ok(weak) = HeaderValue::from_bytes(&weak) {
        headers.insert(ETAG, weak);
    }
}

#[cfg(test)]
mod tests;
