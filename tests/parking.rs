//! Connections whose clients are silent keep little memory, and work as before when their clients say something again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use rustix::process::Signal;
use support::behaviour::{self, custom};
use support::client::Broken;
use support::wait::{PATIENCE, within};
use support::{Origin, Proxy, RawClient, eventually};

/// Enough for what one connection costs to show: at the 24 KiB of one that isn't parked, 24 MiB.
const CROWD: u64 = 1000;

/// KiB that one of them may keep. The process itself grows in that time, too.
const LEAST: u64 = 8;

const GET: &str = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";

/// Connections that are silent after one answer, and parked.
struct Crowd {
    proxy: Proxy,
    origin: Origin,
    clients: Vec<RawClient>,
}

impl Crowd {
    /// Each has been answered `first`, and `others` are of the same age.
    fn parked(limits: &str, first: &str, others: impl FnOnce(&Proxy) -> Vec<RawClient>) -> Self {
        let origin = Origin::start(custom(|exchange| {
            let answer = if exchange.head.line.starts_with("POST /early") {
                behaviour::early(behaviour::response(200, &[], b"early"))
            } else {
                behaviour::ok("hello")
            };
            answer(exchange)
        }));
        let proxy = Proxy::builder()
            .server("workers = 1\n")
            .toml(limits)
            .zone("fz-1", &[&origin])
            .start();
        for _ in 0..100 {
            assert_eq!(proxy.get("/").status, 200);
        }
        let before = proxy.resident_kib();
        let mut clients = others(&proxy);
        for _ in 0..CROWD {
            let mut client = proxy.client();
            assert_eq!(client.exchange(first).status, 200);
            clients.push(client);
        }
        eventually(PATIENCE, "their memory is given back", || {
            proxy.resident_kib().saturating_sub(before) < CROWD * LEAST
        });
        Self {
            proxy,
            origin,
            clients,
        }
    }
}

#[test]
fn a_silent_connection_keeps_little_memory_and_is_answered_when_it_speaks() {
    let post = "POST / HTTP/1.1\r\nHost: app.example\r\n";
    let known = format!("{post}Content-Length: 3\r\n\r\nabc");
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    for first in [GET, &known, &chunked] {
        let mut crowd = Crowd::parked("", first, |_| Vec::new());
        for client in &mut crowd.clients {
            let answer = client.exchange(GET);
            assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        }
    }
}

#[test]
fn one_that_has_said_nothing_yet_is_answered_too() {
    let mut crowd = Crowd::parked("", GET, |proxy| (0..50).map(|_| proxy.client()).collect());
    for client in &mut crowd.clients[..50] {
        assert_eq!(client.exchange(GET).status, 200);
    }
}

#[test]
fn what_was_said_of_the_next_request_is_kept() {
    let mut crowd = Crowd::parked("", GET, |proxy| {
        let begin = |_| {
            let mut client = proxy.client();
            let begun = format!("{GET}GET /next HTTP/1.1\r\nHo");
            assert_eq!(client.exchange(begun).status, 200);
            client
        };
        (0..50).map(begin).collect()
    });
    for client in &mut crowd.clients[..50] {
        assert_eq!(client.exchange("st: app.example\r\n\r\n").status, 200);
    }
    assert_eq!(crowd.origin.seen_for("/next").len(), 50);
}

#[test]
fn the_rest_of_a_body_that_was_answered_early_is_never_a_request() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: app.example\r\n\r\n";
    // More than is kept for a second attempt: it is passed on as it comes. So little is missing that its end may be waited for.
    let sent = "x".repeat(100_000);
    let begin = format!(
        "POST /early HTTP/1.1\r\nHost: app.example\r\nContent-Length: {}\r\n\r\n{sent}",
        sent.len() + smuggled.len()
    );
    let mut crowd = Crowd::parked("", GET, |proxy| {
        let early = |_| {
            let mut client = proxy.client();
            assert_eq!(client.exchange(&begin).text(), "early");
            client
        };
        (0..50).map(early).collect()
    });
    for client in &mut crowd.clients[..50] {
        client.send(smuggled).send(GET);
        match client.response_within("GET", PATIENCE) {
            Ok(answer) => assert_eq!(answer.text(), "hello"),
            Err(Broken::NoResponse(_)) => {}
            Err(broken) => panic!("{broken:?}"),
        }
    }
    assert!(crowd.origin.seen_for("/smuggled").is_empty());
}

#[test]
fn the_clock_of_a_silent_connection_goes_on() {
    let limits = "[limits]\nidle_timeout = \"8s\"\nheader_timeout = \"8s\"\n";
    let mut crowd = Crowd::parked(limits, GET, |proxy| vec![proxy.client()]);
    for client in &mut crowd.clients {
        assert!(client.ends_within(PATIENCE));
    }
}

#[test]
fn a_silent_connection_ends_with_the_process() {
    let mut crowd = Crowd::parked("", GET, |_| Vec::new());
    crowd.proxy.signal(Signal::TERM);
    assert!(crowd.proxy.wait_for_exit(PATIENCE).success());
    for client in &mut crowd.clients {
        assert!(client.ends_within(PATIENCE));
    }
}

#[test]
fn no_response_is_lost_while_its_client_reads_nothing() {
    const MANY: usize = 1000;
    // So much stands before each response that the client's buffers are full long before the last: whoever is parked then has a response
    // that is not out.
    let hints = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: </{}>\r\n\r\n",
        "x".repeat(20_000)
    );
    let origin = Origin::start(behaviour::interim(
        &[&hints],
        behaviour::response(200, &[], b"final"),
    ));
    let proxy = Proxy::builder()
        .server("workers = 1\n")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    client.send(GET.repeat(MANY));
    eventually(PATIENCE, "the first are answered", || origin.count() > 10);
    let all = || origin.count() >= MANY;
    assert!(
        !within(Duration::from_secs(4), all),
        "the client holds nothing up"
    );
    for number in 0..MANY {
        let answer = client.response();
        assert_eq!((answer.status, answer.interims.len()), (200, 1), "{number}");
    }
}
