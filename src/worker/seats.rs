//! Who is served on this worker: its connections, and the requests on them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use slab::Slab;

use super::Worker;
use crate::proxy::client::downstream::Downstream;
use crate::proxy::request::exchange::Exchange;

/// How many are looked at with one tick, where all together would keep those waiting who have something to ask.
const PORTION: usize = 1000;

/// Ticks within which everybody is looked at, however many there are: a second.
const LONGEST_ROUND: usize = 20;

/// Those of one kind, by a small index.
pub(super) struct Seats<T> {
    all: RefCell<Slab<Rc<T>>>,
    /// Where [`Self::portion`] goes on.
    next: Cell<usize>,
}

impl<T> Default for Seats<T> {
    fn default() -> Self {
        Self {
            all: RefCell::default(),
            next: Cell::new(0),
        }
    }
}

impl<T> Seats<T> {
    /// The same as [`Self::each`] for some of them, and the next time for those who come after. Whether a round has come to its end:
    /// with up to [`PORTION`] of them each time, and at the latest after [`LONGEST_ROUND`] times.
    pub(super) fn portion(&self, mut tell: impl FnMut(&Rc<T>)) -> bool {
        let all = self.all.borrow();
        let from = self.next.get();
        let portion = all.len().div_ceil(LONGEST_ROUND).max(PORTION);
        let mut told = 0;
        for seat in from..all.capacity() {
            let Some(one) = all.get(seat) else { continue };
            if told == portion {
                self.next.set(seat);
                return false;
            }
            tell(one);
            told += 1;
        }
        self.next.set(0);
        true
    }

    /// Tells each of them something, which must not make anybody come or leave at once.
    pub(super) fn each(&self, mut tell: impl FnMut(&T)) {
        for (_, one) in &*self.all.borrow() {
            tell(one);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.borrow().len()
    }

    fn take(&self, one: &Rc<T>) -> usize {
        self.all.borrow_mut().insert(Rc::clone(one))
    }

    fn give_up(&self, seat: usize) {
        // The runtime may be dropping its tasks while `end_all` still looks at the seats.
        let seats = self.all.try_borrow_mut().ok();
        let _last = seats.and_then(|mut seats| seats.try_remove(seat));
    }
}

impl Worker {
    /// Whether nobody is served.
    pub(super) fn is_empty(&self) -> bool {
        self.downstreams.len() + self.exchanges.len() == 0
    }

    /// Lets a connection be served on this thread, and calls `gone` at its end. A panic in it ends it, and nothing else.
    pub(crate) fn admit(
        self: &Rc<Self>,
        state: &Rc<Downstream>,
        serving: impl Future<Output = ()> + 'static,
        gone: impl FnOnce() + 'static,
    ) {
        let leaving = Leaving {
            worker: Rc::clone(self),
            seat: self.downstreams.take(state),
            gone: Some(gone),
        };
        tokio::task::spawn_local(async move {
            let _leaving = leaving;
            serving.await;
        });
    }

    /// Gives a task that serves streams its place. It lives from one stream to the next, and ends at the latest with this thread.
    pub(crate) fn employ(&self, attending: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(attending);
    }

    /// Looks at the clock of `state` until the returned guard is dropped.
    pub(crate) fn attend(self: &Rc<Self>, state: &Rc<Exchange>) -> Attended {
        Attended {
            worker: Rc::clone(self),
            seat: self.exchanges.take(state),
        }
    }
}

/// Gives up a connection's seat, also when its task panics.
struct Leaving<F: FnOnce()> {
    worker: Rc<Worker>,
    seat: usize,
    gone: Option<F>,
}

impl<F: FnOnce()> Drop for Leaving<F> {
    fn drop(&mut self) {
        self.worker.downstreams.give_up(self.seat);
        self.worker.ended.notify_one();
        if let Some(gone) = self.gone.take() {
            gone();
        }
    }
}

/// The seat of a request.
pub(crate) struct Attended {
    worker: Rc<Worker>,
    seat: usize,
}

impl Drop for Attended {
    fn drop(&mut self) {
        self.worker.exchanges.give_up(self.seat);
        if self.worker.is_draining() {
            self.worker.ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_of_a_portion(seats: &Seats<usize>) -> (Vec<usize>, bool) {
        let mut told = Vec::new();
        let was_last = seats.portion(|one| told.push(**one));
        (told, was_last)
    }

    #[test]
    fn those_of_a_few_are_all_looked_at_each_time() {
        let seats = Seats::default();
        for one in 0..PORTION {
            seats.take(&Rc::new(one));
        }
        for _ in 0..3 {
            assert_eq!(all_of_a_portion(&seats), ((0..PORTION).collect(), true));
        }
    }

    #[test]
    fn those_of_a_crowd_are_each_looked_at_once_in_a_round() {
        let seats = Seats::default();
        let crowd = LONGEST_ROUND * PORTION * 3;
        for one in 0..crowd {
            seats.take(&Rc::new(one));
        }
        for _ in 0..2 {
            let mut round = Vec::new();
            for tick in 1..=LONGEST_ROUND {
                let (told, was_last) = all_of_a_portion(&seats);
                assert_eq!(told.len(), PORTION * 3);
                assert_eq!(was_last, tick == LONGEST_ROUND);
                round.extend(told);
            }
            assert_eq!(round, (0..crowd).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_leaves_and_comes_within_a_round_confuses_nobody() {
        let seats = Seats::default();
        for one in 0..PORTION * 3 {
            seats.take(&Rc::new(one));
        }
        assert_eq!(all_of_a_portion(&seats), ((0..PORTION).collect(), false));
        // The one that would be next, and all behind: the rest of the round has fewer.
        for seat in [PORTION].into_iter().chain(PORTION * 2..PORTION * 3) {
            seats.give_up(seat);
        }
        let rest = (PORTION + 1..PORTION * 2).collect();
        assert_eq!(all_of_a_portion(&seats), (rest, true));
        for seat in 0..PORTION * 2 {
            seats.give_up(seat);
        }
        assert_eq!(all_of_a_portion(&seats), (Vec::new(), true));
        seats.take(&Rc::new(7));
        assert_eq!(all_of_a_portion(&seats), (vec![7], true));
    }
}
