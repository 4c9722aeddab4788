//! The harness itself does what the other test files believe of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use rustix::process::Pid;
use support::behaviour::{self, Next};
use support::process::freeze;
use support::wait::PATIENCE;
use support::wire::Trouble;
use support::{Broken, Origin, Proxy, RawClient, eventually};

#[test]
fn an_origin_keeps_what_it_saw_and_answers_as_told() {
    let origin = Origin::start(behaviour::echo());
    let mut client = RawClient::connect(origin.address());
    let answer =
        client.exchange("POST /a HTTP/1.1\r\nHost: x\r\nX-Id: 7\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(answer.status, 200);
    assert!(answer.text().ends_with("\n\nabc"), "{}", answer.text());
    assert_eq!(origin.saw("/a").body, b"abc");
    assert_eq!(origin.posts()["7"], 1);

    origin.behave(behaviour::chunked(&[b"one", b"two"], &["X-Sum: 6"]));
    let answer = client.exchange("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answer.text(), "onetwo");
    assert_eq!(answer.trailers, [("X-Sum".to_owned(), "6".to_owned())]);
    assert_eq!(origin.saw("/b").connection, 0);
}

#[test]
fn an_origin_answers_checks_apart_from_traffic() {
    let origin = Origin::start(behaviour::reset());
    let answer = RawClient::connect(origin.address())
        .exchange("GET /health HTTP/1.1\r\nHost: x\r\nUser-Agent: firedoor/0.1.0\r\n\r\n");
    assert_eq!(answer.status, 200);
    assert_eq!((origin.checks(), origin.count()), (1, 0));
}

#[test]
fn an_origin_refuses_and_comes_back_on_the_same_address() {
    let mut origin = Origin::named("a");
    let mut client = RawClient::connect(origin.address());
    assert_eq!(
        client.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n").text(),
        "a"
    );
    origin.refuse();
    assert!(client.ends_within(PATIENCE));
    assert!(RawClient::try_connect(origin.address()).is_err());
    origin.restart();
    assert_eq!(support::client::get(origin.address(), "/").text(), "a");
}

#[test]
fn a_client_tells_broken_messages_from_complete_ones() {
    let origin = Origin::start(behaviour::cut(10, "1234"));
    let ask = |method: &str| {
        let mut client = RawClient::connect(origin.address());
        client.send(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"));
        client.response_within(method, PATIENCE)
    };
    assert!(matches!(ask("GET"), Err(Broken::Body(_, part)) if part.body == b"1234"));
    origin.behave(behaviour::cut_chunked("1234"));
    assert!(matches!(ask("GET"), Err(Broken::Body(_, part)) if part.body == b"1234"));
    origin.behave(behaviour::reset());
    assert!(matches!(ask("GET"), Err(Broken::NoResponse(_))));
    origin.behave(behaviour::until_close("all"));
    assert_eq!(ask("GET").unwrap().body, b"all");
    origin.behave(behaviour::raw("HTTP/1.1 200 OK\r\nContent-", Next::Close));
    assert!(matches!(ask("GET"), Err(Broken::Head(Trouble::Closed, _))));
}

#[test]
fn flaws_of_a_message_are_noted() {
    let origin = Origin::named("a");
    let see = |request: &str| {
        let before = origin.count();
        let mut client = RawClient::connect(origin.address());
        client.send(request);
        let _ = client.response_within("GET", Duration::from_secs(1));
        eventually(PATIENCE, "a request", || origin.count() > before);
        origin.seen().last().unwrap().flaws.clone()
    };
    assert_eq!(
        see("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        Vec::<String>::new()
    );
    for flawed in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ] {
        assert_ne!(see(flawed), Vec::<String>::new(), "{flawed:?}");
    }
}

#[test]
fn a_proxy_shows_whom_it_answered_late_and_what_it_has_not_read() {
    let late = behaviour::after(Duration::from_millis(1100), behaviour::ok("late"));
    let origin = Origin::start(late);
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.exchange("GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    origin.behave(behaviour::ok("soon"));
    client.exchange("GET /soon HTTP/1.1\r\nHost: x\r\n\r\n");
    proxy.access_line("/soon");
    let odd = proxy.odd_requests();
    assert!(
        odd.contains("\"/late\"") && !odd.contains("\"/soon\""),
        "{odd}"
    );

    // Not by the signal alone: until a thread gets there, it reads and answers.
    freeze(Pid::from_raw(proxy.pid().cast_signed()).unwrap());
    client.send("GET /unread HTTP/1.1\r\nHost: x\r\n\r\n");
    let ports = (proxy.address.port(), client.local_address().port());
    let socket = format!("socket {} of {}, ", ports.0, ports.1);
    eventually(
        PATIENCE,
        "its worker is stopped, with something to read",
        || {
            let seen = proxy.still_life();
            seen.contains("(worker-0) T ") && seen.contains(&socket)
        },
    );
}
