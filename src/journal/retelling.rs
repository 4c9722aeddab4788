//! Makes records of journal entries, where there are no better ones: a replay of the journal alone.
//!
//! A transition carries the outcomes that made it, so what each component's probes found is known whenever that changed its
//! status; what came of operators' commands tells what they were.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::timeline::Place;
use super::told::{Telling, Told};
use crate::config::Detail;
use crate::health::checker::Command;
use crate::health::recording::{Begin, Known, Record, Recorded, Why};
use crate::health::report::Cause;
use crate::memory::Memory;
use crate::moment::Moment;
use crate::outcome::{CheckCode, Outcome};
use crate::zone::{Operator, Status};

/// The records of `told`, which is in order, each at its place. `is_first`: nothing else is known of the time before.
pub(super) fn retell(told: &[Told], places: Vec<Place>, is_first: bool) -> Vec<Record> {
    let mut retelling = Retelling {
        pins: pins(told),
        begun: None,
        within: false,
        records: Vec::new(),
    };
    let mut first = is_first.then(|| begin(told));
    for (entry, place) in told.iter().zip(places) {
        retelling.tell(entry, place, &mut first);
    }
    retelling.records
}

struct Retelling {
    /// When zones were pinned: a flip by it needs no command of its own.
    pins: BTreeSet<Timestamp>,
    /// The planned flip under way: when it began, its target, its place among the records, whether it has been promoted.
    begun: Option<(Moment, Arc<str>, usize, bool)>,
    /// Whether the last entry was retold.
    within: bool,
    records: Vec<Record>,
}

impl Retelling {
    fn tell(&mut self, told: &Told, place: Place, first: &mut Option<Begin>) {
        let moment = place.moment;
        match &told.what {
            Telling::Flip(flip) => self.push(moment, Recorded::Flip(flip.clone())),
            Telling::Held(rule) => self.push(moment, Recorded::Held(Arc::clone(rule))),
            Telling::Reloaded(changes) => self.push(moment, Recorded::Reloaded(changes.clone())),
            _ => {}
        }
        if place.covered {
            // It may have begun before.
            if std::mem::take(&mut self.within) {
                self.tell_evidence(&told.what, &place);
            }
            return;
        }
        // Alone it begins nothing: beside the records of its process it would tell of a time in which nobody lived.
        if told.what == Telling::Process {
            return;
        }
        if !std::mem::replace(&mut self.within, true) {
            let begin = first.take().unwrap_or_else(|| begin(&[]));
            self.push(place.earliest, Recorded::Begin(Box::new(begin)));
        }
        match &told.what {
            Telling::Transition { .. } => self.tell_evidence(&told.what, &place),
            Telling::Operator { component, to, .. } => {
                let component = component.clone();
                self.command(
                    moment,
                    Command::Operator {
                        component,
                        state: *to,
                        reason: None,
                    },
                );
            }
            Telling::Pin { zone, pinned } => {
                let (zone, reason) = (zone.to_string(), None);
                self.command(
                    moment,
                    if *pinned {
                        Command::Pin { zone, reason }
                    } else {
                        Command::Unpin { zone, reason }
                    },
                );
            }
            Telling::FlipBegun { to, aborts_drill } => {
                if *aborts_drill {
                    self.command(moment, Command::AbortDrill { reason: None });
                }
                self.begun = Some((moment, Arc::clone(to), self.records.len(), false));
                self.push(moment, Recorded::Draining);
            }
            Telling::FlipAborted => self.begun = None,
            Telling::Promotion(end) => {
                if let Some((begun, _, _, promoted)) = &mut self.begun {
                    *promoted = true;
                    let begun = *begun;
                    self.push(begun, Recorded::Drained);
                    self.push(begun, Recorded::Promoting);
                    self.push(moment, Recorded::Promoted(end.clone()));
                }
            }
            Telling::Flip(flip) => {
                let begun = self.begun.take().filter(|(_, to, ..)| *to == flip.to);
                if let Some((_, _, _, false)) = begun {
                    self.push(moment, Recorded::Drained);
                }
                if flip.cause == Cause::Operator && !self.pins.contains(&told.at) {
                    let command = Recorded::Command(Command::Activate {
                        zone: flip.to.to_string(),
                        hold: begun.is_some(),
                        reason: None,
                    });
                    match begun {
                        Some((moment, _, place, _)) => {
                            self.records.insert(place, record(moment, command));
                        }
                        None => self.push(moment, command),
                    }
                }
            }
            Telling::DrillBegun { zone, length } => {
                let (zone, length, reason) = (zone.to_string(), *length, None);
                self.command(
                    moment,
                    Command::Drill {
                        zone,
                        length,
                        reason,
                    },
                );
            }
            Telling::DrillAborted => self.command(moment, Command::AbortDrill { reason: None }),
            // It was alive then.
            Telling::Process => {}
            Telling::Held(_) | Telling::Reloaded(_) | Telling::Other => {
                let began = Vec::new();
                self.push(moment, Recorded::Tick { began });
            }
        }
    }

