//! One component: what its probes have said, and when it is probed next. Pure.
//!
//! One streak counts only evidence against the present status: a single contrary outcome changes nothing, and evidence for
//! the status wipes the streak out. There is deliberately no second counter and no average: an operator must be able to
//! redo the conclusion from the last outcomes by hand.

mod composure;
mod confirmation;
mod doubt;
mod known;
pub mod schedule;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::config::{Address, Check};
use crate::health::gray::Live;
use crate::health::status::composure::Composure;
use crate::health::status::doubt::Doubt;
use crate::health::status::schedule::{Flight, Schedule};
use crate::moment::Moment;
use crate::outcome::{Outcome, Sign};
use crate::zone::{ComponentId, ComponentKey, Operator, Status};

/// How many outcomes are kept.
pub const KEPT: usize = 32;
/// How many of them are told as the evidence of a change.
pub const EVIDENCE: usize = 8;

/// A component and all that is known of it.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its identity within this process.
    pub id: ComponentId,
    /// Its name for people.
    pub key: ComponentKey,
    /// Where it is checked; with the key, its identity across reloads.
    pub address: Address,
    /// What it is for its zone.
    pub role: Role,
    /// How it is checked.
    pub check: Arc<Check>,
    /// What the operator says.
    pub operator: Operator,
    /// Whether it counts for its zone. A component that is added to a running zone joins with its first pass, so that adding
    /// an instance that isn't started yet never disturbs the zone.
    pub joined: bool,
    /// How its live requests go, for gray failures.
    pub live: Live,
    /// Gray, and so not to be picked.
    pub ejected: bool,
    /// Since when it may be picked again, or at all if it has joined a running zone; `None` for one that began with its zone.
    pub fresh_since: Option<Instant>,
    /// Could not be picked while its siblings could: next time it may be, it is fresh.
    absent: bool,
    /// What the probes say.
    pub status: Status,
    /// Since when.
    pub since: Moment,
    /// The outcome that decided, in words: `L4CON in 0 ms (connection refused), 2 in a row`. Fixed while the status lasts, so
    /// that the reasons of a verdict stay the same as long as the verdict does.
    pub because: String,
    /// The sign that hastened the probes which found it down.
    pub hastened_by: Option<Sign>,
    /// When it is probed.
    pub schedule: Schedule,
    /// Consecutive outcomes against the present status.
    streak: u32,
    /// The newest probe that has been judged, and whether it passed.
    newest: Option<(u64, bool)>,
    doubt: Option<Doubt>,
    composure: Composure,
    /// When trouble at a backend last was a reason for a probe.
    suspected: Option<Instant>,
    /// Shared with the reports, which are made by the dozen each second.
    outcomes: VecDeque<Arc<(Timestamp, Outcome)>>,
}

/// What a component is for its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An app server of this pool (index into the configuration's pools).
    Backend {
        /// Which pool.
        pool: usize,
    },
    /// Something the backends need.
    Dependency {
        /// Whether the zone fails with it.
        required: bool,
    },
}

impl Role {
    /// Of what the backends can't do without.
    pub const REQUIRED: Self = Self::Dependency { required: true };
}

/// A change of status, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The status before.
    pub from: Status,
    /// The status after.
    pub to: Status,
    /// The outcomes that made it so, newest last.
    pub evidence: Vec<(Timestamp, Outcome)>,
    /// What live requests saw first, and hastened the probes by.
    pub hastened_by: Option<Sign>,
    /// From the first contrary evidence to now; zero for good news.
    pub detected_in: Duration,
}

