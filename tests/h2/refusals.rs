//! What is refused: nothing that a backend's HTTP/1.1 could understand in another way than we did.

use bytes::Bytes;

use crate::client::Client;
use crate::frames::{
    self, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, RST_STREAM, Wire, frame,
};
use crate::support::behaviour;
use crate::support::wait::PATIENCE;
use crate::{lab, lab_with};

/// What comes of a request with this header block: a status, or a code of RST_STREAM.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Status(u16),
    Reset(u32),
    /// The whole connection is over.
    Ended(Outcome),
}

fn fate(wire: &mut Wire, stream: u32, block: &[u8]) -> Fate {
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block));
    let first = loop {
        match wire.next(PATIENCE) {
            Ok(frame) if frame.kind == GOAWAY => return Fate::Ended(Outcome::Goaway(frame.code())),
            Ok(frame) if frame.stream == stream => break frame,
            Ok(_) => {}
            Err(outcome) => return Fate::Ended(outcome),
        }
    };
    if first.kind == RST_STREAM {
        return Fate::Reset(first.code());
    }
    assert_eq!(first.kind, HEADERS);
    // `:status` comes first, from the static table or as a literal (RFC 7541 A).
    let status = match first.payload[0] {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        // A literal whose name is `:status`, with three digits in Huffman's code: only what is told apart here.
        _ => literal_status(&first.payload),
    };
    Fate::Status(status)
}

/// Digits are five or six bits long (RFC 7541 B).
fn literal_status(block: &[u8]) -> u16 {
    // A change of the table's size may come before it.
    let at = block
        .iter()
        .position(|byte| matches!(byte, 0x08 | 0x48 | 0x18))
        .expect("a status");
    let length = usize::from(block[at + 1] & 0x7f);
    let text = &block[at + 2..at + 2 + length];
    if block[at + 1] & 0x80 == 0 {
        return std::str::from_utf8(text).unwrap().parse().unwrap();
    }
    let bits: Vec<u8> = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let (mut digits, mut at) = (0u16, 0);
    for _ in 0..3 {
        let take = |count: usize| {
            bits[at..at + count]
                .iter()
                .fold(0u16, |sum, bit| sum << 1 | u16::from(*bit))
        };
        let (digit, length) = match take(5) {
            code @ 0..=2 => (code, 5),
            _ => (take(6) - 0x19 + 3, 6),
        };
        digits = digits * 10 + digit;
        at += length;
    }
    digits
}

const PSEUDO: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/x"),
    (":authority", "app.example"),
];

/// The pseudo-fields with one of another value, or without it.
fn with(name: &str, value: Option<&str>) -> Vec<u8> {
    let fields: Vec<(&str, &str)> = PSEUDO
        .into_iter()
        .filter_map(|(known, usual)| {
            if known == name {
                value.map(|value| (known, value))
            } else {
                Some((known, usual))
            }
        })
        .collect();
    frames::block(&fields)
}

fn plus(fields: &[(&str, &str)]) -> Vec<u8> {
    frames::request("GET", "/x", fields)
}

