//! What firedoor says about itself: the log, the access log, counters.

pub mod access_log;
pub mod counters;
pub mod log;
pub mod mask;
pub mod trace;
