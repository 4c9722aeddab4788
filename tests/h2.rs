//! HTTP/2 towards clients: what passes, what is refused, what is cut, and that neither costs the others anything.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[path = "h2/breaks.rs"]
mod breaks;
#[path = "h2/calls.rs"]
mod calls;
#[path = "h2/client.rs"]
mod client;
#[path = "h2/clocks.rs"]
mod clocks;
#[path = "h2/compression.rs"]
mod compression;
#[path = "h2/drains.rs"]
mod drains;
#[path = "h2/floods.rs"]
mod floods;
#[path = "h2/frames.rs"]
mod frames;
#[path = "h2/messages.rs"]
mod messages;
#[path = "h2/people.rs"]
mod people;
#[path = "h2/refusals.rs"]
mod refusals;
#[path = "h2/spec.rs"]
mod spec;
mod support;
#[path = "h2/tunnels.rs"]
mod tunnels;

use support::behaviour::Behaviour;
use support::proxy::Builder;
use support::{Origin, Proxy};

/// A firedoor that speaks HTTP/2 in front of one origin.
fn lab(traffic: Behaviour) -> (Origin, Proxy) {
    lab_with(traffic, "")
}

/// As `lab`, with more sections.
fn lab_with(traffic: Behaviour, sections: &str) -> (Origin, Proxy) {
    let origin = Origin::start(traffic);
    let proxy = builder().toml(sections).zone("fz-1", &[&origin]).start();
    (origin, proxy)
}

fn builder() -> Builder {
    Proxy::builder().listener("h2c = true")
}
