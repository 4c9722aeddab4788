//! What routes and pools say about requests besides where they go, as clients and apps see it.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the rooms of a test binary; a test fails by panicking"
)]

mod rules {
    mod answers;
    mod edits;
    mod overrides;
    mod pages;
}
mod support;
