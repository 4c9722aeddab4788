//! A client's WebSocket over HTTP/1.1, opened at the backend by extended CONNECT (RFC 8441).

use std::time::Duration;

use rustix::process::Signal;

use crate::origin::{Options, Origin};
use crate::service::{builder, in_front_of};
use crate::support::wait::PATIENCE;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn talker() -> Origin {
    Origin::start(Options {
        websockets: true,
        ..Options::default()
    })
}

#[test]
fn it_is_opened_and_bytes_pass_both_ways() {
    let origin = talker();
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send(format!("{ASK}early"));
    let head = client.head();
    assert_eq!(head.line, "HTTP/1.1 101 Switching Protocols");
    // The example of RFC 6455 1.3.
    assert_eq!(
        head.field("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(client.exact(5).unwrap(), b"EARLY");
    for _ in 0..20 {
        client.send(vec![b'x'; 100_000]);
        assert_eq!(client.exact(100_000).unwrap(), vec![b'X'; 100_000]);
    }
    client.finish_writing();
    let (rest, _) = client.rest(PATIENCE);
    assert_eq!(rest, b"bye");
    let seen = origin.saw("/chat");
    assert_eq!(seen.method, "CONNECT");
    assert_eq!(seen.headers["sec-websocket-version"], "13");
}

#[test]
fn a_backend_that_offers_none_is_told_apart() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let answer = proxy.client().exchange(ASK);
    assert_eq!(answer.status, 501);
    assert!(
        answer.text().contains("can't open a WebSocket over HTTP/2"),
        "{}",
        answer.text()
    );
}

/// RFC 9110 7.8: a server may ignore what it doesn't speak.
#[test]
fn another_upgrade_is_a_plain_request() {
    let origin = talker();
    let proxy = in_front_of(&[&origin]);
    let answer = proxy.client().exchange(
        "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: irc/6.9\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    assert!(!origin.saw("/echo").headers.contains_key("upgrade"));
}

#[test]
fn odd_ones_are_understood_or_plain_requests() {
    let origin = talker();
    let proxy = in_front_of(&[&origin]);
    let odd = ASK.replace("app.example", "a%41.example");
    let mut client = proxy.client();
    client.send(odd);
    assert!(client.head().line.contains("101"));
    let post = ASK
        .replace("GET", "POST")
        .replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nhi");
    let answer = proxy.client().exchange(post);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(origin.seen().last().unwrap().method, "POST");
}

#[test]
fn at_the_drain_it_is_told_to_come_back() {
    let origin = talker();
    let mut proxy = builder(&[&origin])
        .server("drain_timeout = \"500ms\"")
        .start();
    let mut client = proxy.client();
    client.send(ASK);
    assert!(client.head().line.contains("101"));
    proxy.signal(Signal::TERM);
    let (bytes, _) = client.rest(PATIENCE);
    // RFC 6455 5.5.1: a close frame, 1012.
    assert_eq!(bytes[..4], [0x88, bytes[1], 0x03, 0xf4]);
    assert!(proxy.wait_for_exit(Duration::from_secs(10)).success());
}
