//! What a probe of the replay finds, and when the next one begins. Pure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Flight, Run};
use crate::config::{Check, Detail};
use crate::health::checker::{Probe, Promoted};
use crate::health::recording::{Begin, Known, Recorded, Recording, Sample, Track};
use crate::moment::Moment;
use crate::outcome::{CheckCode, Outcome};
use crate::zone::{ComponentId, ComponentKey, Status};

/// Never, as far as a recording reaches.
const NEVER: Duration = Duration::from_secs(100 * 366 * 86400);
/// How late a process that is well comes to a timer, at most.
const LATE: Duration = Duration::from_millis(50);

impl Run<'_> {
    pub(super) fn start(&mut self, probe: &Probe) {
        let now = self.now.instant;
        let (id, round, timeout) = (probe.component, probe.round, probe.check.timeout);
        let Some(track) = self.recording.tracks.get(&probe.key) else {
            return self.fly(id, round, Duration::ZERO, well());
        };
        if track.is_unanswered(now) {
            return;
        }
        let coinciding = track.at(now);
        // Where the begins of probes are not recorded, they are known no better than that.
        let vague = match self.detail {
            Detail::All => Duration::ZERO,
            Detail::Changes | Detail::Transitions => LATE,
        };
        let index = track.after(now + vague).checked_sub(1);
        let sample = coinciding.or(index.map(|index| &track.samples[index]));
        let outcome = match sample.and_then(|sample| self.outcome(sample)) {
            Some(outcome) => outcome.clone(),
            None => earliest(self.recording, track),
        };
        let next = index.and_then(|index| track.samples.get(index + 1));
        if coinciding.is_none() && !outcome.passed() && next.is_some_and(|next| next.passed) {
            self.replayed.stretched += 1;
        }
        let took = sample.map_or(outcome.took, |sample| sample.ended - sample.began);
        if is_timeout(outcome.code) && outcome.took + outcome.took / 20 < timeout {
            self.replayed.unknown += 1;
        }
        if self.is_late(&probe.key, outcome.took, timeout) {
            self.replayed.too_slow += u64::from(outcome.passed());
            return self.fly(id, round, timeout, late(&outcome, timeout));
        }
        match coinciding {
            Some(sample) => {
                self.coinciding.insert(sample.record, (id, round));
            }
            None => self.fly(id, round, took, outcome),
        }
    }

    /// Brings the next probe of a component to where the recorded one began, if both were to come at about that time: the
    /// jitter is chance, and must not look like a difference. Where nothing can change before a probe finds something else
    /// than the last one did, those in between are left out.
    pub(super) fn plan(&mut self, id: ComponentId) {
        let Some((zone, slot)) = self.checker.find(id) else {
            return;
        };
        let now = self.now.instant;
        let component = &self.checker.zones[zone].components[slot];
        let (Some(due), Some(started)) =
            (component.next_probe(), component.schedule.last_started())
        else {
            return;
        };
        let state = State {
            settled: component.is_settled(),
            passes: component.status == Status::Up,
            confirming: !component.is_settled() && component.status != Status::Down,
            due,
            started,
        };
        let (key, check) = (component.key.clone(), Arc::clone(&component.check));
        let begin = match self.recording.tracks.get(&key) {
            None => (state.settled && state.passes).then_some(now + NEVER),
            Some(track) => {
                let recorded = self.paces.get(&key).map_or(Duration::ZERO, |pace| pace.0);
                let as_often = recorded.is_zero() || check.interval <= about(recorded);
                let as_rarely = recorded.is_zero() || recorded <= about(check.interval);
                if self.detail == Detail::All && as_often && as_rarely {
                    self.dense_due(&key, &check, track, &state)
                } else {
                    self.sparse_due(&key, &check, track, &state, as_often)
                }
            }
        };
        if let Some(begin) = begin {
            self.checker.zones[zone].components[slot]
                .schedule
                .move_to(begin);
        }
    }

    /// Where each probe is recorded, and this one's interval is that one's.
    fn dense_due(
        &self,
        key: &ComponentKey,
        check: &Check,
        track: &Track,
        state: &State,
    ) -> Option<Instant> {
        if state.confirming {
            // Time comes to it as late as it came to the recorded one.
            return None;
        }
        let (early, late) = state.jittered(check.interval);
        let begin = track.begin_from(early.max(self.now.instant));
        if state.settled && self.holds(key, track, state.passes, check.timeout) {
            // However late: nobody has looked before.
            return Some(begin.unwrap_or(self.now.instant + NEVER));
        }
        begin.filter(|begin| *begin <= late)
    }

    /// Where only some are recorded, or this one's interval is another. Those that change nothing are left out.
    fn sparse_due(
        &self,
        key: &ComponentKey,
        check: &Check,
        track: &Track,
        state: &State,
        as_often: bool,
    ) -> Option<Instant> {
        let now = self.now.instant;
        if state.settled && self.holds(key, track, state.passes, check.timeout) {
            let begin = self.next_other(key, track, state.passes, check.timeout);
            return Some(match begin {
                None => now + NEVER,
                Some(begin) if as_often => begin.max(now),
                Some(begin) => first_from(state.due, check.interval, begin),
            });
        }
        let (early, late) = if state.confirming {
            let late = state.due + check.confirm_interval / 2 + LATE;
            (state.due, late)
        } else {
            state.jittered(check.interval)
        };
        let early = early.max(now);
        let index = track.samples.partition_point(|sample| sample.began < early);
        let begin = track.samples.get(index).map(|sample| sample.began);
        begin.filter(|begin| *begin <= late)
    }

    /// Whether an outcome would have come after this `timeout`. What the recorded one let pass, a longer one does, too: a busy
    /// process measures a little more than its own timeout.
    fn is_late(&self, key: &ComponentKey, took: Duration, timeout: Duration) -> bool {
        let recorded = self.paces.get(key).map(|(_, timeout)| *timeout);
        took > timeout && recorded.is_none_or(|recorded| recorded.is_zero() || timeout < recorded)
    }

    /// Whether a probe that begins now finds what a status rests on.
    fn holds(&self, key: &ComponentKey, track: &Track, passes: bool, timeout: Duration) -> bool {
        match track.after(self.now.instant).checked_sub(1) {
            Some(last) => self.agrees(key, &track.samples[last], passes, timeout),
            None => earliest(self.recording, track).passed() == passes,
        }
    }

    /// When the first recorded probe begins that finds something else.
    fn next_other(
        &self,
        key: &ComponentKey,
        track: &Track,
        passes: bool,
        timeout: Duration,
    ) -> Option<Instant> {
        let mut samples = track.samples[track.after(self.now.instant)..].iter();
        let other = samples.find(|sample| !self.agrees(key, sample, passes, timeout));
        other.map(|sample| sample.began)
    }

    fn agrees(&self, key: &ComponentKey, sample: &Sample, passes: bool, timeout: Duration) -> bool {
        (sample.passed && !self.is_late(key, sample.took, timeout)) == passes
    }

    fn outcome(&self, sample: &Sample) -> Option<&Outcome> {
        match &self.recording.records.get(sample.record)?.what {
            Recorded::Outcome { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    fn fly(&mut self, component: ComponentId, round: u64, took: Duration, outcome: Outcome) {
        let back = self.now.instant + took;
        let behind = self.flights.partition_point(|flight| flight.back <= back);
        let flight = Flight {
            component,
            round,
            back,
            outcome,
        };
        self.flights.insert(behind, flight);
    }
}

/// A component that is not being probed.
struct State {
    /// A probe that agrees with its status changes nothing.
    settled: bool,
    /// That status is `Up`.
    passes: bool,
    /// Its next probes come by `confirm_interval`.
    confirming: bool,
    /// When it would be probed of itself.
    due: Instant,
    /// When it was probed last.
    started: Instant,
}

impl State {
    /// From when to when a probe begins that comes by the interval.
    fn jittered(&self, interval: Duration) -> (Instant, Instant) {
        let early = self.started + interval * 17 / 20;
        (early, self.started + about(interval) + LATE)
    }
}

/// A little more than the jitter makes of it.
fn about(interval: Duration) -> Duration {
    interval + interval * 3 / 20
}

/// When the next probe of a component begins whose recording begins in the middle of a process.
pub(super) fn next_due(
    recording: &Recording,
    begin: &Begin,
    known: &Known,
    now: Moment,
) -> Instant {
    let now = now.instant;
    let track = recording.tracks.get(&known.key);
    if known.probing || begin.detail < Detail::All {
        return now;
    }
    let next = track.and_then(|track| track.begin_from(now));
    next.filter(|begin| *begin <= now + known.interval + known.interval)
        .unwrap_or(now)
}

/// What was found before the first probe that is recorded.
fn earliest(recording: &Recording, track: &Track) -> Outcome {
    let first = || match &recording.records[track.samples.first()?.record].what {
        Recorded::Outcome { outcome, .. } => Some(outcome.clone()),
        _ => None,
    };
    track.before.clone().or_else(first).unwrap_or_else(well)
}

/// The first time from `begin` on in steps of `interval` from `due`.
fn first_from(due: Instant, interval: Duration, begin: Instant) -> Instant {
    let missing = begin.saturating_duration_since(due).as_nanos();
    let steps = missing.div_ceil(interval.as_nanos().max(1));
    due + interval * u32::try_from(steps).unwrap_or(u32::MAX)
}

fn is_timeout(code: CheckCode) -> bool {
    matches!(
        code,
        CheckCode::L4Timeout | CheckCode::L6Timeout | CheckCode::L7Timeout
    )
}

fn late(outcome: &Outcome, timeout: Duration) -> Outcome {
    let code = match outcome.code {
        CheckCode::L4Con | CheckCode::L4Ok | CheckCode::L4Timeout => CheckCode::L4Timeout,
        _ => CheckCode::L7Timeout,
    };
    Outcome {
        code,
        detail: format!("{outcome}, later than {timeout:?}"),
        took: timeout,
        status: None,
    }
}

fn well() -> Outcome {
    Outcome {
        code: CheckCode::L7Ok,
        detail: "not recorded".to_owned(),
        took: Duration::ZERO,
        status: None,
    }
}

impl Promoted {
    /// That of a planned flip that was not recorded.
    pub(super) fn supposed() -> Self {
        Self {
            succeeded: true,
            how: "supposed".to_owned(),
            output: String::new(),
            took: Duration::ZERO,
        }
    }
}
