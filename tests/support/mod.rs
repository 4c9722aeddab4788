//! The harness: origins that misbehave, the real binary, a client that speaks raw bytes, and waiting with a deadline.
//!
//! Each test file uses a part of it, hence the allowance for dead code.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by test binaries that each use a part; a test fails by panicking"
)]

pub mod behaviour;
pub mod client;
pub mod load;
pub mod message;
pub mod origin;
pub mod pair;
pub mod peer;
pub mod port;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod server;
pub mod wait;
pub mod wire;

pub use behaviour::Behaviour;
pub use client::{Broken, RawClient, Response};
pub use origin::{Origin, Seen};
pub use peer::Front;
pub use postgres::Postgres;
pub use proxy::Proxy;
pub use receiver::Receiver;
pub use wait::eventually;
