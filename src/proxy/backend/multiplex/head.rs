//! A request's head as HTTP/2 has it, and a WebSocket's opening as RFC 8441 has it. Pure.

use h2::ext::Protocol;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{Method, Request, StatusCode, Uri, Version};

use crate::proxy::message::websocket;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// A WebSocket that was asked for.
pub(super) struct Opening {
    /// What the client expects to see as a sign that it was understood; `None`: it has sent no key.
    accept: Option<HeaderValue>,
}

/// Whether the request, made for HTTP/1.1, asks for a WebSocket (RFC 6455 4.1).
pub(super) fn opens_websocket<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && request
            .headers()
            .get(UPGRADE)
            .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Makes a head for HTTP/1.1 one for HTTP/2 (RFC 9113 8.3.1): `Host` becomes `:authority`, and what concerns a connection goes. An
/// `Upgrade` goes too, which a server may always ignore (RFC 9110 7.8). `scheme` is the connection's own: some servers refuse another one.
pub(super) fn convert(request: &mut Request<()>, scheme: &Scheme) {
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        request.headers_mut().remove(name);
    }
    let host = request.headers().get(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    // Hosts that the http crate can't say as an authority (those with a %) go as the field that they are, which RFC 9113 allows too.
    let Some(authority) = authority else {
        return;
    };
    let mut parts = Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(authority);
    let target = request.uri().path_and_query().cloned();
    parts.path_and_query = Some(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(HOST);
    }
}

impl Opening {
    /// Makes a WebSocket's request an extended CONNECT (RFC 8441 4), which has no key.
    pub(super) fn of(request: &mut Request<()>) -> Self {
        *request.method_mut() = Method::CONNECT;
        let protocol = Protocol::from_static("websocket");
        request.extensions_mut().insert(protocol);
        request.headers_mut().remove(CONTENT_LENGTH);
        let key = request.headers_mut().remove(SEC_WEBSOCKET_KEY);
        Self {
            accept: key.as_ref().map(websocket::accept),
        }
    }

    /// What the client of HTTP/1.1 gets to see where `status` says that the tunnel is open.
    pub(super) fn answer(self, status: &mut StatusCode, headers: &mut HeaderMap) {
        *status = StatusCode::SWITCHING_PROTOCOLS;
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.remove(CONTENT_LENGTH);
        if let Some(accept) = self.accept {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
    }
}

/// Whether all lengths that a head declares are one and the same number: h2 looks at the first alone, and a client of HTTP/1.1 would get
/// to see them all.
pub(super) fn lengths_agree(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => true,
        (Some(only), None) => !only.is_empty() && only.as_bytes().iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(lines: &[(&str, &str)], target: &str) -> (Request<()>, Option<Opening>) {
        let mut request = Request::get(target).body(()).unwrap();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(name, value);
        }
        let opening = opens_websocket(&request).then(|| Opening::of(&mut request));
        convert(&mut request, &Scheme::HTTPS);
        (request, opening)
    }

    #[test]
    fn the_host_becomes_the_authority_and_what_concerns_a_connection_goes() {
        let (request, opening) = converted(
            &[
                ("host", "app.example:8443"),
                ("connection", "te, upgrade"),
                ("te", "trailers"),
                ("upgrade", "irc/6.9"),
                ("transfer-encoding", "chunked"),
                ("x-mine", "1"),
            ],
            "/a?b=%20",
        );
        assert!(opening.is_none());
        assert_eq!(request.uri(), "https://app.example:8443/a?b=%20");
        let mut names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["te", "x-mine"]);
    }

    #[test]
    fn a_host_that_is_no_authority_stays_a_field() {
        let (request, _) = converted(&[("host", "a%41.example")], "/");
        assert_eq!(request.headers()[HOST], "a%41.example");
        assert_eq!(request.uri(), "/");
    }

    #[test]
    fn the_whole_server_can_be_asked() {
        let (request, _) = converted(&[("host", "a")], "*");
        assert_eq!(request.uri().path(), "*");
    }

    #[test]
    fn a_websocket_is_opened_as_rfc_8441_has_it_and_answered_as_rfc_6455_has_it() {
        let (request, opening) = converted(
            &[
                ("host", "a"),
                ("connection", "upgrade"),
                ("upgrade", "WebSocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ],
            "/chat",
        );
        assert_eq!(request.method(), Method::CONNECT);
        assert!(!request.headers().contains_key(SEC_WEBSOCKET_KEY));
        let (mut status, mut headers) = (StatusCode::OK, HeaderMap::new());
        opening.unwrap().answer(&mut status, &mut headers);
        assert_eq!(status, 101);
        assert_eq!(
            headers[SEC_WEBSOCKET_ACCEPT],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn lengths_that_could_be_read_in_two_ways_do_not_pass() {
        for (values, agree) in [
            (&[][..], true),
            (&["12"], true),
            (&["12", "12"], false),
            (&["12", "13"], false),
            (&["+1"], false),
            (&["1, 1"], false),
            (&[""], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            assert_eq!(lengths_agree(&headers), agree, "{values:?}");
        }
    }
}
