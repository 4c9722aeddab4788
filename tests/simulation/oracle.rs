//! The conclusions about zones, drawn a second time from what a checker reports of their components.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use firedoor::config::{Config, Gray};
use firedoor::health::report::{ComponentKind, ComponentReport, Report, ZoneReport};
use firedoor::zone::{Operator, Status, Verdict};

/// What a zone can serve: its pools by name.
pub(crate) type Serves = BTreeSet<String>;

#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    config: Arc<Config>,
    /// The pools that requests are routed to.
    pub(crate) needed: Serves,
    /// Components that were added to a judged zone and have not been up yet.
    newcomers: BTreeSet<String>,
}

impl Oracle {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            needed: needed(&config),
            config,
            newcomers: BTreeSet::new(),
        }
    }

    /// A configuration is about to come into force, after `report`.
    pub(crate) fn reconfigured(&mut self, config: &Arc<Config>, report: &Report) {
        let judged = |name: &str| {
            let mut zones = report.zones.iter();
            zones.any(|zone| &*zone.name == name && zone.verdict != Verdict::Unknown)
        };
        let (before, after) = (identities(&self.config), identities(config));
        self.newcomers.retain(|known| after.contains_key(known));
        for (identity, zone) in after {
            if judged(&zone) && !before.contains_key(&identity) {
                self.newcomers.insert(identity);
            }
        }
        self.needed = needed(config);
        self.config = Arc::clone(config);
    }

    /// Whoever is up is no newcomer any more.
    pub(crate) fn note(&mut self, report: &Report) {
        if self.newcomers.is_empty() {
            return;
        }
        for component in report.zones.iter().flat_map(|zone| &zone.components) {
            if component.status == Status::Up {
                let identity = format!("{}@{}", component.key, component.address);
                self.newcomers.remove(&identity);
            }
        }
    }

    /// Serving, and not worse than a zone that serves `had` (a `min_healthy` of 0 makes that possible).
    pub(crate) fn is_fit(&self, zone: &ZoneReport, had: &Serves) -> bool {
        let has = self.serves(zone);
        zone.verdict == Verdict::Serving
            && !has.is_empty()
            && (has == *had || !had.is_superset(&has))
    }

    /// Whether a probe of a component that counts has failed last, though it is up.
    pub(crate) fn in_doubt(&self, zone: &ZoneReport) -> bool {
        let failed = |c: &ComponentReport| c.outcomes.last().is_some_and(|last| !last.1.passed());
        let mut all = zone.components.iter().enumerate();
        all.any(|(index, c)| c.status == Status::Up && failed(c) && self.counts(zone, index))
    }

    /// Whether a component counts for its zone.
    fn counts(&self, zone: &ZoneReport, index: usize) -> bool {
        let component = &zone.components[index];
        let new = || {
            let identity = format!("{}@{}", component.key, component.address);
            self.newcomers.contains(&identity)
        };
        component.operator == Operator::Ready && (self.newcomers.is_empty() || !new())
    }

    /// The verdict on a zone.
    pub(crate) fn verdict_of(&self, zone: &ZoneReport) -> Verdict {
        let gray = |reason: &String| reason.contains("gray as a whole");
        if self.config.failover.gray == Gray::FailZone && zone.reasons.iter().any(gray) {
            return Verdict::Failed;
        }
        let mut verdict = Verdict::Serving;
        let mut lower = |to: Verdict| {
            if verdict != Verdict::Failed {
                verdict = to;
            }
        };
        for (index, component) in zone.components.iter().enumerate() {
            let required = component.kind == ComponentKind::Dependency { required: true };
            if required && self.counts(zone, index) {
                match component.status {
                    Status::Up => {}
                    Status::Down => lower(Verdict::Failed),
                    Status::Unknown => lower(Verdict::Unknown),
                }
            }
        }
        let needed = &self.needed;
        for pool in &self.config.pools {
            let of_pool = |kind: &ComponentKind| {
                *kind
                    == ComponentKind::Backend {
                        pool: Arc::clone(&pool.name),
                    }
            };
            let all: Vec<usize> = (0..zone.components.len())
                .filter(|index| of_pool(&zone.components[*index].kind))
                .filter(|index| zone.components[*index].operator == Operator::Ready)
                .collect();
            let joined: Vec<usize> = all
                .iter()
                .copied()
                .filter(|i| self.counts(zone, *i))
                .collect();
            let counting = if joined.is_empty() { all } else { joined };
            if counting.is_empty() {
                if needed.contains(&*pool.name) && pool.min_healthy.of(1) > 0 {
                    lower(Verdict::Failed);
                }
                continue;
            }
            let count = |status| {
                counting
                    .iter()
                    .filter(|i| zone.components[**i].status == status)
                    .count()
            };
            let needs = pool.min_healthy.of(counting.len());
            if count(Status::Up) + count(Status::Unknown) < needs {
                lower(Verdict::Failed);
            } else if count(Status::Up) < needs {
                lower(Verdict::Unknown);
            }
        }
        verdict
    }

    /// What a zone can serve: gray backends leave picking, but never the last one.
    pub(crate) fn serves(&self, zone: &ZoneReport) -> Serves {
        let mut serves = Serves::new();
        for (index, component) in zone.components.iter().enumerate() {
            match &component.kind {
                ComponentKind::Dependency { required } => {
                    if *required && component.status == Status::Down && self.counts(zone, index) {
                        return Serves::new();
                    }
                }
                ComponentKind::Backend { pool } => {
                    let ready = component.operator == Operator::Ready;
                    if component.status == Status::Up && ready {
                        serves.insert(pool.to_string());
                    }
                }
            }
        }
        // Backends come first, so a failed dependency above has already returned.
        serves.intersection(&self.needed).cloned().collect()
    }
}

fn needed(config: &Config) -> Serves {
    let backends = || config.zones.iter().flat_map(|zone| &zone.backends);
    let routed = config.routes.iter().filter_map(|route| route.pool);
    routed
        .filter(|pool| backends().any(|backend| backend.pool == *pool))
        .map(|pool| config.pools[pool].name.to_string())
        .collect()
}

/// Zone and identity of each component of a configuration.
pub(crate) fn identities(config: &Config) -> BTreeMap<String, Arc<str>> {
    let mut all = BTreeMap::new();
    for zone in &config.zones {
        for backend in &zone.backends {
            let identity = format!("{}@{}", backend.key, backend.address);
            all.insert(identity, Arc::clone(&zone.name));
        }
        for dependency in &zone.dependencies {
            let identity = format!("{}@{}", dependency.key, dependency.address);
            all.insert(identity, Arc::clone(&zone.name));
        }
    }
    all
}
