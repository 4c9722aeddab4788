//! What is counted of requests, by zone and pool: how they ended, and how long they took.
//!
//! Each worker counts in cells of its own, by plain additions; whoever wants to know adds them up. A pool's cells are looked up by name
//! once for each new configuration, never for a request. They live as long as the process, whatever reloads do, so that no count
//! ever goes back. Names come from the configuration only: a client can't make a new one.

mod codes;
mod spread;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_utils::CachePadded;

use super::counters::Counter;
use codes::Codes;
use spread::Bins;

pub use codes::{Answers, Code};
pub use spread::Spread;

/// The requests of every pool in every zone, over all workers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    workers: usize,
    /// Locked when there is a new snapshot, and when somebody wants to know; by no request.
    pools: Mutex<BTreeMap<PoolKey, Arc<PoolMeter>>>,
}

/// One pool in one zone. Without a name of its own, it stands for requests that no backend was found for: the zone's is empty then, and
/// the pool's too where not even that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolKey {
    /// The zone's name.
    pub zone: Arc<str>,
    /// The pool's name.
    pub pool: Arc<str>,
}

/// The requests of one pool in one zone, or of those that belong to none.
#[derive(Debug)]
pub struct PoolMeter(Box<[CachePadded<Cell>]>);

/// One worker's counts. Only that worker writes.
#[derive(Debug, Default)]
pub struct Cell {
    codes: Codes,
    broken: Counter,
    durations: Bins,
}

/// What has been counted of one pool in one zone; never goes back.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// How requests ended.
    pub answers: Answers,
    /// Responses that broke off on the backend's side, though their status was none of an error.
    pub broken: u64,
    /// How long requests took, tunnels aside.
    pub durations: Spread,
}

impl Meter {
    /// For `workers` workers, with nothing counted.
    pub fn new(workers: usize) -> Self {
        Self(Arc::new(Shared {
            workers,
            pools: Mutex::default(),
        }))
    }

    /// The cells of one pool in one zone.
    pub fn of(&self, zone: &Arc<str>, pool: &Arc<str>) -> Arc<PoolMeter> {
        let key = PoolKey {
            zone: Arc::clone(zone),
            pool: Arc::clone(pool),
        };
        let mut pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(PoolMeter::new(self.0.workers));
        Arc::clone(pools.entry(key).or_insert_with(new))
    }

    /// The cells of requests for `pool` that found no backend; of those without even a pool, where its name is empty.
    pub fn of_none(&self, pool: &Arc<str>) -> Arc<PoolMeter> {
        self.of(&Arc::from(""), pool)
    }

    /// All that has been counted, by names.
    pub fn sums(&self) -> Vec<(PoolKey, Sum)> {
        let pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<_> = pools
            .iter()
            .map(|(key, meter)| (key.clone(), Arc::clone(meter)))
            .collect();
        drop(pools);
        known
            .into_iter()
            .map(|(key, meter)| (key, meter.sum()))
            .collect()
    }

    /// Requests that have ended, of all pools and of none.
    pub fn requests(&self) -> u64 {
        self.sums().iter().map(|(_, sum)| sum.answers.total()).sum()
    }
}

impl PoolMeter {
    fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| CachePadded::default()).collect())
    }

    /// The cell of worker `index`.
    pub fn cell(&self, index: usize) -> &Cell {
        &self.0[index]
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for cell in &self.0 {
            cell.codes.add_to(&mut sum.answers);
            cell.durations.add_to(&mut sum.durations);
            sum.broken += cell.broken.read();
        }
        sum
    }
}

impl Cell {
    /// A request has ended, by the worker itself only: with this status, 0 if it got no response; `broken`: on the backend's side.
    pub fn count(&self, status: u16, broken: bool) {
        self.codes.count(status);
        if broken && status < 500 {
            self.broken.add(1);
        }
    }

    /// How long it took, in microseconds; by the worker itself only.
    pub fn took(&self, micros: u64) {
        self.durations.count(micros);
    }
}

impl Sum {
    /// Requests that went wrong: a status of 500 or above, or a response that broke off.
    pub fn errors(&self) -> u64 {
        self.answers.server_errors() + self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_worker_counts_is_summed_under_its_names_and_looking_up_again_forgets_nothing() {
        let meter = Meter::new(2);
        let (zone, pool): (Arc<str>, Arc<str>) = ("fz-1".into(), "hq".into());
        for (worker, status) in [(0, 200), (1, 200), (1, 503)] {
            let cells = meter.of(&zone, &pool);
            cells.cell(worker).count(status, false);
            cells.cell(worker).took(2000);
        }
        meter.of(&zone, &pool).cell(0).count(200, true);
        meter.of_none(&"".into()).cell(0).count(404, false);
        let sums = meter.sums();
        let names: Vec<_> = sums
            .iter()
            .map(|(key, _)| (&*key.zone, &*key.pool))
            .collect();
        assert_eq!(names, [("", ""), ("fz-1", "hq")]);
        let sum = &sums[1].1;
        assert_eq!((sum.answers.total(), sum.errors()), (4, 2));
        assert_eq!(sum.durations.count(), 3);
        assert_eq!(meter.requests(), 5);
    }

    #[test]
    fn a_broken_response_with_an_error_status_is_one_error() {
        let meter = Meter::new(1);
        let cells = meter.of_none(&"".into());
        cells.cell(0).count(502, true);
        assert_eq!(meter.sums()[0].1.errors(), 1);
    }
}
