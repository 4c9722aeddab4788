//! Which protocol a connection goes on with after a 101.

use http::Version;
use http::header::{HeaderMap, HeaderValue, UPGRADE};

use super::names_option;
use crate::proxy::message::survey::Survey;

/// Whether the request asks for another protocol on this connection. `h2c` doesn't count: its upgrade was withdrawn by RFC 9113,
/// and tunnelling it past the proxy is a known way around access rules. What came in HTTP/2 has `Upgrade` only where we put it.
pub(crate) fn wants_upgrade(headers: &HeaderMap, found: &Survey, version: Version) -> bool {
    found.upgrade
        && version >= Version::HTTP_11
        && names_option(headers, b"upgrade")
        && !headers.get_all(UPGRADE).iter().any(|value| {
            value
                .as_bytes()
                .split(|&b| b == b',')
                .any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
        })
}

/// Whether the `Upgrade` of `answer` names only protocols that `offered` names (RFC 9110 7.8).
pub(crate) fn is_offered(offered: &HeaderValue, answer: &HeaderMap) -> bool {
    let names = |value: &HeaderValue| -> Vec<Vec<u8>> {
        let names = value.as_bytes().split(|&b| b == b',');
        let trimmed = names.map(|name| name.trim_ascii().to_ascii_lowercase());
        trimmed.filter(|name| !name.is_empty()).collect()
    };
    let offered = names(offered);
    let mut chosen = answer.get_all(UPGRADE).iter().flat_map(names);
    chosen.all(|name| offered.contains(&name))
}
