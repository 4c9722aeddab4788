//! What the checker answers when it is asked: the state of everything, and what must survive the process. Pure.

use std::sync::Arc;

use crate::config::Config;
use crate::health::checker::{Checker, Zone};
use crate::health::failover;
use crate::health::report::{ComponentKind, ComponentReport, Report, ZoneReport};
use crate::health::status::{Component, Role};
use crate::memory::Memory;
use crate::moment::Moment;
use crate::zone::{ComponentId, Operator};

impl Checker {
    /// What must survive this process.
    pub fn memory(&self) -> Memory {
        let active = self.zones[self.active].name.to_string();
        let operators = self
            .components()
            .filter(|component| component.operator != Operator::Ready)
            .map(|component| (component.key.clone(), component.operator));
        Memory {
            epoch: self.epoch,
            pinned: self.pinned.then(|| active.clone()),
            active: Some(active),
            active_since: Some(self.active_since.wall),
            active_because: Some(self.active_because.clone()),
            operators: operators.collect(),
            flips: self.flips.iter().map(|flip| flip.wall).collect(),
            drill: self.remember_drill(),
            entry: None,
        }
    }

    /// Zone and slot of a component. A scan: there are tens of them, and probes come by the second.
    pub(super) fn find(&self, id: ComponentId) -> Option<(usize, usize)> {
        self.zones.iter().enumerate().find_map(|(index, zone)| {
            let slot = zone
                .components
                .iter()
                .position(|component| component.id == id)?;
            Some((index, slot))
        })
    }

    /// Everything that an operator may want to know, as of `now`.
    pub fn report(&self, now: Moment) -> Report {
        let situation = self.situation(now);
        let active = &self.zones[self.active];
        let target = self
            .pending
            .as_ref()
            .map(|pending| &self.zones[pending.plan.to].name);
        let decision = match &self.pending {
            Some(pending) => self.describe_pending(pending),
            None => failover::decide(&situation).describe(&situation),
        };
        Report {
            at: now.wall,
            epoch: self.epoch,
            active: self.active,
            active_since: self.active_since.wall,
            active_because: self.active_because.clone(),
            pinned: self.pinned.then(|| Arc::clone(&active.name)),
            flip_pending: target.map(Arc::clone),
            drill: self.drill_state(),
            flips_left: situation.flips_left,
            decision,
            zones: self
                .zones
                .iter()
                .map(|zone| zone.report(&self.config))
                .collect(),
        }
    }
}

impl Zone {
    pub(super) fn report(&self, config: &Config) -> ZoneReport {
        ZoneReport {
            name: Arc::clone(&self.name),
            verdict: self.verdict(),
            since: self.since.wall,
            reasons: self.conclusion.reasons.clone(),
            components: self
                .components
                .iter()
                .map(|component| report_component(component, config))
                .collect(),
        }
    }
}

fn report_component(component: &Component, config: &Config) -> ComponentReport {
    ComponentReport {
        key: component.key.clone(),
        kind: match component.role {
            Role::Backend { pool } => ComponentKind::Backend {
                pool: Arc::clone(&config.pools[pool].name),
            },
            Role::Dependency { required } => ComponentKind::Dependency { required },
        },
        address: component.address.to_string(),
        status: component.status,
        since: component.since.wall,
        operator: component.operator,
        gray: component.live.is_gray(),
        hastened_by: component.hastened_by,
        outcomes: component.outcomes().cloned().collect(),
    }
}
