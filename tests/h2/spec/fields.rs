//! RFC 9113 8 and RFC 7541: header blocks and what is in them.

use super::{CALM, COMPRESSION, PROTOCOL, Rule, Verdict, connect, headers, judge, open, usual};
use crate::frames::{DATA, END_HEADERS, END_STREAM, Wire, block, field, frame, request};

const WHOLE: u8 = END_HEADERS | END_STREAM;

fn sent(wire: &mut Wire, block: Vec<u8>) {
    wire.send(headers(1, WHOLE, block));
}

/// The usual request behind these bytes.
fn behind(bytes: &[u8]) -> Vec<u8> {
    [bytes, &usual()].concat()
}

/// The usual request, and these bytes behind it.
fn before(bytes: &[u8]) -> Vec<u8> {
    [&usual(), bytes].concat()
}

/// Malformed: a stream error, and where the fields can't even be read the connection's (RFC 9113 8.1.1).
const MALFORMED: Verdict = Verdict::Stream(1, &[PROTOCOL]);

#[test]
fn pseudo_fields_and_fields() {
    let rules = [
        Rule(
            "8.2",
            "a capital in a name",
            |wire| sent(wire, before(&field("X-TEST", "x"))),
            MALFORMED,
        ),
        Rule(
            "8.2.1",
            "a space in a name",
            |wire| sent(wire, before(&field("x y", "x"))),
            MALFORMED,
        ),
        Rule(
            "8.2.1",
            "a line end in a value",
            |wire| sent(wire, before(&field("x", "a\r\nb: c"))),
            MALFORMED,
        ),
        Rule(
            "8.2.1",
            "NUL in a value",
            |wire| sent(wire, before(&field("x", "a\0"))),
            MALFORMED,
        ),
        Rule(
            "8.3",
            "an unknown pseudo-field",
            |wire| sent(wire, behind(&field(":test", "x"))),
            MALFORMED,
        ),
        Rule(
            "8.3",
            "one of responses",
            |wire| sent(wire, behind(&field(":status", "200"))),
            MALFORMED,
        ),
        Rule(
            "8.3",
            "behind the fields",
            |wire| sent(wire, behind(&field("x", "y"))),
            MALFORMED,
        ),
        Rule(
            "8.2.2",
            "connection",
            |wire| sent(wire, before(&field("connection", "keep-alive"))),
            MALFORMED,
        ),
        Rule(
            "8.2.2",
            "keep-alive",
            |wire| sent(wire, before(&field("keep-alive", "1"))),
            MALFORMED,
        ),
        Rule(
            "8.2.2",
            "proxy-connection",
            |wire| sent(wire, before(&field("proxy-connection", "close"))),
            MALFORMED,
        ),
        Rule(
            "8.2.2",
            "transfer-encoding",
            |wire| sent(wire, before(&field("transfer-encoding", "chunked"))),
            MALFORMED,
        ),
        Rule(
            "8.2.2",
            "upgrade",
            |wire| sent(wire, before(&field("upgrade", "h2c"))),
            MALFORMED,
        ),
        Rule(
            "8.2.2",
            "te but trailers",
            |wire| sent(wire, before(&field("te", "trailers, deflate"))),
            MALFORMED,
        ),
        Rule(
            "8.3.1",
            "an empty path",
            |wire| sent(wire, request("GET", "", &[])),
            MALFORMED,
        ),
        Rule(
            "8.3.1",
            "no method",
            |wire| {
                sent(
                    wire,
                    block(&[(":scheme", "http"), (":path", "/"), (":authority", "a")]),
                );
            },
            MALFORMED,
        ),
        Rule(
            "8.3.1",
            "no scheme",
            |wire| {
                sent(
                    wire,
                    block(&[(":method", "GET"), (":path", "/"), (":authority", "a")]),
                );
            },
            MALFORMED,
        ),
        Rule(
            "8.3.1",
            "no path",
            |wire| {
                sent(
                    wire,
                    block(&[(":method", "GET"), (":scheme", "http"), (":authority", "a")]),
                );
            },
            MALFORMED,
        ),
        Rule(
            "8.3.1",
            "two methods",
            |wire| sent(wire, behind(&field(":method", "GET"))),
            MALFORMED,
        ),
        Rule(
            "8.3.1",
            "two schemes",
            |wire| sent(wire, behind(&field(":scheme", "http"))),
            MALFORMED,
        ),
        Rule(
            "8.3.1",
            "two paths",
            |wire| sent(wire, behind(&field(":path", "/"))),
            MALFORMED,
        ),
        Rule(
            "8.3.1",
            "two authorities",
            |wire| sent(wire, behind(&field(":authority", "app.example"))),
            MALFORMED,
        ),
        Rule(
            "RFC 8441 4",
            "a protocol without CONNECT",
            |wire| {
                sent(wire, behind(&field(":protocol", "websocket")));
            },
            MALFORMED,
        ),
        Rule(
            "8.1",
            "a second block without the stream's end",
            |wire| {
                open(wire, 1);
                wire.send(headers(1, END_HEADERS, block(&[("x", "y")])));
            },
            MALFORMED,
        ),
    ];
    judge(&rules, connect);
}

