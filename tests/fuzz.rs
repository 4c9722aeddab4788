//! What comes from others, mutated without end: nothing panics, hangs, or says anything that a log or terminal can't take.
//!
//! Routes and header fields have their targets beside their code, since they are no part of the library's surface:
//! `cargo test --lib mutated`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "fuzz/checks.rs"]
mod checks;
#[path = "fuzz/configuration.rs"]
mod configuration;
#[path = "fuzz/journal.rs"]
mod journal;
#[path = "fuzz/mutator.rs"]
mod mutator;
