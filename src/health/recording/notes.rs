//! Notes what goes into a checker, in the configured detail. Pure: the shell writes it down.
//!
//! In full detail nothing that the decision could go by is missing, and nothing is noted that it can't go by: traffic alone
//! must not fill a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Detail;
use crate::health::checker::{Accepted, Checker, Command, Input, Promoted, Refusal};
use crate::health::recording::{Begin, Record, Recorded, Why};
use crate::health::report::{Event, What};
use crate::memory::{Drill, Memory};
use crate::moment::Moment;
use crate::outcome::{CheckCode, Outcome, Sign};
use crate::zone::{ComponentId, ComponentKey};

/// So that a replay knows how long the process has lived, though nothing changed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// Characters of an outcome's detail. A command may have said a KiB.
const WORDS: usize = 160;

/// See the module's promise.
#[derive(Debug)]
pub struct Notes {
    detail: Detail,
    seed: u64,
    records: Vec<Record>,
    /// Of the last input.
    moment: Moment,
    /// Whether the last input has left a record.
    noted: bool,
    /// Of the last record.
    last: Moment,
    /// Those of which a sign that asked for a probe is noted since one last began or ended, and whether it goes with probes that
    /// nothing comes back from: more of the same change nothing.
    asked: BTreeSet<(ComponentId, bool)>,
    /// What each component's probes find, where only changes are noted.
    runs: BTreeMap<ComponentId, Run>,
    promoting: Option<u64>,
    /// The detail of a configuration that has just come into force.
    reloaded: Option<Detail>,
}

/// Outcomes that are alike.
#[derive(Debug)]
struct Run {
    code: CheckCode,
    status: Option<u16>,
    left_out: u64,
    sign: Option<(Moment, Sign)>,
}

impl Notes {
    /// Begins with a checker that has just been made, by `seed` and from `memory`.
    pub fn begin(
        checker: &Checker,
        detail: Detail,
        seed: u64,
        memory: Memory,
        now: Moment,
    ) -> Self {
        let mut notes = Self {
            detail,
            seed,
            records: Vec::new(),
            moment: now,
            noted: true,
            last: now,
            asked: BTreeSet::new(),
            runs: BTreeMap::new(),
            promoting: None,
            reloaded: None,
        };
        if detail > Detail::Transitions {
            notes.note_begin(Why::Start, memory, checker);
        }
        notes
    }

    /// Hands `input` to the checker, and notes it.
    pub fn put(
        &mut self,
        checker: &mut Checker,
        input: Input,
        now: Moment,
    ) -> Result<Accepted, Refusal> {
        if let Input::Config(config) = &input {
            self.reloaded = Some(config.journal.outcomes);
        }
        if self.detail == Detail::Transitions {
            self.moment = now;
            return checker.handle(input, now);
        }
        let due = checker
            .poll_timeout()
            .filter(|due| self.detail == Detail::All && *due <= now.instant);
        let noteworthy = self.look_at(checker, &input, now);
        let sees = match &input {
            Input::Observation(observation) => Some(observation.component),
            _ => None,
        };
        let result = checker.handle(input, now);
        self.moment = now;
        // A sign that asked for no probe is none for a replay either: it takes silence for news as often, or more.
        let matters = sees.is_none_or(|component| {
            let asked = checker.asked_by(component, now).into_iter();
            // All of them are noted, so no `any`, which would stop at the first that is new.
            asked.filter(|one| self.asked.insert(*one)).count() > 0
        });
        let what = match noteworthy {
            Some(what) if matters => what,
            _ if due.is_some() => Recorded::Tick { began: Vec::new() },
            _ => {
                self.noted = false;
                return result;
            }
        };
        self.noted = true;
        let overdue = due.map_or(Duration::ZERO, |due| now.instant - due);
        self.note(what, overdue);
        result
    }

