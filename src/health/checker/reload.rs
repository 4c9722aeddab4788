//! How a configuration comes into force: at the start, with what an earlier process remembered, and while running. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::config::{self, Address, Check, Config, Gray};
use crate::health::checker::drill::Drills;
use crate::health::checker::promotion::Promotions;
use crate::health::checker::trial::Excuse;
use crate::health::checker::{Checker, HOUR, Zone};
use crate::health::failover::{self, Plan};
use crate::health::gray::Sentence;
use crate::health::report::{Cause, What};
use crate::health::status::{Component, Role};
use crate::health::verdict::{self, Conclusion};
use crate::memory::Memory;
use crate::moment::Moment;
use crate::zone::{ComponentId, ComponentKey, Operator, Verdict};

impl Checker {
    /// A checker that remembers `memory` (of an earlier process, or the default one), with `config` in force.
    ///
    /// The zone that was active stays active, whatever the preference: it may be where the data is. At the very first start
    /// it is the preferred zone, as epoch 1.
    pub fn new(config: Arc<Config>, memory: Memory, seed: u64, now: Moment) -> Self {
        let known = memory
            .active
            .as_deref()
            .and_then(|name| zone_index(&config, name));
        let since = memory
            .active_since
            .filter(|_| known.is_some())
            .map_or(now, |wall| at(wall, now));
        let mut flips: Vec<Moment> = memory.flips.iter().map(|wall| at(*wall, now)).collect();
        flips.sort_by_key(|flip| flip.instant);
        flips.retain(|flip| flip.instant + HOUR > now.instant);
        let mut checker = Self {
            generation: 1,
            needs: verdict::needs(&config),
            seed,
            next_id: 0,
            zones: Vec::new(),
            epoch: memory.epoch.max(1),
            active: known.unwrap_or(0),
            active_since: since,
            active_because: memory.active_because.unwrap_or_else(|| {
                format!(
                    "{} is the preferred zone, and nothing has flipped yet",
                    config.zones[0].name
                )
            }),
            // Epoch 1 began without a flip.
            last_flip: (memory.epoch > 1 && known.is_some()).then_some(since.instant),
            flips: VecDeque::from(flips),
            pinned: known.is_some() && memory.pinned == memory.active,
            pending: None,
            promotions: Promotions::default(),
            drills: Drills::default(),
            trial: None,
            starting: true,
            load: super::capacity::Load::default(),
            told: None,
            outage_told: false,
            standby: true,
            stale: true,
            again: None,
            probes: VecDeque::new(),
            events: VecDeque::new(),
            config,
        };
        checker.rebuild_zones(&memory.operators, now);
        if let (Some(gone), None) = (memory.active, known) {
            if memory.pinned.is_some() {
                checker.tell_unpinned(Arc::from(gone.as_str()), now);
            }
            checker.leave_removed(Arc::from(gone), 0, now);
        }
        checker.recall_drill(memory.drill, now);
        checker.settle(now);
        checker
    }

