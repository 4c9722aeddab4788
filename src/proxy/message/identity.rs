//! What names a request on its way: its id, and the trace that it belongs to.

use std::borrow::Cow;

use http::HeaderValue;

/// The same for each attempt. Field values are made anew for each: a `HeaderValue` that is cloned costs two allocations more than
/// one that is made twice.
pub(crate) struct Identity {
    id: RequestId,
    /// Of the trace that starts here; `None`: the client's own context is passed on.
    span: Option<u64>,
    made: Hex,
}

enum RequestId {
    Made,
    /// Taken over from a trusted peer.
    Kept(HeaderValue),
}

impl Identity {
    /// `kept`: the request's id, where it is believed. `traced`: the client's own trace context is passed on.
    pub(crate) fn new(kept: Option<HeaderValue>, traced: bool) -> Self {
        Self {
            id: kept.map_or(RequestId::Made, RequestId::Kept),
            span: (!traced).then(|| fastrand::u64(1..)),
            made: Hex::of(fastrand::u128(1..)),
        }
    }

    /// `X-Request-Id`.
    pub(crate) fn request_id(&self) -> HeaderValue {
        match &self.id {
            RequestId::Made => self.made.value(),
            RequestId::Kept(id) => id.clone(),
        }
    }

    /// The same as text.
    pub(crate) fn request_id_text(&self) -> Cow<'_, str> {
        match &self.id {
            RequestId::Made => Cow::Borrowed(self.made.as_str()),
            RequestId::Kept(id) => String::from_utf8_lossy(id.as_bytes()),
        }
    }

    /// `traceparent`, if the trace starts here.
    pub(crate) fn traceparent(&self) -> Option<HeaderValue> {
        self.span.map(|span| self.made.parent(span))
    }

    /// The id of a trace that starts here.
    pub(crate) fn trace_id(&self) -> &str {
        self.made.as_str()
    }
}

/// A random number in hexadecimal. `format!` spent 2,400 instructions of every request on two of these.
struct Hex([u8; 32]);

impl Hex {
    fn of(number: u128) -> Self {
        let mut text = [0; 32];
        write_hex(&number.to_be_bytes(), &mut text);
        Self(text)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }

    /// The `traceparent` of a trace with this id that starts here with `span`, not sampled (W3C Trace Context 3.2).
    fn parent(&self, span: u64) -> HeaderValue {
        let mut parent = *b"00-00000000000000000000000000000000-0000000000000000-00";
        parent[3..35].copy_from_slice(&self.0);
        write_hex(&span.to_be_bytes(), &mut parent[36..52]);
        HeaderValue::from_bytes(&parent).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

/// Two digits a byte; `text` is twice as long as `bytes`.
fn write_hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::message::headers::trace_id;

    #[test]
    fn an_id_is_its_number_in_hexadecimal() {
        let number = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
        assert_eq!(Hex::of(number).as_str(), format!("{number:032x}"));
    }

    #[test]
    fn a_trace_that_starts_here_is_well_formed() {
        let hex = Hex::of(7);
        assert_eq!(trace_id(&hex.parent(1)), Some(hex.as_str()));
    }
}
