//! The order of those who wait: line by line, by arrival, and how many of them are let go at once.
//!
//! When the door opens after a flip, everyone who was held could go at that moment, into a zone whose caches are cold. So they are
//! paced: a worker has at most twice as many requests in flight in the new zone as it had in the old one when the hold
//! began ([`LEAST`] are always allowed). Each one that ends calls the next. Whoever comes meanwhile queues up behind: it would
//! overtake those who wait otherwise, and make the pace meaningless. Should the new zone be slower than the old one, the pace
//! grows by a sixteenth each tick, so that it never becomes a limit of its own.
//!
//! Order and pace are each worker's own: what all workers let go together is the sum.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use super::exchange::Exchange;

/// Requests that a worker lets into a pool at once, however idle it was before. Smaller, and a quiet system would be slow to
/// recover; a backend that sixteen requests can hurt has a `max_in_flight`.
const LEAST: u32 = 16;

/// A pool's index, and whether some of its backends don't count for those who wait here, since they have failed them already: what
/// keeps such a request waiting must not keep the others.
pub(crate) type Line = (usize, bool);

/// The requests of one worker that wait. A request that is called and finds no place after all comes back to its old position.
#[derive(Default)]
pub(crate) struct Queue {
    lines: BTreeMap<Line, BTreeMap<u64, Rc<Exchange>>>,
    tickets: u64,
    /// Of the pools in which somebody waits, or was called.
    paces: BTreeMap<usize, Pace>,
    /// The most requests that each pool has had in flight lately; while somebody waits there, since shortly before the first one did.
    usual: BTreeMap<usize, u32>,
}

/// How fast those who wait in one pool are let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pace {
    /// Called, and on their way to a place.
    called: u32,
    /// In flight at once; `None`: as many as the backends have places.
    window: Option<u32>,
}

impl Queue {
    /// A position behind all others; never 0.
    pub(crate) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.paces.is_empty()
    }

    /// Whether a newcomer for `pool` has somebody before it.
    pub(crate) fn is_waiting(&self, pool: usize) -> bool {
        self.paces
            .get(&pool)
            .is_some_and(|pace| pace.called > 0 || self.lines.contains_key(&(pool, false)))
    }

    /// The pools in which somebody waits.
    pub(crate) fn pools(&self) -> Vec<usize> {
        self.paces.keys().copied().collect()
    }

    /// Calls who has waited longest for `pool`, which has `in_flight` requests, if one more may go.
    pub(crate) fn call_next(&mut self, pool: usize, in_flight: u32) {
        let Some(pace) = self.paces.get_mut(&pool) else {
            return;
        };
        if pace
            .window
            .is_some_and(|window| in_flight + pace.called >= window)
        {
            return;
        }
        for failed in [false, true] {
            if let Entry::Occupied(mut waiting) = self.lines.entry((pool, failed)) {
                if let Some((_, next)) = waiting.get_mut().pop_first() {
                    pace.called += 1;
                    next.call();
                }
                if waiting.get().is_empty() {
                    waiting.remove();
                }
            }
        }
    }

    /// Calls everybody: by a new configuration, they may wait in the wrong place.
    pub(crate) fn call_all(&mut self) {
        for ((pool, _), waiting) in std::mem::take(&mut self.lines) {
            for next in waiting.into_values() {
                self.paces.entry(pool).or_default().called += 1;
                next.call();
            }
        }
        self.usual.clear();
    }

    /// There is a new snapshot, and `pool` had `in_flight` requests under the one before: sets the pace.
    pub(crate) fn turn(&mut self, pool: usize, in_flight: u32) {
        let usual = self.raise_usual(pool, in_flight);
        if let Some(pace) = self.paces.get_mut(&pool) {
            pace.window = Some(LEAST.max(usual * 2));
        }
    }

    /// A tick has passed, and `pool` has `in_flight` requests. What it had before counts a sixteenth less each time: a snapshot may not
    /// have come for hours, and a tick may have fallen between two requests. Not while somebody waits: who waits isn't in flight.
    pub(crate) fn observe(&mut self, pool: usize, in_flight: u32) {
        if !self.paces.contains_key(&pool) {
            let usual = self.usual.entry(pool).or_default();
            *usual = in_flight.max(*usual - usual.div_ceil(16));
        }
    }

    fn raise_usual(&mut self, pool: usize, in_flight: u32) -> u32 {
        let usual = self.usual.entry(pool).or_default();
        *usual = in_flight.max(*usual);
        *usual
    }

    /// A tick has passed: whoever still waits is let go a little faster.
    pub(crate) fn quicken(&mut self) {
        for window in self
            .paces
            .values_mut()
            .filter_map(|pace| pace.window.as_mut())
        {
            *window += *window / 16;
        }
    }

    /// One that was called has found a place, or none, or has left.
    pub(crate) fn answered(&mut self, pool: usize) {
        if let Some(pace) = self.paces.get_mut(&pool) {
            pace.called = pace.called.saturating_sub(1);
        }
        self.forget(pool);
    }

    /// `state` waits in `line`, and `in_flight` others don't. They may be about to: a zone that dies fails its requests one after
    /// the other.
    pub(crate) fn enter(&mut self, line: Line, ticket: u64, state: &Rc<Exchange>, in_flight: u32) {
        self.raise_usual(line.0, in_flight + 1);
        self.paces.entry(line.0).or_default();
        let waiting = self.lines.entry(line).or_default();
        waiting.insert(ticket, Rc::clone(state));
    }

    pub(crate) fn leave(&mut self, line: Line, ticket: u64) {
        if let Entry::Occupied(mut waiting) = self.lines.entry(line) {
            waiting.get_mut().remove(&ticket);
            if waiting.get().is_empty() {
                waiting.remove();
            }
        }
        self.forget(line.0);
    }

    /// Forgets the pace of a pool in which nobody waits any more.
    fn forget(&mut self, pool: usize) {
        let waits = self
            .lines
            .range((pool, false)..=(pool, true))
            .next()
            .is_some();
        if !waits && self.paces.get(&pool).is_some_and(|pace| pace.called == 0) {
            self.paces.remove(&pool);
        }
    }
}
