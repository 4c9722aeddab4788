//! Bodies pass through; they are not collected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::behaviour::{self, Next};
use crate::support::wait::{PATIENCE, eventually, within};
use crate::support::wire::Trouble;
use crate::support::{Broken, Origin, Proxy};

const MIB: u64 = 1024 * 1024;
/// What the proxy may grow by while it holds one stalled stream: buffers of a connection on both sides, with a wide margin for the
/// allocator, and far below the body.
const MARGIN_KIB: u64 = 16 * 1024;

#[test]
fn a_client_that_does_not_read_makes_the_origin_wait() {
    let origin = Origin::start(behaviour::huge(200 * MIB));
    let proxy = Proxy::in_front_of(&[&origin]);
    assert_eq!(proxy.get("/livez-like").status, 200);
    let (resident, sent) = (proxy.resident_kib(), origin.sent());
    let mut client = proxy.client();
    client.send("GET /huge HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert!(client.head().line.starts_with("HTTP/1.1 200"));

    // Two equal looks in a row: nothing moves any more.
    let mut last = 0;
    eventually(PATIENCE, "the origin stalls", || {
        let now = origin.sent();
        let stalled = now > sent && !within(Duration::from_millis(300), || origin.sent() != now);
        last = now;
        stalled
    });
    assert!(
        last - sent < 64 * MIB,
        "{last} bytes were taken for a client that reads none"
    );
    let grown = proxy.resident_kib().saturating_sub(resident);
    assert!(grown < MARGIN_KIB, "{grown} KiB");

    // And the rest comes as soon as somebody reads.
    let mut received = 0;
    while received < 200 * MIB {
        received += client.some(PATIENCE).expect("more of the body").len() as u64;
    }
    assert_eq!(received, 200 * MIB);
}

#[test]
fn an_origin_that_does_not_read_makes_the_client_wait() {
    let origin = Origin::start(behaviour::never_read());
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send(format!(
        "POST /up HTTP/1.1\r\nHost: app.example\r\nContent-Length: {}\r\n\r\n",
        200 * MIB
    ));
    eventually(PATIENCE, "the head arrives", || origin.count() == 1);
    let resident = proxy.resident_kib();
    let block = vec![b'x'; 256 * 1024];
    client.limit_writes(Duration::from_millis(500));
    let mut blocks: u64 = 0;
    while blocks < 800 && client.try_send(&block).is_ok() {
        blocks += 1;
    }
    assert!(
        blocks < 256,
        "{blocks} blocks were taken for an origin that reads none"
    );
    let grown = proxy.resident_kib().saturating_sub(resident);
    assert!(grown < MARGIN_KIB, "{grown} KiB");
}

#[test]
fn the_first_bytes_of_a_response_do_not_wait_for_the_last() {
    let origin = Origin::start(behaviour::custom(|exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        exchange.wait_for_end();
        Next::Close
    }));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    client.head();
    let mut text = Vec::new();
    while !text.windows(5).any(|five| five == b"first") {
        text.extend(client.some(PATIENCE).expect("the first chunk"));
    }
}

#[test]
fn the_first_bytes_of_a_request_do_not_wait_for_the_last() {
    let origin = Origin::named("thanks");
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
    );
    eventually(PATIENCE, "the first chunk at the origin", || {
        origin
            .tapes()
            .iter()
            .any(|tape| tape.windows(5).any(|five| five == b"first"))
    });
    client.send("4\r\nlast\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "thanks");
    assert_eq!(origin.seen()[0].body, b"firstlast");
}

#[test]
fn a_large_body_arrives_whole_in_both_directions() {
    let origin = Origin::start(behaviour::custom(|exchange| {
        let body = exchange.read_body();
        exchange.send(&behaviour::response(200, &[], &body.bytes))
    }));
    let proxy = Proxy::in_front_of(&[&origin]);
    let body: Vec<u8> = (0..8 * MIB).map(|at| (at % 251) as u8).collect();
    let mut client = proxy.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    client.send(&body);
    assert!(client.response().body == body, "the body came back changed");
}

