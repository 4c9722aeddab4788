//! What comes instead of a request: no app sees it, and whoever sent it gets an answer that can be found in the log.

use std::time::Duration;

use rustix::process::Pid;
use serde_json::Value;

use crate::support::behaviour;
use crate::support::process::{freeze, thaw};
use crate::support::wait::{PATIENCE, eventually, eventually_some, within};
use crate::support::wire::Trouble;
use crate::support::{Origin, Proxy, RawClient, Response};

const LIMITS: &str =
    "[limits]\nmax_header_size = \"16KiB\"\nmax_headers = 20\nheader_timeout = \"1s\"";
const GOOD: &str = "GET /good HTTP/1.1\r\nHost: app.example\r\n\r\n";
const NO_HTTP: &str = "The request is not valid HTTP.";

#[test]
fn what_is_no_request_is_answered_as_a_request_is_refused() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml(LIMITS)
        .zone("fz-1", &[&origin])
        .start();
    let large = "x".repeat(400_000);
    let begun = "GET /begun HTTP/1.1\r\nHost: app.example\r\n";
    let cases = [
        (400, "PR", NO_HTTP, "nonsense\r\n\r\n".to_owned()),
        (400, "PR", NO_HTTP, "GET / HTTP/3.0\r\n\r\n".to_owned()),
        (400, "PR", NO_HTTP, format!("{begun}A field\r\n\r\n")),
        (
            400,
            "PR",
            NO_HTTP,
            format!("{begun}Content-Length: five\r\n\r\n"),
        ),
        (
            414,
            "PR",
            "The request target is too long.",
            format!(
                "GET /{} HTTP/1.1\r\nHost: app.example\r\n\r\n",
                &large[..70_000]
            ),
        ),
        (
            431,
            "PR",
            "The request's header fields are too large.",
            format!("{begun}A: {large}"),
        ),
        (
            431,
            "PR",
            "The request's header fields are too large.",
            format!("{begun}{}\r\n", "A: b\r\n".repeat(20)),
        ),
        (
            408,
            "cR",
            "The request did not come in time.",
            begun.to_owned(),
        ),
    ];
    for (status, termination, sentence, request) in cases {
        let mut client = proxy.client();
        let answer = client.send(&request).response();
        assert_eq!(
            answer.status,
            status,
            "{}",
            &request[..request.len().min(100)]
        );
        let line = is_farewell(&proxy, &mut client, &answer, sentence);
        assert_eq!(line["termination"], termination, "{line}");
        assert_eq!((&line["method"], &line["path"]), (&"-".into(), &"-".into()));
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_bad_request_may_come_behind_good_ones() {
    let origin = Origin::named("hello");
    let proxy = Proxy::in_front_of(&[&origin]);
    // One after the other, and all at once; with nothing in the response, too.
    let mut kept = proxy.client();
    assert_eq!(kept.exchange(GOOD).text(), "hello");
    assert_eq!(kept.exchange(GOOD).text(), "hello");
    let answer = kept.send("nonsense\r\n\r\n").response();
    assert_eq!(answer.status, 400);
    is_farewell(&proxy, &mut kept, &answer, NO_HTTP);

    let head = "HEAD /good HTTP/1.1\r\nHost: app.example\r\n\r\n";
    let post = "POST /good HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\n\r\nthere";
    let mut client = proxy.client();
    client.send([GOOD, post, head, "nonsense\r\n\r\n"].concat());
    assert_eq!(client.response().text(), "hello");
    assert_eq!(client.response_to("POST").text(), "hello");
    assert_eq!(client.response_to("HEAD").status, 200);
    let answer = client.response();
    assert_eq!(answer.status, 400);
    is_farewell(&proxy, &mut client, &answer, NO_HTTP);
    assert_eq!(origin.count(), 5);
}

#[test]
fn a_slow_reader_gets_its_response_whole_before_the_farewell() {
    const SIZE: usize = 24 * 1024 * 1024;
    let origin = Origin::start(behaviour::huge(SIZE as u64));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send([GOOD, "nonsense\r\n\r\n"].concat());
    let mut last = 0;
    eventually(PATIENCE, "the origin stalls", || {
        let now = origin.sent();
        let stalled = now > 1_000_000
            && now == last
            && !within(Duration::from_millis(300), || origin.sent() != now);
        last = now;
        stalled
    });
    assert!(last < SIZE as u64, "nobody was slow");
    assert_eq!(client.response().body.len(), SIZE);
    let answer = client.response();
    assert_eq!(answer.status, 400);
    is_farewell(&proxy, &mut client, &answer, NO_HTTP);
}

#[test]
fn a_client_that_waits_for_leave_gets_it_and_a_farewell_later() {
    let origin = Origin::named("thanks");
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        assert!(client.head().line.starts_with("HTTP/1.1 100"));
        assert_eq!(client.send("hello").response().text(), "thanks");
    }
    let answer = client.send("nonsense\r\n\r\n").response();
    assert_eq!(answer.status, 400);
    is_farewell(&proxy, &mut client, &answer, NO_HTTP);
}

