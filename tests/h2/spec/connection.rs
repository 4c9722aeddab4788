//! RFC 9113 3.4, 4, 6.4 to 6.9: the connection as a whole.

use super::{
    COMPRESSION, FLOW_CONTROL, FRAME_SIZE, NO_ERROR, PROTOCOL, Rule, STREAM_CLOSED, Verdict,
    closed, connect, half_closed, headers, judge, open, usual,
};
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, PING, PREFACE, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, Wire, frame, setting,
};

#[test]
fn the_preface() {
    let rules = [
        Rule(
            "3.4",
            "another word in it",
            |wire| {
                wire.send(b"PRI * HTTP/2.0\r\n\r\nNO\r\n\r\n");
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "3.4",
            "no SETTINGS behind it",
            |wire| {
                wire.send(PREFACE).send(frame(PING, 0, 0, [0; 8]));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "3.4",
            "HEADERS behind it",
            |wire| {
                wire.send(PREFACE)
                    .send(headers(1, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "3.4",
            "an acknowledgement behind it",
            |wire| {
                wire.send(PREFACE).send(frame(SETTINGS, ACK, 0, []));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "3.4",
            "twice",
            |wire| {
                wire.send(PREFACE)
                    .send(frame(SETTINGS, 0, 0, []))
                    .send(PREFACE);
            },
            Verdict::Connection(&[PROTOCOL, FRAME_SIZE]),
        ),
        Rule(
            "3.4",
            "no preface at all",
            |wire| {
                wire.send(b"INVALID CONNECTION PREFACE\r\n\r\n");
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "3.4",
            "settings come without being asked for",
            |wire| {
                wire.send(PREFACE);
            },
            Verdict::Frame(SETTINGS, 0),
        ),
    ];
    judge(&rules, |proxy| Wire::silent(proxy.address));
}

#[test]
fn the_form_of_frames() {
    let rules = [
        Rule(
            "4.1",
            "a frame of unknown kind is ignored",
            |wire| {
                wire.send(frame(0xff, 0, 0, [0; 8]));
            },
            Verdict::Life,
        ),
        Rule(
            "4.1",
            "unknown flags are ignored",
            |wire| {
                wire.send(frame(PING, 0x16, 0, [0; 8]));
            },
            Verdict::Life,
        ),
        Rule(
            "4.1",
            "the reserved bit is ignored",
            |wire| {
                let mut ping = frame(PING, 0, 0, [0; 8]);
                ping[5] |= 0x80;
                wire.send(ping);
            },
            Verdict::Life,
        ),
        Rule(
            "4.2",
            "DATA of 2^14 bytes",
            |wire| {
                wire.send(headers(
                    1,
                    END_HEADERS,
                    crate::frames::request("POST", "/", &[]),
                ));
                wire.send(frame(DATA, END_STREAM, 1, [0; 1 << 14]));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "4.2",
            "larger DATA",
            |wire| {
                open(wire, 1);
                wire.send(frame(DATA, END_STREAM, 1, vec![0; (1 << 14) + 1]));
            },
            Verdict::Stream(1, &[FRAME_SIZE]),
        ),
        Rule(
            "4.2",
            "larger HEADERS",
            |wire| {
                let mut block = usual();
                block.extend(vec![0x88; (1 << 14) + 1]);
                wire.send(headers(1, END_HEADERS | END_STREAM, block));
            },
            Verdict::Connection(&[FRAME_SIZE]),
        ),
        Rule(
            "4.2",
            "larger SETTINGS",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(3, 1).repeat(2731)));
            },
            Verdict::Connection(&[FRAME_SIZE]),
        ),
        Rule(
            "4.3",
            "a block that can't be unpacked",
            |wire| {
                wire.send(headers(1, END_HEADERS | END_STREAM, [0x40]));
            },
            Verdict::Connection(&[COMPRESSION]),
        ),
        Rule(
            "4.3",
            "PRIORITY within a block",
            |wire| {
                wire.send(headers(1, END_STREAM, usual()));
                wire.send(frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "4.3",
            "another stream's HEADERS within a block",
            |wire| {
                wire.send(headers(1, END_STREAM, usual()));
                wire.send(headers(3, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "4.3",
            "PING within a block",
            |wire| {
                wire.send(headers(1, END_STREAM, usual()))
                    .send(frame(PING, 0, 0, [0; 8]));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "5.5",
            "an unknown frame within a block",
            |wire| {
                wire.send(headers(1, END_STREAM, usual()))
                    .send(frame(0xfe, 0, 0, []));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
    ];
    judge(&rules, connect);
}

#[test]
fn settings() {
    let rules = [
        Rule(
            "6.5",
            "an acknowledgement with a payload",
            |wire| {
                wire.send(frame(SETTINGS, ACK, 0, setting(3, 1)));
            },
            Verdict::Connection(&[FRAME_SIZE]),
        ),
        Rule(
            "6.5",
            "for a stream",
            |wire| {
                wire.send(frame(SETTINGS, 0, 1, setting(3, 1)));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.5",
            "a length that six doesn't divide",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, [0, 3, 0]));
            },
            Verdict::Connection(&[FRAME_SIZE]),
        ),
        Rule(
            "6.5.2",
            "ENABLE_PUSH of two",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(2, 2)));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.5.2",
            "a window beyond 2^31 - 1",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(4, 1 << 31)));
            },
            Verdict::Connection(&[FLOW_CONTROL]),
        ),
        Rule(
            "6.5.2",
            "MAX_FRAME_SIZE below 2^14",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(5, (1 << 14) - 1)));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.5.2",
            "MAX_FRAME_SIZE beyond 2^24 - 1",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(5, 1 << 24)));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.5.2",
            "an unknown one is ignored",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(0xff, 1)));
            },
            Verdict::Life,
        ),
        Rule(
            "6.5.3",
            "several at once, and of one the last counts",
            |wire| {
                let both = [setting(4, 100), setting(4, 1)].concat();
                wire.send(frame(SETTINGS, 0, 0, both));
                wire.send(headers(1, END_HEADERS | END_STREAM, usual()));
                let data = wire.until(|frame| frame.kind == DATA);
                assert_eq!(data.payload.len(), 1);
            },
            Verdict::Life,
        ),
        Rule(
            "6.5.3",
            "an acknowledgement of nothing",
            |wire| {
                wire.send(frame(SETTINGS, ACK, 0, []));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "RFC 8441 3",
            "ENABLE_CONNECT_PROTOCOL of two",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(8, 2)));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
    ];
    judge(&rules, connect);
}

