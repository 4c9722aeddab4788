//! Counters: a padded cell per worker, added up by whoever asks. They live as long as the process, so that a reload keeps them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// All workers' counters, and the access log's own.
#[derive(Clone, Debug)]
pub struct Counters(Arc<[CachePadded<WorkerCounters>]>);

/// One worker's counters. Only that worker writes them, so that an addition is a plain load and store.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Requests that were answered, whatever the answer.
    pub requests: Counter,
    /// Answers that firedoor made itself.
    pub refusals: Counter,
    /// Attempts after the first.
    pub retries: Counter,
    /// Requests that had to wait for a zone.
    pub holds: Counter,
    /// Requests that were shed.
    pub sheds: Counter,
    /// ... and then went to a backend.
    pub holds_released: Counter,
    /// ... and waited in vain for as long as they may.
    pub holds_expired: Counter,
    /// ... but as many as may wait did already.
    pub holds_refused: Counter,
    /// ... and lost their client meanwhile.
    pub holds_left: Counter,
    /// Requests that were more than their client may make.
    pub limited: Counter,
    /// Client connections accepted.
    pub connections: Counter,
    /// Connections that had to begin with a PROXY header and didn't, or came from somebody who may not send one.
    pub introductions_refused: Counter,
    /// Connections that came faster than their client may make them.
    pub connections_limited: Counter,
    /// Connections of clients that had as many as they may have.
    pub connections_crowded: Counter,
    /// Access-log lines that were lost: the log could not keep up, or could not be written.
    pub log_lines_dropped: Counter,
}

/// What all workers have counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// See [`WorkerCounters::requests`].
    pub requests: u64,
    /// See [`WorkerCounters::refusals`].
    pub refusals: u64,
    /// See [`WorkerCounters::retries`].
    pub retries: u64,
    /// See [`WorkerCounters::holds`].
    pub holds: u64,
    /// See [`WorkerCounters::sheds`].
    pub sheds: u64,
    /// See [`WorkerCounters::holds_released`].
    pub holds_released: u64,
    /// See [`WorkerCounters::holds_expired`].
    pub holds_expired: u64,
    /// See [`WorkerCounters::holds_refused`].
    pub holds_refused: u64,
    /// See [`WorkerCounters::holds_left`].
    pub holds_left: u64,
    /// See [`WorkerCounters::connections`].
    pub connections: u64,
    /// See [`WorkerCounters::introductions_refused`].
    pub introductions_refused: u64,
    /// See [`WorkerCounters::limited`].
    pub limited: u64,
    /// See [`WorkerCounters::connections_limited`].
    pub connections_limited: u64,
    /// See [`WorkerCounters::connections_crowded`].
    pub connections_crowded: u64,
    /// See [`WorkerCounters::log_lines_dropped`].
    pub log_lines_dropped: u64,
}

/// A number that one thread adds to and any may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `by`. Only ever called by one thread.
    pub fn add(&self, by: u64) {
        self.0
            .store(self.0.load(Ordering::Relaxed) + by, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// For `workers` workers, all at zero.
    pub fn new(workers: usize) -> Self {
        Self((0..=workers).map(|_| CachePadded::default()).collect())
    }

    /// Those of the thread that writes the access log, which stand behind the workers'.
    pub fn writer(&self) -> &WorkerCounters {
        &self.0[self.0.len() - 1]
    }

    /// The counters of worker `index`.
    pub fn of(&self, index: usize) -> &WorkerCounters {
        &self.0[index]
    }

    /// Adds all workers up.
    pub fn totals(&self) -> Totals {
        self.0.iter().fold(Totals::default(), |sum, worker| Totals {
            requests: sum.requests + worker.requests.read(),
            refusals: sum.refusals + worker.refusals.read(),
            retries: sum.retries + worker.retries.read(),
            holds: sum.holds + worker.holds.read(),
            sheds: sum.sheds + worker.sheds.read(),
            holds_released: sum.holds_released + worker.holds_released.read(),
            holds_expired: sum.holds_expired + worker.holds_expired.read(),
            holds_refused: sum.holds_refused + worker.holds_refused.read(),
            holds_left: sum.holds_left + worker.holds_left.read(),
            connections: sum.connections + worker.connections.read(),
            introductions_refused: sum.introductions_refused + worker.introductions_refused.read(),
            limited: sum.limited + worker.limited.read(),
            connections_limited: sum.connections_limited + worker.connections_limited.read(),
            connections_crowded: sum.connections_crowded + worker.connections_crowded.read(),
            log_lines_dropped: sum.log_lines_dropped + worker.log_lines_dropped.read(),
        })
    }
}
