//! What couldn't be stored: in use all the same, and kept until it can be.

use std::time::{Duration, Instant};

use tracing::{error, info};

/// Until what couldn't be stored is stored again.
const AGAIN: Duration = Duration::from_secs(10);

/// Something that a restart would lose.
pub(super) struct Unstored<T> {
    pub(super) what: T,
    /// Why it can't be stored, as it was last told.
    pub(super) told: String,
    tried: Instant,
}

impl<T> Unstored<T> {
    /// After an attempt to store `what`, which `whose` names: says what has changed since the one `before`, if there was one. `None`: a
    /// restart will find it.
    pub(super) fn after(
        kept: Result<(), String>,
        what: T,
        whose: &str,
        before: Option<&str>,
    ) -> Option<Self> {
        let Err(told) = kept else {
            if before.is_some() {
                info!("{whose}: it is stored after all");
            }
            return None;
        };
        // Not the same line every few seconds for as long as it lasts.
        if before != Some(&*told) {
            error!("{whose}: it can't be stored, so a restart will need another: {told}");
        }
        let tried = Instant::now();
        Some(Self { what, told, tried })
    }

    /// Whether it is time for the next attempt.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.tried) >= AGAIN
    }
}
