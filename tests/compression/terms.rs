//! Which responses are compressed, and what their fields say.

use std::collections::BTreeSet;

use super::decoder::{CODINGS, accepting, builder, decoded, get, text};
use crate::support::behaviour;
use crate::support::message::Framing;
use crate::support::{Origin, Proxy};

const HTML: &str = "Content-Type: text/html; charset=utf-8";

#[test]
fn every_coding_gives_the_same_text_and_fitting_fields() {
    let text = text(300_000, 1);
    let fields = [
        HTML,
        "ETag: \"abc\"",
        "Accept-Ranges: bytes",
        "Vary: Cookie",
    ];
    let origin = Origin::start(behaviour::answer(200, &fields, &text));
    let proxy = builder(&origin)
        .toml("[upstream]\nidle_timeout = \"60s\"")
        .start();
    // All on one connection: what is wrong with an end shows in the next answer.
    let mut client = proxy.client();
    for coding in CODINGS {
        let answer = client.exchange(accepting(coding));
        assert_eq!(answer.field("content-encoding"), Some(coding));
        assert!(decoded(&answer) == text, "{coding}");
        assert!(
            answer.body.len() < text.len() / 2,
            "{coding}: {}",
            answer.body.len()
        );
        assert_eq!(answer.framing, Framing::Chunked);
        assert_eq!(answer.field("content-length"), None);
        assert_eq!(answer.field("accept-ranges"), None);
        assert_eq!(answer.field("etag"), Some("W/\"abc\""));
        assert_eq!(answer.all("vary"), ["Cookie", "Accept-Encoding"]);
        assert_eq!(answer.head.flaws, [""; 0]);
        let head = client.exchange(accepting(coding).replace("GET", "HEAD"));
        assert_eq!(head.field("content-encoding"), Some(coding));
        assert_eq!(
            (head.field("content-length"), head.field("etag")),
            (None, Some("W/\"abc\""))
        );
    }
    let plain = client.exchange(get("/plain", ""));
    assert!(plain.body == text);
    assert_eq!(plain.framing, Framing::Length(300_000));
    assert_eq!(plain.field("etag"), Some("\"abc\""));
    assert_eq!(plain.all("vary"), ["Cookie", "Accept-Encoding"]);
    let bytes = proxy.access_line("/")["bytes_out"].as_u64().unwrap();
    assert!(bytes > 1000 && bytes < 150_000, "{bytes}");
    let connections: BTreeSet<usize> = origin.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 1, "the backend's connection is kept too");
}

#[test]
fn what_must_not_be_compressed_passes_as_it_is() {
    let body = text(5000, 2);
    let origin = Origin::named("");
    let proxy = builder(&origin)
        .toml("[[route]]\npath = \"/off\"\npool = \"default\"")
        .start();
    let gzip = "Accept-Encoding: gzip\r\n";
    let cases: [(u16, &str, &[&str]); 9] = [
        (206, gzip, &[HTML, "Content-Range: bytes 0-4999/9999"]),
        (200, "Accept-Encoding: gzip\r\nRange: bytes=0-\r\n", &[HTML]),
        (
            200,
            "Accept-Encoding: gzip\r\nCache-Control: no-transform\r\n",
            &[HTML],
        ),
        (200, "Accept-Encoding: deflate, gzip;q=0\r\n", &[HTML]),
        (200, gzip, &[HTML, "Cache-Control: no-transform"]),
        (200, gzip, &[HTML, "Content-Encoding: br"]),
        (200, gzip, &[HTML, "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ=="]),
        (200, gzip, &["Content-Type: image/png"]),
        (200, gzip, &[]),
    ];
    for (status, wishes, fields) in cases {
        origin.behave(behaviour::answer(status, fields, &body));
        let answer = proxy.client().exchange(get("/", wishes));
        assert!(answer.body == body, "{wishes:?} {fields:?}");
        assert_eq!(
            answer.framing,
            Framing::Length(5000),
            "{wishes:?} {fields:?}"
        );
    }
    origin.behave(behaviour::answer(200, &[HTML], &body));
    assert!(proxy.client().exchange(get("/off", gzip)).body == body);
    assert_eq!(
        proxy.client().exchange(get("/off", gzip)).field("vary"),
        None
    );
    let old = format!("GET / HTTP/1.0\r\nHost: app.example\r\n{gzip}\r\n");
    assert!(proxy.client().exchange(old).body == body);
    origin.behave(behaviour::answer(200, &[HTML], &body[..1023]));
    assert!(proxy.client().exchange(accepting("gzip")).body == body[..1023]);
    for status in [204, 304] {
        let fields = "ETag: \"a\"\r\nContent-Type: text/html";
        let response = format!("HTTP/1.1 {status} Whatever\r\n{fields}\r\n\r\n");
        origin.behave(behaviour::raw(response, behaviour::Next::Keep));
        let mut client = proxy.client();
        for _ in 0..2 {
            let answer = client.exchange(accepting("gzip"));
            assert_eq!((answer.status, answer.framing), (status, Framing::None));
            assert_eq!(answer.field("content-encoding"), None);
        }
    }
}

