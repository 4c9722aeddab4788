//! Requests that wait while no backend can take them: bounded in time and number, called one after the other, in order of
//! arrival, when a place is free.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::error::Refusal;
use super::exchange::Exchange;
use super::queue::Line;
use super::record::Record;
use super::view::View;
use crate::config::Check;
use crate::outcome::Trouble;
use crate::snapshot::Admission;
use crate::worker::Worker;
use crate::zone::ComponentId;

/// Milliseconds until a backend that could not be connected to is tried again by the same request.
const BREATH: u64 = 250;

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

/// How a request's last attempt that had been sent was lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) trouble: Trouble,
    /// Of the attempt. What happened in a zone that was left since is no reason to give the request up in the next one.
    pub(crate) epoch: u64,
    /// Another attempt has been granted.
    pub(crate) granted: bool,
}

/// What a request knows of its own waiting, from the first time that nobody can take it.
#[derive(Default)]
pub(crate) struct Stay {
    /// Its position in the queue; 0 while it has never had to wait.
    ticket: u64,
    /// When its patience ends, in worker milliseconds, awake, like `settled` and `breath`.
    due: Option<u64>,
    /// When the probes must have had their say about its last failure, and that one's epoch.
    settled: Option<(u64, u64)>,
    /// When those that could not be connected to are tried again.
    breath: Option<u64>,
    place: Option<Place>,
    call: Option<Call>,
    /// It was sent once more to those who had lost it.
    repeated: bool,
}

impl Stay {
    /// Whether it has ever had to wait.
    pub(crate) fn has_begun(&self) -> bool {
        self.ticket != 0
    }

    /// A backend of `pool` takes it.
    pub(crate) fn end(&mut self, worker: &Worker, pool: usize) {
        if !self.has_begun() {
            return;
        }
        // About the next attempt, the probes are asked anew.
        self.settled = None;
        if self.place.take().is_some() {
            worker.counters().holds_released.add(1);
        }
        match self.call.take() {
            Some(call) => drop(call),
            // There may be more places than calls: a sibling's go unannounced.
            None => worker.call_next(pool),
        }
    }

    /// It has been at a backend since `sent`, in vain: that was no waiting for one.
    pub(crate) fn resume(&mut self, worker: &Worker, sent: u64) {
        if let Some(due) = &mut self.due {
            *due += worker.awake().saturating_sub(sent);
        }
    }

    /// Waits until another pick is worth it: it was called, or those that `tried` leaves out may be asked again.
    pub(crate) async fn wait(
        &mut self,
        state: &Rc<Exchange>,
        view: Rc<View>,
        pool: usize,
        tried: &mut Vec<ComponentId>,
        failed: Option<Failure>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        let worker = &state.worker;
        record.unserved(&view, pool);
        let before = Arc::clone(&view.snapshot);
        let config = &before.config;
        let too_long = || failed.map_or(Refusal::NoZone, |f| Refusal::Upstream(f.trouble));
        let hold_time = whole_millis(record.hold_time(config));
        let here = failed.filter(|failure| failure.epoch == before.epoch);
        let patience = here.map_or(hold_time, |failure| {
            whole_millis(patience(&config.pools[pool].check, failure.trouble)).min(hold_time)
        });
        if patience == 0 {
            return Err(too_long());
        }
        let due = *self.due.get_or_insert_with(|| {
            worker.counters().holds.add(1);
            worker.awake() + hold_time
        });
        // Kept while it waits, however often it is called in vain: a newcomer must not take it.
        if self.place.is_none() {
            self.place = worker.held().enter(config.failover.hold_requests);
            if self.place.is_none() {
                worker.counters().holds_refused.add(1);
                return Err(Refusal::HoldFull);
            }
        }
        // Both are kept while it waits: being called in between must not put them off.
        let again = if let Some(Failure { epoch, .. }) = here {
            let known = self.settled.filter(|settled| settled.1 == epoch);
            let settled = known.unwrap_or((worker.awake() + patience, epoch));
            self.settled = Some(settled);
            settled.0.min(due)
        } else if tried.is_empty() {
            due
        } else {
            // Those that could not be connected to may only have been out of breath, and the probes see nothing wrong.
            due.min(*self.breath.get_or_insert_with(|| worker.awake() + BREATH))
        };
        let others = view.in_flight(pool);
        // It must not keep the connections of a zone that is left meanwhile.
        drop(view);
        record.hold_begins(Instant::now());
        if self.ticket == 0 {
            self.ticket = worker.queue().ticket();
        }
        if let Some(call) = self.call.take() {
            call.in_vain();
        }
        let line = (pool, !tried.is_empty());
        let limits = Limits {
            again,
            due,
            epoch: here.map(|failure| failure.epoch),
        };
        self.call = wait(state, line, self.ticket, limits, others).await;
        record.held();
        if self.call.is_none() && (here.is_some() || worker.awake() >= due) {
            let granted = here.is_some_and(|failure| failure.granted) && worker.awake() < due;
            if granted && !std::mem::replace(&mut self.repeated, true) {
                // The probes find nothing wrong, so it may have been the connection alone. Once, since it may as well be the request
                // that breaks its backend, each time that one has come back.
                tried.clear();
                return Ok(());
            }
            worker.counters().holds_expired.add(1);
            return Err(too_long());
        }
        let breath_taken = here.is_none() && again < due && worker.awake() >= again;
        if breath_taken || !worker.view().snapshot.offers_the_same(&before) {
            // Whoever failed before the change may be the only one to ask after it.
            tried.clear();
            self.breath = None;
        }
        Ok(())
    }
}

