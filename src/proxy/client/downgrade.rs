//! A request of HTTP/2 as HTTP/1.1 has it: one form for all that follows, whichever version its backend speaks. Pure.
//!
//! h2 has refused what is malformed by itself (RFC 9113 8.1.1): fields that concern one connection, characters that would end a line
//! of HTTP/1.1, pseudo-fields in wrong number or order, a body of another length than `content-length`. What is left to see to
//! is what both versions can say, but differently.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, SEC_WEBSOCKET_KEY, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::proxy::message::survey::{self, Flaw};
use crate::proxy::request::error::Refusal;

/// Brings `head` into the form of HTTP/1.1, but for the version, which says where it came from. `bodiless`: nothing follows it. `key`: the
/// `Sec-WebSocket-Key` of a WebSocket, which HTTP/2 goes without (RFC 8441 5).
pub(crate) fn downgrade(
    head: &mut Parts,
    bodiless: bool,
    key: impl FnOnce() -> HeaderValue,
) -> Result<(), Refusal> {
    let protocol = head.extensions.remove::<h2::ext::Protocol>();
    name_host(head)?;
    join_cookies(&mut head.headers);
    let target = head.uri.path_and_query().cloned();
    if head.method == Method::CONNECT {
        // Otherwise a CONNECT to anywhere, which a gateway doesn't serve.
        let protocol = protocol.ok_or(Refusal::Method)?;
        if !protocol.as_str().eq_ignore_ascii_case("websocket") {
            return Err(Refusal::UnknownProtocol);
        }
        if bodiless || head.headers.contains_key(CONTENT_LENGTH) {
            return Err(Refusal::BadTarget);
        }
        head.method = Method::GET;
        head.headers
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers
            .insert(UPGRADE, HeaderValue::from_static("websocket"));
        head.headers.insert(SEC_WEBSOCKET_KEY, key());
    } else if !bodiless && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers
            .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    head.uri = Uri::from(target.ok_or(Refusal::BadTarget)?);
    Ok(())
}

/// `:authority` is the host, and beside it `Host` may say nothing else (RFC 9113 8.3.1).
fn name_host(head: &mut Parts) -> Result<(), Refusal> {
    if head
        .uri
        .scheme_str()
        .is_some_and(|scheme| !matches!(scheme, "http" | "https"))
    {
        return Err(Refusal::BadTarget);
    }
    let Some(authority) = head.uri.authority() else {
        return Ok(());
    };
    let authority = authority.as_str();
    let same = |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes());
    if !survey::is_host(authority.as_bytes()) || !head.headers.get_all(HOST).iter().all(same) {
        return Err(Refusal::Flawed(Flaw::Host));
    }
    let host = HeaderValue::from_str(authority).map_err(|_| Refusal::Flawed(Flaw::Host))?;
    head.headers.insert(HOST, host);
    Ok(())
}

/// RFC 9113 8.2.3: cookies may come one by one, and no app of HTTP/1.1 expects that.
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for cookie in [second].into_iter().chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests;
