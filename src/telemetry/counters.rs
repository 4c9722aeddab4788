//! Counters: a padded cell per worker, added up by whoever asks. They live as long as the process, so that a reload keeps them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::reason::{Reason, Retry};

/// All workers' counters, and the access log's own.
#[derive(Clone, Debug)]
pub struct Counters(Arc<[CachePadded<WorkerCounters>]>);

/// One worker's counters. Only that worker writes them, so that an addition is a plain load and store.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Answers that firedoor made itself, by [`Reason`].
    pub refusals: [Counter; Reason::ALL.len()],
    /// Attempts after the first, by [`Retry`].
    pub retries: [Counter; Retry::ALL.len()],
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
    /// Connections of clients that wait for a request, as of the last tick.
    pub downstream_idle: Level,
    /// ... and all others of clients.
    pub downstream_active: Level,
    /// Connections to backends that are kept for later.
    pub upstream_idle: Level,
    /// ... and all others to backends, tunnels among them.
    pub upstream_active: Level,
    /// Which epoch's first response of a backend came last, and when, in microseconds since the process started.
    pub first_response: (Level, Level),
}

/// What all workers have counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// See [`WorkerCounters::refusals`].
    pub refusals: [u64; Reason::ALL.len()],
    /// See [`WorkerCounters::retries`].
    pub retries: [u64; Retry::ALL.len()],
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
    /// Connections of clients, idle and active.
    pub downstream: [u64; 2],
    /// Connections to backends, idle and active.
    pub upstream: [u64; 2],
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

    /// By anybody.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that one thread sets and any may read.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    /// Only ever called by one thread. Whoever reads it sees what that thread did before.
    pub fn set(&self, level: u64) {
        self.0.store(level, Ordering::Release);
    }

    /// By anybody.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl WorkerCounters {
    /// firedoor has answered by itself.
    pub fn refused(&self, reason: Reason) {
        self.refusals[reason as usize].add(1);
    }

    /// Another attempt has begun.
    pub fn retried(&self, retry: Retry) {
        self.retries[retry as usize].add(1);
    }

    /// The first response of a backend in `epoch` has come, `micros` after the process started.
    pub fn first_response(&self, epoch: u64, micros: u64) {
        // In this order: who sees the epoch sees its time.
        self.first_response.1.set(micros);
        self.first_response.0.set(epoch);
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
            refusals: added(sum.refusals, &worker.refusals),
            retries: added(sum.retries, &worker.retries),
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
            downstream: [
                sum.downstream[0] + worker.downstream_idle.read(),
                sum.downstream[1] + worker.downstream_active.read(),
            ],
            upstream: [
                sum.upstream[0] + worker.upstream_idle.read(),
                sum.upstream[1] + worker.upstream_active.read(),
            ],
        })
    }

    /// When the first response of a backend in `epoch` came to any worker, in microseconds since the process started.
    pub fn first_response(&self, epoch: u64) -> Option<u64> {
        let workers = self.0.iter().map(|worker| &worker.first_response);
        let those = workers.filter(|(of, _)| of.read() == epoch);
        those.map(|(_, micros)| micros.read()).min()
    }
}

fn added<const N: usize>(sum: [u64; N], more: &[Counter; N]) -> [u64; N] {
    std::array::from_fn(|at| sum[at] + more[at].read())
}
