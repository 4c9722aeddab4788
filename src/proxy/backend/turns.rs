//! Whose turn it is to open a connection that several requests will share. One at a time does: the others find room on what it opens,
//! or share its failure, since they would only find out the same one after the other.

use std::cell::Cell;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::outcome::Trouble;
use crate::telemetry::reason::Retry;

/// Why a request has no connection: as it is counted, and what that says of the backend, if anything.
pub(crate) type Unmade = (Retry, Option<Trouble>);

pub(crate) struct Turns {
    place: Semaphore,
    /// How many openings have failed, and how the last of them did.
    failures: Cell<u64>,
    last: Cell<Option<Unmade>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            place: Semaphore::new(1),
            failures: Cell::new(0),
            last: Cell::new(None),
        }
    }
}

impl Turns {
    /// Waits for one's turn. `Err`: somebody else's opening has failed meanwhile.
    pub(crate) async fn next(&self) -> Result<Option<SemaphorePermit<'_>>, Unmade> {
        let failures = self.failures.get();
        let permit = self.place.acquire().await.ok();
        match self.last.get() {
            Some(unmade) if self.failures.get() != failures => Err(unmade),
            _ => Ok(permit),
        }
    }

    /// An opening has failed, for all who wait.
    pub(crate) fn fail(&self, unmade: Unmade) {
        self.failures.set(self.failures.get() + 1);
        self.last.set(Some(unmade));
    }
}
