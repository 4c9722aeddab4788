//! What breaks off: the other side must see that it did, and nothing may look complete that isn't.

use bytes::Bytes;
use h2::Reason;

use crate::client::Client;
use crate::frames::{self, DATA, END_HEADERS, HEADERS, RST_STREAM, Wire, frame};
use crate::support::behaviour::{self, Next};
use crate::support::wait::{PATIENCE, eventually};
use crate::{builder, lab};

const CANCEL: [u8; 4] = [0, 0, 0, 8];

#[test]
fn a_response_that_breaks_off_is_reset_after_what_had_come() {
    for traffic in [
        behaviour::cut(100, "a part"),
        behaviour::cut_chunked("a part"),
    ] {
        let (_origin, proxy) = lab(traffic);
        let mut client = Client::connect(proxy.address);
        let request = client.request("GET", "/cut").body(()).unwrap();
        let mut stream = client.begin(request, true);
        assert_eq!(stream.head().status(), 200);
        assert_eq!(stream.data(), "a part");
        let error = stream.try_data().expect("an error, no end").unwrap_err();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        assert_eq!(proxy.access_line("/cut")["termination"], "SD");
        let request = client.request("GET", "/cut").body(()).unwrap();
        let mut stream = client.begin(request, true);
        assert_eq!(stream.head().status(), 200, "other streams go on");
    }
}

#[test]
fn an_upload_that_is_called_off_never_looks_complete() {
    let (origin, proxy) = lab(behaviour::echo());
    let mut wire = Wire::connect(proxy.address);
    for (at, code) in [0u32, 5, 8, 2].into_iter().enumerate() {
        wire.send(frames::post(2 * at as u32 + 1, "/up"));
        wire.send(frame(DATA, 0, 2 * at as u32 + 1, "a part"));
        eventually(PATIENCE, "the app has the part", || {
            origin.seen_for("/up").len() == at + 1
        });
        wire.send(frame(RST_STREAM, 0, 2 * at as u32 + 1, code.to_be_bytes()));
        eventually(PATIENCE, "it has been given up", || {
            origin.open_connections() == 0
        });
        assert!(
            origin.seen_for("/up").iter().all(|seen| !seen.complete),
            "{code}"
        );
    }
    assert!(wire.lives());
}

#[test]
fn a_request_that_is_called_off_is_called_off_at_the_backend() {
    let (origin, proxy) = lab(behaviour::hang());
    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::get(1, "/long"));
    eventually(PATIENCE, "the backend works", || origin.count() == 1);
    wire.send(frame(RST_STREAM, 0, 1, CANCEL));
    eventually(PATIENCE, "it has been given up", || {
        origin.open_connections() == 0
    });
    let line = proxy.access_line("/long");
    assert_eq!(line["termination"], "CH", "{line}");
    assert!(wire.lives());
}

#[test]
fn a_download_that_is_called_off_is_called_off_at_the_backend() {
    let (origin, proxy) = lab(behaviour::huge(1 << 30));
    let mut client = Client::connect(proxy.address);
    let request = client.request("GET", "/huge").body(()).unwrap();
    let mut stream = client.begin(request, true);
    stream.head();
    stream.data();
    drop(stream);
    eventually(PATIENCE, "it has been given up", || {
        origin.open_connections() == 0
    });
    assert_eq!(proxy.access_line("/huge")["termination"], "CD");
}

#[test]
fn a_client_that_vanishes_takes_its_requests_along() {
    let (origin, proxy) = lab(behaviour::hang());
    let mut wire = Wire::connect(proxy.address);
    for stream in [1, 3, 5] {
        wire.send(frames::get(stream, "/long"));
    }
    eventually(PATIENCE, "the backend works", || origin.count() == 3);
    drop(wire);
    eventually(PATIENCE, "all have been given up", || {
        origin.open_connections() == 0
    });
}

#[test]
fn a_body_of_another_length_than_announced_is_never_forwarded_as_complete() {
    let (origin, proxy) = lab(behaviour::echo());
    for (length, body) in [("10", "too short"), ("3", "too long"), ("5", "")] {
        let mut wire = Wire::connect(proxy.address);
        let fields = frames::request("POST", "/length", &[("content-length", length)]);
        wire.send(frame(HEADERS, END_HEADERS, 1, fields));
        wire.send(frame(DATA, frames::END_STREAM, 1, body));
        let end = wire
            .until(|frame| frame.stream == 1 && (frame.kind == RST_STREAM || frame.ends_stream()));
        if end.kind == RST_STREAM {
            assert_eq!(end.code(), 1, "PROTOCOL_ERROR");
        }
        assert!(
            origin.seen_for("/length").iter().all(|seen| !seen.complete),
            "{length}: {body}"
        );
    }
    // And none at all, where one is announced.
    let mut wire = Wire::connect(proxy.address);
    let fields = frames::request("POST", "/length", &[("content-length", "5")]);
    wire.send(frame(HEADERS, END_HEADERS | frames::END_STREAM, 1, fields));
    wire.until(|frame| frame.stream == 1 && (frame.kind == RST_STREAM || frame.ends_stream()));
    assert!(origin.seen_for("/length").iter().all(|seen| !seen.complete));
}

#[test]
fn nonsense_and_silence_of_the_backend_are_told_by_status() {
    for (traffic, status) in [
        (behaviour::raw("nonsense\r\n\r\n", Next::Close), 502),
        (behaviour::reset(), 502),
        (behaviour::close(), 502),
        (behaviour::hang(), 504),
    ] {
        let origin = crate::Origin::start(traffic);
        let proxy = builder()
            .toml("[upstream]\nresponse_timeout = \"3s\"\nretries = 0\n[failover]\nhold_time = \"0s\"")
            .zone("fz-1", &[&origin])
            .start();
        proxy.until_all_up();
        let mut client = Client::connect(proxy.address);
        let request = client.request("POST", "/").body(()).unwrap();
        let response = client.exchange(request, Bytes::from("x"));
        assert_eq!(response.status, status);
        assert!(response.field("x-request-id").is_some());
        assert!(!response.body.is_empty());
    }
}
