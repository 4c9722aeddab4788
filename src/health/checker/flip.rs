//! Changing the active zone: at once, or after the zone that is left has drained and the new one is promoted. Pure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::health::checker::Checker;
use crate::health::failover::Plan;
use crate::health::report::{Cause, Flip, What};
use crate::moment::Moment;
use crate::zone::Verdict;

/// A planned flip that isn't committed yet. Requests wait.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) plan: Plan,
    pub(super) phase: Phase,
    /// The target's verdict when it began: it is given up when the target gets worse, not for what the operator knew already.
    target: Verdict,
}

/// What a planned flip waits for.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// That the active zone finishes what it has.
    Draining { until: Instant },
    /// That `promote_command` ends.
    Promoting { run: u64, until: Instant },
    /// That the checks of the new zone agree with `promote_command`.
    Promoted { until: Instant },
}

impl Checker {
    /// Begins a planned flip, or commits at once. There is nothing to wait for in a zone that has failed.
    pub(super) fn flip(&mut self, plan: Plan, now: Moment) {
        let failed = self.zones[self.active].verdict() == Verdict::Failed;
        let drain = if failed {
            Duration::ZERO
        } else {
            self.patience()
        };
        let promotes = !self.config.failover.promote_command.is_empty();
        if !plan.planned || (drain.is_zero() && !promotes) {
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
            phase: Phase::Draining {
                until: now.instant + drain,
            },
        });
        if drain.is_zero() {
            self.settle_pending(false, now);
        }
    }

    /// How long a planned flip waits for the zone that it leaves: never so long that the requests held meanwhile come to the end
    /// of their own patience. Those of a route that has none get their answer at once, however short the wait.
    fn patience(&self) -> Duration {
        let routes = self
            .config
            .routes
            .iter()
            .filter(|route| route.pool.is_some());
        let own = routes
            .filter_map(|route| route.overrides.hold_time)
            .filter(|own| !own.is_zero());
        let held = own.fold(self.config.failover.hold_time, Duration::min);
        self.config.server.drain_timeout.min(held * 4 / 5)
    }

    /// A new configuration may leave less time to drain: those who come from now on wait by it.
    pub(super) fn hurry(&self, pending: &mut Pending, now: Moment) {
        if let Phase::Draining { until } = &mut pending.phase {
            *until = (*until).min(now.instant + self.patience());
        }
    }

    /// Takes a planned flip whose time has come a step further, or gives it up when its target fails meanwhile.
    pub(super) fn settle_pending(&mut self, drained: bool, now: Moment) {
        let Some(mut pending) = self.pending.take() else {
            return;
        };
        let Phase::Draining { until } = pending.phase else {
            self.settle_promotion(pending, now);
            return;
        };
        if self.is_worse(&pending) {
            let target = &self.zones[pending.plan.to];
            let reasons = target.conclusion.reasons.join("; ");
            let explanation = format!("{} has failed meanwhile: {reasons}", target.name);
            self.tell_aborted(Arc::clone(&target.name), explanation, now);
            return;
        }
        let failed = self.zones[self.active].verdict() == Verdict::Failed;
        let over = drained || failed || until <= now.instant;
        if !over || self.begin_promotion(&mut pending, now) {
            self.pending = Some(pending);
        } else {
            let from = Arc::clone(&self.zones[self.active].name);
            self.commit(from, pending.plan, now);
        }
    }

    /// Whether the target can't be entered any more.
    pub(super) fn is_worse(&self, pending: &Pending) -> bool {
        let target = &self.zones[pending.plan.to];
        let got_worse = target.verdict() == Verdict::Failed && pending.target != Verdict::Failed;
        got_worse || target.conclusion.serves.nothing()
    }

    /// What it waits for, in words.
    pub(super) fn describe_pending(&self, pending: &Pending) -> String {
        let (active, to) = (
            &self.zones[self.active].name,
            &self.zones[pending.plan.to].name,
        );
        match pending.phase {
            Phase::Draining { .. } => format!("flip to {to}: waiting for {active} to drain"),
            Phase::Promoting { .. } => format!("flip to {to}: promote_command is running"),
            Phase::Promoted { .. } => format!("flip to {to}: waiting for its checks to pass"),
        }
    }

    /// Gives a planned flip up: the active zone stays, requests go on.
    pub(super) fn tell_aborted(&mut self, to: Arc<str>, explanation: String, now: Moment) {
        self.stale = true;
        let from = Arc::clone(&self.zones[self.active].name);
        let why = explanation.clone();
        let what = What::FlipAborted {
            from,
            to,
            explanation,
        };
        self.tell(what, now);
        self.note_abort_in_drill(&why, now);
    }

    /// Makes `plan.to` the active zone, now.
    pub(super) fn commit(&mut self, from: Arc<str>, plan: Plan, now: Moment) {
        let detected_in = match plan.cause {
            Cause::Failover => self.zones[self.active].detected_in,
            Cause::Failback | Cause::Operator | Cause::Drill | Cause::Reload => Duration::ZERO,
        };
        let evidence = self.evidence(&plan);
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
        let (cause, rule) = (plan.cause, plan.rule.clone());
        let flip = Flip {
            epoch: self.epoch,
            from,
            to: Arc::clone(&target.name),
            cause: plan.cause,
            rule: plan.rule,
            reasons: plan.reasons,
            evidence,
            alternatives: plan.alternatives,
            degraded: plan.degraded,
            shedding,
            detected_in,
        };
        self.tell(What::Flip(flip), now);
        self.note_flip_in_drill(cause, &rule, now);
    }
}
