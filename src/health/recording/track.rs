//! What the probes of each component have found, over time: put together from the records. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::config::Detail;
use crate::health::recording::{Begin, Record, Recorded, Recording, Span, Why};
use crate::moment::Moment;
use crate::outcome::Outcome;
use crate::zone::ComponentKey;

/// What the probes of one component have found.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// By their begin.
    pub samples: Vec<Sample>,
    /// What is taken for the time before the first sample; `None`: the same as that one.
    pub before: Option<Outcome>,
    /// When probes began, as far as that is recorded.
    begins: Vec<Instant>,
    /// When probes began that never came back.
    unanswered: BTreeSet<Instant>,
}

/// One probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it began.
    pub began: Instant,
    /// When its outcome went in.
    pub ended: Instant,
    /// Which of the recording's records has its outcome.
    pub record: usize,
    /// Whether it passed.
    pub passed: bool,
    /// How long it took, by its own clock.
    pub took: Duration,
}

impl Track {
    /// The probe that began at just that moment.
    pub fn at(&self, moment: Instant) -> Option<&Sample> {
        let found = self.samples.binary_search_by_key(&moment, |s| s.began);
        found.ok().map(|index| &self.samples[index])
    }

    /// The index of the first probe that began after `moment`; the one before it is what held then.
    pub fn after(&self, moment: Instant) -> usize {
        self.samples
            .partition_point(|sample| sample.began <= moment)
    }

    /// Whether a probe began at just that moment and never came back.
    pub fn is_unanswered(&self, moment: Instant) -> bool {
        self.unanswered.contains(&moment)
    }

    /// When the first probe from `moment` on began, if that is recorded.
    pub fn begin_from(&self, moment: Instant) -> Option<Instant> {
        let index = self.begins.partition_point(|begin| *begin < moment);
        self.begins.get(index).copied()
    }
}

impl Recording {
    /// Puts records together, in the order in which they were written.
    pub fn assemble(mut records: Vec<Record>) -> Self {
        let mut tracks = BTreeMap::new();
        pair(&mut records, &mut tracks);
        records.sort_by_key(|record| record.moment.instant);
        let mut records = tell_what_was_missed(records);
        // What was written before the first thing that was known can't be understood.
        let first = records
            .iter()
            .position(|r| matches!(r.what, Recorded::Begin(_)));
        records.drain(..first.unwrap_or(records.len()));
        let spans = spans(&records);
        for (index, record) in records.iter().enumerate() {
            let Recorded::Outcome {
                component,
                outcome,
                began: Some(began),
                ..
            } = &record.what
            else {
                continue;
            };
            let track: &mut Track = tracks.entry(component.clone()).or_default();
            track.samples.push(Sample {
                began: *began,
                ended: record.moment.instant,
                record: index,
                passed: outcome.passed(),
                took: outcome.took,
            });
        }
        if let Some(Recorded::Begin(begin)) = records.first().map(|record| &record.what) {
            for known in &begin.components {
                let track = tracks.entry(known.key.clone()).or_default();
                track.before = known.last.clone();
            }
        }
        for track in tracks.values_mut() {
            track.samples.sort_by_key(|sample| sample.began);
            track.begins.sort_unstable();
        }
        Self {
            records,
            tracks,
            spans,
        }
    }

    /// The last moment of which something is known.
    pub fn end(&self) -> Option<Moment> {
        self.records.last().map(|record| record.moment)
    }

    /// What was known when it began.
    pub fn begin(&self) -> Option<&Begin> {
        match self.records.first().map(|record| &record.what) {
            Some(Recorded::Begin(begin)) => Some(begin),
            _ => None,
        }
    }

    /// Whether any probe's outcome is in it.
    pub fn has_outcomes(&self) -> bool {
        self.tracks.values().any(|track| !track.samples.is_empty())
    }
}

