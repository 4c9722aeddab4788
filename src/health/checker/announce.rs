//! What is told when nothing flips: why not, once. Pure.

use std::sync::Arc;

use crate::health::checker::Checker;
use crate::health::failover::{self, Decision};
use crate::health::report::What;
use crate::moment::Moment;
use crate::zone::Verdict;

/// What was told last: as long as it stays true, it is not told again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Withheld(Arc<str>, &'static str),
    FailbackPossible,
}

impl Checker {
    /// Tells a decision that changes nothing, unless it was told last.
    pub(super) fn tell_decision(&mut self, decision: Decision, now: Moment) {
        let (told, what) = match decision {
            Decision::Stay { .. } | Decision::Flip(_) => {
                self.told = None;
                return;
            }
            // Once in an outage, not once per reason: in one that lasts, the reasons change with every backend that comes and goes.
            Decision::NowhereToGo { reasons } => {
                if !std::mem::replace(&mut self.outage_told, true) {
                    let zone = Arc::clone(&self.zones[self.active].name);
                    self.tell(What::NowhereToGo { zone, reasons }, now);
                }
                return;
            }
            Decision::Withheld {
                to,
                rule,
                explanation,
                ..
            } => {
                let to = Arc::clone(&self.zones[to].name);
                let told = Told::Withheld(Arc::clone(&to), rule);
                let what = What::Withheld {
                    to,
                    rule,
                    explanation,
                };
                (told, what)
            }
            Decision::FailbackPossible => {
                let zone = Arc::clone(&self.zones[0].name);
                (Told::FailbackPossible, What::FailbackPossible { zone })
            }
        };
        if self.told.as_ref() != Some(&told) {
            self.told = Some(told);
            self.tell(what, now);
        }
    }

    /// Tells that no other zone could take over any more, or that one can again. A zone that isn't judged yet is waited for.
    pub(super) fn tell_standby(&mut self, now: Moment) {
        let others = || {
            let zones = self.zones.iter().enumerate();
            zones
                .filter(|(index, _)| *index != self.active)
                .map(|(_, zone)| zone)
        };
        let first = others().find(|zone| zone.verdict() == Verdict::Serving);
        let ready = first.is_some();
        let unjudged = others().any(|zone| zone.verdict() == Verdict::Unknown);
        if self.zones.len() < 2 || ready == self.standby || (!ready && unjudged) {
            return;
        }
        let explanation = match first {
            Some(zone) => format!("{} is serving and could take over", zone.name),
            None => {
                let all = others().map(|zone| failover::describe(&zone.name, &zone.conclusion));
                format!(
                    "no zone could take over: {}",
                    all.collect::<Vec<_>>().join("; ")
                )
            }
        };
        self.standby = ready;
        self.tell(What::Standby { ready, explanation }, now);
    }
}
