//! Claims about where a request came from, and who may make them.

use http::header::{HeaderMap, HeaderName};

use crate::proxy::message::spelling::is_odd;
use crate::proxy::message::survey::{is_certificate, is_claim};

/// Removes what a client may not claim.
pub(super) fn strip_claims(headers: &mut HeaderMap) {
    strip(headers, is_claim);
}

/// Removes claims in spellings that no proxy writes: a peer that is believed has passed them on, and an app may take them for its own.
pub(super) fn strip_odd_claims(headers: &mut HeaderMap) {
    strip(headers, |name| is_odd(name) && is_claim(name));
}

/// Removes what a peer that is believed may say of its own clients' certificates, but not of its own: that one, we have seen.
pub(crate) fn strip_certificates(headers: &mut HeaderMap) {
    strip(headers, is_certificate);
}

/// Removes all fields whose names are `unwanted`.
pub(crate) fn strip(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let names = headers.keys().filter(|name| unwanted(name.as_str()));
    let names: Vec<HeaderName> = names.cloned().collect();
    for name in names {
        headers.remove(name);
    }
}
