//! A pool of the active zone that is gray as a whole, compared with a standby before its zone fails for it. Pure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Gray;
use crate::health::checker::gray::is_candidate;
use crate::health::checker::{Checker, Zone};
use crate::health::gray::{self, Sentence, Stretch};
use crate::health::report::What;
use crate::moment::Moment;
use crate::outcome::TrialTally;
use crate::snapshot;
use crate::zone::Verdict;

/// By then it has found out, or there was nothing to find it out by.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a pool that the zone of `from` and the one of `to` are compared in.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pool: usize,
    from: usize,
    to: usize,
    here: TrialTally,
    there: TrialTally,
    until: Instant,
}

/// A zone that is gray as a whole, and not failed for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Excuse {
    /// How long it holds: no other trial begins before.
    pub(super) sentence: Sentence,
    /// Why, as a remark on the zone.
    pub(super) remark: Option<String>,
}

impl Checker {
    /// What the data path is to find out.
    pub(super) fn trial(&self) -> Option<snapshot::Trial> {
        self.trial.as_ref().map(|trial| snapshot::Trial {
            pool: trial.pool,
            to: trial.to,
        })
    }

    /// Whether live requests are being compared: then each of them counts.
    pub fn is_on_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// Live requests have ended at a backend, some of which may have been part of a trial.
    pub(super) fn judge_trial(&mut self, zone: usize, slot: usize, tally: TrialTally, now: Moment) {
        let Some(trial) = &mut self.trial else {
            self.begin_trial(zone, now);
            return;
        };
        if is_candidate(&self.zones[zone].components[slot], trial.pool) {
            if zone == trial.from {
                trial.here.add(tally);
            } else if zone == trial.to {
                trial.there.add(tally);
            }
        }
        let (trial, zones) = (trial.clone(), &self.zones);
        let (from, to) = (&zones[trial.from].name, &zones[trial.to].name);
        let Some(stretch) = self.bad_stretch(trial.from, trial.pool, false) else {
            // It does well again, and nobody has to know why.
            self.end_trial(None);
            return;
        };
        let pool = &self.needs[trial.pool].pool;
        let numbers = stretch.describe(now.instant);
        let compared = format!(
            "of live requests dealt out to both zones {from} failed {}, {to} {}",
            trial.here, trial.there
        );
        let before = zones[trial.from].excuse.sentence.times(now.instant);
        match gray::compare(trial.here, trial.there, before) {
            gray::Trial::Open => {}
            // One of its backends may do well, and only hasn't been asked yet.
            gray::Trial::Better if self.bad_stretch(trial.from, trial.pool, true).is_none() => {}
            gray::Trial::Unclear => self.give_up_trial(now),
            gray::Trial::Better => {
                let reason = format!(
                    "pool {pool} passes its checks, but is gray as a whole: {numbers}; {compared}"
                );
                self.end_trial(None);
                self.fail_gray(trial.from, reason, now);
            }
            gray::Trial::Alike => {
                let remark = format!(
                    "pool {pool} fails live requests here as it does in {to}: the application's own fault, or that of what it is asked"
                );
                let explanation = format!(
                    "{from} passes its checks, but {numbers}. That shows in every zone alike, and so it is the application's own fault, or that of what it is asked: {compared}"
                );
                self.end_trial(Some(remark));
                self.tell_trial(trial.to, "same_everywhere", explanation, now);
                self.zones[trial.from].excuse.sentence.begin(now.instant);
            }
        }
    }

    /// Asks a standby, where so configured: for a pool that is gray as a whole in the active zone.
    fn begin_trial(&mut self, index: usize, now: Moment) {
        let zone = &mut self.zones[index];
        if self.config.failover.gray != Gray::FailZone
            || index != self.active
            || zone.verdict() == Verdict::Failed
            || zone.excuse.sentence.until().is_some()
            || self.pending.is_some()
        {
            return;
        }
        for component in &mut zone.components {
            component.live.forget(now.instant);
        }
        let turned = (0..self.needs.len())
            .find_map(|pool| Some((pool, self.bad_stretch(index, pool, false)?)));
        let standby = |pool| {
            let mut zones = self.zones.iter().enumerate();
            zones.find(|(other, zone)| *other != index && zone.takes_over(pool))
        };
        let Some((pool, stretch, to)) =
            turned.and_then(|(pool, stretch)| Some((pool, stretch, standby(pool)?.0)))
        else {
            return;
        };
        let (from, other) = (&self.zones[index].name, &self.zones[to].name);
        let explanation = format!(
            "{from} passes its checks, but {} (pool {}). Whether {other} does better is not known yet: every other safe request (GET, HEAD and such) is answered there now",
            stretch.describe(now.instant),
            self.needs[pool].pool,
        );
        let remark = format!(
            "pool {} fails live requests: {other} is asked whether it does better",
            self.needs[pool].pool
        );
        self.tell_trial(to, "comparison", explanation, now);
        self.zones[index].excuse.remark = Some(remark);
        self.zones[index].stale = true;
        self.trial = Some(Trial {
            pool,
            from: index,
            to,
            here: TrialTally::default(),
            there: TrialTally::default(),
            until: now.instant + PATIENCE,
        });
    }

