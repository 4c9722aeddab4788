//! Drills: the traffic goes to a standby as if its zone had failed, and returns by itself, early if requests fare worse. Pure.
//!
//! A drill asks the only question that matters before the night it is needed: does the standby carry the load? Both ways are
//! planned flips, so that the answer costs nobody a request.

mod recall;
mod traffic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::health::checker::command::in_words;
use crate::health::checker::{Accepted, Checker, Refusal};
use crate::health::failover::{self, Plan};
use crate::health::report::{Cause, DrillOutcome, DrillReport, DrillState, Share, What};
use crate::moment::Moment;
use crate::outcome::Tally;
use crate::zone::Verdict;
use traffic::{BASELINE, LATELY, Traffic};

/// What is known of drills.
#[derive(Clone, Debug, Default)]
pub(super) struct Drills {
    current: Option<Drill>,
    /// How requests fare in the active zone.
    traffic: Traffic,
    /// Requests that the workers of this process have held so far.
    held: u64,
}

/// The drill under way. Zones by their names, since a reload may move them.
#[derive(Clone, Debug)]
struct Drill {
    home: Arc<str>,
    away: Arc<str>,
    length: Duration,
    reason: Option<String>,
    phase: Phase,
    /// When the flip of this phase began.
    flip_begun: Instant,
    left_in: Duration,
    /// When the other zone got the traffic.
    since: Moment,
    until: Moment,
    /// Why it returns early, if it does.
    aborted: Option<String>,
    before: Share,
    during: Share,
    /// Held in an earlier process, and by this one before the drill began.
    held_earlier: u64,
    held_before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Leaving,
    Away,
    /// Its time is over, and it returns as soon as home is judged.
    Due,
    Returning,
}

impl Checker {
    /// The workers have held `total` requests so far.
    pub fn handle_held(&mut self, total: u64) {
        self.drills.held = total;
    }

    /// Makes the best standby active, as if `zone` had failed, for `length`.
    pub(super) fn begin_drill(
        &mut self,
        zone: &str,
        length: Duration,
        reason: Option<String>,
        now: Moment,
    ) -> Result<Accepted, Refusal> {
        let to = self.may_drill(self.zone_named(zone)?, now)?;
        let rule = in_words(
            &format!("a drill, as if {zone} had failed, for {length:?}"),
            reason.as_deref(),
        );
        let home = Arc::clone(&self.zones[self.active].name);
        let away = Arc::clone(&self.zones[to].name);
        let what = What::DrillBegun {
            zone: Arc::clone(&home),
            away: Arc::clone(&away),
            length,
            reason: reason.clone(),
        };
        self.tell(what, now);
        self.drills.current = Some(Drill {
            home,
            away,
            length,
            reason,
            phase: Phase::Leaving,
            flip_begun: now.instant,
            left_in: Duration::ZERO,
            since: now,
            until: now.after(length),
            aborted: None,
            before: self.drills.traffic.within(BASELINE, now.instant),
            during: Share::default(),
            held_earlier: 0,
            held_before: self.drills.held,
        });
        self.flip(self.plan_drill(to, rule), now);
        Ok(self.begun(to))
    }

    /// Gives the drill up: it returns now.
    pub(super) fn abort_drill(
        &mut self,
        reason: Option<&str>,
        now: Moment,
    ) -> Result<Accepted, Refusal> {
        let why = in_words("an operator aborted it", reason);
        let Some(drill) = &mut self.drills.current else {
            return Err(Refusal::NoDrill("there is no drill to abort".to_owned()));
        };
        match drill.phase {
            Phase::Leaving => {
                if let Some(refusal) = self.refuse_to_overtake_promotion() {
                    return Err(refusal);
                }
                if let Some(pending) = self.pending.take() {
                    let to = Arc::clone(&self.zones[pending.plan.to].name);
                    self.tell_aborted(to, why, now);
                }
                Ok(Accepted::Now)
            }
            Phase::Away | Phase::Due | Phase::Returning => {
                drill.aborted.get_or_insert(why);
                let home = Arc::clone(&drill.home);
                self.settle_drill(now);
                Ok(self
                    .zone_named(&home)
                    .map_or(Accepted::Now, |home| self.begun(home)))
            }
        }
    }

