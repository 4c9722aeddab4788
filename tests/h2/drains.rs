//! GOAWAY: a graceful stop, and a zone that was left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, Stream, wait};
use crate::frames::{self, GOAWAY, Wire};
use crate::support::behaviour::{self, Next};
use crate::support::wait::{PATIENCE, eventually, within};
use crate::support::{Origin, pair};
use crate::{builder, lab};

#[test]
fn a_graceful_stop_says_goaway_and_answers_what_has_come() {
    let (origin, mut proxy) = lab(behaviour::after(
        Duration::from_millis(600),
        behaviour::ok("answered"),
    ));
    let mut client = Client::connect(proxy.address);
    let mut streams: Vec<_> = (0..5)
        .map(|_| {
            let request = client.request("GET", "/slow").body(()).unwrap();
            client.begin(request, true)
        })
        .collect();
    eventually(PATIENCE, "all are under way", || origin.count() == 5);
    proxy.signal(Signal::TERM);
    for stream in &mut streams {
        assert_eq!(stream.response().unwrap().text(), "answered");
    }
    assert_eq!(client.end(), Ok(()));
    assert!(proxy.wait_for_exit(Duration::from_secs(10)).success());
}

#[test]
fn an_idle_connection_is_told_and_closed_at_once() {
    let (_origin, mut proxy) = lab(behaviour::ok("x"));
    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::get(1, "/"));
    wire.until(|frame| frame.stream == 1 && frame.ends_stream());
    // And one that has never said what it wants.
    let silent = Wire::silent(proxy.address);
    let begun = Instant::now();
    proxy.signal(Signal::TERM);
    let told = wire.until(|frame| frame.kind == GOAWAY);
    assert_eq!(told.code(), 0);
    assert!(proxy.wait_for_exit(Duration::from_secs(10)).success());
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(silent);
}

#[test]
fn a_stop_does_not_wait_for_ever_for_a_stream() {
    let origin = Origin::start(behaviour::events(Duration::from_millis(20)));
    let mut proxy = builder()
        .server("drain_timeout = \"500ms\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = Client::connect(proxy.address);
    let request = client.request("GET", "/events").body(()).unwrap();
    let mut stream = client.begin(request, true);
    stream.head();
    stream.data();
    proxy.signal(Signal::TERM);
    // Its time over is no failure of the process.
    proxy.wait_for_exit(Duration::from_secs(10));
    let end = loop {
        match stream.try_data() {
            Some(Ok(_)) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Some(Err(_))), "it must not look complete");
}

/// Sends something, and then nothing for ever.
fn stalled() -> behaviour::Behaviour {
    behaviour::custom(|exchange| {
        exchange.read_body();
        if exchange.head.line.contains("/stalled") {
            exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhere\r\n");
            exchange.wait_for_end();
            return Next::Close;
        }
        exchange.send(&behaviour::response(200, &[], b"quick"))
    })
}

#[test]
fn a_stream_of_a_zone_that_was_left_gets_a_goaway_and_then_a_reset() {
    let (one, other) = (Origin::start(stalled()), Origin::start(stalled()));
    let proxy = builder()
        .server("drain_timeout = \"1s\"")
        .zone("fz-1", &[&one])
        .zone("fz-2", &[&other])
        .start();
    pair::until_both_serve(&proxy);
    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::get(1, "/stalled"));
    wire.until(|frame| frame.stream == 1 && frame.kind == frames::DATA);
    // A client whose requests have all been answered is not bothered.
    let mut other_client = Client::connect(proxy.address);
    other_client.get("/quick");
    let begun = Instant::now();
    one.behave_to_checks(behaviour::answer(500, &[], ""));
    pair::until_active(&proxy, "fz-2");
    let told = wire.until(|frame| frame.kind == GOAWAY);
    assert_eq!(told.code(), 0);
    let end = wire.until(|frame| frame.stream == 1);
    assert_eq!(end.kind, frames::RST_STREAM);
    assert!(begun.elapsed() > Duration::from_millis(700), "not at once");
    assert_eq!(other_client.get("/quick").text(), "quick");
    assert!(!other_client.has_ended());
}