#[test]
fn a_client_that_leaves_cancels_its_request() {
    let origin = Origin::start(behaviour::hang());
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("GET /slow HTTP/1.1\r\nHost: app.example\r\n\r\n");
    origin.saw("/slow");
    assert!(origin.open_connections() > 0);
    drop(client);
    // Health checks come and go; the request's own connection would stay.
    eventually(PATIENCE, "the origin's connection ends", || {
        origin.open_connections() == 0
    });
}

#[test]
fn a_client_that_leaves_after_a_body_cancels_its_request() {
    let origin = Origin::start(behaviour::hang());
    let proxy = Proxy::in_front_of(&[&origin]);
    let large = "x".repeat(300_000);
    for (path, framing, body) in [
        ("/kept", "Content-Length: 5", "hello"),
        ("/streamed", "Content-Length: 300000", &large),
        (
            "/chunked",
            "Transfer-Encoding: chunked",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "/trailers",
            "Transfer-Encoding: chunked",
            "5\r\nhello\r\n0\r\nSum: 1\r\n\r\n",
        ),
    ] {
        let mut client = proxy.client();
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: app.example\r\n{framing}\r\n\r\n{body}"
        ));
        origin.saw(path);
        drop(client);
        eventually(
            PATIENCE,
            &format!("{path}: the origin's connection ends"),
            || origin.open_connections() == 0,
        );
    }
}

#[test]
fn what_comes_while_a_request_is_answered_belongs_to_the_next() {
    let open = Arc::new(AtomicBool::new(false));
    let origin = Origin::start(behaviour::custom({
        let gated = behaviour::gated(&open, behaviour::echo());
        let echo = behaviour::echo();
        move |exchange| match exchange.head.line.contains("/gated") {
            true => gated(exchange),
            false => echo(exchange),
        }
    }));
    let proxy = Proxy::builder()
        .server("workers = 1")
        .zone("fz-1", &[&origin])
        .start();
    for first in [
        "GET /gated HTTP/1.1\r\nHost: app.example\r\n\r\n",
        "POST /gated HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        open.store(false, Ordering::SeqCst);
        let before = origin.count();
        let mut client = proxy.client();
        client.send(first);
        eventually(PATIENCE, "the first request arrives", || {
            origin.count() > before
        });
        for part in [
            "P",
            "O",
            "ST /next HTTP/1.1\r\nHost: app.example\r\nContent-Length: 3\r\n\r\na",
            "bc",
        ] {
            client.send(part);
            // Its worker has seen the part before this is answered.
            assert_eq!(proxy.get("/other").status, 200);
        }
        open.store(true, Ordering::SeqCst);
        assert!(client.response().text().contains("/gated HTTP/1.1"));
        let next = client.response().text();
        assert!(
            next.starts_with("POST /next HTTP/1.1\n") && next.ends_with("\nabc"),
            "{next}"
        );
        assert_eq!(
            client
                .exchange("GET /last HTTP/1.1\r\nHost: app.example\r\n\r\n")
                .status,
            200
        );
    }
}

#[test]
fn a_client_that_leaves_in_mid_body_cancels_its_request() {
    let origin = Origin::start(behaviour::huge(200 * MIB));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("GET /huge HTTP/1.1\r\nHost: app.example\r\n\r\n");
    client.head();
    client.some(PATIENCE).unwrap();
    client.reset();
    eventually(PATIENCE, "the origin's connection ends", || {
        origin.open_connections() == 0
    });
    assert!(origin.sent() < 200 * MIB);
}

#[test]
fn a_client_that_leaves_in_mid_request_leaves_no_complete_request() {
    let origin = Origin::named("thanks");
    let proxy = Proxy::in_front_of(&[&origin]);
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let before = origin.count();
        let mut client = proxy.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: app.example\r\nExpect:\r\n{framing}\r\n\r\n5\r\nhe"
        ));
        if !within(Duration::from_millis(500), || origin.count() > before) {
            // A small body may be collected before anything is sent; then there is nothing to cancel.
            continue;
        }
        drop(client);
        eventually(PATIENCE, "the origin's connection ends", || {
            origin.open_connections() == 0
        });
        assert!(origin.seen().iter().skip(before).all(|seen| !seen.complete));
    }
}

