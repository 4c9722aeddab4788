//! A snapshot, digested once for one worker: what the data path would otherwise look up, format or share again for each request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;

use super::affinity::{Affinity, Session};
use super::route::RouteTable;
use super::shed::{Demands, Gate};
use super::trial::Dealer;
use crate::config::Limits;
use crate::proxy::backend::balance::{self, Candidate};
use crate::proxy::backend::upstream::{InFlight, Upstream};
use crate::snapshot::{Admission, Snapshot};
use crate::telemetry::meter::{Meter, PoolMeter};
use crate::worker::millis;
use crate::zone::{ComponentId, Verdict};

/// See the module's promise.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) routes: Rc<RouteTable>,
    /// `Firedoor-Zone` and `Firedoor-Epoch`. Copies of this worker's own: a clone of a value shared between workers would
    /// write to a shared cache line.
    pub(crate) zone: HeaderValue,
    pub(crate) epoch: HeaderValue,
    /// Some backends are told who their clients are, and where those have connected to.
    pub(crate) announces: bool,
    /// The active zone's backends, by pool.
    pools: Vec<Pool>,
    /// Where the requests of each pool are counted that find no backend.
    unserved: Vec<Rc<Unserved>>,
    /// All backends of all zones.
    pub(crate) upstreams: HashMap<ComponentId, Rc<Upstream>>,
    /// Only while the active zone is compared with a standby.
    pub(crate) dealer: Option<Dealer>,
}

/// Where requests are counted that find no backend. Shared by the requests of this worker alone: a clone of what workers share would
/// write to a shared cache line.
pub(crate) struct Unserved(pub(in crate::proxy) Arc<PoolMeter>);

#[derive(Default)]
struct Pool {
    upstreams: Vec<Rc<Upstream>>,
    gate: Option<Gate>,
    /// `None`: no sticky sessions.
    affinity: Option<Rc<Affinity>>,
    /// How long a backend that has come up takes to get its whole share, in milliseconds; 0 too if none has come up.
    slow_start: u64,
    /// Since when each of `upstreams` is fresh, in worker milliseconds.
    fresh_since: Vec<Option<u64>>,
    turn: Cell<u64>,
    scratch: RefCell<Scratch>,
}

/// Kept between picks, so that a pick allocates nothing.
#[derive(Default)]
struct Scratch {
    indices: Vec<usize>,
    candidates: Vec<Candidate>,
    /// Those that sit this pick out, unless all the others are full.
    resting: Vec<usize>,
}