/// Where a recording goes on after a time of which less is known, what was known then tells what was missed.
fn tell_what_was_missed(records: Vec<Record>) -> Vec<Record> {
    // Whether the last probe that counted had passed, and when it began.
    let mut found: BTreeMap<&ComponentKey, (bool, Instant)> = BTreeMap::new();
    // Nothing can have been missed: what no record tells of, a lost probe, a replay finds by itself.
    let mut complete = false;
    let mut missed = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let moment = record.moment.instant;
        match &record.what {
            Recorded::Outcome {
                component,
                outcome,
                began,
                ..
            } => {
                let new = (outcome.passed(), began.unwrap_or(moment));
                let known = found.entry(component).or_insert(new);
                // One that was overtaken, and says otherwise, has counted for nothing.
                if new.1 >= known.1 {
                    *known = new;
                }
            }
            Recorded::Begin(begin) => {
                for known in &begin.components {
                    let Some(last) = &known.last else { continue };
                    let before = found.insert(&known.key, (last.passed(), moment));
                    if !complete && before.is_some_and(|(passed, _)| passed != last.passed()) {
                        let outcome = Recorded::Outcome {
                            component: known.key.clone(),
                            outcome: last.clone(),
                            began: Some(record.moment.instant),
                            overtaken: 0,
                            left_out: 0,
                        };
                        missed.push((index, outcome));
                    }
                }
                complete = begin.detail == Detail::All;
            }
            Recorded::Gap { .. } | Recorded::End => complete = false,
            _ => {}
        }
    }
    if missed.is_empty() {
        return records;
    }
    let mut missed = missed.into_iter().peekable();
    let mut all = Vec::with_capacity(records.len());
    for (index, record) in records.into_iter().enumerate() {
        let moment = record.moment;
        all.push(record);
        while let Some((_, what)) = missed.next_if(|(place, _)| *place == index) {
            all.push(Record {
                moment,
                overdue: Duration::ZERO,
                what,
            });
        }
    }
    all
}

/// When the probes of one component began in one process, as far as that is recorded.
#[derive(Default)]
struct Begun {
    all: Vec<Instant>,
    /// Those whose end is not recorded yet.
    open: BTreeSet<Instant>,
}

/// Finds the begin of each probe whose end is recorded, and those without an end.
fn pair(records: &mut [Record], tracks: &mut BTreeMap<ComponentKey, Track>) {
    let mut begun: BTreeMap<ComponentKey, Begun> = BTreeMap::new();
    for record in records {
        let moment = record.moment.instant;
        let mut begins = |key: &ComponentKey, one_more: bool| {
            let begun = begun.entry(key.clone()).or_default();
            if begun.open.is_empty() || one_more {
                begun.all.push(moment);
                begun.open.insert(moment);
                tracks.entry(key.clone()).or_default().begins.push(moment);
            }
        };
        match &mut record.what {
            Recorded::Begin(begin) if begin.why == Why::Start => give_up(&mut begun, tracks),
            Recorded::Begin(begin) => {
                // Of those under way, only those that no tick has told of: their begin is lost.
                let known = begin.components.iter();
                for known in known.filter(|known| known.probing && begin.detail == Detail::All) {
                    begins(&known.key, false);
                }
            }
            Recorded::Tick { began } => began.iter().for_each(|key| begins(key, true)),
            Recorded::Outcome {
                component,
                outcome,
                began: began @ None,
                overtaken,
                ..
            } => {
                let known = begun.get_mut(component).and_then(|begun| {
                    let overtaken = usize::try_from(*overtaken).ok()?;
                    let index = begun.all.len().checked_sub(overtaken.checked_add(1)?)?;
                    let began = begun.all[index];
                    begun.open.remove(&began).then_some(began)
                });
                *began = known.or(moment.checked_sub(outcome.took));
            }
            Recorded::Gap { .. } | Recorded::End => {
                // What has become of them is not known.
                for (key, begun) in std::mem::take(&mut begun) {
                    let track = tracks.entry(key).or_default();
                    track.begins.retain(|known| !begun.open.contains(known));
                }
            }
            _ => {}
        }
    }
    give_up(&mut begun, tracks);
}

/// Their process has ended before them.
fn give_up(begun: &mut BTreeMap<ComponentKey, Begun>, tracks: &mut BTreeMap<ComponentKey, Track>) {
    for (key, begun) in std::mem::take(begun) {
        tracks.entry(key).or_default().unanswered.extend(begun.open);
    }
}

fn spans(records: &[Record]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut current: Option<Detail> = None;
    for record in records {
        if let Recorded::Begin(begin) = &record.what {
            let same = spans.last().is_some_and(|span| span.detail == begin.detail);
            if !same || begin.why == Why::Start || current.is_none() {
                spans.push(Span {
                    from: record.moment,
                    to: record.moment,
                    detail: begin.detail,
                });
            }
            current = Some(begin.detail);
        }
        if current.is_some()
            && let Some(span) = spans.last_mut()
        {
            span.to = record.moment;
        }
        if record.what == Recorded::End {
            current = None;
        }
    }
    spans
}
