//! A worker: one thread, one `current_thread` runtime, and everything that requests on it share: connections to backends,
//! clock, retry budget, log buffer. Nothing here is shared with another worker, so nothing here is locked.

mod carrier;
mod census;
mod clock;
mod complaint;
pub mod crew;
mod doorkeeper;
mod lines;
mod prewarm;
mod release;
mod seats;
mod silence;
mod spans;
mod turnstile;
mod wakeups;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Cache};
use http::HeaderValue;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::config::Limits;
use crate::outcome::{Observation, Sign, Trouble};
use crate::proxy::backend::connections::Connection;
use crate::proxy::backend::upstream::Upstream;
use crate::proxy::client::challenge::Challenges;
use crate::proxy::client::downstream::Downstream;
use crate::proxy::client::handshake;
use crate::proxy::client::session::attendant;
use crate::proxy::request::exchange::Exchange;
use crate::proxy::request::hold::Held;
use crate::proxy::request::queue::Queue;
use crate::proxy::request::retry::Budget;
use crate::proxy::request::view::View;
use crate::snapshot::Snapshot;
use crate::telemetry::access_log::Batch;
use crate::telemetry::counters::WorkerCounters;
use crate::telemetry::meter::PoolMeter;
use crate::telemetry::trace::otlp::Span;

use census::Census;
use clock::Clock;
use complaint::Complaints;
use crew::{Order, Parts};
use doorkeeper::Doorkeeper;
use seats::Seats;
use turnstile::Turnstile;
use wakeups::Wakeups;

pub(crate) use census::Open;
pub(crate) use clock::{millis, new_turn};
pub(crate) use seats::Attended;
pub(crate) use turnstile::Turn;

/// How often deadlines are compared with the clock. All of them are late by up to this much, those of clients' connections by up to
/// a second where a worker has many thousands of them.
pub const TICK: Duration = Duration::from_millis(50);

/// See the module's promise.
pub(crate) struct Worker {
    index: usize,
    clock: Clock,
    /// What the calendar said at its beginning, in microseconds since 1970.
    origin: Cell<i64>,
    cache: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    view: RefCell<Rc<View>>,
    /// Where requests are counted that belong to no pool.
    unrouted: Arc<PoolMeter>,
    /// There was a flip, and no backend has answered since.
    awaits_response: Cell<bool>,
    /// Connections to backends, in use or not.
    open: Rc<Cell<u64>>,
    downstreams: Seats<Downstream>,
    exchanges: Seats<Exchange>,
    census: RefCell<Census>,
    wakeups: Wakeups<Downstream>,
    attendants: attendant::Idle,
    date: RefCell<(u64, HeaderValue)>,
    queue: RefCell<Queue>,
    budget: RefCell<Budget>,
    log: RefCell<Batch>,
    spans: RefCell<Vec<Span>>,
    complaints: Complaints,
    /// Places for TLS handshakes.
    handshakes: Semaphore,
    turnstile: Turnstile,
    draining: Cell<bool>,
    /// Told when a connection has ended.
    ended: Notify,
    parts: Parts,
}

impl Worker {
    fn new(index: usize, parts: Parts) -> Rc<Self> {
        let snapshot = parts.subscriber.current();
        parts.subscriber.reach(index, snapshot.generation);
        let budget = Budget::new(snapshot.config.upstream.retry_budget);
        let started = parts.started;
        let shared = (&parts.demands, &parts.meter);
        let worker = Rc::new(Self {
            index,
            clock: Clock::since(started),
            origin: Cell::new(0),
            cache: RefCell::new(parts.subscriber.cache()),
            view: RefCell::new(Rc::new(View::new(snapshot, None, shared, started))),
            unrouted: parts.meter.of_none(&Arc::from("")),
            awaits_response: Cell::new(false),
            open: Rc::default(),
            downstreams: Seats::default(),
            exchanges: Seats::default(),
            census: RefCell::default(),
            wakeups: Wakeups::default(),
            attendants: attendant::Idle::default(),
            date: RefCell::new((0, HeaderValue::from_static(""))),
            queue: RefCell::default(),
            budget: RefCell::new(budget),
            log: RefCell::default(),
            spans: RefCell::default(),
            complaints: Complaints::default(),
            handshakes: Semaphore::new(handshake::MOST),
            turnstile: Turnstile::default(),
            draining: Cell::new(false),
            ended: Notify::new(),
            parts,
        });
        worker.look_at_calendar();
        worker
    }

