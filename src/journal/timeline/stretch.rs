//! A time without records, in which there is only the journal to go by. Pure.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{Place, later, since};
use crate::journal::told::{Telling, Told};
use crate::moment::Moment;
use crate::outcome::Outcome;

/// Entries that lie so little back are of the same moment rather than of another clock: what sets a clock slews less than this.
const SLIGHT: Duration = Duration::from_millis(10);

/// What passes at least while a clock is set back, as nobody knows how much did. A replay of the journal knows the moment of a
/// probe to 50 ms: what failed before must not be covered by what passes after.
const PAUSE: Duration = Duration::from_millis(200);

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Stretch {
    /// The last record before it.
    pub(super) after: Option<usize>,
    begin: Moment,
    /// Where the wall clock was set back last, or else the begin; and the same before that.
    run: Moment,
    older: Option<Moment>,
    /// The last entry.
    pub(super) last: Moment,
}

impl Stretch {
    pub(super) fn begin(after: Option<usize>, begin: Moment) -> Self {
        Self {
            after,
            begin,
            older: None,
            run: begin,
            last: begin,
        }
    }

    pub(super) fn place(&mut self, told: &Told) -> Place {
        let evidence = evidence_of(told);
        // Only the last of them were found by the clock that the entry was written by.
        let mut wall = told.at;
        let fresh = evidence.iter().rev().take_while(|(at, _)| {
            let goes_up = *at <= wall;
            wall = wall.min(*at);
            goes_up
        });
        let fresh = evidence.len() - fresh.count();
        if since(told.at, self.last.wall) > SLIGHT {
            let before = evidence[..fresh].last();
            let pause = before.map_or(Duration::ZERO, |(at, _)| since(self.last.wall, *at));
            self.older = Some(self.run);
            self.run = Moment {
                instant: later(self.last.instant, pause + PAUSE),
                wall: begin_of(told.at, &evidence[fresh..]),
            };
        }
        let moment = Moment {
            instant: on(self.run, told.at).max(self.last.instant),
            wall: told.at,
        };
        self.last = moment;
        let mut earliest = moment;
        let mut next = moment.instant;
        let mut places = Vec::with_capacity(evidence.len());
        for (index, (wall, outcome)) in evidence.iter().enumerate().rev() {
            let run = match index < fresh {
                true => self.older.unwrap_or(self.run),
                false => self.run,
            };
            let is_recorded = self.after.is_some() && run == self.begin && *wall <= run.wall;
            let instant = on(run, *wall).min(next);
            next = instant;
            let place = Moment {
                instant,
                wall: *wall,
            };
            places.push((!is_recorded).then_some(place));
            let began = instant.checked_sub(outcome.took).unwrap_or(instant);
            let began = began.max(self.begin.instant);
            if !is_recorded && began < earliest.instant {
                earliest = Moment {
                    instant: began,
                    wall: begin_of(*wall, &[(*wall, outcome.clone())]),
                };
            }
        }
        places.reverse();
        Place {
            moment,
            covered: false,
            earliest,
            evidence: places,
        }
    }
}

/// What a transition rests on.
pub(super) fn evidence_of(told: &Told) -> &[(Timestamp, Outcome)] {
    match &told.what {
        Telling::Transition { evidence, .. } => evidence,
        _ => &[],
    }
}

/// When the first of these outcomes began, if that was before `at`.
pub(super) fn begin_of(at: Timestamp, evidence: &[(Timestamp, Outcome)]) -> Timestamp {
    let begins = evidence.iter().filter_map(|(at, outcome)| {
        let took = SignedDuration::try_from(outcome.took).ok()?;
        at.checked_sub(took).ok()
    });
    begins.min().unwrap_or(at).min(at)
}

/// The instant of a wall time by a clock that showed this at some earlier moment.
fn on(clock: Moment, wall: Timestamp) -> Instant {
    later(clock.instant, since(clock.wall, wall))
}
