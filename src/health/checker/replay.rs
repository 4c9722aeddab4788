//! What would have been decided under another configuration: a checker of that configuration, put through a recorded past.
//!
//! As in a plan there is no second implementation of anything, only a clock that runs through the past, and probes that are
//! answered from the recording. Whatever went into the recorded checker goes into this one at the same moment. As long as both
//! do the same, every probe of this one coincides with a recorded one and gets its very outcome, and time comes to it as late
//! as it came to that one: so the recorded configuration leads to the recorded flips, to the nanosecond. Where they part, a
//! probe finds what the last recorded one before it has found. Pure.

mod answer;
mod outage;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Config, Detail};
use crate::health::checker::{Checker, Command, Promoted, Refusal};
use crate::health::recording::{Begin, Record, Recorded, Recording, Why};
use crate::health::report::{Flip, What};
use crate::moment::Moment;
use crate::outcome::{Observation, Outcome};
use crate::zone::{ComponentId, ComponentKey};
use outage::Outage;

/// Steps that are this checker's own, not recorded ones. Ample; who probes each millisecond through a month comes to its end.
const STEPS: u64 = 50_000_000;

/// How long is lived on after a recording in coarse detail, whose last record may be the last flip.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// What a replay has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Every flip.
    pub flips: Vec<(Moment, Flip)>,
    /// What would have flipped, and by which rule it did not.
    pub held: Vec<Held>,
    /// Recorded commands that were not possible here.
    pub refused: Vec<Refused>,
    /// For how long the zone that was active failed its probes.
    pub recorded_outage: Duration,
    /// For how long the one that is active here did.
    pub outage: Duration,
    /// For how long another zone was active than here: how live requests would have fared here meanwhile nobody knows.
    pub apart: Duration,
    /// Outcomes that would have been too late.
    pub too_slow: u64,
    /// Outcomes that were too late, and nobody knows whether they would have been here.
    pub unknown: u64,
    /// Outcomes that were taken to fail as the one before, though the next one passed.
    pub stretched: u64,
    /// Planned flips that were not recorded: they found nothing in flight, and their promotion succeeded.
    pub supposed: u64,
}

/// A flip that a rule held back, or that there was nowhere to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When.
    pub moment: Moment,
    /// Which rule; `nowhere_to_go`.
    pub rule: &'static str,
    /// In words.
    pub explanation: String,
}

/// A recorded command that was not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub moment: Moment,
    /// What was asked for.
    pub command: Command,
    /// Why not.
    pub refusal: Refusal,
}

/// The configuration probes so often that its replay has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// How far it came.
    pub at: Moment,
}

impl Checker {
    /// Puts a checker of `config` through `recording`, which must begin with a [`Begin`]; otherwise nothing happens.
    pub fn replay(recording: &Recording, config: Arc<Config>) -> Result<Replayed, TooLong> {
        let Some((begin, first)) = recording.begin().zip(recording.records.first()) else {
            return Ok(Replayed::default());
        };
        let mut run = Run::begin(recording, config, begin, first.moment);
        for (index, record) in recording.records.iter().enumerate() {
            run.take(index, record)?;
        }
        if run.detail < Detail::All {
            // What came last may come a little later here.
            run.live_until(run.now.instant + AFTERWARDS, Duration::ZERO)?;
        }
        Ok(run.into_replayed())
    }
}

struct Run<'r> {
    recording: &'r Recording,
    config: Arc<Config>,
    checker: Checker,
    now: Moment,
    /// That of the last record: where the wall clock was read last.
    anchor: Moment,
    detail: Detail,
    /// How each component was probed when it was recorded: `interval` and `timeout`, as far as they are known.
    paces: BTreeMap<ComponentKey, (Duration, Duration)>,
    /// Probes that coincide with a recorded one, by the record that ends them.
    coinciding: BTreeMap<usize, (ComponentId, u64)>,
    /// All others, in the order in which they come back.
    flights: VecDeque<Flight>,
    /// When planned flips were recorded to begin, and promotions.
    drains: BTreeSet<Instant>,
    promotions: BTreeSet<Instant>,
    /// The planned flip under way was recorded, and so is what it waits for.
    awaits_record: bool,
    outage: Outage,
    steps: u64,
    replayed: Replayed,
}

