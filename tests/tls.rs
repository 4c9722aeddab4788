//! `[listener.tls]`: TLS towards clients, with the clients that people have: curl, openssl, Python, rustls.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[allow(dead_code, reason = "shared with the checks' tests")]
#[path = "net_checks/authority.rs"]
mod authority;
#[path = "tls/certificates.rs"]
mod certificates;
#[path = "tls/client.rs"]
mod client;
#[path = "tls/durations.rs"]
mod durations;
#[path = "tls/farewells.rs"]
mod farewells;
#[path = "tls/hostile.rs"]
mod hostile;
#[path = "tls/identity.rs"]
mod identity;
#[path = "tls/misdirected.rs"]
mod misdirected;
#[path = "tls/parking.rs"]
mod parking;
#[path = "tls/people.rs"]
mod people;
#[path = "tls/records.rs"]
mod records;
#[path = "tls/redirect.rs"]
mod redirect;
#[path = "tls/renewal.rs"]
mod renewal;
#[path = "tls/self_signed.rs"]
mod self_signed;
#[path = "tls/site.rs"]
mod site;
mod support;
#[path = "tls/tunnels.rs"]
mod tunnels;
