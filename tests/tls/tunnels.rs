//! WebSockets and other tunnels over TLS: both ways, with a half that may end first. And how a drain ends what is under way.

use std::time::Duration;

use rustix::process::Signal;

use crate::client::Client;
use crate::site::Site;
use crate::support::behaviour::{self, Next};
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, eventually};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn switched(proxy: &Proxy, site: &Site, early: &str) -> Client {
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send(format!("{ASK}{early}"));
    assert_eq!(client.response().status, 101);
    client
}

#[test]
fn after_101_bytes_pass_as_they_are() {
    let origin = Origin::start(behaviour::upgrade());
    let site = Site::new();
    let proxy = site.proxy(&origin);
    let mut client = switched(&proxy, &site, "early");
    assert_eq!(client.exact(5), b"EARLY");
    for text in ["hello", "GET / HTTP/1.1\r\n\r\n", "\0\r\n"] {
        client.send(text);
        assert_eq!(
            client.exact(text.len()),
            text.to_ascii_uppercase().into_bytes()
        );
    }
    for _ in 0..100 {
        client.send([b'x'; 30_000]);
        assert!(client.exact(30_000).iter().all(|byte| *byte == b'X'));
    }
}

#[test]
fn the_client_may_end_its_half_first() {
    let origin = Origin::start(behaviour::upgrade());
    let site = Site::new();
    let proxy = site.proxy(&origin);
    let mut client = switched(&proxy, &site, "");
    client.send("last");
    client.finish_writing();
    // The origin says `bye` only after it has seen the end of our half.
    let (bytes, end) = client.rest();
    assert_eq!(bytes, b"LASTbye");
    assert!(end.is_ok(), "{end:?}");
}

#[test]
fn the_backend_may_end_its_half_first() {
    let origin = Origin::start(behaviour::custom(|exchange| {
        exchange.send(SWITCH);
        exchange.send(b"down");
        exchange.finish_writing();
        while exchange.some().is_ok() {}
        Next::Close
    }));
    let site = Site::new();
    let proxy = site.proxy(&origin);
    let mut client = switched(&proxy, &site, "");
    let (bytes, end) = client.rest();
    assert_eq!(bytes, b"down");
    assert!(end.is_ok(), "{end:?}");
    client.send("and up again");
    client.finish_writing();
    eventually(PATIENCE, "the client's half arrives", || {
        let tapes = origin.tapes();
        tapes.iter().any(|tape| tape.ends_with(b"and up again"))
    });
}

/// A cut is no end: the backend sees the tunnel go, and is not blamed for it.
#[test]
fn a_client_that_closes_without_a_word_ends_the_tunnel_and_blames_nobody() {
    let origin = Origin::start(behaviour::upgrade());
    let site = Site::new();
    let proxy = site.proxy(&origin);
    let client = switched(&proxy, &site, "");
    client.cut_writing();
    eventually(PATIENCE, "the origin's connection ends", || {
        origin.open_connections() == 0
    });
    assert_eq!(proxy.access_line("/chat")["termination"], "CD");
}

#[test]
fn at_the_drain_a_websocket_is_told_to_come_back() {
    let origin = Origin::start(behaviour::upgrade());
    let site = Site::new();
    let builder = site.builder().server("drain_timeout = \"500ms\"");
    let mut proxy = builder.zone("fz-1", &[&origin]).start();
    let mut client = switched(&proxy, &site, "");
    proxy.signal(Signal::TERM);
    let (bytes, end) = client.rest();
    // RFC 6455 5.5.1: a close frame, 1012.
    assert_eq!(bytes[..4], [0x88, bytes[1], 0x03, 0xf4]);
    assert!(end.is_ok(), "{end:?}");
    assert!(proxy.wait_for_exit(Duration::from_secs(10)).success());
}

#[test]
fn at_the_drain_a_response_under_way_is_finished_and_its_end_is_told() {
    let origin = Origin::start(behaviour::drip(
        "slowly but surely",
        2,
        Duration::from_millis(50),
    ));
    let site = Site::new();
    let mut proxy = site.proxy(&origin);
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send("GET /slow HTTP/1.1\r\nHost: app.example\r\n\r\n");
    eventually(PATIENCE, "it is under way", || origin.count() == 1);
    proxy.signal(Signal::TERM);
    let (bytes, end) = client.rest();
    assert!(
        String::from_utf8_lossy(&bytes).contains("slowly"),
        "{bytes:?}"
    );
    assert!(
        bytes.ends_with(b"surely") || bytes.ends_with(b"0\r\n\r\n"),
        "{bytes:?}"
    );
    assert!(end.is_ok(), "{end:?}");
    assert!(proxy.wait_for_exit(Duration::from_secs(10)).success());
}
