//! Deadlines, for each stream of its own where the others can go on.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::floods::resident_kib;
use crate::frames::{
    self, DATA, END_HEADERS, GOAWAY, HEADERS, Outcome, RST_STREAM, WINDOW_UPDATE, Wire, frame,
};
use crate::lab_with;
use crate::support::behaviour;
use crate::support::wait::PATIENCE;

/// SETTINGS_INITIAL_WINDOW_SIZE
const WINDOW: u16 = 4;
/// A limit that a client keeps on a machine that stalls it for a second or two.
const LIMIT: &str = "3s";
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

fn update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, by.to_be_bytes())
}

#[test]
fn a_body_that_does_not_come_gets_408_and_a_drip_of_it_too() {
    let (origin, proxy) = lab_with(behaviour::echo(), "[limits]\nbody_timeout = \"300ms\"");
    let mut client = Client::connect(proxy.address);
    let request = client.request("POST", "/stalled").body(()).unwrap();
    let mut stalled = client.begin(request, false);
    stalled.send("a part", false);
    assert_eq!(stalled.head().status(), 408);
    assert_eq!(proxy.access_line("/stalled")["termination"], "cR");

    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::post(1, "/drip"));
    let begun = Instant::now();
    let end = loop {
        wire.send(frame(DATA, 0, 1, "x"));
        match wire.next(Duration::from_millis(20)) {
            Ok(frame) if frame.stream == 1 && frame.kind == HEADERS => break frame,
            _ => assert!(begun.elapsed() < PATIENCE),
        }
    };
    assert!(!end.payload.starts_with(&[0x88]), "no 200");
    assert!(origin.seen().iter().all(|seen| !seen.complete));
    // Its connection serves others.
    wire.send(frames::get(3, "/"));
    wire.until(|frame| frame.stream == 3 && frame.ends_stream());
}

#[test]
fn a_stream_that_is_not_read_is_reset_and_the_others_go_on() {
    let (origin, proxy) = lab_with(
        behaviour::huge(1 << 30),
        &format!("[limits]\nwrite_timeout = \"{LIMIT}\""),
    );
    let mut wire = Wire::connect_with(proxy.address, &[(WINDOW, 0)]);
    wire.send(frames::get(1, "/unread"));
    wire.until(|frame| frame.stream == 1 && frame.kind == HEADERS);
    let begun = Instant::now();
    wire.send(frames::get(3, "/read"));
    let (mut reset, mut read) = (None, 0);
    while reset.is_none() || read < 4 << 20 {
        let frame = match wire.next(Duration::from_millis(100)) {
            Ok(frame) => frame,
            Err(Outcome::Silence) => {
                assert!(begun.elapsed() < 2 * PATIENCE, "{reset:?}, {read}");
                wire.send(update(3, 256 * 1024)).send(update(0, 256 * 1024));
                continue;
            }
            Err(outcome) => panic!("{outcome:?}"),
        };
        match (frame.stream, frame.kind) {
            (1, RST_STREAM) => reset = Some((frame.code(), begun.elapsed())),
            (3, DATA) => read += frame.payload.len(),
            other => assert!(
                matches!(
                    other,
                    (_, HEADERS | frames::SETTINGS | frames::PING | WINDOW_UPDATE)
                ),
                "{other:?}"
            ),
        }
    }
    let (code, after) = reset.unwrap();
    assert_eq!(code, CANCEL);
    assert!(after >= Duration::from_millis(2900), "{after:?}");
    assert_eq!(proxy.access_line("/unread")["termination"], "cD");
    assert_eq!(origin.seen_for("/unread").len(), 1);
}

#[test]
fn a_window_that_opens_byte_by_byte_buys_no_time() {
    let (_origin, proxy) = lab_with(
        behaviour::huge(1 << 20),
        "[limits]\nwrite_timeout = \"400ms\"",
    );
    let mut wire = Wire::connect_with(proxy.address, &[(WINDOW, 0)]);
    wire.send(frames::get(1, "/drip"));
    wire.until(|frame| frame.stream == 1 && frame.kind == HEADERS);
    let begun = Instant::now();
    let mut bytes = 0;
    let code = loop {
        match wire.next(Duration::from_millis(10)) {
            Err(Outcome::Silence) => drop(wire.send(update(1, 1))),
            Ok(frame) if frame.kind == DATA => bytes += frame.payload.len(),
            Ok(frame) if frame.kind == RST_STREAM => break frame.code(),
            _ => assert!(begun.elapsed() < PATIENCE),
        }
    };
    assert_eq!(code, CANCEL);
    assert!(bytes < 1024, "{bytes}");
    assert!(wire.lives());
}

