//! Streams and connections that end badly: what was never looked at goes elsewhere whatever its method, what may have been is not made
//! twice, and half a body is never taken for a whole one.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::frames::{self, DATA, END_HEADERS, END_STREAM, HEADERS, OK, RST_STREAM};
use crate::origin::Origin;
use crate::service::{builder, in_front_of};
use crate::support::wait::PATIENCE;
use crate::support::{Proxy, RawClient, eventually};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";

/// One worker, one backend of frames that passes its check.
pub fn in_front_of_frames(address: std::net::SocketAddr, sections: &str) -> Proxy {
    let proxy = Proxy::builder()
        .server("workers = 1")
        .check("kind = \"tcp\"\ninterval = \"1h\"")
        .toml("[failover]\nhold_time = \"300ms\"")
        .toml(sections)
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("h2c://{address}"), "")
        .start();
    proxy.until_all_up();
    proxy
}

#[test]
fn a_refused_stream_goes_elsewhere_even_a_post() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let post = |path: &str| {
        proxy.client().exchange(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
        ))
    };
    let answer = post("/refuse?1&once");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("x-received"), Some("1"));
}

#[test]
fn one_that_is_refused_for_ever_ends_in_an_answer() {
    let origin = Origin::named("a");
    let proxy = builder(&[&origin])
        .toml("[failover]\nhold_time = \"300ms\"")
        .start();
    let began = Instant::now();
    let answer = proxy.get("/refuse?2&always");
    assert!(
        answer.status == 503 || answer.status == 502,
        "{}",
        answer.status
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    let tries = origin.seen().len();
    assert!((1..20).contains(&tries), "{tries}");
}

#[test]
fn another_reset_is_no_refusal_a_post_is_not_made_twice_and_a_get_is() {
    let (first, second) = (Origin::named("a"), Origin::named("b"));
    let proxy = in_front_of(&[&first, &second]);
    let count = || first.seen().len() + second.seen().len();
    let post = "POST /reset HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(proxy.client().exchange(post).status, 502);
    assert_eq!(count(), 1);
    assert_eq!(proxy.get("/reset").status, 502);
    assert_eq!(count(), 3);
}

#[test]
fn a_graceful_goaway_costs_nothing() {
    let origin = Origin::named("a");
    let proxy = builder(&[&origin]).server("workers = 1").start();
    let mut client = proxy.client();
    for _ in 0..10 {
        client.send("POST /goaway HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(origin.seen().len(), 10);
}

/// The connection goes away above stream 1: what came on stream 3 was not looked at, and is made again, though it is a POST.
#[test]
fn what_is_above_the_last_stream_of_a_goaway_goes_elsewhere() {
    let (address, connections) = frames::backend(|wire| {
        let first = wire.request()?;
        if wire.number > 0 {
            wire.answer(first, b"elsewhere");
            loop {
                let next = wire.request()?;
                wire.answer(next, b"elsewhere");
            }
        }
        let second = wire.request()?;
        assert_eq!((first, second), (1, 3));
        wire.go_away(1, 0);
        wire.answer(first, b"first");
        while wire.frame().is_ok() {}
        Ok(())
    });
    let proxy = in_front_of_frames(address, "");
    let mut clients = [proxy.client(), proxy.client()];
    for client in &mut clients {
        client.send(POST);
    }
    let mut answers = clients.map(|mut client| client.response().text());
    answers.sort();
    assert_eq!(answers, ["elsewhere", "first"]);
    assert!(connections.load(Ordering::SeqCst) >= 2);
}

/// Here both were within the last stream: the one without an answer may have been made.
#[test]
fn what_is_within_the_last_stream_of_a_goaway_is_not_made_twice() {
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let (address, _) = frames::backend(move |wire| {
        let first = wire.request()?;
        *count.lock().unwrap() += 1;
        wire.go_away(first, 2);
        wire.close();
        Ok(())
    });
    let proxy = in_front_of_frames(address, "");
    let answer = proxy.client().exchange(POST);
    assert_eq!(answer.status, 502);
    assert_eq!(*seen.lock().unwrap(), 1);
}

#[test]
fn a_connection_that_breaks_fails_all_its_streams_each_by_its_own_rule() {
    let (address, _) = frames::backend(move |wire| {
        if wire.number > 0 {
            loop {
                let next = wire.request()?;
                wire.answer(next, b"again");
            }
        }
        let first = wire.request()?;
        wire.answer(first, b"first");
        wire.request()?;
        wire.request()?;
        wire.close();
        Ok(())
    });
    let proxy = in_front_of_frames(address, "");
    let (mut get, mut post) = (proxy.client(), proxy.client());
    post.send(POST);
    assert_eq!(post.response().text(), "first");
    get.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    post.send(POST);
    assert_eq!(get.response().text(), "again");
    assert_eq!(post.response().status, 502);
}

fn broken(proxy: &Proxy, path: &str) -> RawClient {
    let mut client = proxy.client();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let broken = client.response_within("GET", PATIENCE);
    assert!(broken.is_err(), "{path}: {broken:?}");
    client
}

#[test]
fn a_body_that_breaks_off_is_seen_to_by_whatever_reason() {
    // NO_ERROR, INTERNAL_ERROR and CANCEL; with `content-length: 9`, and without.
    for code in [0, 2, 8] {
        for length in [&[][..], &[0x0f, 0x0d, 0x01, b'9']] {
            let head = [OK, length].concat();
            let (address, _) = frames::backend(move |wire| {
                loop {
                    let stream = wire.request()?;
                    wire.send(HEADERS, END_HEADERS, stream, &head);
                    wire.send(DATA, 0, stream, b"half");
                    wire.send(RST_STREAM, 0, stream, &[0, 0, 0, code]);
                }
            });
            let proxy = in_front_of_frames(address, "");
            broken(&proxy, "/half");
            assert_eq!(proxy.access_line("/half")["termination"], "SD");
            // HTTP/1.0 knows no other end than the connection's: a reset shows that it is none.
            let mut old = proxy.client();
            old.send("GET /half HTTP/1.0\r\n\r\n");
            let (bytes, end) = old.rest(PATIENCE);
            assert!(bytes.ends_with(b"half"), "{bytes:?}");
            assert!(
                !length.is_empty() || format!("{end:?}").contains("Reset"),
                "{end:?}"
            );
        }
    }
}

#[test]
fn a_length_that_does_not_hold_is_seen_to() {
    // `content-length: 9`, then four bytes and the end.
    let length = [OK, &[0x0f, 0x0d, 0x01, b'9']].concat();
    let (address, _) = frames::backend(move |wire| {
        loop {
            let stream = wire.request()?;
            wire.send(HEADERS, END_HEADERS, stream, &length);
            wire.send(DATA, END_STREAM, stream, b"four");
        }
    });
    broken(&in_front_of_frames(address, ""), "/");
}

/// Two lengths: a client of HTTP/1.1 must never get to see both.
#[test]
fn two_lengths_are_nonsense() {
    let lengths = [OK, &[0x0f, 0x0d, 0x01, b'4', 0x0f, 0x0d, 0x01, b'5']].concat();
    let (address, _) = frames::backend(move |wire| {
        loop {
            let stream = wire.request()?;
            wire.send(HEADERS, END_HEADERS, stream, &lengths);
            wire.send(DATA, END_STREAM, stream, b"four");
        }
    });
    let answer = in_front_of_frames(address, "").get("/");
    assert_eq!(answer.status, 502);
}

#[test]
fn a_reset_after_the_whole_answer_changes_nothing() {
    let (address, _) = frames::backend(|wire| {
        loop {
            let stream = wire.request()?;
            wire.answer(stream, b"all of it");
            wire.send(RST_STREAM, 0, stream, &[0; 4]);
        }
    });
    let proxy = in_front_of_frames(address, "");
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nno more than this");
    assert!(client.head().line.contains("200"));
}

/// A backend that answers uploads unread and closes has its kernel send a reset, which a write of firedoor's may meet first.
#[test]
fn an_answer_is_heard_behind_the_end_of_its_connection() {
    let (address, _) = frames::backend(|wire| {
        let stream = wire.request()?;
        wire.go_away(stream, 0);
        wire.answer(stream, b"no need");
        Ok(())
    });
    let proxy = in_front_of_frames(address, "");
    for attempt in 0..200 {
        let mut client = proxy.client();
        client.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        for _ in 0..500 {
            if client.try_send([b'x'; 200]).is_err() {
                break;
            }
        }
        let answer = client.response_within("POST", PATIENCE);
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {attempt}"));
        assert_eq!(answer.status, 200, "at {attempt}: {}", answer.text());
    }
}

/// It owes an answer, and has frozen: pings find that out long before `response_timeout` does.
#[test]
fn a_connection_that_hangs_is_given_up() {
    let (address, connections) = frames::backend(|wire| {
        if wire.number > 0 {
            loop {
                let next = wire.request()?;
                wire.answer(next, b"alive");
            }
        }
        let first = wire.request()?;
        wire.answer(first, b"first");
        // Reads on, and says nothing ever again.
        while wire.frame().is_ok() {}
        Ok(())
    });
    let proxy = in_front_of_frames(address, "[upstream]\nping_interval = \"2s\"");
    assert_eq!(proxy.get("/").text(), "first");
    assert_eq!(proxy.get("/").text(), "alive");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// Whoever answers pings is merely slow, however long it takes.
#[test]
fn a_slow_answer_on_a_live_connection_is_waited_for() {
    let (address, connections) = frames::backend(|wire| {
        let first = wire.request()?;
        for _ in 0..2 {
            let ping = loop {
                let frame = wire.frame()?;
                if frame.kind == frames::PING {
                    break frame;
                }
            };
            wire.send(frames::PING, frames::ACK, 0, &ping.payload);
        }
        wire.answer(first, b"slow");
        while wire.frame().is_ok() {}
        Ok(())
    });
    let proxy = in_front_of_frames(address, "[upstream]\nping_interval = \"1s\"");
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // The second ping comes after sixteen intervals.
    let answer = client.response_within("GET", PATIENCE * 3).unwrap();
    assert_eq!(answer.text(), "slow");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_backend_that_never_reads_holds_up_nobody_else() {
    let stuck = crate::support::port::listen();
    let origin = Origin::named("b");
    let proxy = builder(&[&origin])
        .check("kind = \"tcp\"\ninterval = \"1h\"")
        .toml("[upstream]\nconnect_timeout = \"2s\"\nbalance = \"round-robin\"")
        .backend_at(
            "stuck",
            &format!("h2c://{}", stuck.local_addr().unwrap()),
            "",
        )
        .start();
    proxy.until_all_up();
    for _ in 0..6 {
        assert_eq!(proxy.get("/echo").status, 200);
    }
}

#[test]
fn a_client_that_reads_nothing_holds_up_no_other_of_its_connection() {
    let origin = Origin::named("a");
    let proxy = builder(&[&origin]).server("workers = 1").start();
    let mut greedy: Vec<RawClient> = (0..5).map(|_| proxy.client()).collect();
    for client in &mut greedy {
        client.send("GET /large?50000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually(PATIENCE, "they are under way", || origin.seen().len() == 5);
    for _ in 0..5 {
        assert_eq!(proxy.get("/large?3000000").body.len(), 3_000_000);
    }
}

#[test]
fn an_http_1_1_server_is_told_by_its_name() {
    let clear = crate::support::Origin::named("HTTP/1.1");
    let proxy = in_front_of_frames(clear.address(), "");
    assert_eq!(proxy.get("/").status, 502);
    eventually(PATIENCE, "the log says why", || {
        proxy
            .log()
            .contains("no HTTP/2 connection to it: the answer is not HTTP/2")
    });
}