    fn tell_evidence(&mut self, telling: &Telling, place: &Place) {
        let Telling::Transition {
            component,
            evidence,
            ..
        } = telling
        else {
            return;
        };
        for ((_, outcome), moment) in evidence.iter().zip(&place.evidence) {
            let Some(moment) = *moment else {
                continue;
            };
            let outcome = Recorded::Outcome {
                overtaken: 0,
                component: component.clone(),
                outcome: outcome.clone(),
                began: moment.instant.checked_sub(outcome.took),
                left_out: 0,
            };
            self.push(moment, outcome);
        }
    }

    fn command(&mut self, moment: Moment, command: Command) {
        self.push(moment, Recorded::Command(command));
    }

    fn push(&mut self, moment: Moment, what: Recorded) {
        self.records.push(record(moment, what));
    }
}

fn record(moment: Moment, what: Recorded) -> Record {
    Record {
        moment,
        overdue: Duration::ZERO,
        what,
    }
}

fn pins(told: &[Told]) -> BTreeSet<Timestamp> {
    let pins = told
        .iter()
        .filter(|told| matches!(told.what, Telling::Pin { pinned: true, .. }));
    pins.map(|told| told.at).collect()
}

/// What must have been true before the first entry.
fn begin(told: &[Told]) -> Begin {
    let mut memory = Memory::default();
    let mut components: Vec<Known> = Vec::new();
    if let Some(first) = told.first() {
        memory.epoch = first.epoch;
    }
    for entry in told.iter().rev() {
        // Backwards, so that the first one has the last word.
        match &entry.what {
            Telling::Flip(flip) => {
                memory.epoch = flip.epoch.saturating_sub(1);
                memory.active = Some(flip.from.to_string());
            }
            Telling::Operator {
                component, from, ..
            } => {
                memory.operators.remove(component);
                if *from != Operator::Ready {
                    memory.operators.insert(component.clone(), *from);
                }
            }
            Telling::Pin { zone, pinned } => {
                memory.pinned = (!pinned).then(|| zone.to_string());
            }
            Telling::Transition {
                component, from, ..
            } => {
                components.retain(|known| known.key != *component);
                components.push(Known {
                    key: component.clone(),
                    address: String::new(),
                    interval: Duration::ZERO,
                    timeout: Duration::ZERO,
                    status: *from,
                    since: entry.at,
                    streak: 0,
                    joined: true,
                    probing: false,
                    last: found(*from),
                });
            }
            _ => {}
        }
    }
    Begin {
        why: Why::Journal,
        detail: Detail::Transitions,
        seed: 0,
        memory,
        zones: Vec::new(),
        components,
    }
}

/// What the probes of a component must have found that had this status.
fn found(status: Status) -> Option<Outcome> {
    let (code, detail) = match status {
        Status::Unknown => return None,
        Status::Up => (CheckCode::L7Ok, ""),
        Status::Down => (CheckCode::L7Status, "down when the recording began"),
    };
    Some(Outcome {
        code,
        detail: detail.to_owned(),
        took: Duration::ZERO,
        status: None,
    })
}
