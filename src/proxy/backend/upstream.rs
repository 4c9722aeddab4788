//! A backend as one worker knows it: whether it may be picked, how fast it has been, what it owes, its idle connections.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::SemaphorePermit;

use super::balance::{self, Candidate};
use super::connections::Idle;
use super::security::Security;
use super::silence::Stillness;
use super::turns::{Turns, Unmade};
use crate::config::{Config, Protocol};
use crate::outcome::{Ending, Trouble};
use crate::proxy::request::retry::Loss;
use crate::proxy::request::shed::Admitted;
use crate::proxy::request::trial::Side;
use crate::snapshot::{BackendLoad, BackendRouting, KeepAlive};
use crate::telemetry::meter::{Meter, PoolMeter};
use crate::zone::{ComponentId, ComponentKey, Status};

/// One backend. Outlives snapshots as long as its identity and address stay.
pub(crate) struct Upstream {
    pub(crate) id: ComponentId,
    pub(crate) key: ComponentKey,
    /// The pool's name, for the access log.
    pub(crate) pool: Arc<str>,
    /// Where its requests are counted.
    pub(crate) meter: Arc<PoolMeter>,
    pub(crate) address: Option<SocketAddr>,
    /// `None`: it is spoken to in cleartext.
    pub(crate) security: Option<Security>,
    /// Whether its connections are for several requests at once: HTTP/2, as far as is known.
    shares: Cell<bool>,
    pub(crate) turns: Turns,
    pub(crate) idle: Idle,
    /// The last one that was granted a retry.
    pub(crate) loss: Cell<Loss>,
    load: Arc<BackendLoad>,
    /// The pool's index in the current configuration.
    pool_index: Cell<usize>,
    weight: Cell<u32>,
    max_in_flight: Cell<Option<u32>>,
    pickable: Cell<bool>,
    keeps_sessions: Cell<bool>,
    abandoned: Cell<bool>,
    left: Cell<bool>,
    in_flight: Cell<u32>,
    latency_us: Cell<f32>,
    /// Worker time of the last answer and of the last report of trouble, in milliseconds; 0 before the first.
    answered_at: Cell<u64>,
    reported_at: Cell<u64>,
    /// Requests that wait for a connection, or were sent as a whole and wait for a response head.
    owed: Cell<u32>,
    /// Worker time since which there has been one of these, and when the silence of some of them was told last.
    owing_since: Cell<u64>,
    silence_told_at: Cell<u64>,
    /// Worker time before which no connection is opened ahead.
    prewarm_at: Cell<u64>,
    /// Worker time before which nothing more is said of what is wrong with it.
    complain_at: Cell<u64>,
}

impl Upstream {
    pub(crate) fn new(routing: &BackendRouting, config: &Config, meter: &Meter) -> Self {
        let pool = &config.pools[routing.pool].name;
        Self {
            id: routing.id,
            key: routing.key.clone(),
            pool: Arc::clone(pool),
            meter: meter.of(&routing.key.zone, pool),
            address: routing.address,
            security: match &routing.protocol {
                Protocol::Http | Protocol::H2c => None,
                Protocol::Https(client, name) => Some(Security::new(client, name)),
            },
            shares: Cell::new(routing.protocol.may_share()),
            turns: Turns::default(),
            idle: Idle::default(),
            loss: Cell::default(),
            load: Arc::clone(&routing.load),
            pool_index: Cell::new(routing.pool),
            weight: Cell::new(1),
            max_in_flight: Cell::new(None),
            pickable: Cell::new(false),
            keeps_sessions: Cell::new(false),
            abandoned: Cell::new(false),
            left: Cell::new(false),
            in_flight: Cell::new(0),
            latency_us: Cell::new(0.0),
            answered_at: Cell::new(0),
            reported_at: Cell::new(0),
            owed: Cell::new(0),
            owing_since: Cell::new(0),
            silence_told_at: Cell::new(0),
            prewarm_at: Cell::new(0),
            complain_at: Cell::new(0),
        }
    }

    /// Takes over what a new snapshot says. `zone_failed`: the verdict about its zone; `active`: its zone is the active one.
    pub(crate) fn update(&self, routing: &BackendRouting, zone_failed: bool, active: bool) {
        if let (Some(security), Protocol::Https(client, _)) = (&self.security, &routing.protocol) {
            security.adopt(client);
        }
        self.pool_index.set(routing.pool);
        self.weight.set(routing.weight.max(1));
        self.max_in_flight.set(routing.max_in_flight);
        self.pickable.set(active && routing.pickable());
        self.keeps_sessions.set(active && routing.keeps_sessions());
        self.abandoned
            .set(routing.status == Status::Down || (zone_failed && !active));
        let was_left = self.left.replace(!active);
        if self.abandoned.get() || (!active && !was_left) {
            // A standby that takes over must not start with connections from before its last failure.
            self.idle.clear();
        }
        if self.abandoned.get() {
            self.load.keep_alive.forget();
        }
    }

