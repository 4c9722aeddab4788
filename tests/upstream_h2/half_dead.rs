//! A connection that owes an answer and over which nothing comes any more, while its backend is well: a firewall has forgotten it, say.

use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::faults::in_front_of_frames;
use crate::frames::{self, ACK, PING};
use crate::support::wait::{PATIENCE, eventually};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// It is given up long after all of this.
const RARELY: &str = "[upstream]\nping_interval = \"5m\"\nconnect_timeout = \"1s\"";

#[test]
fn new_requests_take_another_and_what_it_owes_stays() {
    let (address, connections) = frames::backend(|wire| {
        let first = wire.request()?;
        wire.answer(first, b"first");
        if wire.number == 0 {
            // Nothing comes any more, not even an echo.
            while wire.frame().is_ok() {}
            return Ok(());
        }
        loop {
            let next = wire.request()?;
            wire.answer(next, b"alive");
        }
    });
    let proxy = in_front_of_frames(address, RARELY);
    assert_eq!(proxy.get("/").text(), "first");
    let mut owed = proxy.client();
    owed.send(GET);
    eventually(PATIENCE, "another is answered", || {
        let mut client = proxy.client();
        client.send(GET);
        client
            .response_within("GET", Duration::from_millis(300))
            .is_ok()
    });
    for _ in 0..10 {
        assert_eq!(proxy.get("/").status, 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    assert!(
        owed.response_within("GET", Duration::from_millis(1))
            .is_err()
    );
}

#[test]
fn an_echo_tells_a_slow_answer_from_it() {
    let (echoed, echo) = channel();
    let echoed = Arc::new(Mutex::new(echoed));
    let (address, connections) = frames::backend(move |wire| {
        // Behind it, nothing of the connection's beginning is still to come, which would be a sign of life as well.
        let first = wire.request()?;
        wire.answer(first, b"first");
        let slow = wire.request()?;
        loop {
            let frame = wire.frame()?;
            if frame.kind == PING && frame.flags & ACK == 0 {
                wire.send(PING, ACK, 0, &frame.payload);
                break;
            }
        }
        let _told = echoed.lock().unwrap().send(());
        let next = wire.request()?;
        wire.answer(next, b"beside it");
        wire.answer(slow, b"slow");
        while wire.frame().is_ok() {}
        Ok(())
    });
    let proxy = in_front_of_frames(address, RARELY);
    assert_eq!(proxy.get("/").text(), "first");
    let mut slow = proxy.client();
    slow.send(GET);
    echo.recv_timeout(PATIENCE).unwrap();
    assert_eq!(proxy.get("/").text(), "beside it");
    assert_eq!(slow.response().text(), "slow");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
