//! How the process ends, and what it tells load balancers meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What `/readyz` answers by. Cheap to clone; set by [`crate::serve`] only.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

/// The phases of a process's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not listening yet.
    Starting,
    /// Listening and configured.
    Ready,
    /// Finishing what is in flight.
    Draining,
}

impl Readiness {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// Enters `phase`.
    pub(crate) fn enter(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }
}