    /// It is no longer configured: nothing new comes to it, and what it still has ends as in a zone that was left.
    pub(crate) fn retire(&self) {
        self.pickable.set(false);
        self.keeps_sessions.set(false);
        self.left.set(true);
        self.idle.clear();
    }

    /// Whether it is still spoken to in the same way, at the same address, for the same pool: its connections and memories are of use
    /// then.
    pub(crate) fn is_at(&self, routing: &BackendRouting, config: &Config) -> bool {
        let same_protocol = match (&self.security, &routing.protocol) {
            (None, Protocol::Http) => !self.shares.get(),
            (None, Protocol::H2c) => self.shares.get(),
            (Some(security), Protocol::Https(client, name)) => security.is_by(client, name),
            _ => false,
        };
        let same_pool = self.pool == config.pools[routing.pool].name;
        self.address == routing.address && same_protocol && same_pool
    }

    /// Whether its connections are for several requests at once, as far as is known.
    pub(crate) fn shares(&self) -> bool {
        self.shares.get()
    }

    /// What its TLS has agreed on.
    pub(crate) fn set_shares(&self, shares: bool) {
        self.shares.set(shares);
    }

    /// The right to open a connection for several requests; `None`: none is needed. `Err`: the opening that was waited for has failed.
    pub(crate) async fn turn(&self) -> Result<Option<SemaphorePermit<'_>>, Unmade> {
        if !self.shares.get() {
            return Ok(None);
        }
        let turn = self.turns.next().await?;
        // It may have turned out meanwhile that nothing is shared: then nobody waits for anybody.
        Ok(turn.filter(|_| self.shares.get()))
    }

    /// Says why it can't be spoken to in `what`; not more often than every ten seconds, since each request may have the same to say.
    pub(crate) fn complain(&self, what: &str, reason: &str, now: u64) {
        if self.may_complain(now) {
            tracing::warn!("{}: no {what} connection to it: {reason}", self.key);
        }
    }

    /// Says that a connection was ended, since what came over it isn't HTTP/2; as rarely.
    pub(crate) fn complain_of_nonsense(&self, reason: &str, now: u64) {
        if self.may_complain(now) {
            tracing::warn!(
                "{}: its HTTP/2 is malformed ({reason}): the connection was ended, with all requests on it",
                self.key
            );
        }
    }

    fn may_complain(&self, now: u64) -> bool {
        let may = now >= self.complain_at.get();
        if may {
            self.complain_at.set(now + 10_000);
        }
        may
    }

    /// Whether it may be picked now, capacity aside.
    pub(crate) fn is_pickable(&self) -> bool {
        self.pickable.get()
    }

    /// Whether requests of the sessions that are at home there may be sent to it now, capacity aside.
    pub(crate) fn keeps_sessions(&self) -> bool {
        self.keeps_sessions.get()
    }

    /// Whether it is believed dead: who waits for its answer should go elsewhere, if the retry rule lets them.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.get()
    }

    /// Whether its zone is no longer the active one: long-lived connections to it are to end.
    pub(crate) fn is_left(&self) -> bool {
        self.left.get()
    }

    pub(crate) fn pool_index(&self) -> usize {
        self.pool_index.get()
    }

    /// What a choice is made by, at worker time `now`.
    pub(crate) fn candidate(&self, now: u64) -> Candidate {
        let age = now.saturating_sub(self.answered_at.get());
        Candidate {
            weight: self.weight.get(),
            in_flight: self.in_flight.get(),
            latency_us: balance::faded(self.latency_us.get(), age),
        }
    }

    /// Counts a request in, unless the backend is full; it is counted out when the returned guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>, worker: usize) -> Option<InFlight> {
        match self.max_in_flight.get() {
            Some(max) if !self.load.enter_within(worker, max) => return None,
            Some(_) => {}
            None => self.load.enter(worker),
        }
        self.in_flight.set(self.in_flight.get() + 1);
        Some(InFlight {
            upstream: Rc::clone(self),
            worker,
            counted: true,
            at_home: false,
            trial: Side::None,
            admitted: None,
        })
    }

    /// Whether it keeps connections, as far as is known.
    pub(crate) fn keep_alive(&self) -> &KeepAlive {
        &self.load.keep_alive
    }

    /// Whether connections may be opened ahead at worker time `now`; if so, not again within `pause`.
    pub(crate) fn may_prewarm(&self, now: u64, pause: u64) -> bool {
        let may = now >= self.prewarm_at.get();
        if may {
            self.prewarm_at.set(now + pause);
        }
        may
    }

    /// Requests in flight here, of this worker.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// Learns from an answer that took `latency_us` microseconds to its head.
    pub(crate) fn answered(&self, latency_us: f32, now: u64) {
        let age = now.saturating_sub(self.answered_at.get());
        let usual = balance::learned(self.latency_us.get(), latency_us, age);
        self.latency_us.set(usual);
        self.answered_at.set(now);
    }

    /// Something has come from it.
    pub(crate) fn heard(&self, worker: usize, now: u64) {
        self.load.heard(worker, now);
    }

    /// It owes an answer from `now` on, until the returned debt is dropped.
    pub(crate) fn owe(&self, now: u64) -> Debt<'_> {
        let owed = self.owed.get();
        if owed == 0 {
            self.owing_since.set(now);
        }
        self.owed.set(owed + 1);
        Debt(self)
    }

    /// For how long it has been still though it owes answers; `None` if there is nothing to tell of that before `horizon`.
    /// A sign of life that a sibling has seen is one, or with many workers every slow answer would look like silence.
    pub(crate) fn stillness(&self, horizon: u64) -> Option<Stillness> {
        if self.owed.get() == 0 || self.abandoned.get() {
            return None;
        }
        let own = Stillness {
            since: self.owing_since.get().max(self.answered_at.get()),
            usual_us: self.latency_us.get(),
            told_at: self.silence_told_at.get(),
        };
        // The siblings' cache lines are left alone as long as the answer lies in our own.
        (own.first_due() < horizon).then(|| Stillness {
            since: own.since.max(self.load.heard_at()),
            ..own
        })
    }

    /// How long a silence is nothing unusual, in milliseconds.
    pub(crate) fn patience(&self) -> u64 {
        let silent = Stillness {
            since: 0,
            usual_us: self.latency_us.get(),
            told_at: 0,
        };
        silent.first_due()
    }

    /// Its silence has been told.
    pub(crate) fn silence_told(&self, now: u64) {
        self.silence_told_at.set(now);
    }

    /// Whether trouble with it should be reported now: a burst of failures is one piece of news.
    pub(crate) fn is_news(&self, trouble: Trouble, now: u64) -> bool {
        let quiet = match trouble {
            Trouble::ServerError => 50,
            _ => 5,
        };
        let last = self.reported_at.get();
        let news = last == 0 || now >= last + quiet;
        if news {
            self.reported_at.set(now);
        }
        news
    }

    /// Counts one finished request for the monitor's tally.
    pub(crate) fn count(&self, worker: usize, ending: Ending, on_trial: bool) {
        self.load.count(worker, ending, on_trial);
    }
}

