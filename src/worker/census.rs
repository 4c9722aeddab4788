//! How many connections a worker has, and how many of them have nothing to do. Counted at each tick, where all of them are looked at
//! anyway: no request pays for it.

use std::cell::Cell;
use std::rc::Rc;

use super::Worker;
use crate::proxy::backend::upstream::Upstream;
use crate::proxy::client::downstream::Downstream;

/// What one tick finds.
#[derive(Default)]
pub(super) struct Census {
    downstream: u64,
    downstream_idle: u64,
    upstream_idle: u64,
}

impl Census {
    pub(super) fn meet(&mut self, downstream: &Downstream) {
        self.downstream += 1;
        self.downstream_idle += u64::from(downstream.is_idle());
    }

    pub(super) fn visit(&mut self, upstream: &Upstream) {
        self.upstream_idle += upstream.idle.unused() as u64;
    }

    pub(super) fn publish(&self, worker: &Worker) {
        let counters = worker.counters();
        counters.downstream_idle.set(self.downstream_idle);
        let busy = self.downstream - self.downstream_idle;
        counters.downstream_active.set(busy);
        counters.upstream_idle.set(self.upstream_idle);
        let busy = worker.open.get().saturating_sub(self.upstream_idle);
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
