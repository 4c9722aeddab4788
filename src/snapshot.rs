//! The bridge: the one immutable truth that the data path routes by.
//!
//! The monitor compiles a new [`Snapshot`] whenever something changed and publishes it with one atomic store, so that no
//! request ever sees half of a flip. Workers read it once per attempt.

mod keep_alive;
mod load;
mod readers;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::config::{Address, Config, Protocol};
use crate::zone::{ComponentId, ComponentKey, Operator, Status, Verdict};

pub use keep_alive::{Asking, Habit, KeepAlive};
pub use load::{BackendLoad, Totals};
use readers::Readers;

/// Where requests may go now, and by which settings.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Counts publications.
    pub generation: u64,
    /// Counts configurations; the first is 1.
    pub config_generation: u64,
    /// Counts flips; never goes back.
    pub epoch: u64,
    /// Index of the active zone in `zones`.
    pub active: usize,
    /// Whether the active zone may be picked from, or requests wait.
    pub admission: Admission,
    /// Index of the zone that may become active at any moment; `None` while no flip is in sight.
    pub next: Option<usize>,
    /// What the active zone is compared in with a standby.
    pub trial: Option<Trial>,
    /// In config order, parallel to `config.zones`.
    pub zones: Vec<ZoneRouting>,
    /// Settings of the data path: limits, routes, pools, timeouts.
    pub config: Arc<Config>,
}

/// Whether new attempts may pick a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They may.
    Open,
    /// They wait: no verdict yet, or a planned flip is about to commit.
    Hold,
}

/// A pool of the active zone fails live requests though its checks pass: every other safe request of it is answered by a standby,
/// so that it is known whether that does any better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Index of the pool.
    pub pool: usize,
    /// Index of the standby.
    pub to: usize,
}

/// One zone as the data path sees it.
#[derive(Clone, Debug)]
pub struct ZoneRouting {
    /// Its name.
    pub name: Arc<str>,
    /// The conclusion about it.
    pub verdict: Verdict,
    /// In config order.
    pub backends: Vec<BackendRouting>,
}

/// One backend as the data path sees it.
#[derive(Clone, Debug)]
pub struct BackendRouting {
    /// Stays the same across snapshots, for the worker's own connections and latency memory.
    pub id: ComponentId,
    /// Its name for people.
    pub key: ComponentKey,
    /// Index into `config.pools`.
    pub pool: usize,
    /// `None` while its DNS name has never resolved.
    pub address: Option<SocketAddr>,
    /// What is spoken there.
    pub protocol: Protocol,
    /// At least 1.
    pub weight: u32,
    /// Requests at once, over all workers.
    pub max_in_flight: Option<u32>,
    /// What the probes say.
    pub status: Status,
    /// What the operator says.
    pub operator: Operator,
    /// Passes its checks but fails live requests, and has a sibling that doesn't: not to be picked.
    pub gray: bool,
    /// As [`BackendState::fresh_since`].
    pub fresh_since: Option<Instant>,
    /// Requests in flight, shared by all workers.
    pub load: Arc<BackendLoad>,
}

impl BackendRouting {
    /// Whether a request may be sent to it now, capacity aside.
    pub fn pickable(&self) -> bool {
        self.status == Status::Up
            && self.operator == Operator::Ready
            && !self.gray
            && self.address.is_some()
    }

    /// Whether the sticky sessions that are at home there may go on. `Drain` lets them: it is how an operator empties a backend
    /// without ending anybody's session (HAProxy: `drain`).
    pub fn keeps_sessions(&self) -> bool {
        self.status == Status::Up
            && self.operator != Operator::Maintenance
            && !self.gray
            && self.address.is_some()
    }
}

/// The decision's routing truth as of now: what a [`Snapshot`] is compiled from, addresses and settings aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Counts flips.
    pub epoch: u64,
    /// Index of the active zone.
    pub active: usize,
    /// Open, or held.
    pub admission: Admission,
    /// Index of the zone that a flip in sight would make active.
    pub next: Option<usize>,
    /// What is compared with a standby, if anything.
    pub trial: Option<Trial>,
    /// Parallel to the configuration's zones.
    pub verdicts: Vec<Verdict>,
    /// Parallel to the configuration's zones and their backends.
    pub backends: Vec<Vec<BackendState>>,
}

/// One backend's part of the routing truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendState {
    /// Its identity.
    pub id: ComponentId,
    /// What the probes say.
    pub status: Status,
    /// What the operator says.
    pub operator: Operator,
    /// Not to be picked though its checks pass.
    pub gray: bool,
    /// Since when it may be picked, if it has come into the active zone or back into picking while that zone was active. It
    /// stays when the backend's slow start is over: only the data path knows when that is, by its own clock.
    pub fresh_since: Option<Instant>,
}

