//! Large bodies gather in the socket before they are passed on. Nobody who would notice may ever wait for that.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use support::behaviour;
use support::{Origin, Proxy};

/// How a backend in full flow may come to a halt. Sums of these come before or behind what is let to gather at once.
const SPURTS: &[u64] = &[
    700_000, 1, 65_536, 262_143, 262_144, 262_145, 900_000, 5_000_000, 1, 4_000_000, 300_000, 100,
];

#[test]
fn what_has_come_of_a_body_is_passed_on_wherever_its_backend_halts() {
    let received = Arc::new(AtomicU64::new(0));
    let origin = Origin::start(behaviour::halting(SPURTS, Arc::clone(&received)));
    let proxy = Proxy::builder()
        .check("kind = \"tcp\"")
        .zone("fz-1", &[&origin])
        .start();
    for _ in 0..3 {
        received.store(0, Ordering::Relaxed);
        let mut client = proxy.client();
        client.send("GET /halting HTTP/1.1\r\nHost: app.example\r\n\r\n");
        client.head();
        for &spurt in SPURTS {
            client.exact(spurt as usize).unwrap();
            received.fetch_add(spurt, Ordering::Relaxed);
        }
    }
}

#[test]
fn after_a_body_that_gathered_its_connection_waits_for_nothing() {
    let received = Arc::new(AtomicU64::new(0));
    let origin = Origin::named("small");
    let proxy = Proxy::builder()
        .check("kind = \"tcp\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    for second in SPURTS {
        // In full flow after the first one, since it has halted; then all of the rest comes at once.
        let spurts: &'static [u64] = Box::leak(Box::new([70_000, *second]));
        received.store(0, Ordering::Relaxed);
        origin.behave(behaviour::halting(spurts, Arc::clone(&received)));
        client.send("GET /large HTTP/1.1\r\nHost: app.example\r\n\r\n");
        client.head();
        for spurt in spurts {
            client.exact(*spurt as usize).unwrap();
            received.fetch_add(*spurt, Ordering::Relaxed);
        }
        origin.behave(behaviour::ok("small"));
        let answer = client.exchange("GET /small HTTP/1.1\r\nHost: app.example\r\n\r\n");
        assert_eq!(answer.text(), "small");
    }
    let mut connections: Vec<_> = origin.seen().iter().map(|seen| seen.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), 1, "{connections:?}");
}
