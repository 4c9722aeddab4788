//! What becomes of a client that still sends when it has its last response: a reset could take that from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::held;
use crate::support::behaviour;
use crate::support::wait::{PATIENCE, eventually, within};
use crate::support::{Origin, Proxy, RawClient};

const SIZE: usize = 1_000_000_000;
/// More than any socket keeps, so that some of it is left to be read after the response.
const FIRST: usize = 8_000_000;

/// A firedoor that wants no such body, and a client that has begun to send it.
fn lab(limits: &str) -> (Origin, Proxy, RawClient) {
    let origin = Origin::start(behaviour::ok("hello"));
    let proxy = Proxy::builder()
        .toml(&format!("[limits]\nmax_body_size = \"1KiB\"\n{limits}"))
        .server("drain_timeout = \"60s\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: {SIZE}\r\n\r\n"
    ));
    (origin, proxy, client)
}

#[test]
fn a_client_that_goes_on_sending_still_reads_its_answer() {
    let (_origin, _proxy, mut client) = lab("");
    client.try_send(vec![b'x'; FIRST]).expect("it is taken in");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        let failed = within(Duration::from_millis(100), || {
            client.try_send([b'x'; 1000]).is_err()
        });
        assert!(!failed, "cut off after {:?}", begun.elapsed());
    }
    let answer = client.response_to("POST");
    assert_eq!(
        (answer.status, answer.field("connection")),
        (413, Some("close"))
    );
}

#[test]
fn one_that_sends_nothing_more_is_not_waited_for() {
    let (_origin, proxy, mut client) = lab("");
    assert_eq!(client.response_to("POST").status, 413);
    // It is still open on the client's side.
    let port = client.local_address().port();
    eventually(PATIENCE, "it is let go", || {
        !held::by(proxy.address).contains(&port)
    });
}

#[test]
fn one_that_only_drips_is_held_to_body_timeout() {
    let (_origin, proxy, mut client) = lab("body_timeout = \"1s\"");
    client.try_send(vec![b'x'; FIRST]).expect("it is taken in");
    let port = client.local_address().port();
    eventually(PATIENCE, "it is let go", || {
        let _pause = within(Duration::from_millis(100), || false);
        client.send("0123456789");
        !held::by(proxy.address).contains(&port)
    });
}

#[test]
fn a_stop_does_not_wait_for_it() {
    let (_origin, mut proxy, mut client) = lab("");
    client.try_send(vec![b'x'; FIRST]).expect("it is taken in");
    let over = Arc::new(AtomicBool::new(false));
    let sending = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            while !over.load(Ordering::SeqCst) && client.try_send([b'x'; 1000]).is_ok() {
                let _pause = within(Duration::from_millis(20), || false);
            }
        })
    };
    proxy.signal(Signal::TERM);
    let status = proxy.wait_for_exit(PATIENCE);
    over.store(true, Ordering::SeqCst);
    sending.join().unwrap();
    assert!(status.success(), "{status}");
}