#[test]
fn lengths() {
    fn post(wire: &mut Wire, length: &str, pieces: &[&str]) {
        let fields = request("POST", "/long", &[("content-length", length)]);
        let ends = if pieces.is_empty() { END_STREAM } else { 0 };
        wire.send(headers(1, END_HEADERS | ends, fields));
        for (at, piece) in pieces.iter().enumerate() {
            let ends = if at + 1 == pieces.len() {
                END_STREAM
            } else {
                0
            };
            wire.send(frame(DATA, ends, 1, piece));
        }
    }
    let rules = [
        Rule(
            "8.1.1",
            "less than announced",
            |wire| post(wire, "5", &["test"]),
            MALFORMED,
        ),
        Rule(
            "8.1.1",
            "less in several pieces",
            |wire| post(wire, "9", &["test", "test"]),
            MALFORMED,
        ),
        Rule(
            "8.1.1",
            "more than announced",
            |wire| post(wire, "3", &["test"]),
            MALFORMED,
        ),
        Rule(
            "8.1.1",
            "more in several pieces",
            |wire| post(wire, "7", &["test", "test"]),
            MALFORMED,
        ),
        Rule(
            "8.1.1",
            "something where nothing is announced",
            |wire| post(wire, "0", &["test"]),
            MALFORMED,
        ),
        Rule(
            "8.1.1",
            "no number",
            |wire| post(wire, "x", &["test"]),
            MALFORMED,
        ),
        Rule(
            "8.1.1",
            "beyond 64 bits",
            |wire| post(wire, "18446744073709551616", &["test"]),
            MALFORMED,
        ),
    ];
    judge(&rules, connect);
}

#[test]
fn compression() {
    const PACKED: Verdict = Verdict::Connection(&[COMPRESSION]);
    let rules = [
        Rule(
            "RFC 7541 2.3.3",
            "an index beyond the tables",
            |wire| sent(wire, before(&[0xff, 0x00])),
            PACKED,
        ),
        Rule(
            "RFC 7541 2.3.3",
            "a literal with an index beyond",
            |wire| sent(wire, before(&[0x7f, 0x00, 1, b'x'])),
            PACKED,
        ),
        Rule(
            "RFC 7541 4.2",
            "a table's size at the end",
            |wire| sent(wire, before(&[0x21])),
            PACKED,
        ),
        Rule(
            "RFC 7541 5.2",
            "Huffman padding of more than 7 bits",
            |wire| {
                sent(
                    wire,
                    before(&[
                        0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x84, 0x49, 0x50, 0x9f, 0xff,
                    ]),
                );
            },
            PACKED,
        ),
        Rule(
            "RFC 7541 5.2",
            "Huffman padding with zeros",
            |wire| {
                sent(
                    wire,
                    before(&[
                        0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x83, 0x49, 0x50, 0x90,
                    ]),
                );
            },
            PACKED,
        ),
        Rule(
            "RFC 7541 5.2",
            "Huffman with its end symbol",
            |wire| {
                sent(
                    wire,
                    before(&[
                        0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x87, 0x49, 0x51, 0xff, 0xff,
                        0xff, 0xfa, 0x7f,
                    ]),
                );
            },
            PACKED,
        ),
        Rule(
            "RFC 7541 6.1",
            "index zero",
            |wire| sent(wire, before(&[0x80])),
            PACKED,
        ),
        Rule(
            "RFC 7541 6.3",
            "a table larger than offered",
            |wire| sent(wire, behind(&[0x3f, 0xe2, 0x1f])),
            PACKED,
        ),
        Rule(
            "RFC 7541 5.1",
            "an integer without an end",
            |wire| sent(wire, before(&[0xff; 20])),
            PACKED,
        ),
        Rule(
            "RFC 7541 5.2",
            "a string longer than the block",
            |wire| sent(wire, before(&[0x10, 0x7f, 0x10])),
            PACKED,
        ),
        Rule(
            "10.5.1",
            "a list of fields far beyond the limit",
            |wire| {
                let mut bomb = vec![0x40];
                bomb.extend(&field("bomb", "x".repeat(3900))[1..]);
                bomb.extend([0xbe; 10_000]);
                sent(wire, before(&bomb));
            },
            Verdict::Connection(&[CALM]),
        ),
        Rule(
            "RFC 7541 6.3",
            "a smaller table",
            |wire| sent(wire, behind(&[0x20])),
            Verdict::Answer(1),
        ),
        Rule(
            "RFC 7541 6.2.1",
            "fields that are indexed and used again",
            |wire| {
                let mut indexed = vec![0x40];
                indexed.extend(&field("x-own", "value")[1..]);
                indexed.push(0xbe);
                sent(wire, before(&indexed));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "RFC 7541 6.1",
            "fields of the static table",
            |wire| {
                // :method GET, :scheme http, :path /, then :authority as a literal.
                let mut packed = vec![0x82, 0x86, 0x84, 0x41, 0x0b];
                packed.extend(b"app.example");
                sent(wire, packed);
            },
            Verdict::Answer(1),
        ),
        Rule(
            "RFC 7541 5.2",
            "Huffman",
            |wire| {
                // RFC 7541 C.4.1
                sent(
                    wire,
                    vec![
                        0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b,
                        0xa0, 0xab, 0x90, 0xf4, 0xff,
                    ],
                );
            },
            Verdict::Answer(1),
        ),
    ];
    judge(&rules, connect);
}