#[test]
fn nobody_talks_to_one_who_says_nothing_or_speaks_http2() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml(LIMITS)
        .zone("fz-1", &[&origin])
        .start();
    let mut silent = proxy.client();
    let mut other = proxy.client();
    other.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let mut leaver = proxy.client();
    leaver.send("GET / HTTP/1.1\r\nHo").finish_writing();
    for client in [&mut silent, &mut other, &mut leaver] {
        let (bytes, end) = client.rest(PATIENCE);
        assert_eq!((bytes, end), (Vec::new(), Trouble::Closed));
    }
}

/// Checks the last answer on a connection against the log, whose line for it is returned.
#[track_caller]
fn is_farewell(proxy: &Proxy, client: &mut RawClient, answer: &Response, sentence: &str) -> Value {
    assert!(answer.head.flaws.is_empty(), "{:?}", answer.head.flaws);
    let id = answer.field("x-request-id").expect("a request id");
    assert_eq!(answer.text(), format!("{sentence}\nRequest {id}\n"));
    let length = answer.body.len().to_string();
    assert_eq!(answer.field("content-length"), Some(&*length));
    let kind = Some("text/plain; charset=utf-8");
    assert_eq!(answer.field("content-type"), kind);
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(
        answer
            .field("date")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
    assert_eq!(client.rest(PATIENCE), (Vec::new(), Trouble::Closed));
    let line = eventually_some(PATIENCE, &format!("the line of {id}"), || {
        let text = proxy.access_text();
        let mut lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.find(|line: &Value| line["request_id"] == id)
    });
    assert_eq!(line["status"], answer.status, "{line}");
    assert_eq!(line["bytes_out"], answer.body.len(), "{line}");
    line
}

/// It has stood still for longer than all limits, as a machine does that is moved: whoever spoke meanwhile is not to pay for that.
#[test]
fn what_has_come_while_firedoor_stood_still_is_read_before_anybody_is_cut() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml("[limits]\nheader_timeout = \"5s\"\nidle_timeout = \"5s\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut clients: Vec<RawClient> = (0..20).map(|_| proxy.client()).collect();
    for kept in &mut clients[..10] {
        assert_eq!(kept.exchange(GOOD).text(), "hello");
    }
    let process = Pid::from_raw(proxy.pid().cast_signed()).unwrap();
    freeze(process);
    for client in &mut clients {
        client.send(GOOD);
    }
    within(Duration::from_secs(6), || false);
    thaw(process);
    for client in &mut clients {
        assert_eq!(client.response().text(), "hello");
    }
    // And the operator hears why they had to wait.
    eventually(PATIENCE, "it says so", || {
        let log = proxy.log();
        let told = log.split("stood still for ").nth(1);
        let millis = told.and_then(|told| told.split(' ').next()?.parse::<u64>().ok());
        millis.is_some_and(|millis| millis > 5000)
    });
}
