//! What whoever leaves the preferred zone should know: that the traffic goes back there by itself. Pure.

use std::time::Duration;

use crate::config::Failback;
use crate::health::checker::Checker;
use crate::moment::Moment;
use crate::zone::Verdict;

impl Checker {
    /// When the automatic failback will take the traffic from the active zone to the preferred one, and what keeps it, in a sentence. `None`: it won't.
    pub fn way_back(&self, now: Moment) -> Option<String> {
        let policy = &self.config.failover;
        if self.active == 0 || self.pinned || self.is_drilling() {
            return None;
        }
        let window = match &policy.failback {
            Failback::Manual => return None,
            Failback::Auto => String::new(),
            Failback::Window(window) => {
                let (from, to) = (window.from.strftime("%H:%M"), window.to.strftime("%H:%M"));
                let zone = window.zone.iana_name().unwrap_or("UTC");
                format!(" between {from} and {to} {zone}")
            }
        };
        let situation = self.situation(now);
        let preferred = &situation.zones[0];
        let when = if preferred.conclusion.verdict == Verdict::Serving {
            let stayed = situation.stayed.unwrap_or_default();
            let budget = match situation.flips_left {
                0 => situation.next_flip_in.unwrap_or_default(),
                _ => Duration::ZERO,
            };
            let waits = [
                policy.min_stay.saturating_sub(stayed),
                policy.failback_after.saturating_sub(preferred.lasted),
                situation.promotion_pause,
                budget,
            ];
            match waits.into_iter().max().unwrap_or_default() {
                Duration::ZERO => String::new(),
                wait => format!(", in {} s at the earliest", wait.as_millis().div_ceil(1000)),
            }
        } else {
            let after = policy.failback_after;
            format!(", once it has been serving for {after:?} (failback_after)")
        };
        let (active, first) = (&self.zones[self.active].name, preferred.name);
        Some(format!(
            "{first} is preferred, so the traffic goes back there by itself{window}{when} (failback); \
             to keep it in {active}: firedoor zone pin {active}"
        ))
    }
}