/// An answer that a backend owes.
pub(crate) struct Debt<'a>(&'a Upstream);

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        self.0.owed.set(self.0.owed.get() - 1);
    }
}

/// One request in flight at a backend.
pub(crate) struct InFlight {
    upstream: Rc<Upstream>,
    worker: usize,
    counted: bool,
    /// It came for its session's sake, not because the backend was picked.
    at_home: bool,
    /// Which side of a trial it is on.
    pub(crate) trial: Side,
    /// Its place behind the pool's gate, where there is one.
    pub(crate) admitted: Option<Admitted>,
}

impl InFlight {
    pub(crate) fn upstream(&self) -> &Rc<Upstream> {
        &self.upstream
    }

    /// For its session's sake.
    pub(crate) fn at_home(mut self) -> Self {
        self.at_home = true;
        self
    }

    /// Whether it counts: one that was answered, and waits for a better answer from elsewhere, doesn't.
    pub(crate) fn set_counted(&mut self, counted: bool) {
        if std::mem::replace(&mut self.counted, counted) == counted {
            return;
        }
        let (own, load) = (&self.upstream.in_flight, &self.upstream.load);
        if counted {
            own.set(own.get() + 1);
            load.enter(self.worker);
        } else {
            own.set(own.get() - 1);
            load.leave(self.worker);
        }
    }

    /// Whether the backend may still be sent this request.
    pub(crate) fn is_welcome(&self) -> bool {
        match self.trial {
            Side::Standby => !self.upstream.is_abandoned(),
            Side::Active | Side::None if self.at_home => self.upstream.keeps_sessions(),
            Side::Active | Side::None => self.upstream.is_pickable(),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.set_counted(false);
    }
}