struct Flight {
    component: ComponentId,
    round: u64,
    back: Instant,
    outcome: Outcome,
}

impl<'r> Run<'r> {
    fn begin(recording: &'r Recording, config: Arc<Config>, begin: &Begin, now: Moment) -> Self {
        let memory = begin.memory.clone();
        let mut checker = Checker::new(Arc::clone(&config), memory, begin.seed, now);
        if begin.why != Why::Start {
            checker.take_up(
                begin,
                |known| answer::next_due(recording, begin, known, now),
                now,
            );
        }
        let moments = |wanted: &Recorded| {
            let records = recording.records.iter();
            let wanted = records.filter(|record| record.what == *wanted);
            wanted.map(|record| record.moment.instant).collect()
        };
        Self {
            drains: moments(&Recorded::Draining),
            promotions: moments(&Recorded::Promoting),
            outage: Outage::begin(&checker, begin, now),
            recording,
            config,
            checker,
            now,
            anchor: now,
            detail: begin.detail,
            paces: BTreeMap::new(),
            coinciding: BTreeMap::new(),
            flights: VecDeque::new(),
            awaits_record: false,
            steps: 0,
            replayed: Replayed::default(),
        }
    }

    /// Lives up to a record, and takes what it tells.
    fn take(&mut self, index: usize, record: &Record) -> Result<(), TooLong> {
        let begins = match &record.what {
            Recorded::Begin(begin) if begin.why == Why::Start && index > 0 => Some(begin),
            _ => None,
        };
        if begins.is_none() {
            // Nobody lived between the last record of a process and the next process.
            self.live_until(record.moment.instant, record.overdue)?;
        }
        self.now = record.moment;
        self.anchor = record.moment;
        if let Some(begin) = begins {
            self.restart(begin);
        }
        let now = self.now;
        match &record.what {
            Recorded::Outcome {
                component, outcome, ..
            } => {
                self.outage.note(component, outcome, &self.checker);
                if let Some((component, round)) = self.coinciding.remove(&index) {
                    self.checker
                        .handle_outcome(component, round, outcome.clone(), now);
                    self.gather();
                    self.plan(component);
                    return Ok(());
                }
                self.checker.handle_timeout(now);
            }
            Recorded::Sign { component, sign } => {
                if let Some(component) = self.find(component) {
                    let sign = *sign;
                    let observation = Observation { component, sign };
                    self.checker.handle_observation(observation, now);
                }
            }
            Recorded::Tally(tallies) => {
                for (key, tally) in tallies {
                    if let Some(component) = self.find(key) {
                        self.checker.handle_tally(component, *tally, now);
                    }
                }
            }
            Recorded::Command(command) => self.command(command),
            Recorded::Drained if self.awaits_record => self.checker.handle_drained(now),
            Recorded::Promoted(end) if self.awaits_record => {
                if let Some(run) = self.checker.promoting() {
                    self.checker.handle_promoted(run, end.clone(), now);
                }
            }
            Recorded::Flip(flip) => self.outage.recorded(&flip.to, &self.checker),
            Recorded::Begin(begin) => {
                self.detail = begin.detail;
                for known in &begin.components {
                    let pace = (known.interval, known.timeout);
                    self.paces.insert(known.key.clone(), pace);
                }
                match begin.why {
                    // Even one that changes nothing ends a trial.
                    Why::Reload => {
                        let config = Arc::clone(&self.config);
                        self.checker.handle_config(config, now);
                    }
                    Why::Start | Why::Rotation | Why::Journal => self.checker.handle_timeout(now),
                }
            }
            Recorded::End => self.detail = Detail::Transitions,
            Recorded::Tick { .. }
            | Recorded::Draining
            | Recorded::Drained
            | Recorded::Promoting
            | Recorded::Promoted(_)
            | Recorded::Held(_)
            | Recorded::Reloaded(_)
            | Recorded::Gap { .. } => self.checker.handle_timeout(now),
        }
        self.gather();
        Ok(())
    }

