//! What is counted is what happened: `/metrics` and `/v1/traffic`, compared with what clients and backends have seen themselves; and
//! whether Prometheus, its tools and the files in `config/` agree with it.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the rooms of a test binary; a test fails by panicking"
)]

mod metrics {
    mod alerts;
    mod counts;
    mod events;
    mod exposition;
    mod page;
    mod prometheus;
    mod traffic;
}
mod support;
