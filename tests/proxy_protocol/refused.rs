//! Connections that are refused: from strangers, without a header, with one that is none, and those that take too long.

use std::time::Duration;

use crate::support::wait::{PATIENCE, eventually_some};
use crate::support::{Origin, Proxy, behaviour, eventually};
use crate::{behind_a_balancer, introduces, second};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: app.example\r\n\r\n";

fn refused(proxy: &Proxy) -> u64 {
    let status = proxy.status();
    status["connections_refused"]["proxy_protocol"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_stranger_may_introduce_nobody() {
    let origin = Origin::start(behaviour::echo());
    let proxy = Proxy::builder()
        .listener("proxy_protocol = true\ntrusted_proxies = [\"10.0.0.0/8\"]")
        .zone("fz-1", &[&origin])
        .start();
    let header = introduces("10.0.0.1:40000".parse().unwrap());
    for greeting in [&header[..], REQUEST.as_bytes()] {
        let mut client = proxy.client();
        client.send(greeting).send(REQUEST);
        let (said, _) = client.rest(PATIENCE);
        assert_eq!(said, b"");
    }
    eventually(PATIENCE, "both are counted", || refused(&proxy) == 2);
    assert_eq!(origin.count(), 0);
    let told = eventually_some(PATIENCE, "its line in the log", || {
        let log = proxy.log();
        let mut lines = log.lines();
        let told = lines.find(|line| line.contains("refused a connection"));
        told.map(str::to_owned)
    });
    assert!(told.contains("127.0.0.0"), "masked: {told}");
    assert!(told.contains("trusted_proxies"), "{told}");
}

#[test]
fn whatever_is_no_header_ends_the_connection_without_a_word() {
    let (origin, proxy) = behind_a_balancer("");
    let hello = [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 7, 7, 7, 7, 7, 7];
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    let greedy = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[1; 5000]].concat();
    let attempts: [&[u8]; 9] = [
        REQUEST.as_bytes(),
        &hello,
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1 99999\r\n",
        b"PROXYxTCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",
        long.as_bytes(),
        &greedy,
        &second(0x21, 0x11, &[1, 2, 3]),
        &second(0x31, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 80, 1, 187]),
    ];
    for (number, attempt) in (1..).zip(attempts) {
        let mut client = proxy.client();
        client.send(attempt).send(REQUEST);
        let (said, _) = client.rest(PATIENCE);
        assert_eq!(said, b"", "{attempt:?}");
        eventually(PATIENCE, "it is counted", || refused(&proxy) == number);
    }
    assert_eq!(origin.count(), 0);
    eventually(PATIENCE, "it is logged", || {
        proxy.log().contains("PROXY header")
    });
}

#[test]
fn a_header_that_never_becomes_complete_costs_no_more_than_header_timeout() {
    let origin = Origin::start(behaviour::echo());
    let proxy = Proxy::builder()
        .listener("proxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]")
        .toml("[limits]\nheader_timeout = \"400ms\"")
        .zone("fz-1", &[&origin])
        .start();
    for part in [
        &b""[..],
        b"PROX",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x01",
    ] {
        let mut client = proxy.client();
        client.send(part);
        assert!(client.ends_within(Duration::from_secs(10)), "{part:?}");
    }
    eventually(PATIENCE, "all are counted", || refused(&proxy) == 3);

    // The time of the first request's head has begun with the connection, not with the end of the header.
    let mut client = proxy.client();
    client.send("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n");
    assert!(client.ends_within(Duration::from_secs(10)));
    assert_eq!(origin.count(), 0);
}

/// As balancers do to see whether somebody listens.
#[test]
fn who_closes_without_a_word_is_no_news() {
    let (_origin, proxy) = behind_a_balancer("");
    let client = proxy.client();
    client.finish_writing();
    let mut client = client;
    assert!(client.ends_within(PATIENCE));
    let answer = proxy.client().exchange_after(b"PROXY UNKNOWN\r\n", REQUEST);
    assert_eq!(answer.status, 200);
    assert_eq!(refused(&proxy), 0);
    assert!(!proxy.log().contains("refused a connection"));
}

#[test]
fn refused_connections_give_their_seats_back() {
    let (_origin, proxy) = behind_a_balancer("max_connections = 2");
    for _ in 0..20 {
        let mut client = proxy.client();
        client.send("nonsense, twenty times over");
        assert!(client.ends_within(PATIENCE));
    }
    let answer = proxy.client().exchange_after(b"PROXY UNKNOWN\r\n", REQUEST);
    assert_eq!(answer.status, 200);
}