    /// Where a drill of `home` would lead.
    fn may_drill(&mut self, home: usize, now: Moment) -> Result<usize, Refusal> {
        let refuse = |why: String| Err(Refusal::NoDrill(why));
        let zone = Arc::clone(&self.zones[home].name);
        if let Some(drill) = &self.drills.current {
            return refuse(format!(
                "a drill of {} is under way: wait for its end, or `firedoor drill --abort`",
                drill.home
            ));
        }
        if self.pinned {
            let active = &self.zones[self.active].name;
            return Err(Refusal::PinnedElsewhere(active.to_string()));
        }
        if let Some(pending) = &self.pending {
            let to = &self.zones[pending.plan.to].name;
            return Err(Refusal::FlipPending(to.to_string()));
        }
        if home != self.active {
            let active = &self.zones[self.active].name;
            return refuse(format!(
                "{zone} isn't active, so there is no traffic to take from it: drill {active}"
            ));
        }
        let situation = self.situation(now);
        let describe = |zone: usize| {
            failover::describe(situation.name(zone), situation.zones[zone].conclusion)
        };
        let conclusion = &self.zones[home].conclusion;
        if conclusion.verdict != Verdict::Serving || conclusion.serves.nothing() {
            return refuse(format!(
                "{}: a drill could not return there",
                describe(home)
            ));
        }
        situation.first_serving().ok_or_else(|| {
            let others = situation.others().map(|(index, _)| describe(index));
            let others: Vec<String> = others.collect();
            Refusal::NoDrill(format!(
                "no other zone could take over: {}",
                if others.is_empty() {
                    "there is none".to_owned()
                } else {
                    others.join("; ")
                }
            ))
        })
    }

    /// Returns when its time is over, or requests fare worse, or the other zone fails.
    pub(super) fn settle_drill(&mut self, now: Moment) {
        if self.pending.is_some() {
            return;
        }
        let (away_failed, lately) = (
            self.zones[self.active].verdict() == Verdict::Failed,
            self.drills.traffic.within(LATELY, now.instant),
        );
        let pinned = self.pinned;
        let Some(drill) = &mut self.drills.current else {
            return;
        };
        if pinned {
            let explanation = format!("{} was pinned", drill.away);
            self.end_drill(DrillOutcome::CutShort, explanation, now);
            return;
        }
        if drill.phase == Phase::Away && drill.aborted.is_none() {
            if away_failed {
                drill.aborted = Some(format!("{} has failed", drill.away));
            } else if traffic::has_risen(drill.before, lately) {
                let before = drill.before;
                drill.aborted = Some(format!(
                    "within the last {LATELY:?} {lately}, before it {before}"
                ));
            }
        }
        if drill.phase == Phase::Away
            && (drill.aborted.is_some() || drill.until.instant <= now.instant)
        {
            drill.phase = Phase::Due;
        }
        if drill.phase == Phase::Due {
            self.return_from_drill(now);
        }
    }

    fn return_from_drill(&mut self, now: Moment) {
        let Some(drill) = &mut self.drills.current else {
            return;
        };
        let why = drill.why();
        let found = self.zones.iter().position(|zone| zone.name == drill.home);
        let Some(home) = found else {
            let explanation = format!("{} is no longer configured", drill.home);
            self.end_drill(DrillOutcome::CutShort, explanation, now);
            return;
        };
        let serves_nothing = self.zones[home].conclusion.serves.nothing();
        match self.zones[home].verdict() {
            // After a restart. Every probe ends, so it won't be for long.
            Verdict::Unknown => {}
            // A `min_healthy` of 0 lets a zone serve that has nothing to serve with.
            verdict if verdict == Verdict::Failed || serves_nothing => {
                let reasons = self.zones[home].conclusion.reasons.join("; ");
                let explanation = format!(
                    "{why}, but it can't return: {} can't take requests: {reasons}",
                    self.zones[home].name
                );
                self.end_drill(DrillOutcome::CutShort, explanation, now);
            }
            _ => {
                drill.phase = Phase::Returning;
                drill.flip_begun = now.instant;
                let rule = format!("the drill returns to {}: {why}", drill.home);
                self.flip(self.plan_drill(home, rule), now);
            }
        }
    }