impl Snapshot {
    /// Whether whoever found nobody to ask in `before` finds nobody else here: what else may have changed, such as the zone that
    /// a flip in sight would lead to, is no reason to ask the same backends again.
    pub(crate) fn offers_the_same(&self, before: &Self) -> bool {
        let offer = |snapshot: &Self| -> Vec<_> {
            let zone = snapshot.zones.get(snapshot.active);
            let backends = zone.map_or(&[][..], |zone| &zone.backends);
            backends
                .iter()
                .map(|backend| (backend.id, backend.address, backend.pickable()))
                .collect()
        };
        Arc::ptr_eq(&self.config, &before.config)
            && self.epoch == before.epoch
            && self.admission == before.admission
            && offer(self) == offer(before)
    }

    /// Puts the decision, the settings and the resolved addresses together. `routing` must be of the same `config`.
    /// `address` and `load` are asked once for each backend, in config order.
    pub fn compile(
        generation: u64,
        config_generation: u64,
        config: &Arc<Config>,
        routing: &Routing,
        address: impl Fn(&Address) -> Option<SocketAddr>,
        mut load: impl FnMut(ComponentId) -> Arc<BackendLoad>,
    ) -> Self {
        let zones = config
            .zones
            .iter()
            .zip(&routing.verdicts)
            .zip(&routing.backends)
            .map(|((zone, &verdict), states)| ZoneRouting {
                name: Arc::clone(&zone.name),
                verdict,
                backends: zone
                    .backends
                    .iter()
                    .zip(states)
                    .map(|(backend, state)| BackendRouting {
                        id: state.id,
                        key: backend.key.clone(),
                        pool: backend.pool,
                        address: address(&backend.address),
                        protocol: backend.protocol.clone(),
                        weight: backend.weight,
                        max_in_flight: backend.max_in_flight.map(NonZeroU32::get),
                        status: state.status,
                        operator: state.operator,
                        gray: state.gray,
                        fresh_since: state.fresh_since,
                        load: load(state.id),
                    })
                    .collect(),
            })
            .collect();
        Self {
            generation,
            config_generation,
            epoch: routing.epoch,
            active: routing.active,
            admission: routing.admission,
            next: routing.next,
            trial: routing.trial,
            zones,
            config: Arc::clone(config),
        }
    }
}

/// The one that may publish. Purposefully not `Clone`: only the monitor holds it.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<ArcSwap<Snapshot>>,
    changed: watch::Sender<u64>,
    readers: Readers,
}

/// Reads the current snapshot. Each worker clones its own.
#[derive(Clone, Debug)]
pub struct Subscriber {
    current: Arc<ArcSwap<Snapshot>>,
    changed: watch::Receiver<u64>,
    readers: Readers,
}

/// Both ends of the bridge, with a first snapshot in it. As many as `workers` tell how far they have come.
pub fn channel(first: Snapshot, workers: usize) -> (Publisher, Subscriber) {
    let readers = Readers::new(workers);
    let (sender, receiver) = watch::channel(first.generation);
    let current = Arc::new(ArcSwap::from_pointee(first));
    (
        Publisher {
            current: Arc::clone(&current),
            changed: sender,
            readers: readers.clone(),
        },
        Subscriber {
            current,
            changed: receiver,
            readers,
        },
    )
}

impl Publisher {
    /// Commits `snapshot`: from the next read on, everybody routes by it.
    pub fn publish(&self, snapshot: Snapshot) {
        let generation = snapshot.generation;
        self.current.store(Arc::new(snapshot));
        self.changed.send_replace(generation);
    }

    /// What was published last.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Whether every worker routes by what was published last, and has counted whatever it did by something older.
    pub fn is_in_force(&self) -> bool {
        self.readers.have_reached(self.current.load().generation)
    }
}

impl Subscriber {
    /// The current snapshot.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A cache that re-reads only when the snapshot has changed: one atomic load per read.
    pub fn cache(&self) -> arc_swap::Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>> {
        arc_swap::Cache::new(Arc::clone(&self.current))
    }

    /// `worker` routes by the snapshot of `generation` from now on. Told by the worker itself only, after it has counted all that
    /// it did before.
    pub fn reach(&self, worker: usize, generation: u64) {
        self.readers.reach(worker, generation);
    }

    /// `worker` routes no more.
    pub fn leave(&self, worker: usize) {
        self.readers.leave(worker);
    }

    /// Waits for a publication that this subscriber has not seen yet; `Err` when the publisher is gone.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.changed.changed().await
    }
}
