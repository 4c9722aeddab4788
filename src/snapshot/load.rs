//! What the workers count at one backend: a cell per worker, so that counting costs no shared cache line.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crossbeam_utils::CachePadded;

use super::KeepAlive;
use crate::outcome::Ending;

/// Requests in flight, requests, failures and signs of life at one backend. Lives as long as the backend's identity, across snapshots and
/// reloads.
#[derive(Debug)]
pub struct BackendLoad {
    per_worker: Box<[CachePadded<Cell>]>,
    /// Whether it keeps connections.
    pub keep_alive: KeepAlive,
}

/// One worker's counts. Only that worker writes, so a load and a store are enough: an atomic addition would lock the bus
/// for nothing.
#[derive(Debug, Default)]
struct Cell {
    in_flight: AtomicU32,
    requests: AtomicU64,
    failures: AtomicU64,
    server_errors: AtomicU64,
    trial_requests: AtomicU64,
    trial_failures: AtomicU64,
    heard_at: AtomicU64,
}

/// Sums since the backend appeared; never go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that the backend failed, cut off or stalled.
    pub failures: u64,
    /// Those of the failures that were complete responses of the application.
    pub server_errors: u64,
    /// Those of the requests that took part in a trial.
    pub trial_requests: u64,
    /// Those of them that failed.
    pub trial_failures: u64,
}

impl BackendLoad {
    /// For `workers` workers, all at zero.
    pub fn new(workers: usize) -> Self {
        Self {
            per_worker: (0..workers).map(|_| CachePadded::default()).collect(),
            keep_alive: KeepAlive::default(),
        }
    }

    /// Counts one more in flight, by the worker itself only.
    pub fn enter(&self, worker: usize) {
        let cell = &self.per_worker[worker].in_flight;
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// As [`Self::enter`], but steps back and says `false` if more than `max` would be in flight over all workers.
    pub fn enter_within(&self, worker: usize, max: u32) -> bool {
        // Counted first and compared afterwards: of two workers that take the last place at once, at least one steps back.
        self.enter(worker);
        // Without this fence each of them may read the other's cell before its own count can be seen there.
        fence(Ordering::SeqCst);
        let fits = self.in_flight() <= max;
        if !fits {
            self.leave(worker);
        }
        fits
    }

    /// Counts one less in flight, by the worker itself only.
    pub fn leave(&self, worker: usize) {
        let cell = &self.per_worker[worker].in_flight;
        cell.store(cell.load(Ordering::Relaxed) - 1, Ordering::Release);
    }

    /// Counts one request that ended, by the worker itself only.
    pub fn count(&self, worker: usize, ending: Ending, on_trial: bool) {
        let cell = &*self.per_worker[worker];
        increment(&cell.requests);
        if on_trial {
            increment(&cell.trial_requests);
        }
        if ending == Ending::Well {
            return;
        }
        increment(&cell.failures);
        if ending == Ending::ServerError {
            increment(&cell.server_errors);
        }
        if on_trial {
            increment(&cell.trial_failures);
        }
    }

    /// Something has come from it, at `now` (process milliseconds); by the worker itself only.
    pub fn heard(&self, worker: usize, now: u64) {
        self.per_worker[worker]
            .heard_at
            .store(now, Ordering::Relaxed);
    }

    /// When something last came from it, over all workers; 0 if nothing ever did.
    pub fn heard_at(&self) -> u64 {
        let cells = self.per_worker.iter();
        let times = cells.map(|cell| cell.heard_at.load(Ordering::Relaxed));
        times.max().unwrap_or(0)
    }

    /// In flight over all workers.
    pub fn in_flight(&self) -> u32 {
        self.per_worker
            .iter()
            .map(|cell| cell.in_flight.load(Ordering::Acquire))
            .sum()
    }

    /// Ended over all workers.
    pub fn totals(&self) -> Totals {
        self.per_worker
            .iter()
            .fold(Totals::default(), |sum, cell| Totals {
                requests: sum.requests + cell.requests.load(Ordering::Relaxed),
                failures: sum.failures + cell.failures.load(Ordering::Relaxed),
                server_errors: sum.server_errors + cell.server_errors.load(Ordering::Relaxed),
                trial_requests: sum.trial_requests + cell.trial_requests.load(Ordering::Relaxed),
                trial_failures: sum.trial_failures + cell.trial_failures.load(Ordering::Relaxed),
            })
    }
}

/// By the one worker whose cell it is.
fn increment(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_never_both_take_the_last_place() {
        let load = BackendLoad::new(2);
        let inside = AtomicU32::new(0);
        let most = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for worker in 0..2 {
                let (load, inside, most) = (&load, &inside, &most);
                scope.spawn(move || {
                    for _ in 0..300_000 {
                        if load.enter_within(worker, 1) {
                            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                            most.fetch_max(now, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            load.leave(worker);
                        }
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
        assert_eq!(load.in_flight(), 0);
    }

    #[test]
    fn what_each_worker_counts_is_summed() {
        let load = BackendLoad::new(2);
        load.enter(0);
        load.enter(1);
        load.enter(1);
        load.leave(0);
        load.count(0, Ending::Well, true);
        load.count(1, Ending::Broken, true);
        load.count(1, Ending::ServerError, false);
        assert_eq!(load.in_flight(), 2);
        let both = Totals {
            requests: 3,
            failures: 2,
            server_errors: 1,
            trial_requests: 2,
            trial_failures: 1,
        };
        assert_eq!(load.totals(), both);
        assert_eq!(load.heard_at(), 0);
        load.heard(0, 120);
        load.heard(1, 70);
        assert_eq!(load.heard_at(), 120);
    }
}
