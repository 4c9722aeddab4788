//! Connections that close just as they are used again (RFC 9112 9.3.1): no news about their backend, so that the request is made once more
//! over one that is newer.

use crate::proxy::backend::connections::Connection;
use crate::proxy::backend::upstream::Upstream;
use crate::zone::ComponentId;

/// How often one request may meet a connection that has closed before the request was begun. Others share what is opened then, and it may
/// close on them as well.
const TIMES: u32 = 4;

/// The last one that a request has met.
#[derive(Default)]
pub(super) struct Stale {
    backend: Option<ComponentId>,
    /// Connections up to this number are from before it.
    before: u64,
    times: u32,
}

impl Stale {
    /// What a connection to `upstream` has to be newer than, if it has to.
    pub(super) fn before(&self, upstream: &Upstream) -> Option<u64> {
        (self.backend == Some(upstream.id)).then_some(self.before)
    }

    /// Whether the `connection` that has failed was such a one: one at each backend, or several if the request was never begun.
    pub(super) fn meet(
        &mut self,
        upstream: &Upstream,
        connection: &Connection,
        unsent: bool,
    ) -> bool {
        let known = self.backend == Some(upstream.id);
        let times = if known { self.times } else { 0 };
        let may = times == 0 || (unsent && !connection.is_open() && times < TIMES);
        let stale = may && connection.is_reused();
        if stale {
            *self = Self {
                backend: Some(upstream.id),
                before: upstream.idle.newest_at_failure(connection),
                times: times + 1,
            };
        }
        stale
    }
}
