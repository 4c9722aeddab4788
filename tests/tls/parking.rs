//! A silent connection gives up what only requests need, beneath its TLS.

use crate::client::Client;
use crate::site::Site;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, behaviour, eventually};

const CROWD: u64 = 300;

/// KiB that one may keep; one that isn't parked has 35.
const LEAST: u64 = 24;

#[test]
fn a_silent_connection_keeps_its_session_and_little_else() {
    let origin = Origin::start(behaviour::ok("hello"));
    let site = Site::new();
    let proxy = site
        .builder()
        .server("workers = 1\n")
        .zone("fz-1", &[&origin])
        .start();
    let trust = site.trust();
    for _ in 0..20 {
        assert_eq!(Client::connect(proxy.address, &trust).get("/").status, 200);
    }
    let before = proxy.resident_kib();
    let mut clients: Vec<Client> = (0..CROWD)
        .map(|_| {
            let mut client = Client::connect(proxy.address, &trust);
            assert_eq!(client.get("/").status, 200);
            client
        })
        .collect();
    eventually(PATIENCE, "their memory is given back", || {
        proxy.resident_kib().saturating_sub(before) < CROWD * LEAST
    });
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
}
