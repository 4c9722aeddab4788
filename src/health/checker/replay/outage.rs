//! One measure for what was and for what would have been: for how long the active zone failed its probes. Pure.
//!
//! Neither checker's verdicts can be that measure: one that needs ten failed probes to see a failure would come out best. So each
//! component is what its last recorded probe has found, and its zone fails by the rules of the configuration that is tried.

use std::time::{Duration, Instant};

use crate::health::checker::{Checker, Zone};
use crate::health::recording::Begin;
use crate::health::status::Component;
use crate::health::verdict;
use crate::moment::Moment;
use crate::outcome::Outcome;
use crate::zone::{ComponentKey, Status, Verdict};

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Outage {
    zones: Vec<Probed>,
    /// Which zone was active, if it is one of this configuration's.
    active: Option<usize>,
    until: Instant,
    pub(super) recorded: Duration,
    pub(super) replayed: Duration,
    pub(super) apart: Duration,
}

/// A zone as its probes find it.
#[derive(Debug)]
struct Probed {
    components: Vec<Component>,
    fails: bool,
}

impl Outage {
    pub(super) fn begin(checker: &Checker, begin: &Begin, now: Moment) -> Self {
        let found = |component: &Component| {
            let known = begin.components.iter().find(|c| c.key == component.key);
            let last = known.and_then(|known| known.last.as_ref());
            status(last.is_none_or(Outcome::passed))
        };
        let zones = checker.zones.iter().map(|zone: &Zone| {
            let mut components = zone.components.clone();
            for component in &mut components {
                component.status = found(component);
            }
            Probed {
                components,
                fails: false,
            }
        });
        let first = begin.zones.first().map(|(name, _)| &**name);
        let active = begin.memory.active.as_deref().or(first);
        let mut outage = Self {
            zones: zones.collect(),
            active: checker.zones.iter().position(|z| Some(&*z.name) == active),
            until: now.instant,
            recorded: Duration::ZERO,
            replayed: Duration::ZERO,
            apart: Duration::ZERO,
        };
        outage.judge(checker);
        outage
    }

    /// Time has gone on, with both active zones as they are.
    pub(super) fn advance(&mut self, to: Instant, checker: &Checker) {
        let time = to.saturating_duration_since(self.until);
        self.until = self.until.max(to);
        let fails = |zone: usize| self.zones[zone].fails;
        if self.active.is_some_and(fails) {
            self.recorded += time;
        }
        if fails(checker.active) {
            self.replayed += time;
        }
        if self.active != Some(checker.active) {
            self.apart += time;
        }
    }

    /// Time in which nobody lived.
    pub(super) fn skip_to(&mut self, to: Instant) {
        self.until = to;
    }

    /// A recorded probe has ended.
    pub(super) fn note(&mut self, key: &ComponentKey, outcome: &Outcome, checker: &Checker) {
        if !outcome.is_conclusive() {
            return;
        }
        let mut all = self.zones.iter_mut().flat_map(|zone| &mut zone.components);
        let Some(component) = all.find(|component| component.key == *key) else {
            return;
        };
        let found = status(outcome.passed());
        if std::mem::replace(&mut component.status, found) != found {
            self.judge(checker);
        }
    }

    /// Another zone became active when it was recorded.
    pub(super) fn recorded(&mut self, to: &str, checker: &Checker) {
        self.active = checker.zones.iter().position(|zone| *zone.name == *to);
    }

    /// Whom operators have taken out doesn't count here either.
    pub(super) fn judge(&mut self, checker: &Checker) {
        for (probed, zone) in self.zones.iter_mut().zip(&checker.zones) {
            for (component, judged) in probed.components.iter_mut().zip(&zone.components) {
                component.operator = judged.operator;
                component.joined = judged.joined;
            }
            let conclusion = verdict::conclude(&probed.components, &checker.needs);
            probed.fails = conclusion.verdict == Verdict::Failed;
        }
    }
}

fn status(passed: bool) -> Status {
    if passed { Status::Up } else { Status::Down }
}
