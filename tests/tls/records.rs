//! TLS cuts bytes into records, TCP cuts records into segments, and neither border means anything to HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::Client;
use crate::site::Site;
use crate::support::behaviour::{self, Next};
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, eventually};

fn site() -> (Origin, Site, Proxy) {
    let origin = Origin::start(behaviour::echo());
    let site = Site::new();
    let proxy = site.proxy(&origin);
    (origin, site, proxy)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n")
}

/// rustls has deciphered them all before the first is answered, and the socket is empty: nothing rings for the rest.
#[test]
fn many_requests_in_one_record_are_all_answered() {
    let (_origin, site, proxy) = site();
    let mut client = Client::connect(proxy.address, &site.trust());
    let requests: String = (0..330).map(|at| get(&format!("/{at}"))).collect();
    assert!((12_000..16_384).contains(&requests.len()));
    let record = client.record(&requests);
    client.send_raw(&record);
    for at in 0..330 {
        let response = client.response();
        assert!(
            response.body.starts_with(&format!("GET /{at} ")),
            "{at}: {response:?}"
        );
    }
}

#[test]
fn a_body_that_comes_in_the_record_of_its_head_is_read_to_its_end() {
    let (_origin, site, proxy) = site();
    let mut client = Client::connect(proxy.address, &site.trust());
    for length in [1, 8_000, 8_192, 16_000, 16_250] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: {length}\r\n\r\n{}",
            "b".repeat(length)
        );
        let record = client.record(&request);
        client.send_raw(&record);
        let response = client.response();
        assert!(response.body.ends_with(&"b".repeat(length)), "{length}");
    }
}

#[test]
fn one_request_over_as_many_records_as_it_has_bytes_is_one_request() {
    let (origin, site, proxy) = site();
    let mut client = Client::connect(proxy.address, &site.trust());
    for byte in get("/slowly").bytes() {
        let record = client.record([byte]);
        client.send_raw(&record);
    }
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.seen_for("/slowly").len(), 1);
}

#[test]
fn a_record_over_as_many_segments_as_it_has_bytes_is_one_record() {
    let (_origin, site, proxy) = site();
    let mut client = Client::connect(proxy.address, &site.trust());
    let record = client.record(get("/in-pieces"));
    for byte in &record {
        client.send_raw(std::slice::from_ref(byte));
    }
    assert_eq!(client.response().status, 200);
}

/// The first half lies in rustls while the socket is found empty; the second has to ring.
#[test]
fn half_a_record_that_waits_does_not_keep_the_request_before_it_waiting() {
    let (_origin, site, proxy) = site();
    let mut client = Client::connect(proxy.address, &site.trust());
    for _ in 0..20 {
        let mut first = client.record(get("/first"));
        let second = client.record(get("/second"));
        let (begun, left) = second.split_at(second.len() / 2);
        first.extend_from_slice(begun);
        client.send_raw(&first);
        assert!(client.response().body.starts_with("GET /first "));
        client.send_raw(left);
        assert!(client.response().body.starts_with("GET /second "));
    }
}

#[test]
fn a_head_and_a_small_body_leave_as_one_record() {
    let (origin, site, proxy) = site();
    for body in [1, 1_000, 9_000] {
        origin.behave(behaviour::ok("b".repeat(body)));
        for config in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut client = Client::connect(proxy.address, &site.trust_in(&[config], None));
            client.get("/warm");
            client.records();
            client.get("/");
            let records = client.records();
            assert_eq!(records.len(), 1, "{body}: {records:?}");
            assert!(records[0] > body);
        }
    }
}

#[test]
fn chunks_leave_with_their_frames_in_one_record() {
    let (origin, site, proxy) = site();
    origin.behave(behaviour::chunked(&[&[b'c'; 5_000]], &[]));
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send(get("/"));
    let mut seen = Vec::new();
    while !seen.ends_with(b"0\r\n\r\n") {
        seen.extend(client.exact(1));
    }
    client.records();
    client.send(get("/"));
    client.exact(seen.len());
    let records = client.records();
    assert!(records.len() <= 2, "{records:?}");
}

