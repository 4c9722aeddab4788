//! Which probes are run, and which are given up. Pure.

use std::sync::Arc;

use crate::health::checker::{Checker, Probe};
use crate::health::status::schedule::Flight;
use crate::moment::Moment;
use crate::outcome::{CheckCode, Outcome};

impl Checker {
    /// The next probe to run, if one is due.
    pub fn poll_probe(&mut self) -> Option<Probe> {
        loop {
            let (id, round) = self.probes.pop_front()?;
            // A component that was removed meanwhile is not probed.
            if let Some((zone, slot)) = self.find(id) {
                let component = &self.zones[zone].components[slot];
                return Some(Probe {
                    component: id,
                    round,
                    key: component.key.clone(),
                    address: component.address.clone(),
                    check: Arc::clone(&component.check),
                });
            }
        }
    }

    /// A probe that never comes back must not keep its component's status alive, nor its slot taken.
    pub(super) fn give_up_lost_probes(&mut self, now: Moment) {
        for zone in 0..self.zones.len() {
            for slot in 0..self.zones[zone].components.len() {
                let at = |checker: &mut Self| {
                    let component = &mut checker.zones[zone].components[slot];
                    component.schedule.land_lost(now.instant)
                };
                while let Some(flight) = at(self) {
                    let outcome = lost(&flight, now);
                    self.take_outcome(zone, slot, flight, outcome, now);
                }
            }
        }
    }

    pub(super) fn start_due_probes(&mut self, now: Moment) {
        for component in self.zones.iter_mut().flat_map(|zone| &mut zone.components) {
            if let Some(round) = component.start_probe(now) {
                self.probes.push_back((component.id, round));
            }
        }
    }
}

/// The outcome of a probe that never came back: a fail, since nothing else may hold a component's health up.
fn lost(flight: &Flight, now: Moment) -> Outcome {
    Outcome {
        code: CheckCode::L7Timeout,
        detail: "the probe never came back".to_owned(),
        took: now.instant.saturating_duration_since(flight.started),
        status: None,
    }
}
