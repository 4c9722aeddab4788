//! The words beside a status.

use crate::support::behaviour::{self, Next};
use crate::support::{Origin, Proxy};

#[test]
fn an_apps_own_words_for_its_status_reach_its_clients() {
    let origin = Origin::start(behaviour::custom(|exchange| {
        exchange.read_body();
        let words = match exchange.head.line.split(' ').nth(1) {
            Some("/expired") => "419 Page Expired",
            Some("/gone") => "404 Nobody Here: 3 < 4",
            Some("/wordless") => "419 ",
            _ => "200 ",
        };
        exchange.send(format!("HTTP/1.1 {words}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        Next::Keep
    }));
    let proxy = Proxy::builder()
        .toml(
            "[[route]]\npath = \"/own\"\nrespond = { status = 419 }\n[[route]]\npool = \"default\"",
        )
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    for (path, expected) in [
        ("/expired", "HTTP/1.1 419 Page Expired"),
        ("/gone", "HTTP/1.1 404 Nobody Here: 3 < 4"),
        // There may be none (RFC 9112 4), but people expect the common ones.
        ("/wordless", "HTTP/1.1 419 "),
        ("/", "HTTP/1.1 200 OK"),
        ("/own", "HTTP/1.1 419 "),
    ] {
        for method in ["GET", "HEAD"] {
            client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let head = client.head();
            assert_eq!(head.line, expected, "{method} {path}");
        }
    }
    client.send("GET /expired HTTP/1.0\r\n\r\n");
    assert_eq!(client.head().line, "HTTP/1.0 419 Page Expired");
}
