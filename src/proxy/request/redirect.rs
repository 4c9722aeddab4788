//! Where requests are sent instead: what a `Location` may be made of, and from cleartext to TLS. And the promise that makes browsers come over
//! TLS by themselves.

use std::time::Duration;

use http::{HeaderValue, Uri};
use percent_encoding::{AsciiSet, CONTROLS, PercentEncode, utf8_percent_encode};

use super::route::bare;

/// What hyper lets a request target have, but no URI may (RFC 3986, appendix A). Browsers take `\\` for `/`.
const NOT_IN_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A part of a request's target as a URI may have it.
pub(crate) fn in_uri(part: &str) -> PercentEncode<'_> {
    utf8_percent_encode(part, NOT_IN_URI)
}

/// `Location` for a request for `target` at `host`: the same over TLS, at `port`. `None`: the host can't be told.
pub(crate) fn over_tls(host: &str, target: &Uri, port: u16) -> Option<HeaderValue> {
    let name = bare(host);
    if name.is_empty() {
        return None;
    }
    let port = match port {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let target = target
        .path_and_query()
        .map_or("/", |target| target.as_str());
    // `OPTIONS *` is about the server as a whole.
    let target = if target == "*" { "/" } else { target };
    HeaderValue::try_from(format!("https://{name}{port}{}", in_uri(target))).ok()
}

/// `Strict-Transport-Security` (RFC 6797 6.1) for so long. Not for subdomains: this listener may not serve them all.
pub(crate) fn promise(for_so_long: Duration) -> HeaderValue {
    HeaderValue::try_from(format!("max-age={}", for_so_long.as_secs()))
        .unwrap_or_else(|_| HeaderValue::from_static("max-age=0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_stays_and_the_port_is_the_other_one() {
        for (port, host, target, location) in [
            (443, "a.example", "/x?y=%20z", "https://a.example/x?y=%20z"),
            (443, "A.example:8080", "/", "https://a.example/"),
            (8443, "a.example:80", "/", "https://a.example:8443/"),
            (8443, "[2001:db8::1]", "/", "https://[2001:db8::1]:8443/"),
            (443, "[2001:db8::1]:80", "/", "https://[2001:db8::1]/"),
            (443, "a.example", "*", "https://a.example/"),
            (
                443,
                "a.example",
                "/\\|^{}\"?`ö",
                "https://a.example/%5C%7C%5E%7B%7D%22?%60%C3%B6",
            ),
        ] {
            let target = Uri::try_from(target).unwrap();
            assert_eq!(over_tls(host, &target, port).unwrap(), location);
        }
        assert_eq!(over_tls("", &Uri::from_static("/"), 443), None);
        assert_eq!(over_tls(":80", &Uri::from_static("/"), 443), None);
    }
}