    /// Ends a trial that has lost its point or its time, and an excuse that has been one for long enough.
    pub(super) fn settle_trial(&mut self, now: Moment) {
        for zone in &mut self.zones {
            let sentence = &mut zone.excuse.sentence;
            if sentence.until().is_some_and(|until| until <= now.instant) {
                sentence.end(now.instant);
                zone.stale |= zone.excuse.remark.take().is_some();
            }
        }
        let Some(trial) = &self.trial else {
            return;
        };
        let (pool, from, to) = (trial.pool, trial.from, trial.to);
        let has_point = self.config.failover.gray == Gray::FailZone
            && self.active == from
            && self.pending.is_none()
            && self.zones[from].verdict() != Verdict::Failed
            && self.zones[to].takes_over(pool);
        if !has_point {
            self.end_trial(None);
        } else if trial.until <= now.instant {
            self.give_up_trial(now);
        }
    }

    /// Ends a trial without a result.
    fn give_up_trial(&mut self, now: Moment) {
        let Some(Trial {
            pool,
            from,
            to,
            here,
            there,
            ..
        }) = self.trial
        else {
            return;
        };
        let (zone, other) = (&self.zones[from].name, &self.zones[to].name);
        let explanation = format!(
            "whether {other} does better can't be told by the requests that may be answered there: of the safe ones {zone} failed {here}, {other} {there}"
        );
        let remark = format!(
            "pool {} fails live requests, and the safe ones don't tell whether {other} does better",
            self.needs[pool].pool
        );
        self.end_trial(Some(remark));
        self.tell_trial(to, "comparison", explanation, now);
        self.zones[from].excuse.sentence.begin(now.instant);
    }

    /// When [`Self::settle_trial`] has something to do.
    pub(super) fn trial_until(&self) -> impl Iterator<Item = Instant> {
        let excuses = self.zones.iter();
        let excuses = excuses.filter_map(|zone| zone.excuse.sentence.until());
        excuses.chain(self.trial.as_ref().map(|trial| trial.until))
    }

    /// Forgets it all: pools and zones are about to change places.
    pub(super) fn forget_trial(&mut self) {
        self.end_trial(None);
    }

    fn end_trial(&mut self, remark: Option<String>) {
        if let Some(trial) = self.trial.take() {
            let zone = &mut self.zones[trial.from];
            zone.excuse.remark = remark;
            zone.stale = true;
        }
    }

    fn fail_gray(&mut self, index: usize, reason: String, now: Moment) {
        let zone = &mut self.zones[index];
        zone.sentence.begin(now.instant);
        zone.gray = Some(reason);
        zone.detected_in = Duration::ZERO;
        zone.stale = true;
    }

    fn bad_stretch(&self, zone: usize, pool: usize, each: bool) -> Option<Stretch> {
        let components = self.zones[zone].components.iter();
        let backends = components.filter(|c| is_candidate(c, pool));
        let lives: Vec<_> = backends.map(|backend| &backend.live).collect();
        gray::all_bad(&lives, each)
    }

    fn tell_trial(&mut self, to: usize, rule: &'static str, explanation: String, now: Moment) {
        let to = Arc::clone(&self.zones[to].name);
        let what = What::Withheld {
            to,
            rule,
            explanation,
        };
        self.tell(what, now);
    }
}

impl Zone {
    /// Whether it could take over for a zone whose `pool` is gray: not if it is gray itself.
    fn takes_over(&self, pool: usize) -> bool {
        self.verdict() == Verdict::Serving
            && self.components.iter().any(|c| is_candidate(c, pool))
            && !self.components.iter().any(|c| c.live.is_gray())
    }
}