#[test]
fn nothing_ambiguous_reaches_a_backend() {
    let (origin, proxy) = lab(behaviour::ok("reached"));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a line end in a value", plus(&[("x", "a\r\nevil: 1")])),
        ("a line feed in a value", plus(&[("x", "a\nevil: 1")])),
        ("a carriage return in a value", plus(&[("x", "a\rb")])),
        ("NUL in a value", plus(&[("x", "a\0b")])),
        ("a line end in a name", plus(&[("x\r\nevil", "1")])),
        ("a colon in a name", plus(&[("x:evil", "1")])),
        ("a space in a name", plus(&[("x evil", "1")])),
        ("an empty name", plus(&[("", "1")])),
        ("a capital in a name", plus(&[("X-Evil", "1")])),
        (
            "transfer-encoding",
            plus(&[("transfer-encoding", "chunked")]),
        ),
        ("connection", plus(&[("connection", "x-own")])),
        ("keep-alive", plus(&[("keep-alive", "timeout=5")])),
        ("proxy-connection", plus(&[("proxy-connection", "close")])),
        ("upgrade", plus(&[("upgrade", "websocket")])),
        ("te other than trailers", plus(&[("te", "gzip")])),
        (
            "two lengths",
            plus(&[("content-length", "0"), ("content-length", "1")]),
        ),
        ("a length that is none", plus(&[("content-length", "+1")])),
        ("a negative length", plus(&[("content-length", "-1")])),
        ("a list of lengths", plus(&[("content-length", "0, 0")])),
        ("an unknown pseudo-field", plus(&[(":evil", "1")])),
        ("a pseudo-field of responses", plus(&[(":status", "200")])),
        ("a pseudo-field after others", {
            let mut block = frames::block(&[("x", "1")]);
            block.extend(plus(&[]));
            block
        }),
        ("a pseudo-field twice", plus(&[(":path", "/y")])),
        (
            "a method with a space",
            with(":method", Some("GET /evil HTTP/1.1")),
        ),
        ("a method with a line end", with(":method", Some("GET\r\n"))),
        ("an empty method", with(":method", Some(""))),
        ("no method", with(":method", None)),
        ("a path with a space", with(":path", Some("/x HTTP/1.1"))),
        (
            "a path with a line end",
            with(":path", Some("/x\r\nevil: 1")),
        ),
        ("a path with a control", with(":path", Some("/x\u{1}"))),
        ("a path with DEL", with(":path", Some("/x\u{7f}"))),
        ("a path without a slash", with(":path", Some("x"))),
        (
            "a whole URI as path",
            with(":path", Some("http://evil.example/x")),
        ),
        (
            "an authority as path",
            with(":path", Some("evil.example:80")),
        ),
        ("a star for GET", with(":path", Some("*"))),
        ("an empty path", with(":path", Some(""))),
        ("no path", with(":path", None)),
        ("no scheme", with(":scheme", None)),
        ("an empty scheme", with(":scheme", Some(""))),
        ("another scheme", with(":scheme", Some("ftp"))),
        ("a scheme with a space", with(":scheme", Some("http evil"))),
        (
            "an authority with a path",
            with(":authority", Some("app.example/evil")),
        ),
        (
            "an authority with a space",
            with(":authority", Some("app.example evil")),
        ),
        (
            "an authority with a line end",
            with(":authority", Some("a\r\nevil: 1")),
        ),
        (
            "an authority with user information",
            with(":authority", Some("u:p@app.example")),
        ),
        (
            "an authority with two ports",
            with(":authority", Some("a:1:2")),
        ),
        ("an authority like a list", with(":authority", Some("a, b"))),
        ("an empty authority", with(":authority", Some(""))),
        ("neither authority nor host", with(":authority", None)),
        ("another host", plus(&[("host", "evil.example")])),
        (
            "two hosts",
            plus(&[("host", "app.example"), ("host", "evil.example")]),
        ),
        (
            "a plain CONNECT",
            frames::block(&[(":method", "CONNECT"), (":authority", "evil.example:443")]),
        ),
        ("a CONNECT with a path", with(":method", Some("CONNECT"))),
    ];
    for (what, block) in &cases {
        let mut wire = Wire::connect(proxy.address);
        let fate = fate(&mut wire, 1, block);
        // Where not even the fields can be read, h2 ends the connection.
        let ended = fate == Fate::Ended(Outcome::Goaway(1));
        assert!(
            ended || matches!(fate, Fate::Reset(1) | Fate::Status(400 | 405)),
            "{what}: {fate:?}"
        );
        assert!(
            ended || wire.lives(),
            "{what}: one stream's fault is no other's"
        );
    }
    assert_eq!(origin.count(), 0);
    for tape in origin.tapes() {
        assert!(!String::from_utf8_lossy(&tape).contains("evil"));
    }
}

