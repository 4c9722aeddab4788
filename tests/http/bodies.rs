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
fn a_request_that_may_have_been_swallowed_by_trailers_is_seen_to_be_lost() {
    let origin = Origin::named("hello");
    let proxy = Proxy::in_front_of(&[&origin]);
    let up = "POST /up HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n";
    let next = "GET /next HTTP/1.1\r\nHost: app.example\r\n\r\n";
    // A bare line feed right behind the last chunk: there are no trailers at all.
    let mut client = proxy.client();
    client.send(format!("{up}\n{next}{next}"));
    assert_eq!(client.response_to("POST").status, 400);
    assert!(client.ends_within(PATIENCE));
    // Behind a trailer, it looks like the end of the trailers, and isn't hyper's.
    let mut client = proxy.client();
    client.send(format!("{up}A: b\r\n\n{next}{next}"));
    let answer = client.response_to("POST");
    assert_eq!(
        (answer.status, answer.field("connection")),
        (200, Some("close"))
    );
    assert!(client.ends_within(PATIENCE));
    assert!(origin.seen_for("/next").is_empty());
    // A request that is refused has trailers that nobody has read.
    let mut client = proxy.client();
    let refused = up.replace("app.example", "a/b");
    client.send(format!("{refused}\n{next}{next}"));
    let answer = client.response_to("POST");
    assert_eq!(
        (answer.status, answer.field("connection")),
        (400, Some("close"))
    );
    assert!(client.ends_within(PATIENCE));
}

#[test]
fn a_response_with_trailers_leaves_both_connections_usable() {
    let origin = Origin::start(behaviour::chunked(&[b"hello"], &["X-Sum: 1"]));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    for path in ["/one", "/two"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: app.example\r\nTE: trailers\r\nConnection: TE\r\n\r\n"
        );
        assert_eq!(client.exchange(request).text(), "hello");
        assert_eq!(proxy.access_line(path)["termination"], "--");
    }
    assert_eq!(origin.saw("/one").connection, origin.saw("/two").connection);
}

#[test]
fn several_lengths_that_agree_become_one_and_others_none() {
    let origin = Origin::named("hello");
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    for (lengths, expected) in [
        ("Content-Length: 5, 5", Some("5")),
        ("Content-Length: 5\r\nContent-Length: 5", Some("5")),
        ("Content-Length: 5, 6", None),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\n");
        origin.behave(behaviour::raw(head, behaviour::Next::Keep));
        client.send("HEAD / HTTP/1.1\r\nHost: app.example\r\n\r\n");
        let answer = client.response_to("HEAD");
        assert_eq!(answer.all("content-length"), Vec::from_iter(expected));
    }
}

#[test]
fn a_response_whose_trailers_may_have_swallowed_something_is_broken() {
    let origin = Origin::start(behaviour::raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        behaviour::Next::Keep,
    ));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send(GET);
    assert!(client.response_within("GET", PATIENCE).is_err());
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