#[test]
fn megabytes_pass_both_ways_unharmed() {
    let (origin, site, proxy) = site();
    let length = 12_000_000;
    let body: Vec<u8> = (0..length).map(|at: u32| b'a' + (at % 23) as u8).collect();
    for versions in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = Client::connect(proxy.address, &site.trust_in(&[versions], None));
        let sent = body.clone();
        origin.behave(behaviour::custom(move |exchange| {
            let got = exchange.read_body();
            let sound = got.bytes.is_empty() || got.bytes == sent;
            exchange.send(&behaviour::response(
                if sound { 200 } else { 500 },
                &[],
                &got.bytes,
            ))
        }));
        client.send(format!(
            "POST /big HTTP/1.1\r\nHost: app.example\r\nContent-Length: {length}\r\n\r\n"
        ));
        client.send(&body);
        let response = client.response();
        assert_eq!(response.status, 200);
        assert!(response.body.as_bytes() == body, "it came back changed");
        assert_eq!(
            client.get("/after").status,
            200,
            "and the connection lives on"
        );
    }
}

/// A stream of events is of no use if its events wait for the next one, in rustls or elsewhere.
#[test]
fn each_part_of_a_response_leaves_when_it_comes() {
    let (origin, site, proxy) = site();
    let (go_on, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    origin.behave(behaviour::custom(move |exchange| {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 30\r\n\r\n";
        exchange.send(head.as_bytes());
        for _ in 0..3 {
            exchange.send(b"data: one\n");
            gate.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        Next::Keep
    }));
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send(get("/events"));
    client.head();
    for _ in 0..3 {
        assert_eq!(client.exact(10), b"data: one\n");
        go_on.send(()).unwrap();
    }
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let (origin, site, proxy) = site();
    origin.behave(behaviour::asking_for_the_body(behaviour::echo()));
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send(
        "PUT / HTTP/1.1\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.response().status, 100);
    client.send("body");
    let response = client.response();
    assert_eq!(response.status, 200);
    assert!(response.body.ends_with("body"), "{response:?}");
}

/// What lies in rustls at the end of a response counts as unread too, and nothing of it may be lost before the end is told.
#[test]
fn a_response_is_read_to_its_end_by_a_client_that_begins_late() {
    let (origin, site, proxy) = site();
    let body = 3_000_000;
    origin.behave(behaviour::ok("l".repeat(body)));
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send("GET / HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n");
    eventually(PATIENCE, "it has been asked", || origin.count() == 1);
    let (bytes, end) = client.rest();
    assert!(end.is_ok(), "{end:?}");
    assert!(bytes.len() > body);
}

#[test]
fn a_response_that_breaks_off_is_seen_to_break_off() {
    let (origin, site, proxy) = site();
    origin.behave(behaviour::raw(
        "HTTP/1.1 200 OK\r\n\r\nuntil the close",
        Next::Reset,
    ));
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send("GET / HTTP/1.0\r\n\r\n");
    let (bytes, end) = client.rest();
    assert!(
        end.is_err() || bytes.starts_with(b"HTTP/1.1 502"),
        "{end:?} {:?}",
        String::from_utf8_lossy(&bytes)
    );
}

#[test]
fn what_comes_while_a_request_is_answered_belongs_to_the_next() {
    let open = Arc::new(AtomicBool::new(false));
    let (origin, site, proxy) = site();
    origin.behave(behaviour::gated(&open, behaviour::echo()));
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send(get("/first"));
    origin.saw("/first");
    let next = get("/next");
    let (begin, end) = next.split_at(1);
    for part in [begin, end, &get("/last")] {
        let record = client.record(part);
        client.send_raw(&record);
    }
    open.store(true, Ordering::SeqCst);
    for path in ["/first", "/next", "/last"] {
        let answer = client.response();
        assert!(answer.body.starts_with(&format!("GET {path} ")), "{path}");
    }
}

#[test]
fn a_client_that_leaves_cancels_its_request_however_it_does() {
    let (origin, site, proxy) = site();
    origin.behave(behaviour::hang());
    type Leave = fn(&mut Client);
    let ways: [(&str, Leave); 2] = [
        ("/with-a-word", Client::finish_writing),
        ("/without", |client| client.cut_writing()),
    ];
    for (path, leave) in ways {
        let mut client = Client::connect(proxy.address, &site.trust());
        client.send(get(path));
        origin.saw(path);
        leave(&mut client);
        eventually(PATIENCE, path, || origin.open_connections() == 0);
    }
}