    // === the worker's own life

    async fn run(self: Rc<Self>, mut orders: mpsc::UnboundedReceiver<Order>) {
        let worker = Rc::clone(&self);
        tokio::task::spawn_local(async move { worker.turnstile.attend().await });
        let worker = Rc::clone(&self);
        tokio::task::spawn_local(async move { worker.wakeups.attend(Downstream::wake_up).await });
        let mut doorkeepers: HashMap<SocketAddr, Doorkeeper> = HashMap::new();
        let mut subscriber = self.parts.subscriber.clone();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut deadline: Option<Instant> = None;
        let mut listening: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => listening = self.sweep(),
                () = silence::until(listening) => {
                    self.tick();
                    listening = self.listen();
                }
                changed = subscriber.changed() => match changed {
                    Ok(()) => self.snapshot_changed(),
                    // The monitor ends last; without it there is nothing to route by.
                    Err(_) => break,
                },
                order = orders.recv() => match order {
                    Some(Order::Listen(socket, door)) => {
                        let bind = door.bind;
                        match tokio::net::TcpListener::from_std(socket) {
                            Ok(listener) => {
                                doorkeepers.insert(bind, Doorkeeper::new(&self, listener, door));
                            }
                            Err(error) => tracing::error!(%error, "a listener can't be used"),
                        }
                    }
                    Some(Order::Unlisten(bind)) => {
                        if let Some(doorkeeper) = doorkeepers.remove(&bind) {
                            doorkeeper.dismiss().await;
                        }
                    }
                    Some(Order::Drain(within)) => {
                        for (_, doorkeeper) in doorkeepers.drain() {
                            doorkeeper.dismiss().await;
                        }
                        deadline = Some(Instant::now() + within);
                        self.begin_drain();
                    }
                    None => break,
                },
                () = self.ended.notified() => {}
            }
            if let Some(deadline) = deadline {
                if self.is_empty() {
                    break;
                }
                if Instant::now() >= deadline {
                    tracing::warn!(
                        worker = self.index,
                        connections = self.downstreams.len(),
                        "the drain's time is over; ending what is left"
                    );
                    self.end_all().await;
                    break;
                }
            }
        }
        self.parts.subscriber.leave(self.index);
        self.flush_log();
        self.flush_spans();
    }

    /// Looks at the clock, and at everything that may be due. When to [`Self::listen`] before the next tick, if at all.
    fn sweep(self: &Rc<Self>) -> Option<Instant> {
        self.tick();
        self.look_at_calendar();
        if self.has_stood_still() {
            return None;
        }
        let now = self.now();
        let crowded = self.handshakes.available_permits() == 0;
        let mut census = self.census.borrow_mut();
        let ticks = census.tick();
        let was_last = self.downstreams.portion(|downstream| {
            if let Some(why) = downstream.sweep(now, ticks, crowded) {
                self.wakeups.join(downstream, why);
            }
            census.meet(downstream);
        });
        if was_last {
            census.publish(self);
        }
        drop(census);
        self.exchanges.each(|exchange| exchange.sweep(now));
        let view = self.view();
        let settings = &view.snapshot.config.upstream;
        let timeout = millis(settings.idle_timeout);
        let limit = millis(settings.connect_timeout);
        let mut unused = 0;
        for upstream in view.upstreams.values() {
            if upstream.idle.len() > 0 {
                if let Some(reason) = upstream.idle.sweep(now, timeout) {
                    upstream.complain_of_nonsense(reason.description(), now);
                }
                upstream.idle.listen(now, upstream.patience(), limit);
                unused += upstream.idle.unused() as u64;
            }
        }
        self.publish_open(unused);
        self.prewarm();
        self.call_waiting();
        self.flush_log();
        self.flush_spans();
        self.listen()
    }

    fn snapshot_changed(self: &Rc<Self>) {
        self.view();
        self.prewarm();
        self.exchanges.each(Exchange::snapshot_changed);
    }

    fn begin_drain(&self) {
        self.draining.set(true);
        self.downstreams.each(Downstream::begin_drain);
        // A tunnel has a look at what is left of its time.
        self.exchanges.each(Exchange::wake);
    }

    /// Lets every task see that its time is over.
    async fn end_all(&self) {
        self.downstreams.each(Downstream::end_now);
        let ended = async {
            while !self.is_empty() {
                self.ended.notified().await;
            }
        };
        let _in_time = tokio::time::timeout(Duration::from_secs(1), ended).await;
    }

    // === what requests ask for

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The current snapshot, digested. One atomic load, unless it has changed.
    pub(crate) fn view(&self) -> Rc<View> {
        let mut cache = self.cache.borrow_mut();
        let snapshot = cache.load();
        let view = self.view.borrow();
        if Arc::ptr_eq(snapshot, &view.snapshot) {
            return Rc::clone(&view);
        }
        let shared = (&self.parts.demands, &self.parts.meter);
        let new = View::new(
            Arc::clone(snapshot),
            Some(&view),
            shared,
            self.parts.started,
        );
        let new = Rc::new(new);
        drop(view);
        self.budget
            .borrow_mut()
            .set_ratio(new.snapshot.config.upstream.retry_budget);
        let old = self.view.replace(Rc::clone(&new));
        let generation = new.snapshot.generation;
        self.parts.subscriber.reach(self.index, generation);
        self.turn(&old, &new);
        new
    }

    /// A limit, of the snapshot that was last looked at: one that is a moment old will do.
    pub(crate) fn limit<T>(&self, which: impl FnOnce(&Limits) -> T) -> T {
        which(self.view.borrow().limits())
    }

    pub(crate) fn counters(&self) -> &WorkerCounters {
        self.parts.counters.of(self.index)
    }

    /// Where requests are counted that belong to no pool.
    pub(crate) fn unrouted(&self) -> &PoolMeter {
        &self.unrouted
    }

    pub(crate) fn held(&self) -> &Held {
        &self.parts.held
    }

    pub(crate) fn idle_attendants(&self) -> &attendant::Idle {
        &self.attendants
    }

    pub(crate) fn challenges(&self) -> &Challenges {
        &self.parts.challenges
    }

    /// A place for each TLS handshake that may be under way at once.
    pub(crate) fn handshakes(&self) -> &Semaphore {
        &self.handshakes
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// How long the long-lived connections of a left zone may go on, in milliseconds: spread, so that not all clients come
    /// back at once.
    pub(crate) fn drain_patience(&self) -> u64 {
        let timeout = millis(self.view().snapshot.config.server.drain_timeout);
        timeout - fastrand::u64(0..=timeout / 5)
    }

    /// Keeps a connection for the next request. Whether it could be kept.
    pub(crate) fn keep(&self, upstream: &Rc<Upstream>, connection: Connection) -> bool {
        let room = self
            .view
            .borrow()
            .snapshot
            .config
            .upstream
            .max_idle_per_worker;
        upstream.idle.push(connection, self.now(), room)
    }

    /// Tells the monitor of trouble with a backend. Never waits: if the monitor is behind, it has news enough.
    pub(crate) fn report(&self, upstream: &Upstream, trouble: Trouble) {
        if upstream.is_news(trouble, self.now()) {
            self.observe(upstream, trouble.into());
        }
    }

    fn observe(&self, upstream: &Upstream, sign: Sign) {
        let _full = self.parts.observations.try_send(Observation {
            component: upstream.id,
            sign,
        });
    }

    /// Counts a request for the retry budget.
    pub(crate) fn count_request(&self) {
        self.budget.borrow_mut().request(self.now() / 1000);
    }

    /// Takes a retry out of the budget, if one is left.
    pub(crate) fn withdraw_retry(&self) -> bool {
        self.budget.borrow_mut().withdraw(self.now() / 1000)
    }
}