    /// Puts a new configuration in force. Components that are the same (zone, name, address) keep all that is known of them.
    pub fn handle_config(&mut self, config: Arc<Config>, now: Moment) {
        self.forget_trial();
        let active = Arc::clone(&self.zones[self.active].name);
        let pending = self.pending.take().map(|pending| {
            let target = Arc::clone(&self.zones[pending.plan.to].name);
            (pending, target)
        });
        let operators: BTreeMap<ComponentKey, Operator> = self
            .components()
            .map(|c| (c.key.clone(), c.operator))
            .collect();

        let same = *config == *self.config;
        let failback_changed = config.failover.failback != self.config.failover.failback;
        let mut changes = Vec::new();
        if config.failover != self.config.failover {
            changes.push("changed failover settings".to_owned());
        }
        changes.extend(config.other_preference(&self.config));
        self.needs = verdict::needs(&config);
        self.config = config;
        // Pools may have changed places.
        self.load = super::capacity::Load::default();
        self.generation += 1;
        changes.extend(self.rebuild_zones(&operators, now));
        let generation = self.generation;
        if !same {
            self.tell(
                What::Reloaded {
                    generation,
                    changes,
                },
                now,
            );
        }

        self.conclude(now);
        self.stale = true;
        match zone_index(&self.config, &active) {
            Some(index) => self.active = index,
            None => {
                if std::mem::take(&mut self.pinned) {
                    self.tell_unpinned(Arc::clone(&active), now);
                }
                let target = pending
                    .as_ref()
                    .and_then(|(_, name)| zone_index(&self.config, name));
                let to = target.unwrap_or_else(|| self.best_zone());
                self.leave_removed(active, to, now);
                self.starting = self.zones[self.active].verdict() == Verdict::Unknown;
            }
        }
        if let Some((mut pending, target)) = pending {
            let automatic = pending.plan.cause == Cause::Failback;
            match zone_index(&self.config, &target) {
                None => {
                    let explanation = format!("{target} is no longer configured");
                    self.tell_aborted(target, explanation, now);
                }
                Some(index) if automatic && (index != 0 || failback_changed) => {
                    let explanation = "the configuration has other rules for it now".to_owned();
                    self.tell_aborted(target, explanation, now);
                }
                Some(index) if index == self.active => {}
                Some(index) => {
                    pending.plan.to = index;
                    self.hurry(&mut pending, now);
                    self.pending = Some(pending);
                }
            }
        }
        self.settle(now);
    }

    /// Builds the zones of the configuration in force, with the components that are still the same. What changed, in words.
    fn rebuild_zones(
        &mut self,
        operators: &BTreeMap<ComponentKey, Operator>,
        now: Moment,
    ) -> Vec<String> {
        let config = Arc::clone(&self.config);
        let mut old = std::mem::take(&mut self.zones);
        let mut changes = Vec::new();
        for wanted in &config.zones {
            let known = old.iter().position(|zone| zone.name == wanted.name);
            let mut zone = known.map_or_else(
                || {
                    changes.push(format!("added zone {}", wanted.name));
                    Zone::new(Arc::clone(&wanted.name), now)
                },
                |index| old.remove(index),
            );
            let mut before = std::mem::take(&mut zone.components);
            let judged = zone.verdict() != Verdict::Unknown;
            for part in parts(&config, wanted) {
                let same = |c: &Component| c.key == *part.key && c.address == *part.address;
                let component = if let Some(index) = before.iter().position(same) {
                    let mut component = before.swap_remove(index);
                    component.role = part.role;
                    if component.check != *part.check {
                        changes.push(format!("changed the check of {}", part.key));
                        component.schedule.make_obsolete(now.instant);
                    }
                    // Also an equal one: changed certificates come to those in force only.
                    component.check = Arc::clone(part.check);
                    component
                } else {
                    changes.push(match before.iter().position(|c| c.key == *part.key) {
                        Some(index) => {
                            let from = before.swap_remove(index).address;
                            format!("moved {} from {from} to {}", part.key, part.address)
                        }
                        None => format!("added {}", part.key),
                    });
                    let mut component = Component::new(
                        self.fresh_id(),
                        part.key.clone(),
                        part.address.clone(),
                        part.role,
                        Arc::clone(part.check),
                        now,
                    );
                    component.operator = operators.get(part.key).copied().unwrap_or_default();
                    component.joined = !judged;
                    component
                };
                zone.components.push(component);
            }
            changes.extend(before.iter().map(|c| format!("removed {}", c.key)));
            if config.failover.gray != Gray::FailZone {
                zone.gray = None;
                zone.sentence = Sentence::default();
                zone.excuse = Excuse::default();
            }
            zone.stale = true;
            self.zones.push(zone);
        }
        changes.extend(old.iter().map(|zone| format!("removed zone {}", zone.name)));
        changes
    }

