//! What the data path promises: bodies stream, ends are seen, nothing is sent twice that must not be, and whatever firedoor says
//! by itself is fit for strangers.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the rooms of a test binary; a test fails by panicking"
)]

#[path = "greedy/held.rs"]
mod held;
mod http {
    mod access_log;
    mod bodies;
    mod connections;
    mod errors;
    mod farewells;
    mod lingering;
    mod log_faults;
    mod phrases;
    mod retries;
    mod statuses;
    mod streaming;
    mod tunnels;
}
mod support;
