//! Changing the active zone: at once, or after the zone that is left has drained. Pure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::health::checker::Checker;
use crate::health::failover::Plan;
use crate::health::report::{Cause, Flip, What};
use crate::moment::Moment;
use crate::zone::Verdict;

/// A planned flip that waits for the active zone to drain.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) plan: Plan,
    pub(super) deadline: Instant,
    /// The target's verdict when it began: it is given up when the target gets worse, not for what the operator knew already.
    target: Verdict,
}

impl Checker {
    /// Begins a planned flip, or commits at once. There is nothing to wait for in a zone that has failed.
    pub(super) fn flip(&mut self, plan: Plan, now: Moment) {
        let drain = self.patience();
        let failed = self.zones[self.active].verdict() == Verdict::Failed;
        if !plan.planned || failed || drain.is_zero() {
            let from = Arc::clone(&self.zones[self.active].name);
            self.commit(from, plan, now);
            return;
        }
        let what = What::FlipBegun {
            from: Arc::clone(&self.zones[self.active].name),
            to: Arc::clone(&self.zones[plan.to].name),
            reason: plan.rule.clone(),
        };
        self.tell(what, now);
        self.pending = Some(Pending {
            target: self.zones[plan.to].verdict(),
            plan,
            deadline: now.instant + drain,
        });
    }

    /// How long a planned flip waits for the zone that it leaves: never so long that the requests held meanwhile come to the end
    /// of their own patience.
    fn patience(&self) -> Duration {
        let held = self.config.failover.hold_time * 4 / 5;
        self.config.server.drain_timeout.min(held)
    }

    /// Commits a planned flip whose time has come, or gives it up when its target fails meanwhile.
    pub(super) fn settle_pending(&mut self, drained: bool, now: Moment) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let target = &self.zones[pending.plan.to];
        let got_worse = target.verdict() == Verdict::Failed && pending.target != Verdict::Failed;
        if got_worse || target.conclusion.serves.nothing() {
            let reasons = target.conclusion.reasons.join("; ");
            let explanation = format!("{} has failed meanwhile: {reasons}", target.name);
            self.tell_aborted(Arc::clone(&target.name), explanation, now);
            return;
        }
        let failed = self.zones[self.active].verdict() == Verdict::Failed;
        if drained || failed || pending.deadline <= now.instant {
            let from = Arc::clone(&self.zones[self.active].name);
            self.commit(from, pending.plan, now);
        } else {
            self.pending = Some(pending);
        }
    }

    /// Gives a planned flip up: the active zone stays, requests go on.
    pub(super) fn tell_aborted(&mut self, to: Arc<str>, explanation: String, now: Moment) {
        self.stale = true;
        let from = Arc::clone(&self.zones[self.active].name);
        let what = What::FlipAborted {
            from,
            to,
            explanation,
        };
        self.tell(what, now);
    }

    /// Makes `plan.to` the active zone, now.
    pub(super) fn commit(&mut self, from: Arc<str>, plan: Plan, now: Moment) {
        let detected_in = match plan.cause {
            Cause::Failover => self.zones[self.active].detected_in,
            Cause::Failback | Cause::Operator | Cause::Reload => Duration::ZERO,
        };
        if matches!(plan.cause, Cause::Failover | Cause::Failback) {
            self.flips.push_back(now);
        }
        let shedding = self.shedding(plan.to);
        let target = &self.zones[plan.to];
        // Nothing was taken yet, and the new zone may know no better.
        self.starting &= target.verdict() == Verdict::Unknown;
        self.epoch += 1;
        self.active = plan.to;
        self.active_since = now;
        self.active_because = format!("{}: {}", plan.rule, plan.reasons.join("; "));
        self.last_flip = Some(now.instant);
        self.told = None;
        self.stale = true;
        let flip = Flip {
            epoch: self.epoch,
            from,
            to: Arc::clone(&target.name),
            cause: plan.cause,
            rule: plan.rule,
            reasons: plan.reasons,
            alternatives: plan.alternatives,
            degraded: plan.degraded,
            shedding,
            detected_in,
        };
        self.tell(What::Flip(flip), now);
    }
}
