//! What is known of everything, taken out for a recording and put back for its replay. Pure.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::health::checker::Checker;
use crate::health::checker::reload::at;
use crate::health::failover::{self, Decision};
use crate::health::recording::{Begin, Known};
use crate::moment::Moment;

impl Checker {
    /// Since when each zone has its verdict, and what is known of each component.
    pub fn known(&self) -> (Vec<(Arc<str>, Timestamp)>, Vec<Known>) {
        let zones = self.zones.iter();
        let zones = zones.map(|zone| (Arc::clone(&zone.name), zone.since.wall));
        let components = self.components().map(|component| component.known());
        (zones.collect(), components.collect())
    }

    /// A checker that has just been made goes on from what was known when a recording began in the middle of a process; `due`
    /// tells when a component's next probe began.
    pub(super) fn take_up(&mut self, begin: &Begin, due: impl Fn(&Known) -> Instant, now: Moment) {
        self.probes.clear();
        self.events.clear();
        for zone in &mut self.zones {
            for component in &mut zone.components {
                let known = begin.components.iter().find(|c| c.key == component.key);
                if let Some(known) = known {
                    component.recall(known, at(known.since, now), now);
                    component.schedule.move_to(due(known));
                }
            }
            zone.stale = true;
        }
        self.conclude(now);
        // What has been so for long isn't told as news.
        self.events.clear();
        for zone in &mut self.zones {
            let known = begin.zones.iter().find(|(name, _)| *name == zone.name);
            if let Some((_, since)) = known {
                zone.since = at(*since, now);
            }
        }
        let decision = failover::decide(&self.situation(now));
        self.outage_told = matches!(decision, Decision::NowhereToGo { .. });
        self.settle(now);
    }
}
