//! The monitor's end of the bridge: compiles a snapshot when something changed, and keeps what the workers count.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::resolver::Resolver;
use crate::config::Config;
use crate::outcome::{Tally, TrialTally};
use crate::snapshot::{
    self, BackendLoad, BackendState, Publisher, Routing, Snapshot, Subscriber, Totals,
};
use crate::zone::ComponentId;

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Bridgehead {
    publisher: Publisher,
    published: Truth,
    loads: HashMap<ComponentId, Load>,
    workers: usize,
}

/// What the workers count at one backend.
#[derive(Debug)]
struct Load {
    shared: Arc<BackendLoad>,
    /// As of the last tally.
    told: Totals,
}

/// All that a snapshot is made of. Equal truths need no second one.
#[derive(Debug, PartialEq)]
struct Truth {
    config_generation: u64,
    routing: Routing,
    addresses: Vec<Option<SocketAddr>>,
}

impl Bridgehead {
    /// Builds the bridge with a first snapshot on it.
    pub(super) fn build(
        config: &Arc<Config>,
        config_generation: u64,
        routing: Routing,
        resolver: &Resolver,
        workers: usize,
    ) -> (Self, Subscriber) {
        let mut loads = HashMap::new();
        let truth = Truth {
            config_generation,
            routing,
            addresses: addresses(config, resolver),
        };
        let first = compile(1, config, &truth, resolver, &mut loads, workers);
        let (publisher, subscriber) = snapshot::channel(first, workers);
        let bridgehead = Self {
            publisher,
            published: truth,
            loads,
            workers,
        };
        (bridgehead, subscriber)
    }

    /// Publishes the truth of now, if it differs from the last one.
    pub(super) fn publish(
        &mut self,
        config: &Arc<Config>,
        config_generation: u64,
        routing: Routing,
        resolver: &Resolver,
    ) {
        let truth = Truth {
            config_generation,
            routing,
            addresses: addresses(config, resolver),
        };
        if truth == self.published {
            return;
        }
        let generation = self.publisher.current().generation + 1;
        let snapshot = compile(
            generation,
            config,
            &truth,
            resolver,
            &mut self.loads,
            self.workers,
        );
        self.publisher.publish(snapshot);
        self.published = truth;
        // Workers that still have the old snapshot count on in their own reference; nobody asks for that any more.
        let kept: Vec<ComponentId> = self.backends().map(|backend| backend.id).collect();
        self.loads.retain(|id, _| kept.contains(id));
    }

    /// Requests in flight in a zone, as far as the current snapshot knows its backends.
    pub(super) fn in_flight(&self, zone: usize) -> u32 {
        let snapshot = self.publisher.current();
        let backends = snapshot.zones.get(zone).map(|zone| &zone.backends);
        let backends = backends.into_iter().flatten();
        backends.map(|backend| backend.load.in_flight()).sum()
    }

    /// Whether every worker routes by the last snapshot.
    pub(super) fn is_in_force(&self) -> bool {
        self.publisher.is_in_force()
    }

    /// Requests in flight in the active zone, by pool.
    pub(super) fn load(&self) -> Vec<u32> {
        let snapshot = self.publisher.current();
        let mut load = vec![0; snapshot.config.pools.len()];
        for backend in &snapshot.zones[snapshot.active].backends {
            load[backend.pool] += backend.load.in_flight();
        }
        load
    }

    /// What the workers have counted since the last call, at each backend that had requests.
    pub(super) fn tallies(&mut self) -> Vec<(ComponentId, Tally)> {
        let counted = self.loads.iter_mut().filter_map(|(&id, load)| {
            let now = load.shared.totals();
            let before = std::mem::replace(&mut load.told, now);
            let since = |now: u64, before: u64| {
                u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX)
            };
            let requests = since(now.requests, before.requests);
            // They are read one after the other, while workers count on.
            let failures = since(now.failures, before.failures).min(requests);
            let server_errors = since(now.server_errors, before.server_errors).min(failures);
            let compared = since(now.trial_requests, before.trial_requests);
            let worse = since(now.trial_failures, before.trial_failures);
            let tally = Tally {
                requests,
                failures,
                server_errors,
                trial: TrialTally {
                    requests: compared,
                    failures: worse.min(compared),
                },
            };
            (requests > 0).then_some((id, tally))
        });
        let mut tallies: Vec<_> = counted.collect();
        // In a fixed order, whatever the map's: equal histories shall lead to equal decisions.
        tallies.sort_unstable_by_key(|(id, _)| *id);
        tallies
    }

    fn backends(&self) -> impl Iterator<Item = &BackendState> {
        self.published.routing.backends.iter().flatten()
    }
}

fn addresses(config: &Config, resolver: &Resolver) -> Vec<Option<SocketAddr>> {
    let backends = config.zones.iter().flat_map(|zone| &zone.backends);
    backends
        .map(|backend| resolver.address(&backend.address))
        .collect()
}

fn compile(
    generation: u64,
    config: &Arc<Config>,
    truth: &Truth,
    resolver: &Resolver,
    loads: &mut HashMap<ComponentId, Load>,
    workers: usize,
) -> Snapshot {
    Snapshot::compile(
        generation,
        truth.config_generation,
        config,
        &truth.routing,
        |address| resolver.address(address),
        |id| {
            let load = loads.entry(id).or_insert_with(|| Load {
                shared: Arc::new(BackendLoad::new(workers)),
                told: Totals::default(),
            });
            Arc::clone(&load.shared)
        },
    )
}
