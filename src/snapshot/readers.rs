//! How far the readers have come: which snapshot each worker routes by. So that a planned flip can know, and not guess, when
//! nobody counts a request by an older one any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// In the place of a generation: that worker does not read (yet, or any more).
const NOBODY: u64 = u64::MAX;

/// A generation per worker, which only that worker writes.
#[derive(Clone, Debug)]
pub(super) struct Readers(Arc<[CachePadded<AtomicU64>]>);

impl Readers {
    pub(super) fn new(workers: usize) -> Self {
        let nobody = || CachePadded::new(AtomicU64::new(NOBODY));
        Self((0..workers).map(|_| nobody()).collect())
    }

    /// What `worker` does from now on, it does by `generation`. `Release`: whoever sees this sees also all that the worker has
    /// counted by the one before.
    pub(super) fn reach(&self, worker: usize, generation: u64) {
        self.0[worker].store(generation, Ordering::Release);
    }

    pub(super) fn leave(&self, worker: usize) {
        self.reach(worker, NOBODY);
    }

    /// Whether none is behind `generation`.
    pub(super) fn have_reached(&self, generation: u64) -> bool {
        let mut readers = self.0.iter();
        readers.all(|reader| reader.load(Ordering::Acquire) >= generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_reader_counts_and_one_that_has_left_does_not() {
        let readers = Readers::new(2);
        assert!(readers.have_reached(3), "nobody reads yet");
        readers.reach(0, 3);
        readers.reach(1, 2);
        assert!(!readers.have_reached(3));
        readers.reach(1, 3);
        assert!(readers.have_reached(3));
        assert!(!readers.have_reached(4));
        readers.reach(1, 4);
        readers.leave(0);
        assert!(readers.have_reached(4));
    }
}