#[test]
fn a_slow_reader_that_reads_gets_everything() {
    let (_origin, proxy) = lab_with(
        behaviour::huge(100_000),
        &format!("[limits]\nwrite_timeout = \"{LIMIT}\""),
    );
    let mut wire = Wire::connect_with(proxy.address, &[(WINDOW, 0)]);
    wire.send(frames::get(1, "/slow"));
    let begun = Instant::now();
    let mut bytes = 0;
    loop {
        match wire.next(Duration::from_millis(100)) {
            Ok(frame) if frame.kind == DATA => {
                bytes += frame.payload.len();
                if frame.ends_stream() {
                    break;
                }
            }
            Ok(frame) => assert_ne!(frame.kind, RST_STREAM, "after {bytes}"),
            Err(Outcome::Silence) => drop(wire.send(update(0, 2500)).send(update(1, 2500))),
            Err(outcome) => panic!("{outcome:?}"),
        }
    }
    assert_eq!(bytes, 100_000);
    assert!(
        begun.elapsed() > Duration::from_secs(3),
        "slower than the limit"
    );
}

#[test]
fn streams_that_nobody_reads_cost_little_memory_and_end() {
    let (origin, proxy) = lab_with(behaviour::huge(1 << 30), "[limits]\nwrite_timeout = \"1s\"");
    proxy
        .client()
        .send("GET /warm HTTP/1.1\r\nHost: a\r\n\r\n")
        .head();
    let before = resident_kib(&proxy);
    let mut wires: Vec<_> = (0..4)
        .map(|_| {
            let mut wire = Wire::connect_with(proxy.address, &[(WINDOW, 0)]);
            for at in 0..100 {
                wire.send(frames::get(2 * at + 1, "/unread"));
            }
            wire
        })
        .collect();
    crate::support::eventually(PATIENCE, "all are under way", || {
        origin.seen_for("/unread").len() == 400
    });
    let grown = resident_kib(&proxy).saturating_sub(before);
    // 400 connections to the backend, each with a read buffer that a stalled response fills.
    assert!(grown < 400 * 300, "{grown} KiB");
    for wire in &mut wires {
        for _ in 0..100 {
            wire.until(|frame| frame.kind == RST_STREAM);
        }
        assert!(wire.lives());
    }
    crate::support::eventually(PATIENCE, "the backend is free", || {
        origin.open_connections() == 0
    });
}

#[test]
fn a_client_that_reads_nothing_at_all_is_cut() {
    let (origin, proxy) = lab_with(
        behaviour::huge(1 << 30),
        "[limits]\nwrite_timeout = \"400ms\"",
    );
    let mut wire = Wire::connect_with(proxy.address, &[(WINDOW, 1 << 30)]);
    wire.send(update(0, 1 << 30))
        .send(frames::get(1, "/unread"));
    crate::support::eventually(PATIENCE, "it has begun", || origin.count() == 1);
    crate::support::eventually(PATIENCE, "it is cut", || origin.open_connections() == 0);
    assert_eq!(proxy.access_line("/unread")["termination"], "cD");
}

#[test]
fn a_connection_without_a_stream_is_closed_and_pings_do_not_keep_it() {
    let (_origin, proxy) = lab_with(
        behaviour::ok("x"),
        "[limits]\nidle_timeout = \"500ms\"\nheader_timeout = \"20s\"",
    );
    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::get(1, "/"));
    wire.until(|frame| frame.stream == 1 && frame.ends_stream());
    let begun = Instant::now();
    loop {
        match wire.next(Duration::from_millis(20)) {
            Err(Outcome::Silence) => {
                let _ended = wire.try_send(frame(frames::PING, 0, 0, [7; 8]));
            }
            Ok(frame) if frame.kind == GOAWAY => {
                assert_eq!(frame.code(), 0);
                break;
            }
            Err(Outcome::Closed) => panic!("without a word"),
            _ => assert!(begun.elapsed() < PATIENCE),
        }
    }
    assert!(begun.elapsed() > Duration::from_millis(400));
}

