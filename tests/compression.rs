//! `compress`: what clients get is what the backend sent, in fewer bytes, and as soon as it came.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the rooms of a test binary; a test fails by panicking"
)]

mod compression {
    pub mod decoder;
    mod faults;
    mod people;
    mod streams;
    mod terms;
}
mod support;