#[test]
fn an_early_response_does_not_wait_for_the_rest_of_the_request() {
    let origin = Origin::start(behaviour::early(behaviour::response(200, &[], b"early")));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("POST /up HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    let answer = client
        .response_within("POST", PATIENCE)
        .expect("the early response");
    assert_eq!(answer.text(), "early");
}

#[test]
fn a_refused_upload_ends_with_its_refusal() {
    let refusal = behaviour::response(413, &["Connection: close"], b"too much");
    let origin = Origin::start(behaviour::early_and_close(refusal));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    // More than ever comes: a body that has come whole leaves the connection usable, and buffers may take this much.
    client.send("POST /up HTTP/1.1\r\nHost: app.example\r\nContent-Length: 20000000\r\n\r\n");
    for _ in 0..100 {
        if client.try_send(vec![b'x'; 100_000]).is_err() {
            break;
        }
    }
    assert_eq!(
        client
            .response_within("POST", PATIENCE)
            .expect("the refusal")
            .status,
        413
    );
    // What the client still sends must not be taken for its next request.
    assert!(client.ends_within(PATIENCE));
    assert_eq!(origin.count(), 1);
}

/// The reset that follows such an answer is met by a write sooner than the answer by a read, in one of some twenty cases.
#[test]
fn an_app_that_answers_and_leaves_without_reading_is_heard() {
    let refusal = behaviour::response(403, &["Connection: close"], b"no");
    let origin = Origin::start(behaviour::early_and_reset(refusal));
    let proxy = Proxy::in_front_of(&[&origin]);
    for attempt in 0..200 {
        let mut client = proxy.client();
        client.send("POST /up HTTP/1.1\r\nHost: app.example\r\nContent-Length: 100000\r\n\r\n");
        for _ in 0..500 {
            if client.try_send([b'x'; 200]).is_err() {
                break;
            }
        }
        let answer = client.response_within("POST", PATIENCE);
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {attempt}"));
        assert_eq!(answer.status, 403, "at {attempt}: {}", answer.text());
    }
}

#[test]
fn what_came_before_a_response_broke_off_reaches_the_client() {
    let origin = Origin::named("");
    let proxy = Proxy::in_front_of(&[&origin]);
    let cuts = [
        (behaviour::cut(10, ""), ""),
        (behaviour::cut(10, "hello"), "hello"),
        (behaviour::cut_chunked("hello"), "hello"),
        (
            behaviour::raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Next::Close,
            ),
            "",
        ),
    ];
    for (cut, sent) in cuts {
        origin.behave(cut);
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
        match client.response_within("GET", PATIENCE) {
            Err(Broken::Body(trouble, response)) => {
                assert_ne!(trouble, Trouble::Deadline);
                assert_eq!((response.status, &*response.text()), (200, sent));
            }
            other => panic!("a head and a broken body, not {other:?}"),
        }
    }
}

#[test]
fn a_backend_that_breaks_off_makes_a_broken_message() {
    let origin = Origin::named("");
    let proxy = Proxy::in_front_of(&[&origin]);
    let cuts = [
        behaviour::cut(10, "hello"),
        behaviour::cut_chunked("hello"),
        behaviour::cut(10_000_000, vec![b'x'; 5_000_000]),
        behaviour::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
            Next::Reset,
        ),
        behaviour::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            Next::Reset,
        ),
        behaviour::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
            Next::Keep,
        ),
    ];
    for (number, cut) in cuts.into_iter().enumerate() {
        let before = origin.count();
        origin.behave(cut);
        for version in ["1.1", "1.0"] {
            let mut client = proxy.client();
            client.send(format!("GET / HTTP/{version}\r\nHost: app.example\r\n\r\n"));
            match client.response_within("GET", PATIENCE) {
                Err(
                    Broken::Body(trouble, _)
                    | Broken::Head(trouble, _)
                    | Broken::NoResponse(trouble),
                ) => assert_ne!(trouble, Trouble::Deadline, "cut {number}"),
                // Before a byte went down it may still be an honest error.
                Ok(answer) => assert_eq!(
                    answer.status, 502,
                    "cut {number}, HTTP/{version}: {:?}",
                    answer.head
                ),
            }
        }
        assert_eq!(
            origin.count() - before,
            2,
            "cut {number}: a response that had begun was asked for again"
        );
    }
}
