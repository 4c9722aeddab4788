//! Lengths, chunks, trailers, and responses without a body.

use std::time::Duration;

use crate::support::behaviour;
use crate::support::message::Framing;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy};

const GET: &str = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";

#[test]
fn framing_stays_what_it_was() {
    let origin = Origin::named("hello");
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    let answer = client
        .exchange("POST /fixed HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(answer.framing, Framing::Length(5));
    assert_eq!(origin.saw("/fixed").framing, Framing::Length(5));
    origin.behave(behaviour::chunked(&[b"hel", b"lo"], &[]));
    let answer = client.exchange(
        "POST /chunked HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    assert_eq!(
        (answer.framing, answer.text().as_str()),
        (Framing::Chunked, "hello")
    );
    let seen = origin.saw("/chunked");
    assert_eq!(
        (seen.framing, &seen.body[..]),
        (Framing::Chunked, &b"hello"[..])
    );
    client.exchange("GET /none HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert_eq!(origin.saw("/none").framing, Framing::None);
}

#[test]
fn trailers_pass_in_both_directions() {
    let origin = Origin::start(behaviour::chunked(&[b"hello"], &["X-Sum: 1", "X-More: 2"]));
    let proxy = Proxy::in_front_of(&[&origin]);
    let answer = proxy.client().exchange(
        "POST /up HTTP/1.1\r\nHost: app.example\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Up\r\n\r\n5\r\nhello\r\n0\r\nX-Up: 3\r\n\r\n",
    );
    let lower = |trailers: &[(String, String)]| -> Vec<String> {
        trailers
            .iter()
            .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
            .collect()
    };
    assert_eq!(lower(&answer.trailers), ["x-sum: 1", "x-more: 2"]);
    assert_eq!(lower(&origin.saw("/up").trailers), ["x-up: 3"]);
}

#[test]
fn responses_without_a_body_leave_the_connection_usable() {
    let origin = Origin::named("hello");
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    let head = client.exchange("HEAD / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("5"))
    );
    for status in ["204 No Content", "304 Not Modified"] {
        origin.behave(behaviour::raw(
            format!("HTTP/1.1 {status}\r\nETag: \"a\"\r\n\r\n"),
            behaviour::Next::Keep,
        ));
        let answer = client.exchange(GET);
        assert_eq!(
            (answer.framing, answer.field("etag")),
            (Framing::None, Some("\"a\"")),
            "{status}"
        );
    }
    origin.behave(behaviour::ok("next"));
    assert_eq!(client.exchange(GET).text(), "next");
}

#[test]
fn a_body_that_ends_with_the_connection_arrives_whole() {
    let origin = Origin::start(behaviour::until_close("hello until the end"));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    assert_eq!(client.exchange(GET).text(), "hello until the end");
    let answer = proxy
        .client()
        .exchange("GET / HTTP/1.0\r\nHost: app.example\r\n\r\n");
    assert_eq!(answer.text(), "hello until the end");
}

#[test]
fn a_client_that_expects_100_is_asked_once() {
    let origin = Origin::start(behaviour::asking_for_the_body(behaviour::ok("thanks")));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert!(client.head().line.starts_with("HTTP/1.1 100"));
    client.send("hello");
    let answer = client.response();
    assert_eq!(
        (answer.text().as_str(), answer.interims.len()),
        ("thanks", 0)
    );
    assert_eq!(origin.saw("/a").body, b"hello");
}

#[test]
fn a_client_that_expects_100_and_does_not_wait_is_served_without_delay() {
    // The origin has read the body before it would ask for it, and so never asks (RFC 9110 10.1.1).
    let origin = Origin::named("thanks");
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    let answer = client
        .response_within("POST", Duration::from_secs(3))
        .expect("an answer");
    assert_eq!(answer.text(), "thanks");
    assert_eq!(origin.saw("/a").body, b"hello");
}

#[test]
fn a_client_that_expects_100_gets_the_refusal_instead() {
    let refusal = behaviour::response(403, &["Connection: close"], b"no");
    let origin = Origin::start(behaviour::early_and_close(refusal));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let answer = client
        .response_within("POST", PATIENCE)
        .expect("the refusal");
    assert_eq!((answer.status, answer.interims.len()), (403, 0));
}

#[test]
fn a_length_beside_a_coding_does_not_cut_the_response() {
    let message = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let origin = Origin::start(behaviour::raw(message, behaviour::Next::Close));
    let proxy = Proxy::in_front_of(&[&origin]);
    let answer = proxy.get("/");
    assert!(
        answer.status == 502 || answer.text() == "hello",
        "{:?}: {}",
        answer.head,
        answer.text()
    );
}
