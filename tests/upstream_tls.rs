//! `https://` backends: whom firedoor believes to be one, what it says of those whom it doesn't, and that everything which works in
//! cleartext works over TLS.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[allow(dead_code, reason = "shared with the checks' tests")]
#[path = "net_checks/authority.rs"]
mod authority;
#[path = "upstream_tls/faults.rs"]
mod faults;
#[allow(dead_code, reason = "shared with the checks' tests")]
#[path = "net_checks/nginx.rs"]
mod nginx;
#[path = "upstream_tls/renewal.rs"]
mod renewal;
#[path = "upstream_tls/self_signed.rs"]
mod self_signed;
#[path = "upstream_tls/service.rs"]
mod service;
#[path = "upstream_tls/site.rs"]
mod site;
mod support;
#[path = "upstream_tls/terminator.rs"]
mod terminator;
#[path = "upstream_tls/trust.rs"]
mod trust;
