//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long anything may take that should take milliseconds: generous, since a test machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A pause of a few milliseconds that took longer has met a machine that stood still, or nearly.
const STANDSTILL: Duration = Duration::from_millis(30);

/// Waits until `condition` holds; panics with `what` when `limit` has passed.
#[track_caller]
pub fn eventually(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    eventually_some(limit, what, || condition().then_some(()));
}

/// Waits until `find` finds something; panics with `what` when `limit` has passed.
#[track_caller]
pub fn eventually_some<T>(limit: Duration, what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Whether `condition` holds within `limit`; for claims about what must *not* happen, where a limit is all one has. A machine that stood
/// still between two looks has done nothing meanwhile that could be seen, so that is no time.
pub fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let mut left = limit;
    while !left.is_zero() {
        let looked = Instant::now();
        if condition() {
            return true;
        }
        left = left.saturating_sub(looked.elapsed());
        let paused = Instant::now();
        std::thread::sleep(Duration::from_millis(3));
        left = left.saturating_sub(paused.elapsed().min(STANDSTILL));
    }
    condition()
}
