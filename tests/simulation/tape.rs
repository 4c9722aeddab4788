//! What a random history leaves on disk, and what its replay makes of it.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use fastrand::Rng;
use firedoor::config::{Config, Detail};
use firedoor::health::checker::{Accepted, Checker, Input, Probe, Refusal, Replayed};
use firedoor::health::recording::notes::Notes;
use firedoor::health::report::{Event, Flip, What};
use firedoor::journal::{self, Entry, Reading, Unreadable};
use firedoor::memory::Memory;
use firedoor::moment::Moment;
use jiff::Timestamp;

/// A journal and the outcomes beside it, line by line as firedoor writes them.
pub(crate) struct Tape {
    notes: Notes,
    pub(crate) detail: Detail,
    origin: Instant,
    outcomes: String,
    journal: String,
    number: u64,
    epoch: u64,
    /// What was told: the truth that a replay is held against.
    pub(crate) flips: Vec<(Timestamp, Flip)>,
}

impl Tape {
    pub(crate) fn begin(checker: &Checker, detail: Detail, seed: u64, now: Moment) -> Self {
        Self {
            notes: Notes::begin(checker, detail, seed, Memory::default(), now),
            detail,
            origin: now.instant,
            outcomes: String::new(),
            journal: String::new(),
            number: 0,
            epoch: checker.routing().epoch,
            flips: Vec::new(),
        }
    }

    /// Another process goes on with the same files.
    pub(crate) fn restart(&mut self, checker: &Checker, memory: Memory, seed: u64, now: Moment) {
        self.notes = Notes::begin(checker, self.detail, seed, memory, now);
        self.origin = now.instant;
    }

    pub(crate) fn put(
        &mut self,
        checker: &mut Checker,
        input: Input,
        now: Moment,
    ) -> Result<Accepted, Refusal> {
        self.notes.put(checker, input, now)
    }

    pub(crate) fn conclude(&mut self, checker: &Checker, events: &[Event], probes: &[Probe]) {
        let began: Vec<_> = probes
            .iter()
            .map(|probe| (probe.component, probe.key.clone()))
            .collect();
        self.notes.conclude(checker, events, &began);
        self.write();
        for event in events {
            if let What::Flip(flip) = &event.what {
                self.epoch = flip.epoch;
                self.flips.push((event.at, flip.clone()));
            }
            self.number += 1;
            let entry = Entry::new(self.number, self.epoch, event.clone());
            self.journal += &format!("{}\n", entry.json);
        }
    }

    /// The files are full: others are begun, and those before are lost.
    pub(crate) fn turn_over(&mut self, checker: &Checker) {
        self.outcomes.clear();
        self.journal.clear();
        self.flips.clear();
        self.notes.begin_again(checker);
        self.write();
    }

    fn write(&mut self) {
        for record in self.notes.take() {
            self.outcomes += &journal::line(&record, self.origin);
        }
    }

    /// Reads it back from disk, unless no outcome is in it.
    pub(crate) fn try_read(&self, now: Instant) -> Option<Reading> {
        let reading = read(&self.journal, &self.outcomes, now)?;
        assert_eq!(reading.complaints, [""; 0]);
        Some(reading)
    }

    /// Lines that a replay has and the journal hasn't.
    pub(crate) fn lines(&self) -> usize {
        self.outcomes.lines().count()
    }

    /// A copy with a few lines or numbers that are not as they were.
    pub(crate) fn damaged(&self, rng: &mut Rng) -> Damaged {
        let mut texts = [self.journal.clone(), self.outcomes.clone()];
        for _ in 0..rng.usize(1..12) {
            let text = &mut texts[rng.usize(..2)];
            let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
            if !lines.is_empty() {
                *text = damage(lines, rng).concat();
            }
        }
        let [journal, outcomes] = texts;
        Damaged { journal, outcomes }
    }

    /// Replays it.
    pub(crate) fn replay(&self, config: &Arc<Config>, now: Instant) -> Replayed {
        let reading = self.try_read(now).expect("outcomes");
        Checker::replay(&reading.recording, Arc::clone(config)).unwrap()
    }
}

/// Files as no firedoor writes them.
pub(crate) struct Damaged {
    journal: String,
    outcomes: String,
}

impl Damaged {
    /// Replays it, if there is anything left to replay.
    pub(crate) fn try_replay(&self, config: &Arc<Config>, now: Instant) -> Option<Replayed> {
        let reading = read(&self.journal, &self.outcomes, now)?;
        // Who probes without an end is told so.
        Checker::replay(&reading.recording, Arc::clone(config)).ok()
    }
}

fn read(journal: &str, outcomes: &str, now: Instant) -> Option<Reading> {
    let directory = tempfile::tempdir().unwrap();
    let write = |name, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("journal.jsonl", journal);
    if !outcomes.is_empty() {
        write("outcomes.jsonl", outcomes);
    }
    match journal::read(&[directory.path().to_owned()], now) {
        Ok(reading) => Some(reading),
        Err(Unreadable::NoOutcomes(_) | Unreadable::NoJournal(_) | Unreadable::Foreign(_)) => None,
        Err(problem) => panic!("{problem}"),
    }
}

fn damage(mut lines: Vec<String>, rng: &mut Rng) -> Vec<String> {
    let one = rng.usize(..lines.len());
    match rng.u32(0..8) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(one, lines[one].clone()),
        2 => {
            let other = rng.usize(..lines.len());
            lines.swap(one, other);
        }
        3 => lines.truncate(one),
        4 => {
            let half = lines[one].len() / 2;
            lines[one].retain(|_| rng.usize(..half + 1) > 0);
        }
        5 => lines.insert(one, "{\"hello\": [1, 2]}\n".to_owned()),
        6 => drop(lines.drain(..one)),
        // Any of its numbers becomes another one.
        _ => {
            let line = std::mem::take(&mut lines[one]);
            let numbers: Vec<&str> = line
                .split(|c: char| !c.is_ascii_digit())
                .filter(|part| !part.is_empty())
                .collect();
            let odd = [
                "0",
                "-1",
                "18446744073709551615",
                "1e300",
                "99999999999999999999",
                "4294967295",
                "7",
            ];
            if let Some(number) = numbers.get(rng.usize(..numbers.len().max(1))) {
                lines[one] = line.replacen(number, odd[rng.usize(..odd.len())], 1);
            }
        }
    }
    lines
}
