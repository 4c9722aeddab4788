//! Upgrades: a tunnel after the backend's 101, and never before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::behaviour::{self, Next};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::wire::Trouble;
use crate::support::{Origin, Proxy, RawClient};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn switched(proxy: &Proxy) -> RawClient {
    let mut client = proxy.client();
    client.send(ASK);
    let head = client.head();
    assert!(head.line.starts_with("HTTP/1.1 101"), "{}", head.line);
    assert_eq!(
        head.field("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    client
}

#[test]
fn after_101_bytes_pass_as_they_are() {
    let origin = Origin::start(behaviour::upgrade());
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = switched(&proxy);
    for text in ["hello", "GET / HTTP/1.1\r\n\r\n", "\0\r\n"] {
        client.send(text);
        assert_eq!(
            client.exact(text.len()).unwrap(),
            text.to_ascii_uppercase().into_bytes()
        );
    }
    let large = vec![b'x'; 3_000_000];
    let sender = std::thread::scope(|scope| {
        let mut writer = client.second_hand();
        let large = &large;
        scope.spawn(move || {
            writer.send(large);
        });
        client.exact(large.len())
    });
    assert!(sender.unwrap().iter().all(|byte| *byte == b'X'));
}

#[test]
fn bytes_sent_together_with_the_request_wait_for_the_101() {
    let origin = Origin::start(behaviour::upgrade());
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send(format!("{ASK}early"));
    client.head();
    assert_eq!(client.exact(5).unwrap(), b"EARLY");
}

#[test]
fn bytes_sent_before_the_101_come_in_their_order() {
    let open = Arc::new(AtomicBool::new(false));
    let upgrade = behaviour::gated(&open, behaviour::upgrade());
    let origin = Origin::start(behaviour::custom(move |exchange| {
        match exchange.head.field("upgrade") {
            Some(_) => upgrade(exchange),
            None => exchange.send(&behaviour::response(200, &[], b"")),
        }
    }));
    let proxy = Proxy::builder()
        .server("workers = 1")
        .zone("fz-1", &[&origin])
        .start();
    for early in ["", "ea"] {
        open.store(false, Ordering::SeqCst);
        let before = origin.count();
        let mut client = proxy.client();
        client.send(format!("{ASK}{early}"));
        eventually(PATIENCE, "the request arrives", || origin.count() > before);
        for part in ["r", "ly bi", "rd"] {
            client.send(part);
            // Its worker has seen the part before this is answered.
            assert_eq!(proxy.get("/other").status, 200);
        }
        open.store(true, Ordering::SeqCst);
        client.head();
        let all = format!("{early}rly bird").to_ascii_uppercase();
        assert_eq!(client.exact(all.len()).unwrap(), all.into_bytes());
    }
}

#[test]
fn the_client_may_end_its_half_first() {
    let origin = Origin::start(behaviour::upgrade());
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = switched(&proxy);
    client.send("last");
    client.finish_writing();
    // The origin says `bye` only after it has seen the end of our half.
    assert_eq!(
        client.rest(PATIENCE),
        (b"LASTbye".to_vec(), Trouble::Closed)
    );
}

#[test]
fn the_backend_may_end_its_half_first() {
    let origin = Origin::start(behaviour::custom(|exchange| {
        exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\ndown");
        exchange.finish_writing();
        while exchange.some().is_ok() {}
        Next::Close
    }));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = switched(&proxy);
    assert_eq!(client.rest(PATIENCE), (b"down".to_vec(), Trouble::Closed));
    client.send("and up again");
    client.finish_writing();
    eventually(PATIENCE, "the client's half arrives", || {
        origin
            .tapes()
            .iter()
            .any(|tape| tape.ends_with(b"and up again"))
    });
}

#[test]
fn a_client_that_leaves_ends_the_tunnel() {
    let origin = Origin::start(behaviour::custom(|exchange| {
        exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
        exchange.wait_for_end();
        Next::Close
    }));
    let proxy = Proxy::in_front_of(&[&origin]);
    let client = switched(&proxy);
    client.reset();
    eventually(PATIENCE, "the origin's connection ends", || {
        origin.open_connections() == 0
    });
}

#[test]
fn a_refused_upgrade_is_an_ordinary_exchange() {
    let origin = Origin::named("plain");
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send(ASK);
    assert_eq!(client.response().text(), "plain");
    // What follows is a request like any other, cleaned and stamped like any other.
    assert_eq!(client.exchange("GET /after HTTP/1.1\r\nHost: app.example\r\nConnection: X-Drop\r\nX-Drop: 1\r\n\r\n").text(), "plain");
    let seen = origin.saw("/after");
    assert_eq!(seen.field("x-drop"), None);
    assert_eq!(seen.field("firedoor-zone"), Some("fz-1"));
}

/// It is a GET: nothing has happened while no 101 has come.
#[test]
fn a_websocket_is_asked_for_elsewhere_where_a_backend_breaks_off_before_the_101() {
    let (breaks, opens) = (
        Origin::start(behaviour::close()),
        Origin::start(behaviour::upgrade()),
    );
    let proxy = Proxy::in_front_of(&[&breaks, &opens]);
    eventually(PATIENCE, "one was sent to the other first", || {
        let mut client = proxy.client();
        client.send(format!("{ASK}early"));
        let head = client.head();
        assert!(head.line.starts_with("HTTP/1.1 101"), "{}", head.line);
        assert_eq!(client.exact(5).unwrap(), b"EARLY");
        breaks.count() > 0
    });
}

#[test]
fn an_upgrade_by_post_is_never_sent_twice() {
    let (first, second) = (
        Origin::start(behaviour::close()),
        Origin::start(behaviour::close()),
    );
    let proxy = Proxy::in_front_of(&[&first, &second]);
    let mut client = proxy.client();
    client.send(ASK.replace("GET /chat", "POST /chat"));
    let answer = client.response_within("GET", PATIENCE).expect("an answer");
    assert_eq!(answer.status, 502);
    assert_eq!(first.count() + second.count(), 1);
}

#[test]
fn a_tunnel_is_logged_with_what_passed_however_it_ends() {
    let origin = Origin::start(behaviour::upgrade());
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send(format!("{ASK}early"));
    client.head();
    assert_eq!(client.exact(5).unwrap(), b"EARLY");
    client.send("late");
    assert_eq!(client.exact(4).unwrap(), b"LATE");
    client.reset();
    let line = proxy.access_line("/chat");
    assert_eq!(line["termination"], "CD");
    assert_eq!(
        (&line["bytes_in"], &line["bytes_out"]),
        (&9.into(), &9.into())
    );
}

#[test]
fn a_101_for_another_protocol_opens_nothing() {
    let origin = Origin::start(behaviour::raw(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, x\r\n\r\n",
        Next::Keep,
    ));
    let proxy = Proxy::in_front_of(&[&origin]);
    let answer = proxy.client().exchange(ASK);
    assert_eq!(answer.status, 502);
}

#[test]
fn a_101_that_nobody_asked_for_opens_nothing() {
    let origin = Origin::start(behaviour::raw(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        Next::Keep,
    ));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert_eq!(
        client
            .response_within("GET", Duration::from_secs(10))
            .expect("an answer")
            .status,
        502
    );
}