/// How long a request that was lost after it had been sent waits for a flip: until the probes must have had their say. If they find
/// nothing wrong, the request itself may be what breaks its backend, so that it is sent there no more than once again.
fn patience(check: &Check, trouble: Trouble) -> Duration {
    match trouble {
        Trouble::Reset | Trouble::Connect | Trouble::ConnectTimeout | Trouble::Handshake => {
            (check.timeout + check.confirm_interval) * check.fall.get()
        }
        // A backend that answers, if badly, answers its probes at once.
        Trouble::ServerError => check.confirm_interval * (check.fall.get() + 2),
        // The probes have had all of that time already.
        Trouble::ResponseTimeout | Trouble::Protocol => Duration::ZERO,
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

/// How long a request waits to be called, in worker milliseconds, awake.
struct Limits {
    /// After that it has another look.
    again: u64,
    /// After that it has waited as long as it may.
    due: u64,
    /// It waits for a flip away from the zone that was active under that epoch: once there is one, or one has begun, only for its turn.
    epoch: Option<u64>,
}

impl Limits {
    fn has_flipped(&self, worker: &Worker) -> bool {
        self.epoch.is_some_and(|epoch| {
            let snapshot = &worker.view().snapshot;
            snapshot.epoch != epoch || snapshot.admission == Admission::Hold
        })
    }
}

/// Waits in `line`, while `others` are in flight, until it is called; `None`: nobody has called until the limit.
async fn wait(
    state: &Rc<Exchange>,
    line: Line,
    ticket: u64,
    mut limits: Limits,
    others: u32,
) -> Option<Call> {
    let worker = &state.worker;
    // Not woken by a new snapshot: a thousand that look for themselves would all go at once, and in any order.
    state.wait_for_call(limits.again);
    worker.queue().enter(line, ticket, state, others);
    let mut position = Position {
        state,
        line,
        ticket,
        waits: true,
    };
    // No waker is registered here: the worker wakes this connection's task, which polls us.
    let called = poll_fn(|_| {
        // Looked at first: whoever takes a new snapshot over may call this very request.
        if worker.awake() >= limits.again && limits.again < limits.due && limits.has_flipped(worker)
        {
            limits.again = limits.due;
            state.put_off(limits.due);
        }
        if state.was_called() {
            Poll::Ready(true)
        } else if worker.awake() >= limits.again {
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
    state: &'a Exchange,
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
struct Call {
    state: Rc<Exchange>,
    pool: usize,
    over: bool,
}

impl Call {
    /// There was none: it goes back to its position, and the next one would find none either.
    fn in_vain(mut self) {
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
