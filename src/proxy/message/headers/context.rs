//! W3C Trace Context: where in a trace a request belongs.

use http::HeaderValue;

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The trace's id; never 0.
    pub(crate) trace: u128,
    /// The span that the request comes from; `None`: the trace begins here.
    pub(crate) parent: Option<u64>,
    flags: u8,
}

const SAMPLED: u8 = 1;
/// The trace's id was made at random (level 2, 3.2.2.5.2).
const RANDOM: u8 = 2;

impl TraceContext {
    /// What a well-formed `traceparent` says.
    pub(crate) fn read(parent: &HeaderValue) -> Option<Self> {
        let [trace, parent, flags] = parts(parent)?;
        Some(Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            parent: Some(u64::from_str_radix(parent, 16).ok()?),
            flags: u8::from_str_radix(flags, 16).ok()?,
        })
    }

    /// Of a trace that begins here; `trace` has 32 hexadecimal digits.
    pub(crate) fn new(trace: &str) -> Self {
        Self {
            trace: u128::from_str_radix(trace, 16).unwrap_or(1),
            parent: None,
            flags: 0,
        }
    }

    /// Whoever made it records the trace, and asks those who come after to do so, too.
    pub(crate) fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// `traceparent` of the same trace from `span` on. Flags that we don't know are not passed on (3.2.2.5).
    pub(crate) fn onward(&self, span: u64, sampled: bool) -> HeaderValue {
        let flags = (self.flags & RANDOM) | u8::from(sampled);
        let trace = self.trace;
        HeaderValue::try_from(format!("00-{trace:032x}-{span:016x}-{flags:02x}"))
            .unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

/// The trace's id, if the trace context is well-formed; a broken one is replaced rather than passed on (3.2).
pub(crate) fn trace_id(parent: &HeaderValue) -> Option<&str> {
    parts(parent).map(|[trace, ..]| trace)
}

/// Trace, parent and flags of a well-formed context.
fn parts(parent: &HeaderValue) -> Option<[&str; 3]> {
    let value = parent.to_str().ok()?;
    let mut parts = value.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let sound = hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && hex(trace, 32)
        && trace.bytes().any(|b| b != b'0')
        && hex(parent, 16)
        && parent.bytes().any(|b| b != b'0')
        && hex(flags, 2);
    sound.then_some([trace, parent, flags])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_with_our_span_and_our_decision() {
        let came = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
        let header = HeaderValue::from_static(came);
        let context = TraceContext::read(&header).unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.parent, Some(0xb7ad_6b71_6920_3331));
        let onward = |sampled| context.onward(255, sampled);
        assert_eq!(
            onward(false),
            "00-0af7651916cd43dd8448eb211c80319c-00000000000000ff-02"
        );
        assert_eq!(
            onward(true),
            "00-0af7651916cd43dd8448eb211c80319c-00000000000000ff-03"
        );
        // A later version: what we don't know stays behind.
        let later = HeaderValue::from_static(
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-f9-what-the-future-brings",
        );
        let context = TraceContext::read(&later).unwrap();
        assert_eq!(
            context.onward(255, true),
            "00-0af7651916cd43dd8448eb211c80319c-00000000000000ff-01"
        );
    }
}