    /// Identities are never reused: an answer for a removed component must not be taken for a new one's.
    fn fresh_id(&mut self) -> ComponentId {
        let id = ComponentId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Where to go when the active zone was removed: the first serving zone, else the one that can serve the most, else the
    /// first that may still turn out well.
    fn best_zone(&self) -> usize {
        let rank = |zone: &Zone| {
            let verdict = match zone.verdict() {
                Verdict::Serving => 2,
                Verdict::Unknown => 1,
                Verdict::Failed => 0,
            };
            let serves = zone.conclusion.serves.count();
            (verdict == 2, serves, verdict)
        };
        let mut best = 0;
        for index in 1..self.zones.len() {
            if rank(&self.zones[index]) > rank(&self.zones[best]) {
                best = index;
            }
        }
        best
    }

    fn leave_removed(&mut self, gone: Arc<str>, to: usize, now: Moment) {
        let others = self
            .zones
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != to);
        let refused = others.map(|(_, zone)| {
            let state = failover::describe(&zone.name, &zone.conclusion);
            format!("{state}; it can't serve more, or it comes later in the configuration")
        });
        let stay = format!("stay: {gone} is no longer configured");
        let alternatives = std::iter::once(stay).chain(refused).collect();
        let plan = Plan {
            to,
            cause: Cause::Reload,
            rule: format!(
                "{gone} is no longer configured; {} is the best of what is",
                self.zones[to].name
            ),
            reasons: vec![format!("{gone} was removed from the configuration")],
            alternatives,
            // Not one that merely isn't judged yet, as every zone at the start: nobody knows that it can serve only a part.
            degraded: self.zones[to].verdict() == Verdict::Failed,
            planned: false,
        };
        self.active = to;
        self.commit(gone, plan, now);
    }

    fn tell_unpinned(&mut self, zone: Arc<str>, now: Moment) {
        let reason = Some("it is no longer configured".to_owned());
        let what = What::Pin {
            zone,
            pinned: false,
            reason,
        };
        self.tell(what, now);
    }
}

impl Zone {
    fn new(name: Arc<str>, now: Moment) -> Self {
        Self {
            name,
            components: Vec::new(),
            conclusion: Conclusion::default(),
            since: now,
            detected_in: Duration::ZERO,
            gray: None,
            sentence: Sentence::default(),
            excuse: Excuse::default(),
            stale: true,
        }
    }
}

/// A component as the configuration has it.
struct Part<'a> {
    key: &'a ComponentKey,
    address: &'a Address,
    role: Role,
    check: &'a Arc<Check>,
}

/// Backends first, then dependencies.
fn parts<'a>(config: &'a Config, zone: &'a config::Zone) -> impl Iterator<Item = Part<'a>> {
    let backends = zone.backends.iter().map(|backend| Part {
        key: &backend.key,
        address: &backend.address,
        role: Role::Backend { pool: backend.pool },
        check: config.check_of(backend),
    });
    let dependencies = zone.dependencies.iter().map(|dependency| Part {
        key: &dependency.key,
        address: &dependency.address,
        role: Role::Dependency {
            required: dependency.required,
        },
        check: &dependency.check,
    });
    backends.chain(dependencies)
}

fn zone_index(config: &Config, name: &str) -> Option<usize> {
    config.zones.iter().position(|zone| &*zone.name == name)
}

/// A remembered wall time as a moment of this process. One in the future (the clock was set back) counts as now, so that
/// neither `min_stay` nor the flip budget can be waited for for ever.
pub(super) fn at(wall: Timestamp, now: Moment) -> Moment {
    let age = Duration::try_from(now.wall.duration_since(wall)).unwrap_or(Duration::ZERO);
    let instant: Option<Instant> = now.instant.checked_sub(age);
    Moment {
        instant: instant.unwrap_or(now.instant),
        wall,
    }
}
