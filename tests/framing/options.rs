//! Connection, Upgrade, Expect: what concerns one hop.

use super::case::{Case, Class, SMUGGLED, get, post};
use Class::{RejectOrNormalise, Valid};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, message, body) in [
        ("names Host", get("Connection: Host\r\n"), ""),
        (
            "names Content-Length",
            post(
                "Connection: Content-Length\r\nContent-Length: 5\r\n",
                "hello",
            ),
            "hello",
        ),
        (
            "names Content-Length, closing",
            post(
                "Content-Length: 5\r\nConnection: close, content-length\r\n",
                "hello",
            ),
            "hello",
        ),
        (
            "names Transfer-Encoding",
            post(
                "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
                "5\r\nhello\r\n0\r\n\r\n",
            ),
            "hello",
        ),
        ("names itself", get("Connection: Connection\r\n"), ""),
        (
            "names X-Forwarded-For",
            get("Connection: X-Forwarded-For\r\n"),
            "",
        ),
        ("is no token", get("Connection: \"close\"\r\n"), ""),
        (
            "has empty elements",
            get("Connection: , ,keep-alive,,\r\n"),
            "",
        ),
        ("is empty", get("Connection:\r\n"), ""),
        (
            "names a thousand",
            get(&format!("Connection: {}\r\n", "a,".repeat(1000))),
            "",
        ),
    ] {
        cases.push(
            Case::new(
                format!("Connection {name}"),
                "RFC 9110 7.6.1",
                RejectOrNormalise,
                message,
            )
            .body(body)
            .host("app.example"),
        );
    }
    for (name, lines) in [
        ("close", "Connection: close\r\n"),
        (
            "keep-alive",
            "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n",
        ),
        ("a field", "Connection: keep-alive, A\r\nA: b\r\n"),
        ("Proxy-Connection", "Proxy-Connection: keep-alive\r\n"),
        ("TE", "TE: trailers\r\nConnection: TE\r\n"),
    ] {
        cases.push(
            Case::new(format!("Connection: {name}"), "9", Valid(1), get(lines)).target("/case"),
        );
    }
    for (name, lines) in [
        (
            "h2c",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        ),
        (
            "h2c in capitals",
            "Connection: upgrade, http2-settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABk\r\n",
        ),
        (
            "h2c unnamed",
            "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        ),
        (
            "h2c named alone",
            "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        ),
        (
            "h2c among others",
            "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        ),
        (
            "h2c in a second field",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        ),
    ] {
        let case = Case::new(
            format!("Upgrade: {name}"),
            "RFC 9110 7.8, RFC 9113 3.1",
            RejectOrNormalise,
            get(lines),
        );
        cases.push(
            case.forbid("upgrade", "h2c")
                .forbid("http2-settings", "")
                .target("/case"),
        );
    }
    for (name, message) in [
        ("HTTP/2.0", get("Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n")),
        ("TLS/1.0", get("Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n")),
        ("empty", get("Connection: Upgrade\r\nUpgrade:\r\n")),
        ("in HTTP/1.0", "GET /case HTTP/1.0\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned()),
        ("with a body", post("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", "hello")),
        ("then a request", get("Connection: Upgrade, close\r\nUpgrade: websocket\r\n") + SMUGGLED),
    ] {
        let section = "RFC 9110 7.8";
        cases.push(Case::new(format!("Upgrade: {name}"), section, RejectOrNormalise, message).target("/case"));
    }
    cases.push(
        Case::new(
            "Upgrade: refused by the origin",
            "RFC 9110 7.8",
            Valid(1),
            get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        )
        .target("/case"),
    );
    for (name, lines, class) in [
        ("100-continue", "Expect: 100-continue\r\n", Valid(1)),
        ("100-Continue", "Expect: 100-Continue\r\n", Valid(1)),
        ("unknown", "Expect: the-unexpected\r\n", RejectOrNormalise),
        (
            "several",
            "Expect: 100-continue, a=b\r\n",
            RejectOrNormalise,
        ),
        (
            "twice",
            "Expect: 100-continue\r\nExpect: 100-continue\r\n",
            RejectOrNormalise,
        ),
        ("empty", "Expect:\r\n", RejectOrNormalise),
        (
            "obfuscated",
            "Expect: y 100-continue\r\n",
            RejectOrNormalise,
        ),
    ] {
        let message = post(&format!("{lines}Content-Length: 5\r\n"), "hello");
        cases.push(
            Case::new(format!("Expect: {name}"), "RFC 9110 10.1.1", class, message)
                .target("/case")
                .body("hello"),
        );
    }
    cases.push(
        Case::new(
            "Expect: without a body",
            "RFC 9110 10.1.1",
            Valid(1),
            get("Expect: 100-continue\r\n"),
        )
        .target("/case"),
    );
    for method in ["TRACE", "HEAD"] {
        let message = format!(
            "{method} /case HTTP/1.1\r\nHost: app.example\r\nContent-Length: 41\r\n\r\n{}",
            SMUGGLED
        );
        cases.push(
            Case::new(
                format!("{method} with a body"),
                "RFC 9110 9.3",
                RejectOrNormalise,
                message,
            )
            .target("/case"),
        );
    }
    cases
}
