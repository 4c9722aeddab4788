//! Who is served on this worker: its connections, and the requests on them.

use std::cell::RefCell;
use std::rc::Rc;

use slab::Slab;

use super::Worker;
use crate::proxy::client::downstream::Downstream;
use crate::proxy::request::exchange::Exchange;

/// Those of one kind, by a small index.
pub(super) struct Seats<T>(RefCell<Slab<Rc<T>>>);

impl<T> Default for Seats<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> Seats<T> {
    /// Tells each of them something, which must not make anybody come or leave at once.
    pub(super) fn each(&self, mut tell: impl FnMut(&T)) {
        for (_, one) in &*self.0.borrow() {
            tell(one);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn take(&self, one: &Rc<T>) -> usize {
        self.0.borrow_mut().insert(Rc::clone(one))
    }

    fn give_up(&self, seat: usize) {
        // The runtime may be dropping its tasks while `end_all` still looks at the seats.
        let seats = self.0.try_borrow_mut().ok();
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
