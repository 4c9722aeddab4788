//! Clients that make work and mean nothing by it. Each is cut, or made harmless, at little cost; others are served meanwhile.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, PING, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, Wire, frame,
};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Origin, Proxy, behaviour};
use crate::{lab, lab_with};

const CALM: Outcome = Outcome::Goaway(11);
/// Growth of memory that no single client may bring about, in KiB.
const LITTLE: u64 = 24 * 1024;

/// Memory of the process, in KiB.
pub fn resident_kib(proxy: &Proxy) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What a flood has come to.
struct Flood {
    outcome: Outcome,
    /// Frames, or groups of them, that were sent.
    sent: usize,
}

/// Sends what `next` makes until the connection is cut or `most` were sent; reads all the while, as far as `reads` says so.
fn flood(
    proxy: &Proxy,
    wire: &mut Wire,
    most: usize,
    reads: bool,
    next: impl Fn(u32) -> Vec<u8>,
) -> Flood {
    let before = resident_kib(proxy);
    let begun = Instant::now();
    let mut sent = 0;
    let mut outcome = Outcome::Silence;
    wire.socket
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    'sending: while sent < most && begun.elapsed() < PATIENCE {
        let batch: Vec<u8> = (0..50).flat_map(|at| next((sent + at) as u32)).collect();
        if wire.try_send(batch).is_err() {
            break;
        }
        sent += 50;
        if !reads {
            continue;
        }
        loop {
            match wire.next(Duration::from_micros(1)) {
                Ok(frame) if frame.kind == GOAWAY => {
                    outcome = Outcome::Goaway(frame.code());
                    break 'sending;
                }
                Ok(_) => {}
                Err(Outcome::Silence) => break,
                Err(ended) => {
                    outcome = ended;
                    break 'sending;
                }
            }
        }
    }
    if outcome == Outcome::Silence {
        outcome = wire.outcome(Duration::from_secs(3));
    }
    // Others are served, and memory stays where it was.
    let mut other = Client::connect(proxy.address);
    assert_eq!(other.get("/other").status, 200);
    let grown = resident_kib(proxy).saturating_sub(before);
    assert!(grown < LITTLE, "{grown} KiB");
    Flood { outcome, sent }
}

fn plain() -> (Origin, Proxy) {
    lab(behaviour::custom(|exchange| {
        if exchange.head.line.contains("/long") {
            exchange.read_body();
            exchange.wait_for_end();
            return behaviour::Next::Close;
        }
        exchange.read_body();
        exchange.send(&behaviour::response(200, &[], b"plain"))
    }))
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, 8u32.to_be_bytes())
}

