//! What a flip must be, and when there must be one.

use std::sync::Arc;
use std::time::Duration;

use firedoor::config::Failback;
use firedoor::health::checker::Checker;
use firedoor::health::report::{Cause, Flip};
use firedoor::moment::Moment;
use firedoor::zone::{Status, Verdict};

use super::Watch;
use crate::oracle::Serves;

impl Watch {
    /// Never to a zone that is worse, never against a rule.
    pub(super) fn check_flip(&mut self, flip: &Flip, now: Moment) {
        let policy = &self.config.failover;
        let index = |name: &str| {
            self.report
                .zones
                .iter()
                .position(|zone| &*zone.name == name)
        };
        let to = &self.report.zones[index(&flip.to).expect("a flip to a zone that isn't there")];
        let from = index(&flip.from).map(|index| &self.report.zones[index]);
        let (has, had) = (
            self.oracle.serves(to),
            from.map(|from| self.oracle.serves(from)),
        );
        self.check_explanation(flip);
        match flip.cause {
            Cause::Failover => {
                let (from, had) = (from.unwrap(), had.as_ref().unwrap());
                assert_eq!(
                    from.verdict,
                    Verdict::Failed,
                    "left a zone that had not failed"
                );
                if to.verdict == Verdict::Serving {
                    assert!(!flip.degraded);
                    let mut zones = self.report.zones.iter();
                    let first = zones
                        .find(|zone| self.oracle.is_fit(zone, had) && !self.oracle.in_doubt(zone))
                        .unwrap();
                    assert_eq!(first.name, flip.to, "not the first serving zone");
                } else {
                    assert!(flip.degraded);
                    assert!(
                        has.is_superset(had) && has != *had,
                        "flipped to a zone no better"
                    );
                    let serving = self
                        .report
                        .zones
                        .iter()
                        .any(|zone| self.oracle.is_fit(zone, had));
                    assert!(!serving, "flipped degraded although a zone was serving");
                }
                let stayed = self.last_flip.map(|last| now.instant - last);
                let exempt = *had != self.oracle.needed;
                assert!(
                    exempt || stayed.is_none_or(|stayed| stayed >= policy.min_stay),
                    "left after {stayed:?}, min_stay is {:?}",
                    policy.min_stay
                );
            }
            Cause::Failback => {
                assert_eq!(
                    index(&flip.to),
                    Some(0),
                    "failed back to a zone that isn't preferred"
                );
                assert!(!has.is_empty());
                if self.begun.is_none() {
                    self.check_failback(&flip.to, now);
                }
            }
            Cause::Operator | Cause::Drill => assert!(
                !has.is_empty(),
                "an operator got a zone that serves nothing"
            ),
            Cause::Reload => assert_eq!(from.map(|from| &from.name), None),
        }
        if matches!(flip.cause, Cause::Failover | Cause::Failback) {
            assert_eq!(self.report.pinned, None, "left a pinned zone");
            self.automatic.push(now.instant);
            let hour = Duration::from_secs(3600);
            let recent = self
                .automatic
                .iter()
                .filter(|at| now.instant - **at < hour)
                .count();
            let max = policy.max_flips_per_hour as usize;
            assert!(
                recent <= max || self.begun_under_other_rules,
                "{recent} automatic flips, {max} allowed"
            );
        }
        if flip.cause == Cause::Drill {
            assert_eq!(self.report.pinned, None, "a drill left a pinned zone");
        }
        self.begun = None;
        self.begun_under_other_rules = false;
        self.last_flip = Some(now.instant);
        self.flips += 1;
    }

    /// One entry is enough for an audit: who decided, by which outcomes, and why nothing else was done.
    fn check_explanation(&self, flip: &Flip) {
        assert!(
            flip.alternatives
                .iter()
                .any(|refused| refused.starts_with("stay: ")),
            "why not stay? {flip:#?}"
        );
        // Of a zone that came while a planned flip waited, its plan knew nothing.
        let zones = self.report.zones.iter();
        for zone in zones.filter(|_| !self.begun_under_other_rules) {
            let named = |refused: &String| refused.contains(&*zone.name);
            assert!(
                zone.name == flip.to || flip.alternatives.iter().any(named),
                "why not {}? {flip:#?}",
                zone.name
            );
        }
        let zone = if flip.cause == Cause::Failover {
            &flip.from
        } else {
            &flip.to
        };
        for component in &flip.evidence {
            assert_eq!(component.key.zone, *zone);
            assert!(
                component.status == Status::Unknown || !component.outcomes.is_empty(),
                "a judgement without an outcome: {component:#?}"
            );
        }
        // A zone may fail for want of backends; then there is nothing to show.
        let components = self.report.zones.iter().find(|known| known.name == *zone);
        assert_eq!(
            flip.evidence.is_empty(),
            components.is_some_and(|zone| zone.components.is_empty())
        );
    }

    /// By itself, only after the preferred zone has been serving long enough, and only within the window.
    pub(super) fn check_failback(&self, to: &Arc<str>, now: Moment) {
        let policy = &self.config.failover;
        let preferred = &self.report.zones[0];
        assert_eq!(preferred.name, *to);
        assert_eq!(preferred.verdict, Verdict::Serving);
        assert_eq!(self.report.pinned, None);
        if let Some(failed) = self.promotion_failed {
            let pause = policy.failback_after.max(Duration::from_secs(60));
            assert!(
                now.instant - failed >= pause || self.begun_under_other_rules,
                "a promotion that failed is tried again too soon"
            );
        }
        let since = self.serving_since.get(to).copied().unwrap_or(now.instant);
        assert!(now.instant - since >= policy.failback_after);
        let stayed = self.last_flip.map(|last| now.instant - last);
        assert!(stayed.is_none_or(|stayed| stayed >= policy.min_stay));
        match &policy.failback {
            Failback::Manual => panic!("failed back without an operator"),
            Failback::Auto => {}
            Failback::Window(window) => {
                let time = now.wall.to_zoned(window.zone.clone()).time();
                let open = if window.from < window.to {
                    (window.from..window.to).contains(&time)
                } else {
                    time >= window.from || time < window.to
                };
                assert!(open, "failed back outside the window");
            }
        }
    }

    /// A failed zone stays active only if no other is better, or a rule keeps it.
    pub(super) fn check_tenet_one(&self, checker: &Checker, now: Moment) {
        let active = &self.report.zones[self.report.active];
        if active.verdict != Verdict::Failed {
            return;
        }
        let had = self.oracle.serves(active);
        let zones = || self.report.zones.iter();
        let mut fit = zones()
            .filter(|zone| self.oracle.is_fit(zone, &had))
            .peekable();
        let better = if fit.peek().is_some() {
            // A zone in doubt may be waited for.
            fit.find(|zone| !self.oracle.in_doubt(zone))
        } else {
            let more = |has: Serves| has.is_superset(&had) && has != had;
            zones().find(|zone| self.opened && more(self.oracle.serves(zone)))
        };
        let Some(better) = better else { return };
        let policy = &self.config.failover;
        let stayed = self.last_flip.map(|last| now.instant - last);
        let must_stay =
            had == self.oracle.needed && stayed.is_some_and(|stayed| stayed < policy.min_stay);
        let spent = self.report.flips_left == 0;
        // The command may itself stop the one database and restart the other.
        let promoting = checker.is_flipping() && checker.draining().is_none();
        assert!(
            self.report.pinned.is_some() || must_stay || spent || promoting,
            "stays in failed {} though {} is better: {}; draining {:?}",
            active.name,
            better.name,
            self.report.decision,
            checker.draining()
        );
    }
}
