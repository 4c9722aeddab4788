//! Who waits on this worker, and when they are let go: at a new snapshot, when a request ends, at each tick.

use std::cell::RefMut;
use std::sync::Arc;

use super::Worker;
use crate::proxy::request::queue::Queue;
use crate::proxy::request::view::View;

impl Worker {
    /// The requests that wait here.
    pub(crate) fn queue(&self) -> RefMut<'_, Queue> {
        self.queue.borrow_mut()
    }

    /// A new snapshot may have places for those who wait.
    pub(super) fn turn(&self, old: &View, new: &View) {
        if new.snapshot.epoch != old.snapshot.epoch {
            self.awaits_response.set(true);
        }
        let config = &new.snapshot.config;
        if !Arc::ptr_eq(&old.snapshot.config, config) {
            self.queue().call_all();
            return;
        }
        for pool in 0..config.pools.len() {
            self.queue().turn(pool, old.in_flight(pool));
            self.call_next(pool);
        }
    }

    /// A tick: a sibling may have freed a place that this worker hasn't heard of.
    pub(super) fn call_waiting(&self) {
        let view = self.view();
        for pool in 0..view.snapshot.config.pools.len() {
            self.queue().observe(pool, view.in_flight(pool));
        }
        self.queue().quicken();
        let pools = self.queue().pools();
        for pool in pools {
            self.call_next(pool);
        }
    }

    /// Calls who has waited longest for `pool`, if one more may go.
    pub(crate) fn call_next(&self, pool: usize) {
        let in_flight = self.view.borrow().in_flight(pool);
        self.queue().call_next(pool, in_flight);
    }

    /// A request in `pool` ends, and is still counted as in flight: its place is for who has waited longest.
    pub(crate) fn place_freed(&self, pool: usize) {
        let mut queue = self.queue();
        if !queue.is_empty() {
            let in_flight = self.view.borrow().in_flight(pool);
            queue.call_next(pool, in_flight.saturating_sub(1));
        }
    }
}
