//! The rules of RFC 9113 and RFC 7541 for peers that break them, one by one, against the real binary: what h2spec asks, and more. (h2spec
//! itself is no package of any registry that the tests could install it from.)

#[path = "spec/connection.rs"]
mod connection;
#[path = "spec/fields.rs"]
mod fields;
#[path = "spec/streams.rs"]
mod streams;

use std::time::Duration;

use crate::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, Outcome, PING, RST_STREAM,
    SETTINGS, Wire, frame, request,
};
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, behaviour};

const NO_ERROR: u32 = 0;
const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;
const CALM: u32 = 11;

/// What has to come of it.
enum Verdict {
    /// GOAWAY with one of these codes, or the end of the connection, which RFC 9113 5.4.1 leaves to the endpoint.
    Connection(&'static [u32]),
    /// RST_STREAM for this stream with one of these codes; or the connection's end with one of them (RFC 9113 5.4.2).
    Stream(u32, &'static [u32]),
    /// A complete response on this stream.
    Answer(u32),
    /// The connection goes on: a PING comes back.
    Life,
    /// A frame of this kind, with these flags.
    Frame(u8, u8),
}

/// One rule: its section, what the peer does, and what has to come of it.
struct Rule(&'static str, &'static str, fn(&mut Wire), Verdict);

/// Header block of a usual request.
fn usual() -> Vec<u8> {
    request("GET", "/", &[])
}

/// HEADERS with a whole block.
fn headers(stream: u32, flags: u8, block: impl AsRef<[u8]>) -> Vec<u8> {
    frame(HEADERS, flags, stream, block)
}

/// A request that is complete, and whose answer never comes.
fn half_closed(wire: &mut Wire, stream: u32) {
    wire.send(headers(
        stream,
        END_HEADERS | END_STREAM,
        request("GET", "/long", &[]),
    ));
}

/// A request whose body is still to come.
fn open(wire: &mut Wire, stream: u32) {
    wire.send(headers(stream, END_HEADERS, request("POST", "/long", &[])));
}

/// A stream that has had its request and response.
fn closed(wire: &mut Wire, stream: u32) {
    wire.send(headers(stream, END_HEADERS | END_STREAM, usual()));
    wire.until(|frame| frame.stream == stream && frame.ends_stream());
}

fn lab() -> (Origin, Proxy) {
    crate::lab(behaviour::custom(|exchange| {
        if exchange.head.line.contains("/long") {
            exchange.read_body();
            exchange.wait_for_end();
            return behaviour::Next::Close;
        }
        exchange.read_body();
        exchange.send(&behaviour::response(200, &[], &[b'x'; 100]))
    }))
}

/// Puts all `rules` to the test, and tells every one that is broken.
#[track_caller]
fn judge(rules: &[Rule], begin: fn(&Proxy) -> Wire) {
    let (_origin, proxy) = lab();
    assert_eq!(proxy.get("/").status, 200);
    let mut broken = Vec::new();
    for Rule(section, what, act, verdict) in rules {
        let mut wire = begin(&proxy);
        act(&mut wire);
        if let Err(instead) = verdict.holds(&mut wire) {
            broken.push(format!("{section}: {what}: {instead}"));
        }
    }
    assert!(
        broken.is_empty(),
        "{} of {}:\n{}",
        broken.len(),
        rules.len(),
        broken.join("\n")
    );
}

fn connect(proxy: &Proxy) -> Wire {
    Wire::connect(proxy.address)
}

impl Verdict {
    fn holds(&self, wire: &mut Wire) -> Result<(), String> {
        match *self {
            Self::Life => wire
                .lives()
                .then_some(())
                .ok_or_else(|| "it is dead".to_owned()),
            Self::Connection(codes) => see(wire, |event| match event {
                Ok(frame) if frame.kind == GOAWAY => Some(allowed(codes, frame)),
                Err(Outcome::Closed) => Some(true),
                Err(_) => Some(false),
                Ok(_) => None,
            }),
            Self::Stream(stream, codes) => see(wire, |event| match event {
                Ok(frame)
                    if frame.kind == GOAWAY
                        || (frame.kind == RST_STREAM && frame.stream == stream) =>
                {
                    Some(allowed(codes, frame))
                }
                Err(Outcome::Closed) => Some(true),
                Err(_) => Some(false),
                Ok(_) => None,
            }),
            Self::Answer(stream) => see(wire, |event| match event {
                Ok(frame) if frame.stream == stream && frame.ends_stream() => Some(true),
                Ok(frame)
                    if frame.kind == GOAWAY
                        || (frame.kind == RST_STREAM && frame.stream == stream) =>
                {
                    Some(false)
                }
                Err(_) => Some(false),
                Ok(_) => None,
            }),
            Self::Frame(kind, flags) => see(wire, |event| match event {
                Ok(frame) if frame.kind == kind && frame.flags == flags => Some(true),
                Err(_) => Some(false),
                Ok(_) => None,
            }),
        }
    }
}

/// h2 ends a connection whose bytes it can't make sense of with PROTOCOL_ERROR, also where the RFC has a code of its own for it
/// (FRAME_SIZE_ERROR, COMPRESSION_ERROR). The connection ends all the same, which is what counts.
fn allowed(codes: &[u32], frame: &Frame) -> bool {
    let harsh = frame.kind == GOAWAY && frame.code() == PROTOCOL && !codes.contains(&NO_ERROR);
    codes.contains(&frame.code()) || harsh
}

/// Reads until `judge` has made up its mind.
fn see(
    wire: &mut Wire,
    judge: impl Fn(&Result<Frame, Outcome>) -> Option<bool>,
) -> Result<(), String> {
    let mut seen = Vec::new();
    loop {
        let event = wire.next(PATIENCE.min(Duration::from_secs(5)));
        seen.push(match &event {
            Ok(frame) => format!(
                "{}/{:#x} on {} {:?}",
                frame.kind,
                frame.flags,
                frame.stream,
                frame.payload.get(..8)
            ),
            Err(outcome) => format!("{outcome:?}"),
        });
        if let Some(right) = judge(&event) {
            return right.then_some(()).ok_or_else(|| seen.join(", "));
        }
    }
}

#[test]
fn a_sound_request_of_every_shape_is_answered() {
    use crate::frames::{CONTINUATION, PADDED, PRIORITISED};
    let rules = [
        Rule(
            "6.2",
            "HEADERS with padding",
            |wire| {
                let mut block = vec![5];
                block.extend(usual());
                block.extend([0; 5]);
                wire.send(headers(1, END_HEADERS | END_STREAM | PADDED, block));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "6.2",
            "HEADERS with a priority",
            |wire| {
                let mut block = vec![0, 0, 0, 0, 10];
                block.extend(usual());
                wire.send(headers(1, END_HEADERS | END_STREAM | PRIORITISED, block));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "6.10",
            "HEADERS and CONTINUATION",
            |wire| {
                let block = usual();
                wire.send(headers(1, END_STREAM, &block[..9]));
                wire.send(frame(CONTINUATION, 0, 1, &block[9..12]));
                wire.send(frame(CONTINUATION, END_HEADERS, 1, &block[12..]));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "6.1",
            "DATA with padding",
            |wire| {
                wire.send(headers(1, END_HEADERS, request("POST", "/", &[])));
                wire.send(frame(DATA, END_STREAM | PADDED, 1, [3, b'x', 0, 0, 0]));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "6.1",
            "several DATA frames",
            |wire| {
                wire.send(headers(
                    1,
                    END_HEADERS,
                    request("POST", "/", &[("content-length", "8")]),
                ));
                wire.send(frame(DATA, 0, 1, "test"))
                    .send(frame(DATA, END_STREAM, 1, "test"));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "8.1",
            "trailers",
            |wire| {
                wire.send(headers(1, END_HEADERS, request("POST", "/", &[])));
                wire.send(frame(DATA, 0, 1, "test"));
                wire.send(headers(
                    1,
                    END_HEADERS | END_STREAM,
                    crate::frames::block(&[("x-sum", "1")]),
                ));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "6.3",
            "PRIORITY before",
            |wire| {
                wire.send(frame(crate::frames::PRIORITY, 0, 1, [0, 0, 0, 0, 10]));
                wire.send(headers(1, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "6.5",
            "SETTINGS are acknowledged",
            |wire| {
                wire.polite = false;
                wire.send(frame(SETTINGS, 0, 0, crate::frames::setting(3, 100)));
            },
            Verdict::Frame(SETTINGS, ACK),
        ),
        Rule(
            "6.7",
            "PING comes back",
            |wire| {
                wire.send(frame(PING, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]));
            },
            Verdict::Frame(PING, ACK),
        ),
        Rule(
            "6.7",
            "PING comes back while a request is under way",
            |wire| {
                half_closed(wire, 1);
                wire.send(frame(PING, 0, 0, [1; 8]));
            },
            Verdict::Frame(PING, ACK),
        ),
        Rule(
            "5.1.1",
            "stream numbers with gaps",
            |wire| {
                wire.send(headers(5, END_HEADERS | END_STREAM, usual()));
                wire.send(headers(101, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Answer(101),
        ),
        Rule(
            "8.1",
            "HEAD",
            |wire| {
                wire.send(headers(
                    1,
                    END_HEADERS | END_STREAM,
                    request("HEAD", "/", &[]),
                ));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "8.1",
            "OPTIONS",
            |wire| {
                wire.send(headers(
                    1,
                    END_HEADERS | END_STREAM,
                    request("OPTIONS", "*", &[]),
                ));
            },
            Verdict::Answer(1),
        ),
    ];
    judge(&rules, connect);
}