    /// The active zone has changed.
    pub(super) fn note_flip_in_drill(&mut self, cause: Cause, rule: &str, now: Moment) {
        self.drills.traffic = Traffic::default();
        let Some(drill) = &mut self.drills.current else {
            return;
        };
        match (cause, drill.phase) {
            (Cause::Drill, Phase::Leaving) => {
                drill.phase = Phase::Away;
                drill.left_in = now.instant.saturating_duration_since(drill.flip_begun);
                drill.since = now;
                drill.until = now.after(drill.length);
            }
            (Cause::Drill, _) => {
                let outcome = match drill.aborted {
                    Some(_) => DrillOutcome::Aborted,
                    None => DrillOutcome::Returned,
                };
                let why = drill.why();
                self.end_drill(outcome, why, now);
            }
            _ => {
                let explanation = format!("another flip came between: {rule}");
                self.end_drill(DrillOutcome::CutShort, explanation, now);
            }
        }
    }

    /// A planned flip was given up.
    pub(super) fn note_abort_in_drill(&mut self, explanation: &str, now: Moment) {
        let Some(drill) = &self.drills.current else {
            return;
        };
        let outcome = match drill.phase {
            Phase::Leaving => DrillOutcome::NotBegun,
            Phase::Returning => DrillOutcome::CutShort,
            Phase::Away | Phase::Due => return,
        };
        self.end_drill(outcome, explanation.to_owned(), now);
    }

    fn end_drill(&mut self, outcome: DrillOutcome, explanation: String, now: Moment) {
        let Some(drill) = self.drills.current.take() else {
            return;
        };
        self.stale = true;
        let since = |then: Instant| now.instant.saturating_duration_since(then);
        let returned = matches!(outcome, DrillOutcome::Returned | DrillOutcome::Aborted);
        let began = matches!(drill.phase, Phase::Away | Phase::Due | Phase::Returning);
        let report = DrillReport {
            outcome,
            explanation,
            lasted: if began {
                since(drill.since.instant)
            } else {
                Duration::ZERO
            },
            held_for: (
                drill.left_in,
                if returned {
                    since(drill.flip_begun)
                } else {
                    Duration::ZERO
                },
            ),
            held: drill.held(self.drills.held),
            before: drill.before,
            during: drill.during,
            zone: drill.home,
            away: drill.away,
            reason: drill.reason,
        };
        self.tell(What::DrillEnded(report), now);
    }

    /// Counts requests that have ended in the active zone.
    pub(super) fn count_traffic(&mut self, tally: Tally, now: Moment) {
        self.drills.traffic.add(tally, now.instant);
        if let Some(drill) = &mut self.drills.current
            && drill.phase != Phase::Leaving
        {
            drill.during.requests += u64::from(tally.requests);
            drill.during.failures += u64::from(tally.failures);
        }
    }

    /// For reports.
    pub(super) fn drill_state(&self) -> Option<DrillState> {
        let drill = self.drills.current.as_ref()?;
        Some(DrillState {
            zone: Arc::clone(&drill.home),
            away: Arc::clone(&drill.away),
            until: drill.until.wall,
            reason: drill.reason.clone(),
        })
    }

    /// When time ends the drill; not while another flip is under way, whose end comes first.
    pub(super) fn drill_due(&self) -> Option<Instant> {
        let drill = self.drills.current.as_ref()?;
        let waits = drill.phase == Phase::Away && self.pending.is_none();
        waits.then_some(drill.until.instant)
    }

    /// Whether the drill decides when the traffic returns.
    pub(super) fn is_drilling(&self) -> bool {
        self.drills.current.is_some()
    }

    fn begun(&self, to: usize) -> Accepted {
        match &self.pending {
            Some(pending) if pending.plan.to == to => Accepted::FlipBegun(to),
            _ => Accepted::Now,
        }
    }

    fn plan_drill(&self, to: usize, rule: String) -> Plan {
        Plan {
            cause: Cause::Drill,
            ..self.plan_operator(to, true, rule)
        }
    }
}

impl Drill {
    fn why(&self) -> String {
        match &self.aborted {
            Some(why) => why.clone(),
            None => format!("its {:?} are over", self.length),
        }
    }

    fn held(&self, now: u64) -> u64 {
        self.held_earlier + now.saturating_sub(self.held_before)
    }
}