impl Component {
    /// A component that nothing is known of; its first probe is due at once.
    pub fn new(
        id: ComponentId,
        key: ComponentKey,
        address: Address,
        role: Role,
        check: Arc<Check>,
        now: Moment,
    ) -> Self {
        Self {
            id,
            key,
            address,
            role,
            check,
            operator: Operator::Ready,
            joined: true,
            live: Live::default(),
            ejected: false,
            fresh_since: None,
            absent: false,
            status: Status::Unknown,
            since: now,
            because: String::new(),
            hastened_by: None,
            schedule: Schedule::due_at(now.instant),
            streak: 0,
            newest: None,
            doubt: None,
            composure: Composure::default(),
            suspected: None,
            outcomes: VecDeque::with_capacity(KEPT),
        }
    }

    /// Takes the outcome of a probe that was in flight, and plans the next one.
    pub fn judge(
        &mut self,
        flight: Flight,
        outcome: Outcome,
        seed: u64,
        now: Moment,
    ) -> Option<Transition> {
        if !outcome.is_conclusive() && self.status != Status::Unknown {
            // No evidence, either way. Only a status that was never known needs some outcome, or requests would wait for ever.
            self.schedule.after(self.check.interval, now.instant);
            return None;
        }
        let passed = outcome.passed();
        match self.newest {
            // It has been overtaken, and what it says otherwise is older than what is known.
            Some((round, otherwise)) if round > flight.round && otherwise != passed => return None,
            Some((round, _)) if round > flight.round => {}
            _ => self.newest = Some((flight.round, passed)),
        }
        if self.outcomes.len() == KEPT {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back(Arc::new((now.wall, outcome)));

        let transition = match (self.status, passed) {
            (Status::Unknown, true) => Some(self.turn(Status::Up, 1, now)),
            (Status::Up, true) => {
                self.streak = 0;
                self.refute(flight.started, now);
                None
            }
            (Status::Unknown | Status::Up, false) => {
                self.streak += 1;
                self.composure = Composure::default();
                self.doubt.get_or_insert(Doubt::since(now));
                (self.streak >= self.needed()).then(|| self.turn(Status::Down, self.streak, now))
            }
            (Status::Down, true) => {
                self.streak += 1;
                (self.streak >= self.check.rise.get())
                    .then(|| self.turn(Status::Up, self.streak, now))
            }
            (Status::Down, false) => {
                self.streak = 0;
                None
            }
        };
        if self.doubt.is_some() {
            self.schedule
                .after(self.check.confirm_interval, now.instant);
        } else {
            let interval =
                schedule::jitter(self.check.interval, seed, self.id, self.schedule.round());
            self.schedule.after(interval, now.instant);
        }
        transition
    }

    /// The outcome of a probe that was started under an older configuration of the check has come: the way is free for the first one
    /// under the new one, unless that has begun.
    pub fn disregard(&mut self, flight: &Flight, now: Moment) {
        if flight.round == self.schedule.round() {
            self.schedule.after(Duration::ZERO, now.instant);
        }
    }

    /// Starts a probe if one is due; its round.
    pub fn start_probe(&mut self, now: Moment) -> Option<u64> {
        // Well past the probe's own timeout: only a shell that lost it can be that late.
        let patience = self.check.timeout * 2 + Duration::from_secs(1);
        let round = self.schedule.start(self.at_once(), patience, now.instant)?;
        let pause = match self.doubt {
            Some(_) => self.check.confirm_interval,
            None => self.check.interval,
        };
        self.schedule.after(pause, now.instant);
        Some(round)
    }

    /// When the next probe is due, unless as many are in flight as may be.
    pub fn next_probe(&self) -> Option<Instant> {
        self.schedule.next(self.at_once())
    }

    /// Whether requests may be sent to it.
    pub fn pickable(&self) -> bool {
        self.status == Status::Up && self.operator == Operator::Ready && !self.ejected
    }

    /// Notices when it comes into picking and leaves it, after any of what [`Self::pickable`] depends on may have changed.
    pub fn notice_absence(&mut self, now: Moment) {
        if self.pickable() {
            if std::mem::take(&mut self.absent) {
                self.fresh_since = Some(now.instant);
            }
        } else if self.status != Status::Unknown || !self.joined {
            // One that isn't judged yet begins together with its zone, where nobody is warmer than it.
            self.absent = true;
        }
    }

    /// Whether a probe of it has failed, and the next ones will say whether it is down.
    pub fn in_doubt(&self) -> bool {
        self.status == Status::Up && self.streak > 0
    }

    /// Whether it is down for its zone, its last probe has passed, and the next ones will say whether it is up again.
    pub fn is_returning(&self) -> bool {
        let optional = Role::Dependency { required: false };
        self.status == Status::Down && self.streak > 0 && self.counts() && self.role != optional
    }

    /// Of one that [is returning](Self::is_returning): `postgres has passed 1 of the 3 checks that bring it back`
    pub fn return_told(&self) -> Option<String> {
        self.is_returning().then(|| {
            let (name, passed, rise) = (&self.key.name, self.streak, self.check.rise);
            format!("{name} has passed {passed} of the {rise} checks that bring it back")
        })
    }

    /// Whether its last probe agreed with its status.
    pub fn is_steady(&self) -> bool {
        self.streak == 0
    }

    /// Asks for a probe at once because another zone is in trouble: a comparison needs fresh evidence on both sides.
    pub fn compare(&mut self, now: Moment) {
        self.schedule
            .hasten(self.check.confirm_interval, now.instant);
    }

    /// Whether it counts for its zone's verdict.
    pub fn counts(&self) -> bool {
        self.operator == Operator::Ready && self.joined
    }

    /// Newest last, at most [`KEPT`].
    pub fn outcomes(&self) -> impl DoubleEndedIterator<Item = &Arc<(Timestamp, Outcome)>> {
        self.outcomes.iter()
    }

    /// `postgres is down since 03:12:07 UTC: L4CON in 0 ms (connection refused), 2 in a row`
    pub fn describe(&self) -> String {
        let name = &self.key.name;
        match self.status {
            Status::Unknown => format!("{name} isn't judged yet"),
            Status::Up => format!("{name} is up since {}", clock(self.since.wall)),
            Status::Down => format!(
                "{name} is down since {}: {}",
                clock(self.since.wall),
                self.because
            ),
        }
    }

    fn refute(&mut self, started: Instant, now: Moment) {
        let asked_later = |doubt: &Doubt| doubt.asked.is_some_and(|asked| started < asked);
        // A probe that had been sent before the sign says nothing about it.
        if self.doubt.as_ref().is_some_and(asked_later) {
            return;
        }
        let sign = self.doubt.take().and_then(|doubt| doubt.sign);
        let silent = matches!(sign, Some(Sign::Silence(_)));
        self.composure.pass(silent, &self.check, now.instant);
    }

    fn turn(&mut self, to: Status, streak: u32, now: Moment) -> Transition {
        let from = std::mem::replace(&mut self.status, to);
        self.since = now;
        self.streak = 0;
        self.schedule.make_late();
        let doubt = self.doubt.take().filter(|_| to == Status::Down);
        self.hastened_by = doubt.and_then(|doubt| doubt.sign);
        let told = usize::try_from(streak).map_or(EVIDENCE, |streak| streak.min(EVIDENCE));
        let first = self.outcomes.len().saturating_sub(told);
        let outcomes = self.outcomes.iter().skip(first);
        let evidence: Vec<_> = outcomes.map(|outcome| (**outcome).clone()).collect();
        self.because = match (evidence.last(), streak) {
            (Some((_, outcome)), 1) => outcome.to_string(),
            (Some((_, outcome)), _) => format!("{outcome}, {streak} in a row"),
            (None, _) => String::new(),
        };
        if to == Status::Up {
            self.joined = true;
        }
        Transition {
            from,
            to,
            evidence,
            hastened_by: self.hastened_by,
            detected_in: doubt.map_or(Duration::ZERO, |doubt| {
                now.instant.saturating_duration_since(doubt.since)
            }),
        }
    }
}

/// The time of day, as it stands in reasons.
pub(crate) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on ends")]
mod tests;
