//! What follows from gray failures: a backend leaves picking, or its zone fails. Pure.

use std::time::Instant;

use crate::config::Gray;
use crate::health::checker::Checker;
use crate::health::gray;
use crate::health::report::What;
use crate::health::status::{Component, Role};
use crate::moment::Moment;
use crate::outcome::Tally;
use crate::zone::{ComponentId, ComponentKey, Operator, Status};

impl Checker {
    /// How live requests went at a backend since its last tally.
    pub fn handle_tally(&mut self, component: ComponentId, tally: Tally, now: Moment) {
        if let Some((zone, slot)) = self.find(component) {
            self.zones[zone].components[slot]
                .live
                .add(tally, now.instant);
            if zone == self.active {
                self.count_traffic(tally, now);
            }
            self.judge_live(zone, slot, now);
            self.judge_trial(zone, slot, tally.trial, now);
        }
        self.settle(now);
    }

    fn judge_live(&mut self, zone: usize, slot: usize, now: Moment) {
        let Role::Backend { pool } = self.zones[zone].components[slot].role else {
            return;
        };
        if !self.zones[zone].components[slot].live.is_bad() {
            // The usual case, before all siblings are looked at.
            return;
        }
        for component in self.zones.iter_mut().flat_map(|zone| &mut zone.components) {
            component.live.forget(now.instant);
        }
        let judged = &self.zones[zone].components[slot];
        let siblings = self
            .components()
            .filter(|c| c.id != judged.id && is_backend_of(c, pool));
        let blame = gray::blame(&judged.live, siblings.map(|sibling| &sibling.live));
        let Some(stretch) = blame.filter(|_| judged.status == Status::Up && !judged.live.is_gray())
        else {
            return;
        };
        let numbers = stretch.describe(now.instant);
        let key = judged.key.clone();
        let length = self.zones[zone].components[slot]
            .live
            .sentence()
            .begin(now.instant);
        self.zones[zone].stale = true;
        let follows = match self.config.failover.gray {
            Gray::Report => format!("only reported, for {length:?}"),
            Gray::Eject | Gray::FailZone => {
                format!("not picked for {length:?}, unless its pool has no other here")
            }
        };
        let explanation = format!("passes its checks, but {numbers}: {follows}");
        self.tell_gray(key, true, explanation, now);
    }

    /// Gives another chance to those whose time has come, and to those whom their checks have caught.
    pub(super) fn settle_gray(&mut self, now: Moment) {
        let over = |until: Option<Instant>| until.is_some_and(|until| until <= now.instant);
        let mut acquitted = Vec::new();
        for zone in &mut self.zones {
            if over(zone.sentence.until()) {
                zone.sentence.end(now.instant);
                zone.gray = None;
                zone.stale = true;
                // Else the same record would fail the zone again.
                zone.components
                    .iter_mut()
                    .for_each(|c| c.live.acquit(now.instant));
            }
            for component in &mut zone.components {
                let caught = component.live.is_gray() && component.status != Status::Up;
                if caught || over(component.live.until()) {
                    component.live.acquit(now.instant);
                    zone.stale = true;
                    let why = if caught {
                        "its checks fail"
                    } else {
                        "another chance"
                    };
                    acquitted.push((component.key.clone(), why.to_owned()));
                }
            }
        }
        for (key, why) in acquitted {
            self.tell_gray(key, false, why, now);
        }
        self.settle_trial(now);
    }

    /// When [`Self::settle_gray`] has something to do.
    pub(super) fn gray_until(&self) -> Option<Instant> {
        let zones = self.zones.iter().filter_map(|zone| zone.sentence.until());
        let backends = self
            .components()
            .filter_map(|component| component.live.until());
        zones.chain(backends).chain(self.trial_until()).min()
    }

    fn tell_gray(&mut self, component: ComponentKey, gray: bool, explanation: String, now: Moment) {
        let what = What::Gray {
            component,
            gray,
            explanation,
        };
        self.tell(what, now);
    }
}

/// Takes the gray backends of a zone out of picking, but only where one that isn't gray remains in the pool: never the last,
/// and where all are gray, sparing one of them would only overload the others.
pub(super) fn eject(components: &mut [Component], policy: Gray) {
    for slot in 0..components.len() {
        let component = &components[slot];
        let Role::Backend { pool } = component.role else {
            continue;
        };
        let well = |other: &Component| is_candidate(other, pool) && !other.live.is_gray();
        components[slot].ejected =
            policy != Gray::Report && component.live.is_gray() && components.iter().any(well);
    }
}

/// Would be picked, but for being gray.
pub(super) fn is_candidate(component: &Component, pool: usize) -> bool {
    is_backend_of(component, pool)
        && component.status == Status::Up
        && component.operator == Operator::Ready
}

fn is_backend_of(component: &Component, pool: usize) -> bool {
    component.role == Role::Backend { pool }
}