/// A call of gRPC, or an upload, whose body has begun.
fn begin(client: &mut Client, path: &str, field: (&str, &str)) -> Stream {
    let request = client.request("POST", path).header(field.0, field.1);
    let mut stream = client.begin(request.body(()).unwrap(), false);
    stream.send("some", false);
    stream
}

const CALL: (&str, &str) = ("content-type", "application/grpc");
const UPLOAD: (&str, &str) = ("content-type", "text/plain");

#[test]
fn a_call_that_is_cut_in_a_zone_that_was_left_is_told_so() {
    let (one, other) = (Origin::start(stalled()), Origin::start(stalled()));
    let proxy = builder()
        .server("drain_timeout = \"1s\"")
        .zone("fz-1", &[&one])
        .zone("fz-2", &[&other])
        .start();
    pair::until_both_serve(&proxy);
    let mut client = Client::connect(proxy.address);
    let mut call = begin(&mut client, "/stalled", CALL);
    call.send("thing", true);
    call.head();
    let order = proxy.admin_post("/v1/zones/fz-2/activate", "{\"reason\": \"a test\"}");
    assert_eq!(order.status, 200, "{}", order.text());
    assert_eq!(call.data(), "here");
    assert!(call.try_data().is_none());
    let trailers = wait(call.incoming.as_mut().unwrap().trailers());
    let trailers = trailers.unwrap().expect("trailers");
    assert_eq!(trailers["grpc-status"], "14");
    let words = trailers["grpc-message"].to_str().unwrap();
    assert!(words.contains("zone") && words.contains("left"), "{words}");
    assert_eq!(proxy.access_line("/stalled")["termination"], "PD");
}

/// Servers of gRPC begin their answer with its first message.
#[test]
fn what_is_still_being_sent_to_a_zone_that_was_left_ends_though_no_answer_has_begun() {
    for planned in [true, false] {
        let (one, other) = (Origin::start(stalled()), Origin::start(stalled()));
        let proxy = builder()
            .server("drain_timeout = \"1s\"")
            .zone("fz-1", &[&one])
            .zone("fz-2", &[&other])
            .start();
        pair::until_both_serve(&proxy);
        let mut client = Client::connect(proxy.address);
        let mut call = begin(&mut client, "/call", CALL);
        let mut upload = begin(&mut client, "/upload", UPLOAD);
        eventually(PATIENCE, "both are under way", || one.count() == 2);
        if planned {
            let order = proxy.admin_post("/v1/zones/fz-2/activate", "{\"reason\": \"a test\"}");
            assert_eq!(order.status, 200, "{}", order.text());
        } else {
            one.behave_to_checks(behaviour::answer(500, &[], ""));
        }
        pair::until_active(&proxy, "fz-2");
        let told = call.response().unwrap();
        assert_eq!(told.field("grpc-status"), Some("14"), "{told:?}");
        let words = told.field("grpc-message").unwrap();
        assert!(words.contains("zone") && words.contains("left"), "{words}");
        let refused = upload.response().unwrap();
        assert_eq!(refused.status, 503, "{refused:?}");
        for (path, status) in [("/call", 200), ("/upload", 503)] {
            let line = proxy.access_line(path);
            assert_eq!(
                (&line["termination"], &line["status"]),
                (&"PH".into(), &status.into())
            );
            assert_eq!(line["zone"], "fz-1");
        }
        eventually(PATIENCE, "the backend sees them leave", || {
            one.open_connections() == 0
        });
    }
}

/// As an app that tells its subscribers of news, when there are some; any other answer begins once `open` is set.
fn nothing_to_say(open: &Arc<AtomicBool>) -> behaviour::Behaviour {
    let late = behaviour::gated(open, behaviour::ok("late"));
    behaviour::custom(move |exchange| {
        if !exchange.head.line.contains("/call") {
            return late(exchange);
        }
        exchange.read_body();
        exchange.wait_for_end();
        Next::Close
    })
}

