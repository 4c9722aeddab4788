//! `[listener.tls.acme]`: certificates that firedoor obtains by itself, from Debian's pebble.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[allow(dead_code, reason = "shared with the checks' tests")]
#[path = "net_checks/authority.rs"]
mod authority;
#[path = "acme/challenges.rs"]
mod challenges;
#[allow(dead_code, reason = "shared with the tests of TLS")]
#[path = "tls/client.rs"]
mod client;
#[path = "acme/door.rs"]
mod door;
#[path = "acme/herald.rs"]
mod herald;
#[path = "acme/impostor.rs"]
mod impostor;
#[path = "acme/pebble.rs"]
mod pebble;
#[path = "acme/renewal.rs"]
mod renewal;
#[path = "acme/suggestions.rs"]
mod suggestions;
mod support;
#[path = "acme/troubles.rs"]
mod troubles;
