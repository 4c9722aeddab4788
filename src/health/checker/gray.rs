//! What follows from gray failures: a backend leaves picking, or its zone fails. Pure.

use std::time::{Duration, Instant};

use crate::config::Gray;
use crate::health::checker::{Checker, Zone};
use crate::health::gray;
use crate::health::report::What;
use crate::health::status::{Component, Role};
use crate::moment::Moment;
use crate::outcome::Tally;
use crate::zone::{ComponentId, ComponentKey, Operator, Status, Verdict};

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
            self.judge_zone_live(zone, now);
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

    /// A pool that turned bad as a whole fails its zone, where that is configured and a standby could take over.
    fn judge_zone_live(&mut self, index: usize, now: Moment) {
        let zone = &self.zones[index];
        let takes_over = |zone: &Zone| {
            zone.verdict() == Verdict::Serving && !zone.components.iter().any(|c| c.live.is_gray())
        };
        let standby = self
            .zones
            .iter()
            .enumerate()
            .any(|(other, zone)| other != index && takes_over(zone));
        if self.config.failover.gray != Gray::FailZone
            || index != self.active
            || zone.sentence.until().is_some()
            || !standby
        {
            return;
        }
        let turned = (0..self.needs.len()).find_map(|pool| {
            let backends = zone.components.iter().filter(|c| is_candidate(c, pool));
            let lives: Vec<_> = backends.map(|backend| &backend.live).collect();
            Some((pool, gray::all_turned_bad(&lives)?))
        });
        let Some((pool, stretch)) = turned else {
            return;
        };
        let reason = format!(
            "pool {} passes its checks, but is gray as a whole: {}",
            self.needs[pool].pool,
            stretch.describe(now.instant)
        );
        let zone = &mut self.zones[index];
        zone.sentence.begin(now.instant);
        zone.gray = Some(reason);
        zone.detected_in = Duration::ZERO;
        zone.stale = true;
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
    }

    /// When [`Self::settle_gray`] has something to do.
    pub(super) fn gray_until(&self) -> Option<Instant> {
        let zones = self.zones.iter().filter_map(|zone| zone.sentence.until());
        let backends = self
            .components()
            .filter_map(|component| component.live.until());
        zones.chain(backends).min()
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
fn is_candidate(component: &Component, pool: usize) -> bool {
    is_backend_of(component, pool)
        && component.status == Status::Up
        && component.operator == Operator::Ready
}

fn is_backend_of(component: &Component, pool: usize) -> bool {
    component.role == Role::Backend { pool }
}