/// A checksum may be known only behind what it is about.
#[test]
fn content_that_a_checksum_follows_passes_as_it_is() {
    let body = text(5000, 3);
    let origin = Origin::named("");
    let proxy = builder(&origin).start();
    for (name, compressed) in [
        ("Content-Digest", false),
        ("repr-digest", false),
        ("Digest", false),
        ("Content-MD5", false),
        ("X-Digest", true),
    ] {
        let mut response = format!(
            "HTTP/1.1 200 OK\r\n{HTML}\r\nTrailer: X-Sum, {name}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
            body.len()
        )
        .into_bytes();
        response.extend_from_slice(&body);
        response.extend_from_slice(format!("\r\n0\r\n{name}: AAAA\r\n\r\n").as_bytes());
        origin.behave(behaviour::raw(response, behaviour::Next::Keep));
        let wishes = "Accept-Encoding: gzip\r\nTE: trailers\r\nConnection: TE\r\n";
        let answer = proxy.client().exchange(get("/", wishes));
        let coding = answer.field("content-encoding");
        assert_eq!(coding.is_some(), compressed, "{name}");
        assert_eq!(answer.body == body, !compressed, "{name}");
        let trailers = [(name.to_lowercase(), "AAAA".to_owned())];
        assert_eq!(answer.trailers, trailers);
    }
}

/// RFC 9110 15.4.5: a cache may have to store what a 304 says.
#[test]
fn a_304_varies_as_its_200_does() {
    let body = text(5000, 5);
    let origin = Origin::named("");
    let proxy = builder(&origin).start();
    for wish in ["identity", "gzip"] {
        let mut client = proxy.client();
        origin.behave(behaviour::answer(200, &[HTML, "ETag: \"a\""], &body));
        let whole = client.exchange(accepting(wish));
        let response = "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nVary: Cookie\r\n\r\n";
        origin.behave(behaviour::raw(response, behaviour::Next::Keep));
        let answer = client.exchange(accepting(wish));
        assert_eq!((whole.status, answer.status), (200, 304));
        assert_eq!(whole.all("vary"), ["Accept-Encoding"], "{wish}");
        assert_eq!(answer.all("vary"), ["Cookie", "Accept-Encoding"], "{wish}");
        assert_eq!(answer.field("etag"), whole.field("etag"), "{wish}");
    }
}

#[test]
fn a_route_names_its_codings_and_types() {
    let body = text(5000, 3);
    let origin = Origin::start(behaviour::answer(
        200,
        &["Content-Type: application/x-log"],
        &body,
    ));
    let proxy = Proxy::builder()
        .toml("[[route]]\npool = \"default\"\ncompress = [\"gzip\", \"br\"]\ncompress_types = [\"application/x-log\"]")
        .zone("fz-1", &[&origin])
        .start();
    for (wish, coding) in [
        ("zstd, br, gzip", Some("gzip")),
        ("zstd, br;q=1, gzip;q=0.9", Some("br")),
        ("zstd", None),
    ] {
        let answer = proxy.client().exchange(accepting(wish));
        assert_eq!(answer.field("content-encoding"), coding, "{wish}");
    }
    origin.behave(behaviour::answer(200, &[HTML], &body));
    let answer = proxy.client().exchange(accepting("gzip"));
    assert_eq!(answer.field("content-encoding"), None);
}

/// The route's own fields are there when it is decided, and its own wishes are not the client's.
#[test]
fn changed_fields_and_compression_get_along() {
    let body = text(5000, 4);
    let origin = Origin::start(behaviour::answer(
        200,
        &[HTML, "Cache-Control: no-transform"],
        &body,
    ));
    let proxy = Proxy::builder()
        .toml(
            "[[route]]\npool = \"default\"\ncompress = true\nrequest_headers = { remove = [\"Accept-Encoding\"] }\n\
             response_headers = { set = { Cache-Control = \"public\" } }",
        )
        .zone("fz-1", &[&origin])
        .start();
    let answer = proxy.client().exchange(accepting("br"));
    assert!(decoded(&answer) == body);
    assert_eq!(origin.saw("/").field("accept-encoding"), None);
}
