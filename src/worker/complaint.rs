//! What anybody can bring about as often as they like, and what an operator still wants to read: told, but once a second.

use std::cell::Cell;
use std::net::SocketAddr;

use super::Worker;
use crate::proxy::request::allowance::Allowances;
use crate::telemetry::mask::shown;

/// Milliseconds from one to the next.
const PAUSE: u64 = 1000;

/// One worker's complaints.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// Worker milliseconds before which nothing is told.
    quiet_until: Cell<u64>,
    untold: Cell<u64>,
}

impl Complaints {
    /// Whether one may be told at `now`; if so, how many have not been told since the last one.
    fn admit(&self, now: u64) -> Option<u64> {
        if now < self.quiet_until.get() {
            self.untold.set(self.untold.get() + 1);
            return None;
        }
        self.quiet_until.set(now + PAUSE);
        Some(self.untold.take())
    }
}

impl Worker {
    /// What each client has taken.
    pub(crate) fn allowances(&self) -> &Allowances {
        &self.parts.allowances
    }

    /// Tells the operator that a connection from `peer` was refused.
    pub(crate) fn complain(&self, peer: SocketAddr, reason: &str) {
        self.tick();
        if let Some(untold) = self.complaints.admit(self.now()) {
            let how = self.view().snapshot.config.access_log.client_ip;
            let client = shown(peer.ip(), how);
            tracing::warn!(client, untold, "refused a connection: {reason}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_once_a_second_and_counted() {
        let complaints = Complaints::default();
        assert_eq!(complaints.admit(5), Some(0));
        assert_eq!(complaints.admit(5), None);
        assert_eq!(complaints.admit(1004), None);
        assert_eq!(complaints.admit(1005), Some(2));
        assert_eq!(complaints.admit(9000), Some(0));
    }
}
