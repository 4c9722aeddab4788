//! Many requests that lose one shared connection at once: together they bring about one more, however long that takes.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::faults::in_front_of_frames;
use crate::frames::{self, RST_STREAM, Wire};
use crate::support::wait::PATIENCE;
use crate::support::{Proxy, RawClient, port};

const MANY: usize = 40;
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
/// Longer than one takes, even here, and shorter than one after the other would take.
const SETTINGS: &str = "[upstream]\nretry_budget = \"100%\"\nconnect_timeout = \"3s\"";

fn answer_all(wire: &mut Wire) -> std::io::Result<()> {
    loop {
        let next = wire.request()?;
        wire.answer(next, b"again");
    }
}

fn send_all(proxy: &Proxy, request: &str) -> Vec<RawClient> {
    let mut clients: Vec<_> = (0..MANY).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send(request);
    }
    clients
}

/// The first connection answers one request, and then does `lose` to so many at once.
fn lost_together(request: &str, lose: fn(&mut Wire, Vec<u32>)) {
    let (address, connections) = frames::far_backend(Duration::from_millis(200), move |wire| {
        if wire.number > 0 {
            return answer_all(wire);
        }
        let first = wire.request()?;
        wire.answer(first, b"first");
        let mut streams = Vec::new();
        while streams.len() < MANY {
            streams.push(wire.request()?);
        }
        lose(wire, streams);
        Ok(())
    });
    let proxy = in_front_of_frames(address, SETTINGS);
    assert_eq!(proxy.get("/").text(), "first");
    for mut client in send_all(&proxy, request) {
        let answer = client.response_within("GET", PATIENCE).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "again"));
    }
    let connections = connections.load(Ordering::SeqCst);
    assert!(connections <= 3, "{connections} connections");
}

#[test]
fn those_of_a_connection_that_breaks_share_the_next_one() {
    lost_together(GET, |wire, _| wire.close());
}

#[test]
fn those_above_the_last_stream_of_a_goaway_share_the_next_one() {
    lost_together(POST, |wire, _| wire.go_away(1, 0));
}

#[test]
fn those_that_are_refused_at_once_share_the_next_one() {
    lost_together(POST, |wire, streams| {
        for stream in streams {
            wire.send(RST_STREAM, 0, stream, &7_u32.to_be_bytes());
        }
        while wire.frame().is_ok() {}
    });
}

/// Each would wait for as long as the one before it, one after the other.
#[test]
fn those_that_wait_for_a_connection_share_its_failure() {
    let stuck = port::listen();
    let address = stuck.local_addr().unwrap();
    let proxy = in_front_of_frames(address, "[upstream]\nconnect_timeout = \"500ms\"");
    let began = Instant::now();
    for mut client in send_all(&proxy, POST) {
        let status = client.response_within("POST", PATIENCE).unwrap().status;
        assert!((502..=504).contains(&status), "{status}");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
}
