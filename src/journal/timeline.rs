//! Where records and journal entries lie on the one clock of a recording, which never goes back.
//!
//! Wall clocks do: somebody sets them, a machine starts without a battery. So records come in the order of their lines, and
//! entries in that of their numbers; times only tell how far apart they are, and next to which record an entry belongs. Pure.

mod stretch;

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::outcomes::Raw;
use super::told::Told;
use crate::health::recording::{Record, Recorded, Why};
use crate::moment::Moment;
use stretch::{Stretch, begin_of, evidence_of};

/// A record may be told some time after it happened, but never after its process has ended.
const BACK: Duration = Duration::from_secs(600);
/// What comes after something is never at the same moment: a process after the one before it.
const NEXT: Duration = Duration::from_nanos(1);

/// Where an entry lies.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) moment: Moment,
    /// There are records of that time.
    pub(super) covered: bool,
    /// When the first thing began that the entry tells of.
    pub(super) earliest: Moment,
    /// Where the outcomes lie that a transition rests on; `None` where there are records of that time.
    pub(super) evidence: Vec<Option<Moment>>,
}

/// The records, and the place of each of `told`, which is in order; `base` is the moment of the first thing of all.
pub(super) fn lay_out(
    told: &[Told],
    raws: Vec<Vec<Raw>>,
    base: Instant,
) -> (Vec<Record>, Vec<Place>) {
    let first_raw = raws.iter().flatten().find(|raw| !is_gap(raw));
    let first_told = told
        .first()
        .map(|told| begin_of(told.at, evidence_of(told)));
    let first = first_told
        .into_iter()
        .chain(first_raw.map(|raw| raw.at))
        .min();
    let first = Moment {
        instant: base,
        wall: first.unwrap_or(Timestamp::UNIX_EPOCH),
    };
    let lived = Lived::fit(raws, first);
    let spots = lived.find(told);
    let mut walk = Walk {
        lived,
        first,
        shift: Duration::ZERO,
        shifted: 0,
        within: None,
    };
    let places = told.iter().zip(spots);
    let places = places.map(|(told, spot)| walk.place(told, spot)).collect();
    walk.leave();
    walk.shift_until(walk.lived.records.len());
    (walk.lived.records, places)
}

/// What is recorded, of one process after the other.
struct Lived {
    records: Vec<Record>,
    /// Where each process begins.
    processes: Vec<usize>,
    /// Where the wall clock was set back, and where each process begins: from one to the next wall times go up.
    runs: Vec<usize>,
}

/// The last record before an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    record: Option<usize>,
    /// That record is of the very moment.
    exact: bool,
}

impl Lived {
    fn fit(raws: Vec<Vec<Raw>>, first: Moment) -> Self {
        let mut lived = Self {
            records: Vec::with_capacity(raws.iter().map(Vec::len).sum()),
            processes: Vec::new(),
            runs: Vec::new(),
        };
        // Where the time of the process under way begins, and the last of its times.
        let mut current: Option<(Instant, Duration)> = None;
        // Flat, so that the lines of a file are forgotten once they have become records.
        for raw in raws.into_iter().flatten() {
            let last = lived.records.last().map_or(first, |record| record.moment);
            if is_gap(&raw) {
                lived.push(last, raw);
                continue;
            }
            let place = lived.records.len();
            let starts = matches!(&raw.what, Recorded::Begin(begin) if begin.why == Why::Start);
            let going_on = current.filter(|(_, elapsed)| !starts && raw.elapsed + BACK >= *elapsed);
            let (origin, elapsed) = going_on.unwrap_or_else(|| {
                let pause = since(last.wall, raw.at).max(NEXT);
                let begin = later(last.instant, pause);
                lived.processes.push(place);
                (begin.checked_sub(raw.elapsed).unwrap_or(begin), raw.elapsed)
            });
            if going_on.is_none() || raw.at < last.wall {
                lived.runs.push(place);
            }
            current = Some((origin, elapsed.max(raw.elapsed)));
            let moment = Moment {
                instant: later(origin, raw.elapsed),
                wall: raw.at,
            };
            lived.push(moment, raw);
        }
        lived
    }

    fn push(&mut self, moment: Moment, raw: Raw) {
        self.records.push(Record {
            moment,
            overdue: raw.overdue,
            what: raw.what,
        });
    }

    fn wall(&self, place: usize) -> Timestamp {
        self.records[place].moment.wall
    }

    /// Where each of `told` belongs, which never goes back. Most entries are of the very moment of a record.
    fn find(&self, told: &[Told]) -> Vec<Spot> {
        let begin = self.processes.first().copied().unwrap_or_default();
        let mut walls: Vec<(Timestamp, usize)> = (begin..self.records.len())
            .map(|place| (self.wall(place), place))
            .collect();
        walls.sort_unstable();
        let mut least = 0;
        let exact = told.iter().map(|told| {
            let index = walls.partition_point(|known| *known < (told.at, least));
            let (wall, mut place) = *walls.get(index)?;
            if wall != told.at {
                return None;
            }
            // The last of that moment.
            while place + 1 < self.records.len() && self.wall(place + 1) == told.at {
                place += 1;
            }
            least = place;
            Some(place)
        });
        let exact: Vec<Option<usize>> = exact.collect();
        let mut bound = self.records.len();
        let mut bounds: Vec<usize> = Vec::with_capacity(told.len());
        for known in exact.iter().rev() {
            bound = known.unwrap_or(bound);
            bounds.push(bound);
        }
        let mut last: Option<(Option<usize>, Timestamp)> = None;
        let spots = told.iter().zip(exact).zip(bounds.into_iter().rev());
        let spots = spots.map(|((told, exact), bound)| {
            let record = exact.or_else(|| self.about(told.at, last, bound));
            last = Some((record, told.at));
            Spot {
                record,
                exact: exact.is_some(),
            }
        });
        spots.collect()
    }

