//! Events on their way to people: each is posted or handed to a command once it is in the journal, in order, signed, and again where that
//! makes sense. A receiver that fails, hangs or talks nonsense delays no decision.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[allow(dead_code, reason = "shared with the checks' tests")]
#[path = "net_checks/authority.rs"]
mod authority;
#[path = "notify/commands.rs"]
mod commands;
#[path = "notify/events.rs"]
mod events;
#[path = "notify/faults.rs"]
mod faults;
#[path = "notify/pager.rs"]
mod pager;
mod support;