#[test]
fn requests_that_are_called_off_at_once_end_the_connection() {
    let (origin, proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    let flood = flood(&proxy, &mut wire, 50_000, true, |at| {
        let stream = 2 * at + 1;
        [frames::get(stream, "/long"), reset(stream)].concat()
    });
    assert_eq!(flood.outcome, CALM);
    assert!(flood.sent < 50_000, "{}", flood.sent);
    assert!(
        origin.count() < 500,
        "{} have reached the backend",
        origin.count()
    );
    until_logged(&proxy);
}

/// The access log has one line that tells of a flood.
fn until_logged(proxy: &Proxy) {
    let ended = |line: &Value| line["termination"] == "flood" && line["protocol"] == "HTTP/2.0";
    eventually(PATIENCE, "the access log says so", || {
        let text = proxy.access_text();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(ended).count() == 1
    });
}

#[test]
fn requests_that_are_called_off_as_soon_as_they_are_under_way_do_too() {
    let (origin, proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    let (mut stream, mut ended) = (1, None);
    while ended.is_none() && stream < 20_000 {
        let before = origin.count();
        wire.send(frames::get(stream, "/long"));
        // Not before the backend has it: this is what a limit on unseen ones alone would miss.
        eventually(PATIENCE, "it is under way, or the end", || {
            match wire.next(Duration::from_micros(1)) {
                Ok(frame) if frame.kind == GOAWAY => ended = Some(Outcome::Goaway(frame.code())),
                Ok(_) | Err(Outcome::Silence) => {}
                Err(outcome) => ended = Some(outcome),
            }
            ended.is_some() || origin.count() > before
        });
        let _ended = wire.try_send(reset(stream));
        stream += 2;
    }
    assert_eq!(ended, Some(CALM), "after {stream}");
    assert!(origin.count() < 1000, "{}", origin.count());
    // The bound is firedoor's own, where the one above is that of h2.
    until_logged(&proxy);
}

#[test]
fn a_client_that_changes_its_mind_now_and_then_is_left_alone() {
    let (_origin, proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    for at in 0..400 {
        let stream = 4 * at + 1;
        wire.send(frames::get(stream, "/long"));
        wire.send(frames::get(stream + 2, "/"));
        wire.until(|frame| frame.stream == stream + 2 && frame.ends_stream());
        wire.send(reset(stream));
    }
    assert!(wire.lives());
}

#[test]
fn a_client_that_gives_up_after_a_while_is_left_alone() {
    const AT_ONCE: usize = 120;
    let (origin, proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    let mut stream = 1;
    for round in 1..=4 {
        let begun = Instant::now();
        let streams: Vec<u32> = (stream..).step_by(2).take(AT_ONCE).collect();
        for stream in &streams {
            wire.send(frames::get(*stream, "/long"));
        }
        eventually(PATIENCE, "all are under way", || {
            origin.count() == round * AT_ONCE
        });
        // As long as a call with a short deadline waits.
        while let Some(left) = Duration::from_millis(250).checked_sub(begun.elapsed()) {
            let _other = wire.next(left);
        }
        for stream in &streams {
            wire.send(reset(*stream));
        }
        stream += 2 * AT_ONCE as u32;
    }
    assert!(wire.lives());
}

#[test]
fn calls_that_firedoor_holds_may_be_given_up_at_any_time() {
    const AT_ONCE: u32 = 100;
    let proxy = crate::builder()
        .toml("[failover]\nhold_time = \"60s\"")
        .zone_at("fz-1", &[crate::support::port::free()])
        .start();
    let held = || {
        let metrics = proxy.admin_get("/metrics").text();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("firedoor_held_requests "));
        line.unwrap()
            .rsplit_once(' ')
            .unwrap()
            .1
            .parse::<u32>()
            .unwrap()
    };
    let mut wire = Wire::connect(proxy.address);
    for round in 0..5 {
        let streams = (0..AT_ONCE).map(|at| 2 * (round * AT_ONCE + at) + 1);
        for stream in streams.clone() {
            wire.send(frames::get(stream, "/held"));
        }
        eventually(PATIENCE, "all are held", || held() == AT_ONCE);
        for stream in streams {
            wire.send(reset(stream));
        }
        eventually(PATIENCE, "none is", || held() == 0);
    }
    assert!(wire.lives());
}

#[test]
fn streams_that_firedoor_is_made_to_reset_end_the_connection() {
    let (origin, proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    let flood = flood(&proxy, &mut wire, 20_000, true, |at| {
        let stream = 2 * at + 1;
        // A window beyond 2^31 - 1 is a stream error (RFC 9113 6.9.1).
        let overflow = frame(WINDOW_UPDATE, 0, stream, 0x7fff_ffff_u32.to_be_bytes());
        [frames::get(stream, "/long"), overflow].concat()
    });
    assert!(
        matches!(flood.outcome, Outcome::Goaway(_)),
        "{:?}",
        flood.outcome
    );
    assert!(flood.sent < 20_000, "{}", flood.sent);
    assert!(origin.count() < 500, "{}", origin.count());
}

#[test]
fn a_header_block_without_an_end_ends_the_connection() {
    for payload in [&b""[..], &[0x10, 1, b'x', 1, b'y'], &[0x10; 1000]] {
        let (origin, proxy) = plain();
        let mut wire = Wire::connect(proxy.address);
        wire.send(frame(
            HEADERS,
            END_STREAM,
            1,
            frames::request("GET", "/", &[]),
        ));
        let flood = flood(&proxy, &mut wire, 100_000, true, |_| {
            frame(CONTINUATION, 0, 1, payload)
        });
        assert_ne!(flood.outcome, Outcome::Silence);
        assert!(flood.sent < 100_000, "{}", flood.sent);
        assert_eq!(origin.count(), 1, "only the other client's");
    }
}

#[test]
fn pings_and_settings_without_end_end_the_connection() {
    for (kind, payload) in [(PING, &[1; 8][..]), (SETTINGS, &[])] {
        for reads in [true, false] {
            let (_origin, proxy) = plain();
            let mut wire = Wire::connect(proxy.address);
            wire.polite = false;
            let flood = flood(&proxy, &mut wire, 400_000, reads, |_| {
                frame(kind, 0, 0, payload)
            });
            assert_ne!(flood.outcome, Outcome::Silence, "{kind}");
            // What a client sends without reading goes on for as long as we linger.
            assert!(!reads || flood.sent < 100_000, "{}", flood.sent);
        }
    }
}

#[test]
fn frames_that_do_nothing_end_the_connection() {
    for (what, bytes) in [
        ("PRIORITY", frame(PRIORITY, 0, 7, [0, 0, 0, 0, 1])),
        (
            "WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0, 0, 1u32.to_be_bytes()),
        ),
        ("unknown", frame(0xfe, 0, 0, [])),
        ("RST_STREAM", reset(1)),
    ] {
        let (_origin, proxy) = plain();
        let mut wire = Wire::connect(proxy.address);
        wire.send(frames::get(1, "/"));
        wire.until(|frame| frame.stream == 1 && frame.ends_stream());
        let flood = flood(&proxy, &mut wire, 400_000, true, |_| bytes.clone());
        assert_ne!(flood.outcome, Outcome::Silence, "{what}");
        assert!(flood.sent < 100_000, "{what}: {}", flood.sent);
    }
}

#[test]
fn empty_data_without_end_ends_the_connection() {
    let (_origin, proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::post(1, "/"));
    let flood = flood(&proxy, &mut wire, 100_000, true, |_| frame(DATA, 0, 1, []));
    assert_eq!(flood.outcome, CALM);
    assert!(flood.sent < 20_000, "{}", flood.sent);
}

#[test]
fn trailers_without_end_are_a_protocol_error() {
    let (_origin, proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::post(1, "/"));
    let flood = flood(&proxy, &mut wire, 100_000, true, |_| {
        frame(HEADERS, END_HEADERS, 1, frames::block(&[("x", "y")]))
    });
    assert_ne!(flood.outcome, Outcome::Silence);
    assert!(flood.sent < 50_000, "{}", flood.sent);
}

#[test]
fn a_body_in_the_smallest_pieces_that_nobody_takes_costs_little() {
    let (_origin, proxy) = lab(behaviour::custom(|exchange| {
        if exchange.head.line.contains("/stuck") {
            exchange.wait_for_stop();
        }
        exchange.read_body();
        exchange.send(&behaviour::response(200, &[], b"plain"))
    }));
    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::post(1, "/stuck"));
    // A byte each, as far as the window goes.
    let flood = flood(&proxy, &mut wire, 250_000, true, |_| frame(DATA, 0, 1, "x"));
    assert!(flood.sent >= 10_000 || flood.outcome == CALM);
}

#[test]
fn small_messages_of_an_honest_client_all_get_through() {
    let (origin, proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::post(1, "/grpc"));
    // As gRPC has them: five bytes before each message, and a ping now and then.
    let (mut room, mut connection_room, message) =
        (65_535usize, 1_048_576usize, b"\0\0\0\0\x05hello");
    for at in 0..60_000 {
        while room < message.len() || connection_room < message.len() {
            let update = wire.until(|frame| frame.kind == WINDOW_UPDATE);
            let by = u32::from_be_bytes(update.payload.try_into().unwrap()) as usize;
            if update.stream == 1 {
                room += by;
            } else {
                connection_room += by;
            }
        }
        room -= message.len();
        connection_room -= message.len();
        wire.send(frame(DATA, 0, 1, message));
        if at % 500 == 0 {
            wire.send(frame(PING, 0, 0, [1; 8]));
        }
    }
    wire.send(frame(DATA, END_STREAM, 1, []));
    wire.until(|frame| frame.stream == 1 && frame.ends_stream());
    assert_eq!(origin.saw("/grpc").body.len(), 60_000 * message.len());
}

#[test]
fn more_streams_than_were_offered_are_refused_one_by_one() {
    let (origin, proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    for at in 0..140 {
        wire.send(frames::get(2 * at + 1, "/long"));
    }
    for _ in 128..140 {
        let refused = wire.until(|frame| frame.kind == RST_STREAM);
        assert_eq!(refused.code(), 7, "REFUSED_STREAM");
        assert!(refused.stream >= 2 * 128);
    }
    eventually(PATIENCE, "the others are under way", || {
        origin.count() == 128
    });
    assert!(wire.lives());
}

#[test]
fn many_connections_that_say_little_hold_nobody_up() {
    let (_origin, proxy) = lab_with(behaviour::ok("plain"), "[limits]\nheader_timeout = \"5s\"");
    let before = resident_kib(&proxy);
    let wires: Vec<_> = (0..300).map(|_| Wire::connect(proxy.address)).collect();
    let grown = resident_kib(&proxy).saturating_sub(before);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 200);
    assert!(grown < 300 * 96, "{grown} KiB for 300 connections");
    drop(wires);
}

/// Answers to pings that nobody has sent: h2 has a warning for each.
#[test]
fn single_frames_are_no_lines_of_the_log() {
    let (_origin, mut proxy) = plain();
    let mut wire = Wire::connect(proxy.address);
    for _ in 0..1000 {
        wire.send(frame(PING, frames::ACK, 0, [1; 8]));
    }
    assert!(wire.lives());
    proxy.signal(Signal::TERM);
    proxy.wait_for_exit(PATIENCE);
    let lines = proxy.log().lines().count();
    assert!(lines < 50, "{lines} lines:\n{}", proxy.log());
}