impl View {
    /// Digests `snapshot`, keeping the connections and memories of `previous`. `started` is when the worker's clock was at 0.
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        previous: Option<&Self>,
        (demands, meter): (&Demands, &Meter),
        started: Instant,
    ) -> Self {
        let config = &snapshot.config;
        let mut pools: Vec<Pool> = (0..config.pools.len())
            .map(|pool| Pool {
                gate: Gate::new(&snapshot, pool, demands),
                ..Pool::default()
            })
            .collect();
        let mut upstreams = HashMap::new();
        for (index, zone) in snapshot.zones.iter().enumerate() {
            for routing in &zone.backends {
                let known = previous
                    .and_then(|view| view.upstreams.get(&routing.id))
                    .filter(|known| known.is_at(routing, config));
                let new = || Rc::new(Upstream::new(routing, config, meter));
                let upstream = known.map_or_else(new, Rc::clone);
                let active = index == snapshot.active;
                upstream.update(routing, zone.verdict == Verdict::Failed, active);
                if active {
                    let pool = &mut pools[routing.pool];
                    pool.upstreams.push(Rc::clone(&upstream));
                    let fresh_since = routing.fresh_since;
                    let age = |at: Instant| millis(at.saturating_duration_since(started));
                    pool.fresh_since.push(fresh_since.map(age));
                }
                upstreams.insert(routing.id, upstream);
            }
        }
        for (pool, configured) in pools.iter_mut().zip(&config.pools) {
            let backends = pool.upstreams.iter().map(|u| (u.id, &u.key));
            let affinity = |sticky| Rc::new(Affinity::new(sticky, &configured.name, backends));
            pool.affinity = configured.sticky.as_ref().map(affinity);
            if pool.fresh_since.iter().any(Option::is_some) {
                pool.slow_start = millis(configured.slow_start);
            }
        }
        for old in previous.iter().flat_map(|view| view.upstreams.values()) {
            // One that moved to another pool has gone from its old one.
            let stays = upstreams.get(&old.id).is_some_and(|u| u.pool == old.pool);
            if !stays {
                old.retire();
            }
        }
        let same = previous.filter(|view| Arc::ptr_eq(&view.snapshot.config, config));
        let routes = match same {
            Some(view) => Rc::clone(&view.routes),
            None => Rc::new(RouteTable::new(config)),
        };
        let unserved = match same {
            Some(view) => view.unserved.clone(),
            None => {
                let pools = config.pools.iter();
                pools
                    .map(|pool| Rc::new(Unserved(meter.of_none(&pool.name))))
                    .collect()
            }
        };
        let zone = HeaderValue::from_str(&snapshot.zones[snapshot.active].name)
            .unwrap_or_else(|_| HeaderValue::from_static("-"));
        Self {
            dealer: Dealer::new(&snapshot, |id| upstreams.get(&id).map(Rc::clone)),
            routes,
            zone,
            epoch: HeaderValue::from(snapshot.epoch),
            announces: config.pools.iter().any(|pool| pool.send_proxy.is_some()),
            pools,
            unserved,
            upstreams,
            snapshot,
        }
    }

    /// What a client may take.
    pub(crate) fn limits(&self) -> &Limits {
        &self.snapshot.config.limits
    }

    /// Where requests for `pool` are counted that find no backend.
    pub(crate) fn meter_of_none(&self, pool: usize) -> Option<Rc<Unserved>> {
        self.unserved.get(pool).map(Rc::clone)
    }

    /// The sticky sessions of `pool`, if it has any.
    pub(crate) fn affinity(&self, pool: usize) -> Option<&Rc<Affinity>> {
        self.pools.get(pool)?.affinity.as_ref()
    }

    /// Whether `pool` has a backend to pick besides `this` and those `tried`.
    pub(crate) fn has_another(
        &self,
        pool: usize,
        tried: &[ComponentId],
        this: ComponentId,
    ) -> bool {
        let upstreams = self.pools.get(pool).map_or(&[][..], |p| &p.upstreams);
        upstreams
            .iter()
            .any(|u| u.is_pickable() && u.id != this && !tried.contains(&u.id))
    }

    /// Everyone who serves `pool` in the active zone.
    pub(crate) fn backends_of(&self, pool: usize) -> impl Iterator<Item = ComponentId> {
        let upstreams = self.pools.get(pool).map_or(&[][..], |p| &p.upstreams);
        upstreams.iter().map(|upstream| upstream.id)
    }

    /// Whether another zone could take over.
    pub(crate) fn has_standby(&self) -> bool {
        let zones = self.snapshot.zones.iter().enumerate();
        let mut others = zones.filter(|(index, _)| *index != self.snapshot.active);
        others.any(|(_, zone)| zone.verdict == Verdict::Serving)
    }

    /// The way into `pool`, where not everybody is let in. Whoever waits for a planned flip isn't too much for a zone: they
    /// come to its gate when they are released.
    pub(crate) fn gate(&self, pool: usize) -> Option<&Gate> {
        let gate = self.pools.get(pool)?.gate.as_ref();
        gate.filter(|_| self.snapshot.admission == Admission::Open)
    }

    /// Requests of this worker that are in flight in `pool` of the active zone.
    pub(crate) fn in_flight(&self, pool: usize) -> u32 {
        let upstreams = self.pools.get(pool).map_or(&[][..], |p| &p.upstreams);
        upstreams.iter().map(|upstream| upstream.in_flight()).sum()
    }

    /// Picks a backend of the active zone for `pool`, leaving out those that this request has `tried`, and counts the request
    /// in. A `session` goes home, if it can. `None`: nobody can take it now.
    pub(crate) fn pick(
        &self,
        pool: usize,
        session: Option<&Session>,
        tried: &[ComponentId],
        worker: usize,
        now: u64,
    ) -> Option<InFlight> {
        if self.snapshot.admission == Admission::Hold {
            return None;
        }
        let pool = self.pools.get(pool)?;
        if let Some(session) = session
            && let Some(flight) = pool.home_of(session, tried, worker)
        {
            return Some(flight);
        }
        let mut scratch = pool.scratch.borrow_mut();
        let Scratch {
            indices,
            candidates,
            resting,
        } = &mut *scratch;
        indices.clear();
        candidates.clear();
        resting.clear();
        let open = || {
            let all = pool.upstreams.iter().enumerate();
            all.filter(|(_, u)| u.is_pickable() && !tried.contains(&u.id))
        };
        let parts = open().map(|(index, _)| pool.part(index, now));
        let most = if pool.slow_start > 0 {
            parts.max()
        } else {
            None
        };
        for (index, upstream) in open() {
            let sits_out = |most| balance::sits_out(pool.part(index, now), most, fastrand::u64(..));
            if most.is_some_and(sits_out) {
                resting.push(index);
            } else {
                indices.push(index);
                candidates.push(upstream.candidate(now));
            }
        }
        let mut turn = pool.turn.get();
        let balance = self.snapshot.config.upstream.balance;
        let picked = loop {
            let Some(choice) = balance::pick(balance, candidates, fastrand::u64(..), &mut turn)
            else {
                if resting.is_empty() {
                    break None;
                }
                for index in resting.drain(..) {
                    indices.push(index);
                    candidates.push(pool.upstreams[index].candidate(now));
                }
                continue;
            };
            let entered = pool.upstreams[indices[choice]].enter(worker);
            if entered.is_some() {
                break entered;
            }
            // Full: the next best one.
            indices.swap_remove(choice);
            candidates.swap_remove(choice);
        };
        pool.turn.set(turn);
        picked
    }
}

impl Pool {
    /// What part of its usual share the backend at `index` gets, in thousandths.
    fn part(&self, index: usize, now: u64) -> u64 {
        self.fresh_since[index].map_or(balance::WHOLE, |since| {
            balance::part(now.saturating_sub(since), self.slow_start)
        })
    }

    /// Counts a request in at the backend where its session is at home, if that may still be sent it and has a place.
    fn home_of(&self, session: &Session, tried: &[ComponentId], worker: usize) -> Option<InFlight> {
        let home = self.affinity.as_ref()?.home(session)?;
        let mut upstreams = self.upstreams.iter();
        let upstream = upstreams.find(|u| u.id == home && u.keeps_sessions())?;
        if tried.contains(&home) {
            return None;
        }
        Some(upstream.enter(worker)?.at_home())
    }
}