#[test]
fn what_is_unusual_but_clear_gets_through() {
    let (origin, proxy) = lab(behaviour::ok("reached"));
    for (what, block) in [
        ("usual", plus(&[])),
        ("the same host", plus(&[("host", "app.example")])),
        ("only a host", {
            let mut block = with(":authority", None);
            block.extend(frames::field("host", "app.example"));
            block
        }),
        ("te: trailers", plus(&[("te", "trailers")])),
        ("a value with a tab", plus(&[("x", "a\tb")])),
        ("a value beyond ASCII", plus(&[("x", "ä")])),
        ("an empty value", plus(&[("x", "")])),
        ("a length of zero", plus(&[("content-length", "0")])),
        ("a method of one's own", with(":method", Some("PURGE"))),
        (
            "the whole server",
            frames::block(&[
                (":method", "OPTIONS"),
                (":scheme", "http"),
                (":path", "*"),
                (":authority", "app.example"),
            ]),
        ),
        ("the other scheme", with(":scheme", Some("https"))),
    ] {
        let mut wire = Wire::connect(proxy.address);
        assert_eq!(fate(&mut wire, 1, &block), Fate::Status(200), "{what}");
    }
    assert!(
        origin
            .seen()
            .iter()
            .all(|seen| seen.field("host") == Some("app.example"))
    );
    assert!(origin.seen().iter().all(|seen| seen.flaws.is_empty()));
}

#[test]
fn heads_beyond_the_limits_get_431_or_414_and_the_connection_goes_on() {
    let (origin, proxy) = lab_with(
        behaviour::ok("reached"),
        "[limits]\nmax_header_size = \"4KiB\"\nmax_headers = 20",
    );
    let mut client = Client::connect(proxy.address);
    let large = "v".repeat(5000);
    let request = client.request("GET", "/").header("x-large", &large);
    assert_eq!(client.exchange(request.body(()).unwrap(), "").status, 431);
    let mut request = client.request("GET", "/");
    for at in 0..21 {
        request = request.header(format!("x-{at}"), "1");
    }
    assert_eq!(client.exchange(request.body(()).unwrap(), "").status, 431);
    let request = client
        .request("GET", &format!("/{large}"))
        .body(())
        .unwrap();
    assert_eq!(client.exchange(request, "").status, 414);
    assert_eq!(client.get("/").status, 200);
    // What is far beyond isn't even unpacked, so that nothing else on the connection could be.
    let huge = "v".repeat(15_000);
    let mut request = client.request("GET", "/");
    for at in 0..4 {
        request = request.header(format!("x-{at}"), &huge);
    }
    let ended = client.try_exchange(request.body(()).unwrap(), "");
    assert!(ended.is_err());
    assert!(client.end().is_err());
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_header_block_that_unpacks_to_a_gigabyte_costs_none() {
    let (origin, proxy) = lab(behaviour::ok("reached"));
    let mut wire = Wire::connect(proxy.address);
    // One indexed field of 4000 bytes, then references to it: one byte each.
    let mut block = frames::request("GET", "/x", &[]);
    block.push(0x40);
    block.extend(&frames::field("bomb", "x".repeat(3900))[1..]);
    block.extend(vec![0xbe; 16_000 - block.len()]);
    let fate = fate(&mut wire, 1, &block);
    assert_eq!(fate, Fate::Ended(Outcome::Goaway(11)), "ENHANCE_YOUR_CALM");
    assert_eq!(origin.count(), 0);
    assert!(crate::floods::resident_kib(&proxy) < 100_000);
}

#[test]
fn a_body_beyond_the_limit_gets_413_whether_it_was_announced_or_not() {
    let (_origin, proxy) = lab_with(behaviour::echo(), "[limits]\nmax_body_size = \"1KiB\"");
    let mut client = Client::connect(proxy.address);
    for length in [Some(2000), None] {
        let mut request = client.request("POST", "/");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let body = Bytes::from("x".repeat(2000));
        let response = client.exchange(request.body(()).unwrap(), body);
        assert_eq!(response.status, 413);
    }
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_connect_without_a_protocol_is_not_allowed_and_unknown_ones_are_not_implemented() {
    let (origin, proxy) = lab(behaviour::upgrade());
    let mut wire = Wire::connect(proxy.address);
    let connect = |protocol: &str| {
        frames::block(&[
            (":method", "CONNECT"),
            (":scheme", "http"),
            (":path", "/x"),
            (":authority", "app.example"),
            (":protocol", protocol),
        ])
    };
    wire.send(frame(HEADERS, END_HEADERS, 1, connect("connect-udp")));
    let head = wire.until(|frame| frame.stream == 1 && frame.kind == HEADERS);
    assert_eq!(literal_status(&head.payload), 501);
    assert_eq!(origin.count(), 0);
}
