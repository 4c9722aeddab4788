//! Long-lived connections of a zone that was left: ended within `drain_timeout`, and told so where the protocol has words for it.

use std::time::Duration;

use super::support::behaviour::{self, Behaviour, Next, custom};
use super::support::pair::{EAGER, Pair, active, sound, until_active};
use super::support::wait::PATIENCE;
use super::support::wire::Trouble;
use super::support::{Proxy, RawClient, eventually};
use super::{activate, start_with};

/// Close, two bytes: 1012, service restart.
const CLOSE: [u8; 4] = [0x88, 0x02, 0x03, 0xf4];

/// Opens a WebSocket, sends `frames`, and then nothing more.
fn websocket(frames: &'static [u8]) -> Behaviour {
    custom(move |exchange| {
        exchange.read_body();
        exchange.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        );
        exchange.send(frames);
        exchange.wait_for_end();
        Next::Close
    })
}

fn open(proxy: &Proxy) -> RawClient {
    let mut client = proxy.client();
    client.send(
        "GET /chat HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let head = client.head();
    assert!(head.line.starts_with("HTTP/1.1 101"), "{}", head.line);
    client
}

fn leaving(pair: &Pair, behaviour: &Behaviour) -> Proxy {
    let proxy = start_with(pair, EAGER, "drain_timeout = \"1s\"");
    for server in &pair.preferred.servers {
        server.behave(behaviour.clone());
    }
    proxy
}

#[test]
fn a_websocket_is_told_to_come_back_after_a_planned_flip_and_does_not_delay_it() {
    let pair = Pair::start();
    let proxy = leaving(&pair, &websocket(b"\x81\x05hello"));
    let mut clients: Vec<RawClient> = (0..8).map(|_| open(&proxy)).collect();
    for client in &mut clients {
        assert_eq!(client.exact(7).unwrap(), b"\x81\x05hello");
    }
    assert_eq!(activate(&proxy, "fz-2").status, 200);
    for client in &mut clients {
        let (last, end) = client.rest(PATIENCE);
        assert_eq!((&last[..], &end), (&CLOSE[..], &Trouble::Closed));
    }
    eventually(PATIENCE, "the backends see them leave", || {
        let servers = &pair.preferred.servers;
        servers.iter().all(|server| server.open_connections() == 0)
    });
}

#[test]
fn a_websocket_is_told_to_come_back_after_its_zone_has_failed() {
    let mut pair = Pair::start();
    let proxy = leaving(&pair, &websocket(b""));
    let mut client = open(&proxy);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    assert_eq!(client.rest(PATIENCE), (CLOSE.to_vec(), Trouble::Closed));
}

#[test]
fn a_close_frame_never_becomes_the_payload_of_another_one() {
    let pair = Pair::start();
    let proxy = leaving(&pair, &websocket(b"\x81\x05hel"));
    let mut client = open(&proxy);
    assert_eq!(client.exact(5).unwrap(), b"\x81\x05hel");
    assert_eq!(activate(&proxy, "fz-2").status, 200);
    assert_eq!(client.rest(PATIENCE), (Vec::new(), Trouble::Closed));
}

#[test]
fn a_stream_of_events_ends_visibly_after_a_planned_and_after_an_unplanned_flip() {
    for planned in [true, false] {
        let mut pair = Pair::start();
        let proxy = leaving(&pair, &behaviour::events(Duration::from_millis(50)));
        let mut stream = proxy.client();
        stream.send("GET /events HTTP/1.1\r\nHost: app.example\r\n\r\n");
        assert!(stream.head().line.starts_with("HTTP/1.1 200 "));
        if planned {
            // A stream is a request in flight: the flip waits for it, as long as it waits for any.
            assert_eq!(activate(&proxy, "fz-2").status, 200);
        } else {
            pair.preferred.database.refuse();
        }
        until_active(&proxy, "fz-2");
        let (rest, end) = stream.rest(PATIENCE);
        assert_ne!(end, Trouble::Deadline, "planned: {planned}");
        assert!(
            !rest.ends_with(b"0\r\n\r\n"),
            "a cut stream must not look complete"
        );
    }
}

#[test]
fn streams_that_are_cut_in_a_zone_that_was_left_in_order_are_nobodys_failure() {
    let pair = Pair::start();
    let proxy = leaving(&pair, &behaviour::events(Duration::from_millis(50)));
    let paths: Vec<String> = (0..4).map(|n| format!("/events/{n}")).collect();
    let mut streams: Vec<RawClient> = paths.iter().map(|_| proxy.client()).collect();
    for (stream, path) in streams.iter_mut().zip(&paths) {
        stream.send(format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n"));
        assert!(stream.head().line.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(activate(&proxy, "fz-2").status, 200);
    for (mut stream, path) in streams.into_iter().zip(&paths) {
        assert_ne!(stream.rest(PATIENCE).1, Trouble::Deadline, "{path}");
        assert_eq!(proxy.access_line(path)["termination"], "PD", "{path}");
    }
    let metrics = proxy.admin_get("/metrics").text();
    let errors = "firedoor_request_errors_total{zone=\"fz-1\",pool=\"default\"} 0\n";
    assert!(metrics.contains(errors), "{metrics}");
}

#[test]
fn a_kept_alive_client_connection_survives_the_flip() {
    let pair = Pair::start();
    let proxy = leaving(&pair, &sound("fz-1", "app"));
    let mut client = proxy.client();
    let get = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";
    assert_eq!(client.exchange(get).text(), "fz-1 app");
    assert_eq!(activate(&proxy, "fz-2").status, 200);
    let answer = client.exchange(get);
    assert!(answer.text().starts_with("fz-2 "));
    assert_eq!(answer.field("connection"), None);
    assert_eq!(active(&proxy), "fz-2");
}
