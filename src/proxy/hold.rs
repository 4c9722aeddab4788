//! Requests that wait while no backend can take them: bounded in time and number, woken by a new snapshot or a free place.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use super::downstream::Downstream;

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

/// The requests of one worker that wait, line by line and in order of arrival. A request that is called and finds no place after
/// all comes back to its old position.
#[derive(Default)]
pub(crate) struct Queue {
    lines: BTreeMap<Line, BTreeMap<u64, Rc<Downstream>>>,
    tickets: u64,
}

/// A pool's index, and whether some of its backends don't count for those who wait here, since they have failed them already: what
/// keeps such a request waiting must not keep the others.
type Line = (usize, bool);

impl Queue {
    /// A position behind all others; never 0.
    pub(crate) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// A place has become free in `pool`: calls who has waited longest for it.
    pub(crate) fn call_first(&mut self, pool: usize) {
        for (_, waiting) in self.lines.range_mut((pool, false)..=(pool, true)) {
            if let Some((_, called)) = waiting.pop_first() {
                called.call();
            }
        }
    }

    /// Places may have become free anywhere.
    pub(crate) fn call_first_of_each(&mut self) {
        for waiting in self.lines.values_mut() {
            if let Some((_, called)) = waiting.pop_first() {
                called.call();
            }
        }
    }

    fn enter(&mut self, line: Line, ticket: u64, state: &Rc<Downstream>) {
        let waiting = self.lines.entry(line).or_default();
        waiting.insert(ticket, Rc::clone(state));
    }

    fn leave(&mut self, line: Line, ticket: u64) {
        if let Entry::Occupied(mut waiting) = self.lines.entry(line) {
            waiting.get_mut().remove(&ticket);
            if waiting.get().is_empty() {
                waiting.remove();
            }
        }
    }
}

/// A position in the queue, left when dropped.
struct Position<'a> {
    state: &'a Downstream,
    line: Line,
    ticket: u64,
}

impl Drop for Position<'_> {
    fn drop(&mut self) {
        let mut queue = self.state.worker.queue();
        queue.leave(self.line, self.ticket);
        if self.state.was_called() {
            // It was called and has left instead, as its client may do: the place is the next one's.
            queue.call_first(self.line.0);
        }
    }
}

/// Waits in `line` until a place has become free, until the snapshot is another one than `generation`, or until
/// `due` (worker milliseconds; then `false`).
pub(crate) async fn wait(
    state: &Rc<Downstream>,
    line: Line,
    ticket: u64,
    generation: u64,
    due: u64,
) -> bool {
    let worker = &state.worker;
    state.wait_until(due);
    worker.queue().enter(line, ticket, state);
    let position = Position {
        state,
        line,
        ticket,
    };
    // No waker is registered here: the worker wakes this connection's task, which polls us.
    let changed = poll_fn(|_| {
        if state.was_called() || worker.view().snapshot.generation != generation {
            Poll::Ready(true)
        } else if worker.now() >= due {
            Poll::Ready(false)
        } else {
            Poll::Pending
        }
    })
    .await;
    drop(position);
    state.wait_no_more();
    changed
}
