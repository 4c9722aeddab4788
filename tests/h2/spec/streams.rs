//! RFC 9113 5: the states of streams, their numbers, how many there may be.

use super::{
    FRAME_SIZE, PROTOCOL, REFUSED, Rule, STREAM_CLOSED, Verdict, closed, connect, half_closed,
    headers, judge, open, usual,
};
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, PADDED, PRIORITISED, PRIORITY, RST_STREAM,
    WINDOW_UPDATE, frame, request,
};

#[test]
fn states() {
    let rules = [
        Rule(
            "5.1",
            "DATA for an idle stream",
            |wire| {
                wire.send(frame(DATA, END_STREAM, 1, "x"));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "5.1",
            "RST_STREAM for an idle stream",
            |wire| {
                wire.send(frame(RST_STREAM, 0, 1, 8u32.to_be_bytes()));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "5.1",
            "WINDOW_UPDATE for an idle stream",
            |wire| {
                wire.send(frame(WINDOW_UPDATE, 0, 1, 1u32.to_be_bytes()));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "5.1",
            "CONTINUATION for an idle stream",
            |wire| {
                wire.send(frame(CONTINUATION, END_HEADERS, 1, usual()));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "5.1",
            "PRIORITY for an idle stream is nothing",
            |wire| {
                wire.send(frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]));
            },
            Verdict::Life,
        ),
        Rule(
            "5.1",
            "DATA behind the request's end",
            |wire| {
                half_closed(wire, 1);
                wire.send(frame(DATA, END_STREAM, 1, "x"));
            },
            Verdict::Stream(1, &[STREAM_CLOSED]),
        ),
        Rule(
            "5.1",
            "HEADERS behind the request's end",
            |wire| {
                half_closed(wire, 1);
                wire.send(headers(1, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Stream(1, &[STREAM_CLOSED]),
        ),
        Rule(
            "5.1",
            "CONTINUATION behind the request's end",
            |wire| {
                half_closed(wire, 1);
                wire.send(frame(CONTINUATION, END_HEADERS, 1, usual()));
            },
            Verdict::Connection(&[STREAM_CLOSED, PROTOCOL]),
        ),
        Rule(
            "5.1",
            "WINDOW_UPDATE, PRIORITY and RST_STREAM behind the request's end",
            |wire| {
                half_closed(wire, 1);
                wire.send(frame(WINDOW_UPDATE, 0, 1, 1u32.to_be_bytes()));
                wire.send(frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]));
                wire.send(frame(RST_STREAM, 0, 1, 8u32.to_be_bytes()));
            },
            Verdict::Life,
        ),
        Rule(
            "5.1",
            "DATA behind RST_STREAM",
            |wire| {
                open(wire, 1);
                wire.send(frame(RST_STREAM, 0, 1, 8u32.to_be_bytes()))
                    .send(frame(DATA, END_STREAM, 1, "x"));
            },
            Verdict::Stream(1, &[STREAM_CLOSED]),
        ),
        Rule(
            "5.1",
            "HEADERS behind RST_STREAM",
            |wire| {
                open(wire, 1);
                wire.send(frame(RST_STREAM, 0, 1, 8u32.to_be_bytes()));
                wire.send(headers(1, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Stream(1, &[STREAM_CLOSED]),
        ),
        Rule(
            "5.1",
            "CONTINUATION behind RST_STREAM",
            |wire| {
                open(wire, 1);
                wire.send(frame(RST_STREAM, 0, 1, 8u32.to_be_bytes()));
                wire.send(frame(CONTINUATION, END_HEADERS, 1, usual()));
            },
            Verdict::Connection(&[STREAM_CLOSED, PROTOCOL]),
        ),
        Rule(
            "5.1",
            "DATA for a closed stream",
            |wire| {
                closed(wire, 1);
                wire.send(frame(DATA, END_STREAM, 1, "x"));
            },
            Verdict::Stream(1, &[STREAM_CLOSED]),
        ),
        Rule(
            "5.1",
            "HEADERS for a closed stream",
            |wire| {
                closed(wire, 1);
                wire.send(headers(1, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Connection(&[STREAM_CLOSED, PROTOCOL]),
        ),
        Rule(
            "5.1",
            "CONTINUATION for a closed stream",
            |wire| {
                closed(wire, 1);
                wire.send(frame(CONTINUATION, END_HEADERS, 1, usual()));
            },
            Verdict::Connection(&[STREAM_CLOSED, PROTOCOL]),
        ),
        Rule(
            "5.1",
            "PRIORITY for a closed stream is nothing",
            |wire| {
                closed(wire, 1);
                wire.send(frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]));
            },
            Verdict::Life,
        ),
        Rule(
            "5.1",
            "RST_STREAM for a closed stream is nothing",
            |wire| {
                closed(wire, 1);
                wire.send(frame(RST_STREAM, 0, 1, 8u32.to_be_bytes()));
            },
            Verdict::Life,
        ),
    ];
    judge(&rules, connect);
}

#[test]
fn numbers_and_dependencies() {
    let rules = [
        Rule(
            "5.1.1",
            "an even number",
            |wire| {
                wire.send(headers(2, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "5.1.1",
            "a number below the last one",
            |wire| {
                wire.send(headers(
                    5,
                    END_HEADERS | END_STREAM,
                    request("GET", "/long", &[]),
                ));
                wire.send(headers(3, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Connection(&[PROTOCOL, STREAM_CLOSED]),
        ),
        Rule(
            "5.1.1",
            "HEADERS for number zero",
            |wire| {
                wire.send(headers(0, END_HEADERS | END_STREAM, usual()));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "5.1.2",
            "one more than were offered",
            |wire| {
                for at in 0..129 {
                    half_closed(wire, 2 * at + 1);
                }
            },
            Verdict::Stream(257, &[REFUSED, PROTOCOL]),
        ),
        Rule(
            "5.3.1",
            "HEADERS that depend on themselves",
            |wire| {
                let mut block = vec![0, 0, 0, 1, 10];
                block.extend(usual());
                wire.send(headers(1, END_HEADERS | END_STREAM | PRIORITISED, block));
            },
            Verdict::Stream(1, &[PROTOCOL]),
        ),
        Rule(
            "5.3.1",
            "PRIORITY that depends on itself",
            |wire| {
                wire.send(frame(PRIORITY, 0, 1, [0, 0, 0, 1, 10]));
            },
            Verdict::Stream(1, &[PROTOCOL]),
        ),
        Rule(
            "6.3",
            "PRIORITY for number zero",
            |wire| {
                wire.send(frame(PRIORITY, 0, 0, [0, 0, 0, 0, 1]));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.3",
            "PRIORITY of four bytes",
            |wire| {
                open(wire, 1);
                wire.send(frame(PRIORITY, 0, 1, [0, 0, 0, 0]));
            },
            Verdict::Stream(1, &[FRAME_SIZE]),
        ),
        Rule(
            "6.4",
            "RST_STREAM for number zero",
            |wire| {
                wire.send(frame(RST_STREAM, 0, 0, 8u32.to_be_bytes()));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.1",
            "DATA for number zero",
            |wire| {
                wire.send(frame(DATA, END_STREAM, 0, "x"));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.10",
            "CONTINUATION for number zero",
            |wire| {
                wire.send(headers(1, END_STREAM, usual()));
                wire.send(frame(CONTINUATION, END_HEADERS, 0, []));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.10",
            "CONTINUATION for another stream",
            |wire| {
                wire.send(headers(1, END_STREAM, usual()));
                wire.send(frame(CONTINUATION, END_HEADERS, 3, []));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.10",
            "CONTINUATION behind the block's end",
            |wire| {
                open(wire, 1);
                wire.send(frame(CONTINUATION, END_HEADERS, 1, []));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.10",
            "CONTINUATION twice behind the block's end",
            |wire| {
                wire.send(headers(1, END_STREAM, usual()));
                wire.send(frame(CONTINUATION, END_HEADERS, 1, []))
                    .send(frame(CONTINUATION, END_HEADERS, 1, []));
            },
            Verdict::Connection(&[PROTOCOL, STREAM_CLOSED]),
        ),
        Rule(
            "6.10",
            "CONTINUATION behind DATA",
            |wire| {
                open(wire, 1);
                wire.send(frame(DATA, 0, 1, "x"))
                    .send(frame(CONTINUATION, END_HEADERS, 1, []));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.1",
            "DATA whose padding is longer than it",
            |wire| {
                open(wire, 1);
                wire.send(frame(DATA, END_STREAM | PADDED, 1, [5, 0, 0]));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.2",
            "HEADERS whose padding is longer than they",
            |wire| {
                let mut block = vec![255];
                block.extend(usual());
                wire.send(headers(1, END_HEADERS | END_STREAM | PADDED, block));
            },
            Verdict::Connection(&[PROTOCOL]),
        ),
        Rule(
            "6.1",
            "DATA with PADDED and no length",
            |wire| {
                open(wire, 1);
                wire.send(frame(DATA, END_STREAM | PADDED, 1, []));
            },
            Verdict::Connection(&[PROTOCOL, FRAME_SIZE]),
        ),
    ];
    judge(&rules, connect);
}