#[test]
fn a_call_without_an_answer_ends_with_the_drain_and_any_other_request_gets_its_answer() {
    for planned in [true, false] {
        let open = Arc::new(AtomicBool::new(false));
        let one = Origin::start(nothing_to_say(&open));
        let other = Origin::start(behaviour::ok("quick"));
        let proxy = builder()
            .server("drain_timeout = \"1s\"")
            .zone("fz-1", &[&one])
            .zone("fz-2", &[&other])
            .start();
        pair::until_both_serve(&proxy);
        let mut client = Client::connect(proxy.address);
        let mut streamed = begin(&mut client, "/call/streamed", CALL);
        streamed.send("thing", true);
        // Small enough to be kept whole.
        let kept = client.request("POST", "/call/kept").header(CALL.0, CALL.1);
        let kept = kept.header("content-length", "4").body(()).unwrap();
        let mut kept = client.begin(kept, false);
        kept.send("some", true);
        let mut post = begin(&mut client, "/post", UPLOAD);
        post.send("thing", true);
        eventually(PATIENCE, "all are under way", || one.count() == 3);
        if planned {
            let order = proxy.admin_post("/v1/zones/fz-2/activate", "{\"reason\": \"a test\"}");
            assert_eq!(order.status, 200, "{}", order.text());
        } else {
            one.behave_to_checks(behaviour::answer(500, &[], ""));
        }
        pair::until_active(&proxy, "fz-2");
        for call in [&mut streamed, &mut kept] {
            let told = call.response().unwrap();
            assert_eq!(told.field("grpc-status"), Some("14"), "{told:?}");
            let words = told.field("grpc-message").unwrap();
            assert!(words.contains("zone") && words.contains("left"), "{words}");
        }
        for path in ["/call/streamed", "/call/kept"] {
            let line = proxy.access_line(path);
            assert_eq!(
                (&line["termination"], &line["zone"]),
                (&"PH".into(), &"fz-1".into())
            );
        }
        open.store(true, Ordering::SeqCst);
        assert_eq!(post.response().unwrap().text(), "late");
    }
}

#[test]
fn an_upload_that_moves_towards_its_end_is_finished_in_the_zone_that_was_left() {
    let (one, other) = (Origin::start(stalled()), Origin::start(stalled()));
    let proxy = builder()
        .server("drain_timeout = \"3s\"")
        .toml("[failover]\nhold_time = \"1s\"")
        .zone("fz-1", &[&one])
        .zone("fz-2", &[&other])
        .start();
    pair::until_both_serve(&proxy);
    let mut client = Client::connect(proxy.address);
    let mut upload = begin(&mut client, "/upload", ("content-length", "1000000"));
    eventually(PATIENCE, "it is under way", || one.count() == 1);
    one.behave_to_checks(behaviour::answer(500, &[], ""));
    pair::until_active(&proxy, "fz-2");
    let mut sent = 4;
    // A slow client, for longer than the drain.
    within(Duration::from_secs(4), || {
        upload.send("x".repeat(20), false);
        sent += 20;
        false
    });
    upload.send("x".repeat(1_000_000 - sent), true);
    assert_eq!(upload.response().unwrap().text(), "quick");
}

#[test]
fn what_a_stop_ends_before_its_answer_is_not_the_clients_fault() {
    let origin = Origin::start(stalled());
    let mut proxy = builder()
        .server("drain_timeout = \"500ms\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = Client::connect(proxy.address);
    let calls = [
        // Small enough to be kept whole, for which it is awaited.
        begin(&mut client, "/small", ("content-length", "1000")),
        begin(&mut client, "/call", CALL),
        begin(&mut client, "/upload", UPLOAD),
    ];
    eventually(PATIENCE, "two are under way", || origin.count() == 2);
    proxy.signal(Signal::TERM);
    proxy.wait_for_exit(Duration::from_secs(10));
    for path in ["/call", "/upload", "/small"] {
        assert_eq!(proxy.access_line(path)["termination"], "PH", "{path}");
    }
    drop(calls);
}