    /// What happens of itself before `moment`. While the recorded process was late, this one is.
    fn live_until(&mut self, moment: Instant, overdue: Duration) -> Result<(), TooLong> {
        let until = moment.checked_sub(overdue).unwrap_or(moment);
        loop {
            let flight = self.flights.front().map(|flight| flight.back);
            let next = flight.into_iter().chain(self.checker.poll_timeout()).min();
            let Some(next) = next.filter(|next| *next < until) else {
                break;
            };
            self.steps += 1;
            if self.steps > STEPS {
                return Err(TooLong { at: self.now });
            }
            let next = next.max(self.now.instant);
            self.now = self.anchor.after(next - self.anchor.instant);
            self.outage.advance(next, &self.checker);
            self.checker.handle_timeout(self.now);
            self.gather();
        }
        self.outage.advance(moment, &self.checker);
        Ok(())
    }

    /// A new process, which knows what this one knew.
    fn restart(&mut self, begin: &Begin) {
        let (config, memory) = (Arc::clone(&self.config), self.checker.memory());
        self.checker = Checker::new(config, memory, begin.seed, self.now);
        self.coinciding.clear();
        self.flights.clear();
        self.awaits_record = false;
        self.outage.skip_to(self.now.instant);
    }

    /// All that comes of it at this moment.
    fn gather(&mut self) {
        loop {
            self.note();
            while let Some(probe) = self.checker.poll_probe() {
                self.start(&probe);
            }
            let now = self.now;
            if let Some(promotion) = self.checker.poll_promotion() {
                self.awaits_record = self.was_recorded(&self.promotions);
                if !self.awaits_record {
                    self.replayed.supposed += 1;
                    self.checker
                        .handle_promoted(promotion.run, Promoted::supposed(), now);
                }
            } else if self.checker.draining().is_some() && !self.awaits_record {
                self.replayed.supposed += 1;
                self.checker.handle_drained(now);
            } else if let Some(flight) = self.landed() {
                let Flight {
                    component,
                    round,
                    outcome,
                    ..
                } = flight;
                self.checker.handle_outcome(component, round, outcome, now);
                self.note();
                self.plan(component);
            } else {
                break;
            }
        }
    }

    fn was_recorded(&self, moments: &BTreeSet<Instant>) -> bool {
        moments.contains(&self.now.instant)
    }

    fn landed(&mut self) -> Option<Flight> {
        let back = self.flights.front()?.back;
        if back > self.now.instant {
            return None;
        }
        self.flights.pop_front()
    }

    fn note(&mut self) {
        while let Some(event) = self.checker.poll_event() {
            let moment = self.now;
            match event.what {
                What::Flip(flip) => self.replayed.flips.push((moment, flip)),
                What::FlipBegun { .. } => self.awaits_record = self.was_recorded(&self.drains),
                What::Withheld {
                    rule, explanation, ..
                } => self.replayed.held.push(Held {
                    moment,
                    rule,
                    explanation,
                }),
                What::NowhereToGo { reasons, .. } => self.replayed.held.push(Held {
                    moment,
                    rule: "nowhere_to_go",
                    explanation: reasons.join("; "),
                }),
                _ => {}
            }
        }
    }

    fn command(&mut self, command: &Command) {
        let result = self.checker.handle_command(command.clone(), self.now);
        if let Err(refusal) = result {
            self.replayed.refused.push(Refused {
                moment: self.now,
                command: command.clone(),
                refusal,
            });
        }
        self.outage.judge(&self.checker);
    }

    fn find(&self, key: &ComponentKey) -> Option<ComponentId> {
        let mut components = self.checker.components();
        components.find(|c| c.key == *key).map(|c| c.id)
    }

    fn into_replayed(self) -> Replayed {
        Replayed {
            recorded_outage: self.outage.recorded,
            outage: self.outage.replayed,
            apart: self.outage.apart,
            ..self.replayed
        }
    }
}
