//! What firedoor says about itself: the log, the access log, and what it counts.

pub mod access_log;
pub mod counters;
pub mod log;
pub mod mask;
pub mod meter;
pub mod reason;
pub mod trace;
pub mod traffic;
