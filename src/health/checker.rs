//! The decision machine: probes' outcomes, live observations, operator commands and time go in; probes to run, events and the
//! routing truth come out. It performs no IO and reads no clock, so that every history can be replayed.

mod account;
mod announce;
mod capacity;
mod command;
mod drill;
mod evidence;
mod failback;
mod flip;
mod forecast;
mod gray;
mod input;
mod known;
mod probing;
mod promotion;
mod reload;
mod replay;
mod routing;
mod trial;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Address, Check, Config};
use crate::health::checker::flip::Phase;
use crate::health::failover::{self, Decision, Situation, Standing};
use crate::health::gray::Sentence;
use crate::health::report::{Event, What};
use crate::health::status::schedule::{Fate, Flight};
use crate::health::status::{Component, Role};
use crate::health::verdict::{self, Conclusion, Need};
use crate::moment::Moment;
use crate::outcome::{Observation, Outcome};
use crate::zone::{ComponentId, ComponentKey, Verdict};

pub use crate::health::checker::command::{Accepted, Command, Refusal};
pub use crate::health::checker::forecast::{Fault, Forecast, Hypothesis, Misnomer};
pub use crate::health::checker::input::Input;
pub use crate::health::checker::promotion::{Promoted, Promotion};
pub use crate::health::checker::replay::{Held, Refused, Replayed, TooLong};
pub use crate::snapshot::{BackendState, Routing};

const HOUR: Duration = Duration::from_secs(3600);

/// One probe to be run now. `round` makes stale outcomes recognisable.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whom.
    pub component: ComponentId,
    /// Which one of this component's probes.
    pub round: u64,
    /// For log lines.
    pub key: ComponentKey,
    /// Where.
    pub address: Address,
    /// How.
    pub check: Arc<Check>,
}

/// See the module's promise.
#[derive(Clone, Debug)]
pub struct Checker {
    config: Arc<Config>,
    /// Counts configurations; the first is 1.
    generation: u64,
    needs: Vec<Need>,
    seed: u64,
    next_id: u32,
    /// Parallel to the configuration's zones.
    zones: Vec<Zone>,
    epoch: u64,
    active: usize,
    active_since: Moment,
    active_because: String,
    /// For `min_stay`; also that of an earlier process.
    last_flip: Option<Instant>,
    /// Automatic flips within the last hour, oldest first.
    flips: VecDeque<Moment>,
    /// The active zone, if it is pinned: a pinned zone is always the active one.
    pinned: bool,
    /// A planned flip that waits for the active zone to drain.
    pending: Option<flip::Pending>,
    promotions: promotion::Promotions,
    drills: drill::Drills,
    /// The active zone is compared with a standby.
    trial: Option<trial::Trial>,
    /// No zone has been fit to take requests yet.
    starting: bool,
    /// How much the active zone had to do lately.
    load: capacity::Load,
    /// What was told last, so that it is told once.
    told: Option<announce::Told>,
    /// It was told that there is nowhere to go, and no zone could serve since.
    outage_told: bool,
    /// Whether another zone could take over, as it was told last.
    standby: bool,
    /// Something changed since the last decision.
    stale: bool,
    /// When time alone may change the decision.
    again: Option<Instant>,
    probes: VecDeque<(ComponentId, u64)>,
    events: VecDeque<Event>,
}

/// One zone and what is concluded about it.
#[derive(Clone, Debug)]
struct Zone {
    name: Arc<str>,
    /// Backends first, then dependencies, each in config order.
    components: Vec<Component>,
    conclusion: Conclusion,
    since: Moment,
    /// How long the failure of the component that made the zone fail took to be detected.
    detected_in: Duration,
    /// Why it is gray as a whole, and so failed.
    gray: Option<String>,
    /// For how long.
    sentence: Sentence,
    /// Why it is not, though it looks so.
    excuse: trial::Excuse,
    /// Something about its components changed since the conclusion.
    stale: bool,
}

