//! A snapshot, digested once for one worker: what the data path would otherwise look up, format or share again for each request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use super::affinity::{Affinity, Session};
use super::balance::{self, Candidate};
use super::route::RouteTable;
use super::upstream::{InFlight, Upstream};
use crate::config::Limits;
use crate::snapshot::{Admission, Snapshot};
use crate::zone::{ComponentId, Verdict};

/// See the module's promise.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) routes: Rc<RouteTable>,
    /// `Firedoor-Zone` and `Firedoor-Epoch`. Copies of this worker's own: a clone of a value shared between workers would
    /// write to a shared cache line.
    pub(crate) zone: HeaderValue,
    pub(crate) epoch: HeaderValue,
    /// The active zone's backends, by pool.
    pools: Vec<Pool>,
    /// All backends of all zones.
    pub(crate) upstreams: HashMap<ComponentId, Rc<Upstream>>,
}

#[derive(Default)]
struct Pool {
    upstreams: Vec<Rc<Upstream>>,
    /// `None`: no sticky sessions.
    affinity: Option<Rc<Affinity>>,
    turn: Cell<u64>,
    scratch: RefCell<Scratch>,
}

/// Kept between picks, so that a pick allocates nothing.
#[derive(Default)]
struct Scratch {
    indices: Vec<usize>,
    candidates: Vec<Candidate>,
}

impl View {
    /// Digests `snapshot`, keeping the connections and memories of `previous`.
    pub(crate) fn new(snapshot: Arc<Snapshot>, previous: Option<&Self>) -> Self {
        let config = &snapshot.config;
        let mut pools: Vec<Pool> = config.pools.iter().map(|_| Pool::default()).collect();
        let mut upstreams = HashMap::new();
        for (index, zone) in snapshot.zones.iter().enumerate() {
            for routing in &zone.backends {
                let known = previous
                    .and_then(|view| view.upstreams.get(&routing.id))
                    .filter(|known| known.address == routing.address);
                let upstream =
                    known.map_or_else(|| Rc::new(Upstream::new(routing, config)), Rc::clone);
                let active = index == snapshot.active;
                upstream.update(routing, zone.verdict == Verdict::Failed, active);
                if active {
                    pools[routing.pool].upstreams.push(Rc::clone(&upstream));
                }
                upstreams.insert(routing.id, upstream);
            }
        }
        for (pool, configured) in pools.iter_mut().zip(&config.pools) {
            let backends = pool.upstreams.iter().map(|u| (u.id, &u.key));
            let affinity = |sticky| Rc::new(Affinity::new(sticky, &configured.name, backends));
            pool.affinity = configured.sticky.as_ref().map(affinity);
        }
        for old in previous.iter().flat_map(|view| view.upstreams.values()) {
            if !upstreams.contains_key(&old.id) {
                old.retire();
            }
        }
        let routes = match previous {
            Some(view) if Arc::ptr_eq(&view.snapshot.config, config) => Rc::clone(&view.routes),
            _ => Rc::new(RouteTable::new(config)),
        };
        let zone = HeaderValue::from_str(&snapshot.zones[snapshot.active].name)
            .unwrap_or_else(|_| HeaderValue::from_static("-"));
        Self {
            routes,
            zone,
            epoch: HeaderValue::from(snapshot.epoch),
            pools,
            upstreams,
            snapshot,
        }
    }

    /// What a client may take.
    pub(crate) fn limits(&self) -> &Limits {
        &self.snapshot.config.limits
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
        } = &mut *scratch;
        indices.clear();
        candidates.clear();
        for (index, upstream) in pool.upstreams.iter().enumerate() {
            if upstream.is_pickable() && !tried.contains(&upstream.id) {
                indices.push(index);
                candidates.push(upstream.candidate(now));
            }
        }
        let mut turn = pool.turn.get();
        let balance = self.snapshot.config.upstream.balance;
        let picked = loop {
            let Some(choice) = balance::pick(balance, candidates, fastrand::u64(..), &mut turn)
            else {
                break None;
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