    /// What has come of it: what was told, and whose probes have begun.
    pub fn conclude<'e>(
        &mut self,
        checker: &Checker,
        told: impl IntoIterator<Item = &'e Event>,
        began: &[(ComponentId, ComponentKey)],
    ) {
        if let Some(detail) = self.reloaded.take() {
            self.change(detail, checker);
        }
        if self.detail == Detail::Transitions {
            return;
        }
        let (mut any, mut flip_begun) = (false, false);
        for event in told {
            any = true;
            flip_begun |= matches!(event.what, What::FlipBegun { .. });
        }
        for (component, _) in began {
            self.forget_signs(*component);
        }
        let quiet = self
            .moment
            .instant
            .saturating_duration_since(self.last.instant);
        let worth_a_tick = match self.detail {
            Detail::All => !began.is_empty() || (any && !self.noted),
            Detail::Changes | Detail::Transitions => quiet >= SIGN_OF_LIFE,
        };
        if worth_a_tick {
            let began = match self.detail {
                Detail::All => began.iter().map(|(_, key)| key.clone()).collect(),
                Detail::Changes | Detail::Transitions => Vec::new(),
            };
            self.note(Recorded::Tick { began }, Duration::ZERO);
        }
        if flip_begun && checker.draining().is_some() {
            self.note(Recorded::Draining, Duration::ZERO);
        }
        let promoting = checker.promoting();
        if promoting.is_some() && promoting != self.promoting {
            self.note(Recorded::Promoting, Duration::ZERO);
        }
        self.promoting = promoting;
        self.noted = true;
    }

    /// Tells all that is known now: where a new file begins, or something before was lost.
    pub fn begin_again(&mut self, checker: &Checker) {
        if self.detail > Detail::Transitions {
            self.note_begin(Why::Rotation, checker.memory(), checker);
        }
    }

    /// What was noted since the last call.
    pub fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    fn change(&mut self, detail: Detail, checker: &Checker) {
        let before = std::mem::replace(&mut self.detail, detail);
        self.runs.clear();
        if detail > Detail::Transitions {
            self.note_begin(Why::Reload, checker.memory(), checker);
        } else if before > Detail::Transitions {
            self.note(Recorded::End, Duration::ZERO);
        }
    }

    fn note_begin(&mut self, why: Why, memory: Memory, checker: &Checker) {
        let (zones, components) = checker.known();
        let begin = Begin {
            why,
            detail: self.detail,
            seed: self.seed,
            memory: without_words(memory),
            zones,
            components,
        };
        self.note(Recorded::Begin(Box::new(begin)), Duration::ZERO);
    }

    /// What is worth a record of `input`, which is about to go in.
    fn look_at(&mut self, checker: &Checker, input: &Input, now: Moment) -> Option<Recorded> {
        let all = self.detail == Detail::All;
        match input {
            Input::Outcome(id, round, outcome) => {
                let key = checker.key(*id).filter(|_| checker.awaits(*id, *round))?;
                self.forget_signs(*id);
                let steady = checker.is_steady(*id);
                let left_out = match all {
                    true => 0,
                    false => self.change_of(*id, key, outcome, steady)?,
                };
                Some(Recorded::Outcome {
                    component: key.clone(),
                    outcome: in_short(outcome),
                    began: None,
                    overtaken: checker.last_round(*id).saturating_sub(*round),
                    left_out,
                })
            }
            Input::Observation(observation) => {
                let (id, sign) = (observation.component, observation.sign);
                let component = checker.key(id)?.clone();
                if !all {
                    // Only what comes before a change is worth a record.
                    let run = self.runs.get_mut(&id)?;
                    run.sign.get_or_insert((now, sign));
                    return None;
                }
                Some(Recorded::Sign { component, sign })
            }
            Input::Tally(id, tally) => {
                let one = (checker.key(*id).filter(|_| all)?.clone(), *tally);
                // Those of one moment share a record.
                if let Some(Record { moment, what, .. }) = self.records.last_mut()
                    && *moment == now
                    && let Recorded::Tally(tallies) = what
                {
                    tallies.push(one);
                    return None;
                }
                Some(Recorded::Tally(vec![one]))
            }
            Input::Command(command) => Some(Recorded::Command(without_reason(command.clone()))),
            Input::Drained => Some(Recorded::Drained),
            Input::Promoted(run, end) => (checker.promoting() == Some(*run)).then(|| {
                Recorded::Promoted(Promoted {
                    output: String::new(),
                    ..end.clone()
                })
            }),
            Input::Config(_) | Input::Timeout => None,
        }
    }

    fn forget_signs(&mut self, component: ComponentId) {
        self.asked.retain(|(id, _)| *id != component);
    }

    /// What was kept until it proved to be of interest.
    fn note_earlier(&mut self, moment: Moment, component: ComponentKey, sign: Sign) {
        self.records.push(Record {
            moment,
            overdue: Duration::ZERO,
            what: Recorded::Sign { component, sign },
        });
    }

    /// How many outcomes were left out before this one, if it differs from them. Until a change is confirmed or refuted, all are
    /// worth a record.
    fn change_of(
        &mut self,
        id: ComponentId,
        key: &ComponentKey,
        outcome: &Outcome,
        steady: bool,
    ) -> Option<u64> {
        let alike = |run: &Run| (run.code, run.status) == (outcome.code, outcome.status);
        let left_out = match self.runs.get_mut(&id) {
            Some(run) if steady && alike(run) => {
                run.left_out += 1;
                run.sign = None;
                return None;
            }
            Some(run) => {
                let (left_out, sign) = (run.left_out, run.sign.take());
                if let Some((moment, sign)) = sign {
                    self.note_earlier(moment, key.clone(), sign);
                }
                left_out
            }
            None => 0,
        };
        let run = Run {
            code: outcome.code,
            status: outcome.status,
            left_out: 0,
            sign: None,
        };
        self.runs.insert(id, run);
        Some(left_out)
    }

    fn note(&mut self, what: Recorded, overdue: Duration) {
        self.last = self.moment;
        self.records.push(Record {
            moment: self.moment,
            overdue,
            what,
        });
    }
}

/// An outcome without the words that nothing depends on.
fn in_short(outcome: &Outcome) -> Outcome {
    let words = if outcome.passed() { 0 } else { WORDS };
    Outcome {
        detail: outcome.detail.chars().take(words).collect(),
        ..outcome.clone()
    }
}

/// What an operator has written is for the journal.
fn without_words(memory: Memory) -> Memory {
    let drill = memory.drill.map(|drill| Drill {
        reason: None,
        aborted: drill.aborted.map(|_| "aborted".to_owned()),
        ..drill
    });
    Memory {
        active_because: None,
        drill,
        ..memory
    }
}

/// The same.
fn without_reason(mut command: Command) -> Command {
    match &mut command {
        Command::Activate { reason, .. }
        | Command::Failback { reason, .. }
        | Command::Pin { reason, .. }
        | Command::Drill { reason, .. }
        | Command::AbortDrill { reason }
        | Command::Unpin { reason, .. }
        | Command::Operator { reason, .. } => *reason = None,
    }
    command
}
