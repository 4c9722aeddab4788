//! Ports below the kernel's ephemeral range.
//!
//! Port 0 would be simpler, but a listener that stops and comes back on its port (a killed app server) must not find it
//! taken meanwhile by somebody's outgoing connection, and the proxy under test must be told its ports beforehand.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A listener on a port that nothing else uses.
pub fn listen() -> TcpListener {
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // A start of its own per process: test binaries of several checkouts run at the same time.
        let start = (std::process::id().wrapping_mul(7919) % u32::from(COUNT)) as u16;
        let port = FIRST + (u32::from(start) + u32::from(step)).rem_euclid(u32::from(COUNT)) as u16;
        if let Ok(listener) = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))) {
            return listener;
        }
    }
    panic!("no free port");
}

/// An address that nothing listened on a moment ago. Whoever binds it must be ready to find it taken and ask again.
pub fn free() -> SocketAddr {
    listen().local_addr().unwrap()
}
