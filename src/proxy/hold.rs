//! Requests that wait while no backend can take them: bounded in time and number, called one after the other, in order of
//! arrival, when a place is free.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use super::downstream::Downstream;
use super::queue::Line;
use crate::config::Check;
use crate::outcome::Trouble;

/// Milliseconds until a backend that could not be connected to is tried again by the same request.
pub(crate) const BREATH: u64 = 250;

/// How many requests wait, over all workers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<AtomicUsize>);

impl Held {
    /// How many wait now.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// The number itself, for whoever shows it.
    pub(crate) fn counter(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// A place to wait, unless `room` are taken.
    pub(crate) fn enter(&self, room: usize) -> Option<Place> {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(&self.0));
        (before < room).then_some(place)
    }
}

/// One request's place among those that wait.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How long a request waits while nobody can take it, in milliseconds. One that was lost after it had been sent waits only until
/// the probes must have had their say: if they find nothing wrong, the request itself may be what breaks its backend.
pub(crate) fn patience(hold_time: Duration, check: &Check, failed: Option<Trouble>) -> u64 {
    let settled = (check.timeout + check.confirm_interval) * check.fall.get();
    let patience = match failed {
        None => hold_time,
        Some(Trouble::Reset | Trouble::Connect | Trouble::ConnectTimeout) => hold_time.min(settled),
        // A backend that answers, if badly, answers its probes at once.
        Some(Trouble::ServerError) => {
            hold_time.min(check.confirm_interval * (check.fall.get() + 2))
        }
        // The probes have had all of that time already.
        Some(Trouble::ResponseTimeout | Trouble::Protocol) => Duration::ZERO,
    };
    u64::try_from(patience.as_millis()).unwrap_or(u64::MAX / 4)
}

/// Waits in `line` until it is called; `None`: nobody has called until `due` (worker milliseconds).
pub(crate) async fn wait(
    state: &Rc<Downstream>,
    line: Line,
    ticket: u64,
    due: u64,
) -> Option<Call> {
    let worker = &state.worker;
    // Not woken by a new snapshot: a thousand that look for themselves would all go at once, and in any order.
    state.wait_for_call(due);
    worker.queue().enter(line, ticket, state);
    let mut position = Position {
        state,
        line,
        ticket,
        waits: true,
    };
    // No waker is registered here: the worker wakes this connection's task, which polls us.
    let called = poll_fn(|_| {
        if state.was_called() {
            Poll::Ready(true)
        } else if worker.now() >= due {
            Poll::Ready(false)
        } else {
            Poll::Pending
        }
    })
    .await;
    position.waits = false;
    drop(position);
    state.wait_no_more();
    called.then(|| Call {
        state: Rc::clone(state),
        pool: line.0,
        over: false,
    })
}

/// A position in the queue, left when dropped.
struct Position<'a> {
    state: &'a Downstream,
    line: Line,
    ticket: u64,
    /// It is not over yet: who drops it now drops the whole request.
    waits: bool,
}

impl Drop for Position<'_> {
    fn drop(&mut self) {
        let worker = &self.state.worker;
        worker.queue().leave(self.line, self.ticket);
        if self.waits {
            worker.counters().holds_left.add(1);
        }
        if self.state.was_called() {
            // It was called and has left instead, as its client may do: the place is the next one's.
            worker.queue().answered(self.line.0);
            worker.call_next(self.line.0);
        }
    }
}

/// A request has been called, and has not found out yet whether there is a place for it. Dropped: the next one is called.
pub(crate) struct Call {
    state: Rc<Downstream>,
    pool: usize,
    over: bool,
}

impl Call {
    /// There was none: it goes back to its position, and the next one would find none either.
    pub(crate) fn in_vain(mut self) {
        self.over = true;
        self.state.worker.queue().answered(self.pool);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.over {
            self.state.worker.queue().answered(self.pool);
            self.state.worker.call_next(self.pool);
        }
    }
}
