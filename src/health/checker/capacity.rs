//! Whether a zone can take the load of the one that it replaces. Pure.
//!
//! A zone that is too small is entered all the same: the other one has failed, or an operator wants it so. But never silently.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::health::checker::Checker;
use crate::health::status::Role;
use crate::moment::Moment;

/// The most requests of the last seconds: of at least one such time, of at most two.
const WINDOW: Duration = Duration::from_secs(5);

/// The most requests in flight in the active zone within the last seconds, by pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    since: Option<Instant>,
    most: Vec<u32>,
    before: Vec<u32>,
}

impl Checker {
    /// How many requests are in flight in the active zone now, by pool.
    pub fn handle_load(&mut self, in_flight: &[u32], now: Moment) {
        self.load.add(in_flight, now.instant);
    }

    /// In which pools the zone `to` can't take what the active one had in flight, and what follows from that.
    pub(super) fn shedding(&self, to: usize) -> Vec<String> {
        let pools = self.config.pools.iter().enumerate();
        pools
            .filter_map(|(pool, settings)| {
                let load = self.load.most(pool);
                let capacity = self.capacity(to, pool).filter(|capacity| load > *capacity)?;
                let (zone, name) = (&self.zones[to].name, &settings.name);
                let follows = follows(&self.config, pool);
                Some(format!(
                    "{zone} can take {capacity} of {load} requests in flight (pool {name}): {follows}"
                ))
            })
            .collect()
    }

    /// What a pool can take at once in a zone; `None` if that is without limit.
    fn capacity(&self, zone: usize, pool: usize) -> Option<u32> {
        let role = Role::Backend { pool };
        let configured = &self.config.zones[zone].backends;
        let backends = self.zones[zone].components.iter().zip(configured);
        backends
            .filter(|(component, _)| component.role == role && component.pickable())
            .map(|(_, backend)| backend.max_in_flight)
            .try_fold(0_u32, |sum, max| Some(sum.saturating_add(max?.get())))
            // A pool that is down altogether is not too small, and told of elsewhere.
            .filter(|capacity| *capacity > 0)
    }
}

/// What happens to the requests that are too many.
fn follows(config: &Config, pool: usize) -> String {
    let routes = config
        .routes
        .iter()
        .filter(|route| route.pool == Some(pool));
    let priorities = routes.map(|route| route.priority);
    match (priorities.clone().min(), priorities.max()) {
        (Some(lowest), Some(highest)) if lowest < highest => {
            format!("requests of routes with priority < {highest} are shed, the lowest first")
        }
        _ => format!(
            "the others wait for up to {:?}, since no route has a lower priority than another",
            config.failover.hold_time
        ),
    }
}

impl Load {
    fn add(&mut self, in_flight: &[u32], now: Instant) {
        if self.since.is_none_or(|since| since + WINDOW <= now) {
            self.since = Some(now);
            self.before = std::mem::take(&mut self.most);
        }
        self.most.resize(in_flight.len(), 0);
        for (most, count) in self.most.iter_mut().zip(in_flight) {
            *most = (*most).max(*count);
        }
    }

    fn most(&self, pool: usize) -> u32 {
        let of = |counts: &[u32]| counts.get(pool).copied().unwrap_or(0);
        of(&self.most).max(of(&self.before))
    }
}