/// As browsers and gRPC make them, before they have anything to ask.
#[test]
fn a_connection_that_has_not_had_a_stream_yet_is_as_good_as_one_that_has() {
    let (_origin, proxy) = lab_with(
        behaviour::ok("x"),
        "[limits]\nidle_timeout = \"500ms\"\nheader_timeout = \"60s\"",
    );
    let mut wire = Wire::connect(proxy.address);
    assert_eq!(wire.outcome(PATIENCE), Outcome::Goaway(0));

    let (_origin, proxy) = lab_with(
        behaviour::ok("x"),
        &format!("[limits]\nidle_timeout = \"60s\"\nheader_timeout = \"{LIMIT}\""),
    );
    let mut wire = Wire::connect(proxy.address);
    assert_eq!(wire.outcome(Duration::from_secs(4)), Outcome::Silence);
    wire.send(frames::get(1, "/"));
    wire.until(|frame| frame.stream == 1 && frame.ends_stream());
}

#[test]
fn a_head_that_does_not_come_or_end_is_cut_whatever_else_is_under_way() {
    let (_origin, proxy) = lab_with(
        behaviour::events(Duration::from_millis(20)),
        &format!("[limits]\nheader_timeout = \"{LIMIT}\""),
    );
    // Nothing at all; a part of the preface; the preface alone; no settings.
    let mut wires = [
        &b""[..],
        &frames::PREFACE[..3],
        &frames::PREFACE[..20],
        frames::PREFACE,
    ]
    .map(|bytes| {
        let mut wire = Wire::silent(proxy.address);
        wire.send(bytes);
        wire
    });
    for wire in &mut wires {
        assert_ne!(wire.outcome(PATIENCE), Outcome::Silence);
    }
    // A block that never ends, and a frame that never does, each beside a stream that goes on.
    let block = frame(HEADERS, 0, 3, frames::request("GET", "/", &[]));
    let whole = frame(HEADERS, END_HEADERS, 3, frames::request("GET", "/", &[]));
    let mut wires = [&block[..], &whole[..whole.len() - 5]].map(|endless| {
        let mut wire = Wire::connect(proxy.address);
        wire.send(frames::get(1, "/events"));
        wire.until(|frame| frame.stream == 1 && frame.kind == DATA);
        let begun = Instant::now();
        wire.send(endless);
        (wire, begun)
    });
    for (wire, begun) in &mut wires {
        assert_eq!(wire.outcome(PATIENCE), Outcome::Goaway(ENHANCE_YOUR_CALM));
        assert!(begun.elapsed() > Duration::from_millis(2900));
    }
}

#[test]
fn a_long_stream_outlives_all_of_these() {
    let (_origin, proxy) = lab_with(
        behaviour::events(Duration::from_millis(50)),
        "[limits]\nheader_timeout = \"2s\"\nidle_timeout = \"2s\"\nbody_timeout = \"2s\"\nwrite_timeout = \"2s\"",
    );
    let mut client = Client::connect(proxy.address);
    let request = client.request("GET", "/events").body(()).unwrap();
    let mut stream = client.begin(request, true);
    stream.head();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        stream.data();
    }
    assert!(!client.has_ended());
}

#[test]
fn who_takes_the_response_may_be_silent_meanwhile() {
    let (_origin, proxy) = lab_with(
        behaviour::early_events(Duration::from_millis(50)),
        "[limits]\nbody_timeout = \"2s\"",
    );
    let mut client = Client::connect(proxy.address);
    let request = client.request("POST", "/events").body(()).unwrap();
    let mut stream = client.begin(request, false);
    stream.head();
    let mut older = proxy.client();
    older.send("POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    older.head();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        stream.data();
        older.some(PATIENCE).unwrap();
    }
}

#[test]
fn where_neither_side_says_anything_more_the_client_is_told_to_have_been_too_slow() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\na part\r\n";
    let (_origin, proxy) = lab_with(behaviour::early(head), "[limits]\nbody_timeout = \"300ms\"");
    let mut client = Client::connect(proxy.address);
    let request = client.request("POST", "/new").body(()).unwrap();
    let mut stream = client.begin(request, false);
    stream.head();
    assert_eq!(stream.data(), "a part");
    assert!(stream.try_data().expect("an error").is_err());
    assert_eq!(proxy.access_line("/new")["termination"], "cD");
    let mut older = proxy.client();
    older.send("POST /old HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(older.response_within("POST", PATIENCE).is_err());
    assert_eq!(proxy.access_line("/old")["termination"], "cD");
}
