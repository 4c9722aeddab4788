//! How many connections a worker has, and how many of them have nothing to do. Counted where all of them are looked at anyway, at each
//! tick or in a round of some ticks: no request pays for it.

use std::cell::Cell;
use std::mem::take;
use std::rc::Rc;

use super::Worker;
use crate::proxy::client::downstream::Downstream;

/// What one round finds among the connections of clients.
#[derive(Default)]
pub(super) struct Census {
    all: u64,
    idle: u64,
    /// Of this round as yet.
    ticks: u32,
    /// Of the round before.
    before: u32,
}

impl Census {
    /// One more tick. How many of them lie between two looks at the same connection, as far as that is known.
    pub(super) fn tick(&mut self) -> u32 {
        self.ticks += 1;
        self.before.max(1)
    }

    pub(super) fn meet(&mut self, downstream: &Downstream) {
        self.all += 1;
        self.idle += u64::from(downstream.is_idle());
    }

    /// Everybody has been met.
    pub(super) fn publish(&mut self, worker: &Worker) {
        let round = take(self);
        self.before = round.ticks;
        let counters = worker.counters();
        counters.downstream_idle.set(round.idle);
        counters.downstream_active.set(round.all - round.idle);
    }
}

impl Worker {
    /// `unused` of the connections to backends have nothing to do.
    pub(super) fn publish_open(&self, unused: u64) {
        let counters = self.counters();
        counters.upstream_idle.set(unused);
        let busy = self.open.get().saturating_sub(unused);
        counters.upstream_active.set(busy);
    }
}

/// A connection to a backend that is open, until this is dropped.
pub(crate) struct Open(Rc<Cell<u64>>);

impl Worker {
    /// One more connection to a backend is open.
    pub(crate) fn opened(&self) -> Open {
        self.open.set(self.open.get() + 1);
        Open(Rc::clone(&self.open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
