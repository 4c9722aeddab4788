//! The command that makes a standby ready to be written to, between the drain of a planned flip and its commit. Pure: the shell
//! runs it.
//!
//! Unplanned flips never run it. They don't wait, and nobody can tell a zone that has failed to stop writing, which must come
//! before another one is promoted: that takes the database's own cluster manager, with its fencing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::health::checker::Checker;
use crate::health::checker::flip::{Pending, Phase};
use crate::health::report::What;
use crate::moment::Moment;

/// How long after its time a promotion is believed lost that nobody has told the end of.
const LOST_AFTER: Duration = Duration::from_secs(3);
/// An automatic failback whose promotion failed is not tried again for `failback_after`, and at least this long: each attempt
/// makes all requests wait.
const LEAST_PAUSE: Duration = Duration::from_secs(60);

/// One run of `promote_command`, to be begun now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Makes the end of an earlier run recognisable.
    pub run: u64,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The zone that is left.
    pub from: Arc<str>,
    /// The zone that is entered.
    pub to: Arc<str>,
    /// The epoch that will begin.
    pub epoch: u64,
    /// Why, in words.
    pub reason: String,
    /// It is to be killed then.
    pub timeout: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// With exit code 0, in time.
    pub succeeded: bool,
    /// `exit code 3`.
    pub how: String,
    /// The end of what it wrote.
    pub output: String,
    /// From its start to its end.
    pub took: Duration,
}

/// What is known of promotions.
#[derive(Clone, Debug, Default)]
pub(super) struct Promotions {
    /// How many were begun.
    runs: u64,
    due: Option<Promotion>,
    /// When one failed last.
    failed: Option<Instant>,
}

impl Checker {
    /// The promotion to begin now, if one is due.
    pub fn poll_promotion(&mut self) -> Option<Promotion> {
        let wanted = self.promoting();
        let due = self.promotions.due.take()?;
        (wanted == Some(due.run)).then_some(due)
    }

    /// Which run is waited for; any other one is to be killed.
    pub fn promoting(&self) -> Option<u64> {
        match self.pending.as_ref()?.phase {
            Phase::Promoting { run, .. } => Some(run),
            Phase::Draining { .. } | Phase::Promoted { .. } => None,
        }
    }

    /// A run of `promote_command` has ended. One that nobody waits for any more changes nothing.
    pub fn handle_promoted(&mut self, run: u64, end: Promoted, now: Moment) {
        if self.promoting() == Some(run)
            && let Some(pending) = self.pending.take()
        {
            self.take_promoted(pending, end, now);
        }
        self.settle(now);
    }

    fn take_promoted(&mut self, mut pending: Pending, end: Promoted, now: Moment) {
        let to = Arc::clone(&self.zones[pending.plan.to].name);
        let Promoted {
            succeeded,
            how,
            output,
            took,
        } = end;
        let explanation = format!("promote_command failed: {how} after {took:.1?}");
        let what = What::Promotion {
            from: Arc::clone(&self.zones[self.active].name),
            to: Arc::clone(&to),
            succeeded,
            how,
            output,
            took,
        };
        self.tell(what, now);
        if !succeeded {
            self.give_up_promotion(to, explanation, now);
            return;
        }
        if let Phase::Promoting { until, .. } = pending.phase {
            pending.phase = Phase::Promoted { until };
        }
        self.pending = Some(pending);
    }

    /// Whether `promote_command` has to run before `pending` is committed; if so, its run is begun.
    pub(super) fn begin_promotion(&mut self, pending: &mut Pending, now: Moment) -> bool {
        let policy = &self.config.failover;
        if policy.promote_command.is_empty() {
            return false;
        }
        let timeout = policy.promote_timeout;
        self.promotions.runs += 1;
        let run = self.promotions.runs;
        self.promotions.due = Some(Promotion {
            run,
            command: policy.promote_command.clone(),
            from: Arc::clone(&self.zones[self.active].name),
            to: Arc::clone(&self.zones[pending.plan.to].name),
            epoch: self.epoch + 1,
            reason: pending.plan.rule.clone(),
            timeout,
        });
        let until = now.instant + timeout;
        pending.phase = Phase::Promoting { run, until };
        true
    }

    /// While it runs nothing is decided: the command itself may stop the old database and restart the new one, so that both zones
    /// seem to fail for a moment. Afterwards the new zone's checks have the rest of its time to agree.
    pub(super) fn settle_promotion(&mut self, pending: Pending, now: Moment) {
        let target = &self.zones[pending.plan.to];
        let to = Arc::clone(&target.name);
        match pending.phase {
            Phase::Promoted { .. } if !self.is_worse(&pending) => {
                let from = Arc::clone(&self.zones[self.active].name);
                self.commit(from, pending.plan, now);
            }
            Phase::Promoted { until } if until <= now.instant => {
                let reasons = target.conclusion.reasons.join("; ");
                let explanation = format!("promote_command succeeded, but {to} failed: {reasons}");
                self.give_up_promotion(to, explanation, now);
            }
            Phase::Promoting { until, .. } if until + LOST_AFTER <= now.instant => {
                let explanation = "promote_command was lost sight of".to_owned();
                self.give_up_promotion(to, explanation, now);
            }
            Phase::Draining { .. } | Phase::Promoting { .. } | Phase::Promoted { .. } => {
                self.pending = Some(pending);
            }
        }
    }

    fn give_up_promotion(&mut self, to: Arc<str>, explanation: String, now: Moment) {
        self.promotions.failed = Some(now.instant);
        self.tell_aborted(to, explanation, now);
    }

    /// How long an automatic failback has to wait after a promotion that failed.
    pub(super) fn promotion_pause(&self, now: Moment) -> Duration {
        let pause = self.config.failover.failback_after.max(LEAST_PAUSE);
        self.promotions.failed.map_or(Duration::ZERO, |failed| {
            pause.saturating_sub(now.instant.saturating_duration_since(failed))
        })
    }
}

impl Phase {
    /// When time ends it.
    pub(super) fn until(&self) -> Instant {
        match self {
            Self::Draining { until } | Self::Promoted { until } => *until,
            Self::Promoting { until, .. } => *until + LOST_AFTER,
        }
    }
}
