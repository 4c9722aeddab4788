//! Backends that speak HTTP/2, `h2c://` or by ALPN: requests of HTTP/1.1 clients go there as they should, share connections, and none is
//! made twice or lost when a stream or a connection ends badly.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[allow(dead_code, reason = "shared with the checks' tests")]
#[path = "net_checks/authority.rs"]
mod authority;
#[path = "upstream_h2/both_sides.rs"]
mod both_sides;
#[path = "upstream_h2/faults.rs"]
mod faults;
#[path = "upstream_h2/frames.rs"]
mod frames;
#[path = "upstream_h2/half_dead.rs"]
mod half_dead;
#[path = "upstream_h2/herd.rs"]
mod herd;
#[path = "upstream_h2/losses.rs"]
mod losses;
#[allow(dead_code, reason = "shared with the checks' tests")]
#[path = "net_checks/nginx.rs"]
mod nginx;
#[path = "upstream_h2/nonsense.rs"]
mod nonsense;
#[path = "upstream_h2/origin.rs"]
mod origin;
#[path = "upstream_h2/real.rs"]
mod real;
#[path = "upstream_h2/refusals.rs"]
mod refusals;
#[path = "upstream_h2/service.rs"]
mod service;
#[path = "upstream_h2/sharing.rs"]
mod sharing;
#[path = "upstream_h2/small_frames.rs"]
mod small_frames;
mod support;
#[allow(dead_code, reason = "shared with the tests of TLS")]
#[path = "upstream_tls/terminator.rs"]
mod terminator;
#[path = "upstream_h2/websocket.rs"]
mod websocket;