impl Checker {
    /// A probe has finished. An outcome of an older round or of a removed component changes nothing.
    pub fn handle_outcome(
        &mut self,
        component: ComponentId,
        round: u64,
        outcome: Outcome,
        now: Moment,
    ) {
        if let Some((zone, slot)) = self.find(component) {
            let schedule = &mut self.zones[zone].components[slot].schedule;
            if let Some(flight) = schedule.land(round) {
                self.take_outcome(zone, slot, flight, outcome, now);
            }
        }
        self.settle(now);
    }

    /// Live requests saw a sign of trouble with a backend: asks for confirming probes at once, judges nothing.
    pub fn handle_observation(&mut self, observation: Observation, now: Moment) {
        if let Some((zone, slot)) = self.find(observation.component) {
            let components = &mut self.zones[zone].components;
            if components[slot].doubt(observation.sign, now) {
                let required = components.iter_mut().filter(|c| c.role == Role::REQUIRED);
                required.for_each(|needed| needed.suspect(observation.sign, now));
            }
        }
        self.settle(now);
    }

    /// Nothing is in flight any more in the zone that a planned flip leaves.
    pub fn handle_drained(&mut self, now: Moment) {
        self.settle_pending(true, now);
        self.settle(now);
    }

    /// Time has come to what [`Self::poll_timeout`] said, or later.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.settle(now);
    }

    /// The next event to log and journal, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let probes = self.components().flat_map(|component| {
            let lost_at = component.schedule.lost_at();
            component.next_probe().into_iter().chain(lost_at)
        });
        let decision = match &self.pending {
            Some(pending) => Some(pending.phase.until()),
            None => self.again,
        };
        let others = self.gray_until().into_iter().chain(self.drill_due());
        probes.chain(decision).chain(others).min()
    }

    /// The index of the zone that a planned flip is leaving, while it waits for that zone to drain.
    pub fn draining(&self) -> Option<usize> {
        let draining = |pending: &flip::Pending| matches!(pending.phase, Phase::Draining { .. });
        self.pending
            .as_ref()
            .filter(|p| draining(p))
            .map(|_| self.active)
    }

    /// Whether a planned flip has begun, and is neither committed nor given up.
    pub fn is_flipping(&self) -> bool {
        self.pending.is_some()
    }

    /// Counts configurations; the first is 1.
    pub fn config_generation(&self) -> u64 {
        self.generation
    }

    /// Draws every conclusion from what has changed. Every input ends here, so that no input can forget a step.
    fn settle(&mut self, now: Moment) {
        self.give_up_lost_probes(now);
        self.settle_gray(now);
        self.conclude(now);
        self.settle_start();
        self.settle_pending(false, now);
        self.settle_drill(now);
        self.settle_failover(now);
        // A comparison has lost its point if the door has moved, or is about to.
        self.settle_trial(now);
        self.conclude(now);
        self.tell_standby(now);
        self.start_due_probes(now);
    }

    fn take_outcome(
        &mut self,
        index: usize,
        slot: usize,
        flight: Flight,
        outcome: Outcome,
        now: Moment,
    ) {
        let zone = &mut self.zones[index];
        let component = &mut zone.components[slot];
        match flight.fate {
            Fate::Counts => {}
            Fate::Obsolete => return component.disregard(&flight, now),
            Fate::Late => return,
        }
        let doubted = component.in_doubt();
        let transition = component.judge(flight, outcome, self.seed, now);
        let arose = !doubted && component.in_doubt();
        // Another zone may have been waiting for this doubt to be settled.
        self.stale |= doubted != component.in_doubt();
        if arose && index == self.active {
            self.compare_others(now);
        }
        let zone = &mut self.zones[index];
        let component = &zone.components[slot];
        let Some(transition) = transition else {
            return;
        };
        zone.stale = true;
        // Overwritten by each transition, but read only when the verdict changes with it.
        zone.detected_in = transition.detected_in;
        let component = component.key.clone();
        self.tell(
            What::Transition {
                component,
                from: transition.from,
                to: transition.to,
                evidence: transition.evidence,
                hastened_by: transition.hastened_by,
            },
            now,
        );
        // One conclusion per transition: two in one step would blur which of them made the zone fail.
        self.conclude(now);
    }

    /// The active zone is in doubt: if what ails it ails the others too, that has to be known before anything flips.
    fn compare_others(&mut self, now: Moment) {
        let zones = self.zones.iter_mut().enumerate();
        let others = zones.filter(|(index, _)| *index != self.active);
        for component in others.flat_map(|(_, zone)| &mut zone.components) {
            component.compare(now);
        }
    }

    fn conclude(&mut self, now: Moment) {
        for index in 0..self.zones.len() {
            let zone = &mut self.zones[index];
            if !std::mem::take(&mut zone.stale) {
                continue;
            }
            self.stale = true;
            gray::eject(&mut zone.components, self.config.failover.gray);
            zone.notice_absences(now);
            let mut conclusion = verdict::conclude(&zone.components, &self.needs);
            if let Some(reason) = &zone.gray {
                conclusion.fail(reason.clone());
            } else if let Some(remark) = &zone.excuse.remark {
                conclusion.remark(remark.clone());
            }
            let before = std::mem::replace(&mut zone.conclusion, conclusion);
            let (from, to) = (before.verdict, zone.verdict());
            if from == to {
                continue;
            }
            zone.since = now;
            let what = What::Verdict {
                zone: Arc::clone(&zone.name),
                from,
                to,
                reasons: zone.conclusion.reasons.clone(),
            };
            self.tell(what, now);
        }
    }

    fn settle_failover(&mut self, now: Moment) {
        while self
            .flips
            .front()
            .is_some_and(|flip| flip.instant + HOUR <= now.instant)
        {
            self.flips.pop_front();
            self.stale = true;
        }
        if self.outage_told {
            self.outage_told = !self.situation(now).some_zone_is_fit();
        }
        if self.pending.is_some() {
            return;
        }
        // Ends: every round but the last makes an automatic flip, and their number is limited.
        while std::mem::take(&mut self.stale)
            || self.again.is_some_and(|again| again <= now.instant)
        {
            let decision = failover::decide(&self.situation(now));
            self.again = decision.again().map(|wait| now.instant + wait);
            if let Decision::Flip(plan) = decision {
                self.flip(plan, now);
                if self.pending.is_some() {
                    return;
                }
            } else {
                self.tell_decision(decision, now);
            }
        }
    }

    fn situation(&self, now: Moment) -> Situation<'_> {
        let ago = |then: Instant| now.instant.saturating_duration_since(then);
        let max = self.config.failover.max_flips_per_hour;
        let mut flips = self
            .flips
            .iter()
            .map(|flip| ago(flip.instant))
            .filter(|ago| *ago < HOUR)
            .peekable();
        let next_flip_in = flips.peek().map(|oldest| HOUR.saturating_sub(*oldest));
        let used = u32::try_from(flips.count()).unwrap_or(u32::MAX);
        Situation {
            policy: &self.config.failover,
            zones: self
                .zones
                .iter()
                .map(|zone| Standing {
                    name: &zone.name,
                    conclusion: &zone.conclusion,
                    lasted: ago(zone.since.instant),
                    in_doubt: zone.components.iter().any(|c| c.counts() && c.in_doubt()),
                })
                .collect(),
            active: self.active,
            pinned: self.pinned,
            starting: self.starting,
            stayed: self.last_flip.map(ago),
            flips_left: max.saturating_sub(used),
            next_flip_in,
            promotion_pause: self.promotion_pause(now),
            drilling: self.is_drilling(),
            wall: now.wall,
        }
    }

    fn components(&self) -> impl Iterator<Item = &Component> {
        self.zones.iter().flat_map(|zone| &zone.components)
    }

    fn tell(&mut self, what: What, now: Moment) {
        self.events.push_back(Event { at: now.wall, what });
    }
}

impl Zone {
    fn verdict(&self) -> Verdict {
        self.conclusion.verdict
    }
}
