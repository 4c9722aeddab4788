//! Traces: each request that is sampled has a span of its own, with one for each attempt and each wait, at a real collector that reads them
//! with OpenTelemetry's own messages. A collector in trouble costs spans, which are counted, and nothing else.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[allow(dead_code, reason = "shared with the checks' tests")]
#[path = "net_checks/authority.rs"]
mod authority;
#[path = "tracing/collector.rs"]
mod collector;
#[path = "tracing/contexts.rs"]
mod contexts;
#[path = "tracing/faults.rs"]
mod faults;
#[path = "tracing/spans.rs"]
mod spans;
mod support;