    /// The last record before `wall`, of those from where the entry before was found to `bound`.
    fn about(
        &self,
        wall: Timestamp,
        last: Option<(Option<usize>, Timestamp)>,
        bound: usize,
    ) -> Option<usize> {
        let least = last.and_then(|(record, _)| record);
        let run_of = |place: usize| self.runs.partition_point(|begin| *begin <= place);
        let first = least.map_or(0, |least| run_of(least).saturating_sub(1));
        let mut nearest: Option<(Duration, usize)> = None;
        for (index, &begin) in self.runs.iter().enumerate().skip(first) {
            let from = least.map_or(begin, |least| begin.max(least));
            let end = self.runs.get(index + 1).copied();
            let end = end.unwrap_or(self.records.len());
            let to = end.min(bound);
            if from >= to {
                if begin >= bound {
                    break;
                }
                continue;
            }
            // Within one run it can't be before the entry before.
            let is_back = Some(from) == least && last.is_some_and(|(_, before)| wall < before);
            if is_back || wall < self.wall(from) {
                continue;
            }
            let run = &self.records[from..to];
            let place = from + run.partition_point(|record| record.moment.wall <= wall) - 1;
            if place + 1 < to || (to < end && wall <= self.wall(to)) {
                return Some(place);
            }
            // After the end of the run, if it isn't merely the end of where we look.
            let away = since(self.wall(place), wall);
            if to == end && nearest.is_none_or(|(least, _)| away < least) {
                nearest = Some((away, place));
            }
        }
        nearest.map(|(_, place)| place).or(least)
    }

    /// Whether the next record is of the same process.
    fn goes_on(&self, place: usize) -> bool {
        place + 1 < self.records.len() && self.processes.binary_search(&(place + 1)).is_err()
    }
}

/// Gives the entries their places, one after the other, and the records after them the time that these need.
struct Walk {
    lived: Lived,
    first: Moment,
    /// How much later the records are than they were fitted, from `shifted` on.
    shift: Duration,
    /// How many of the records have got their shift.
    shifted: usize,
    within: Option<Stretch>,
}

impl Walk {
    fn place(&mut self, told: &Told, spot: Spot) -> Place {
        match spot.record {
            Some(record) if spot.exact || self.lived.goes_on(record) => {
                self.leave();
                self.place_among(told, record)
            }
            record => {
                if self.within.as_ref().is_some_and(|s| s.after != record) {
                    self.leave();
                }
                let begin = record.map_or(self.first, |record| self.moment(record));
                let stretch = self.within.get_or_insert(Stretch::begin(record, begin));
                stretch.place(told)
            }
        }
    }

    /// Between two records of a process. Only what a transition rests on may lie before all of them.
    fn place_among(&self, told: &Told, record: usize) -> Place {
        let (before, next) = (self.moment(record), self.moment(record + 1));
        let most = next.instant.saturating_duration_since(before.instant);
        let moment = Moment {
            instant: later(before.instant, since(before.wall, told.at).min(most)),
            wall: told.at,
        };
        let processes = &self.lived.processes;
        let begin = processes[..processes.partition_point(|begin| *begin <= record)].last();
        let begin = begin.copied().unwrap_or_default();
        let from = self.moment(begin).instant;
        let until = begin.checked_sub(1).map(|end| self.moment(end).instant);
        let evidence = evidence_of(told).iter().map(|(wall, _)| {
            let instant = moment.instant.checked_sub(since(*wall, told.at))?;
            let is_beside = instant < from && until.is_none_or(|until| until < instant);
            is_beside.then_some(Moment {
                instant,
                wall: *wall,
            })
        });
        Place {
            moment,
            covered: true,
            earliest: moment,
            evidence: evidence.collect(),
        }
    }

    fn moment(&self, record: usize) -> Moment {
        let Some(known) = self.lived.records.get(record).or(self.lived.records.last()) else {
            return self.first;
        };
        let shift = match record < self.shifted {
            true => Duration::ZERO,
            false => self.shift,
        };
        Moment {
            instant: later(known.moment.instant, shift),
            wall: known.moment.wall,
        }
    }

    /// The time without records is over: what follows comes after all of it.
    fn leave(&mut self) {
        let Some(stretch) = self.within.take() else {
            return;
        };
        let processes = self.lived.processes.first();
        let first = processes.copied().unwrap_or(self.lived.records.len());
        let next = stretch.after.map_or(first, |record| record + 1);
        self.shift_until(next);
        if next < self.lived.records.len() {
            let least = later(stretch.last.instant, NEXT);
            self.shift += least.saturating_duration_since(self.moment(next).instant);
        }
    }

    fn shift_until(&mut self, end: usize) {
        for record in &mut self.lived.records[self.shifted..end] {
            record.moment.instant = later(record.moment.instant, self.shift);
        }
        self.shifted = end;
    }
}

fn is_gap(raw: &Raw) -> bool {
    matches!(raw.what, Recorded::Gap { .. })
}

/// Zero, if it is not later.
fn since(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// Files may claim any time.
fn later(instant: Instant, by: Duration) -> Instant {
    instant.checked_add(by).unwrap_or(instant)
}