#[test]
fn pings_goaways_and_pushes() {
    let rules = [
        Rule(
            "6.6",
            "PUSH_PROMISE from a client",
            |wire| {
                open(wire, 1);
                wire.send(frame(PUSH_PROMISE, END_HEADERS, 1, [0, 0, 0, 3]));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.7",
            "a PING that nobody sent comes back: ignored",
            |wire| {
                wire.send(frame(PING, ACK, 0, *b"unasked!"));
            },
            Verdict::Life,
        ),
        Rule(
            "6.7",
            "PING for a stream",
            |wire| {
                wire.send(frame(PING, 0, 1, [0; 8]));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.7",
            "a PING of seven bytes",
            |wire| {
                wire.send(frame(PING, 0, 0, [0; 7]));
            },
            Verdict::Connection(&[FRAME_SIZE]),
        ),
        Rule(
            "6.7",
            "a PING of nine bytes",
            |wire| {
                wire.send(frame(PING, 0, 0, [0; 9]));
            },
            Verdict::Connection(&[FRAME_SIZE]),
        ),
        Rule(
            "6.8",
            "GOAWAY for a stream",
            |wire| {
                wire.send(frame(GOAWAY, 0, 1, [0; 8]));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.8",
            "GOAWAY from a client that is done",
            |wire| {
                closed(wire, 1);
                wire.send(frame(GOAWAY, 0, 0, [0; 8]));
            },
            Verdict::Connection(&[NO_ERROR]),
        ),
        Rule(
            "6.8",
            "GOAWAY with words",
            |wire| {
                wire.send(frame(GOAWAY, 0, 0, *b"\0\0\0\0\0\0\0\0bye"));
            },
            Verdict::Connection(&[NO_ERROR]),
        ),
    ];
    judge(&rules, connect);
}

#[test]
fn windows() {
    let rules = [
        Rule(
            "6.9",
            "an update of zero for the connection",
            |wire| {
                wire.send(frame(WINDOW_UPDATE, 0, 0, [0; 4]));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.9",
            "an update of zero for a stream",
            |wire| {
                half_closed(wire, 1);
                wire.send(frame(WINDOW_UPDATE, 0, 1, [0; 4]));
            },
            Verdict::Stream(1, &[PROTOCOL]),
        ),
        Rule(
            "6.9",
            "an update of three bytes",
            |wire| {
                wire.send(frame(WINDOW_UPDATE, 0, 0, [0, 0, 1]));
            },
            Verdict::Connection(&[FRAME_SIZE]),
        ),
        Rule(
            "6.9",
            "an update of five bytes",
            |wire| {
                wire.send(frame(WINDOW_UPDATE, 0, 0, [0, 0, 0, 0, 1]));
            },
            Verdict::Connection(&[FRAME_SIZE]),
        ),
        Rule(
            "6.9.1",
            "beyond 2^31 - 1 for the connection",
            |wire| {
                let most = 0x7fff_ffff_u32.to_be_bytes();
                wire.send(frame(WINDOW_UPDATE, 0, 0, most))
                    .send(frame(WINDOW_UPDATE, 0, 0, most));
            },
            Verdict::Connection(&[FLOW_CONTROL]),
        ),
        Rule(
            "6.9.1",
            "beyond 2^31 - 1 for a stream",
            |wire| {
                half_closed(wire, 1);
                let most = 0x7fff_ffff_u32.to_be_bytes();
                wire.send(frame(WINDOW_UPDATE, 0, 1, most))
                    .send(frame(WINDOW_UPDATE, 0, 1, most));
            },
            Verdict::Stream(1, &[FLOW_CONTROL]),
        ),
        Rule(
            "6.9.1",
            "no more DATA than there is room for",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(4, 1)));
                wire.send(headers(1, END_HEADERS | END_STREAM, usual()));
                let data = wire.until(|frame| frame.kind == DATA);
                assert_eq!(data.payload.len(), 1);
                wire.send(frame(WINDOW_UPDATE, 0, 1, 99u32.to_be_bytes()));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "6.9.2",
            "a window that shrinks below nothing",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(4, 3)));
                wire.send(headers(1, END_HEADERS | END_STREAM, usual()));
                wire.until(|frame| frame.kind == DATA);
                wire.send(frame(SETTINGS, 0, 0, setting(4, 2)));
                wire.send(frame(WINDOW_UPDATE, 0, 1, 2u32.to_be_bytes()));
                let data = wire.until(|frame| frame.kind == DATA);
                assert_eq!(data.payload.len(), 1);
                wire.send(frame(WINDOW_UPDATE, 0, 1, 99u32.to_be_bytes()));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "6.9.2",
            "a new initial window opens those of streams",
            |wire| {
                wire.send(frame(SETTINGS, 0, 0, setting(4, 0)));
                wire.send(headers(1, END_HEADERS | END_STREAM, usual()));
                wire.until(|frame| frame.kind == crate::frames::HEADERS);
                wire.send(frame(SETTINGS, 0, 0, setting(4, 1000)));
            },
            Verdict::Answer(1),
        ),
        Rule(
            "6.9",
            "more DATA than the stream's window",
            |wire| {
                open(wire, 1);
                for _ in 0..5 {
                    wire.send(frame(DATA, 0, 1, [0; 1 << 14]));
                }
            },
            Verdict::Stream(1, &[FLOW_CONTROL]),
        ),
        Rule(
            "6.4",
            "RST_STREAM of three bytes",
            |wire| {
                open(wire, 1);
                wire.send(frame(RST_STREAM, 0, 1, [0; 3]));
            },
            Verdict::Connection(&[FRAME_SIZE]),
        ),
        Rule(
            "6.10",
            "CONTINUATION without HEADERS",
            |wire| {
                wire.send(frame(CONTINUATION, END_HEADERS, 1, usual()));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.9",
            "an update for a stream that is closed",
            |wire| {
                closed(wire, 1);
                wire.send(frame(WINDOW_UPDATE, 0, 1, 1u32.to_be_bytes()));
            },
            Verdict::Life,
        ),
        Rule(
            "5.1",
            "DATA for a stream that was reset by its client",
            |wire| {
                open(wire, 1);
                wire.send(frame(RST_STREAM, 0, 1, 8u32.to_be_bytes()));
                wire.send(frame(DATA, END_STREAM, 1, "late"));
            },
            Verdict::Stream(1, &[STREAM_CLOSED]),
        ),
    ];
    judge(&rules, connect);
}
