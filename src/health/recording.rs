//! What goes into the checker, and what came of it, as it is recorded and as a replay reads it. Plain values. Pure.

pub mod notes;
mod track;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::config::Detail;
use crate::health::checker::{Command, Promoted};
use crate::health::report::Cause;
use crate::memory::Memory;
use crate::moment::Moment;
use crate::outcome::{Outcome, Sign, Tally};
use crate::zone::{ComponentKey, Status};

pub use track::{Sample, Track};

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When the checker got it.
    pub moment: Moment,
    /// For how long time alone had been an input by then that nobody had put in: the process was late, and has done nothing
    /// meanwhile.
    pub overdue: Duration,
    /// What it was.
    pub what: Recorded,
}

/// The kinds of record.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    /// From here on it is recorded, and this was known.
    Begin(Box<Begin>),
    /// Time alone, or something that changed nothing. These components' probes began.
    Tick {
        /// Whose.
        began: Vec<ComponentKey>,
    },
    /// A probe has ended.
    Outcome {
        /// Whose.
        component: ComponentKey,
        /// How.
        outcome: Outcome,
        /// When it had begun, if that is known.
        began: Option<Instant>,
        /// How many of its probes had begun after it: probes overlap while a component is being confirmed.
        overtaken: u64,
        /// How many since the last record of that component were like that one, and were left out.
        left_out: u64,
    },
    /// Live requests saw a sign of trouble.
    Sign {
        /// With which backend.
        component: ComponentKey,
        /// What they saw.
        sign: Sign,
    },
    /// How live requests went at these backends.
    Tally(Vec<(ComponentKey, Tally)>),
    /// An operator wanted something (the reason is left out).
    Command(Command),
    /// A planned flip began to wait for the running requests.
    Draining,
    /// There were none any more.
    Drained,
    /// `promote_command` was started.
    Promoting,
    /// It has ended (its output is left out).
    Promoted(Promoted),
    /// The active zone changed: from the journal.
    Flip(RecordedFlip),
    /// A flip was held back by this rule: from the journal.
    Held(Arc<str>),
    /// A configuration came into force: from the journal.
    Reloaded(Vec<String>),
    /// Some records are lost: the disk refused them for too long.
    Gap {
        /// How many.
        lost: u64,
    },
    /// From here on it is no longer recorded.
    End,
}

/// What was known when the recording, or a file of it, began.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// Why it begins here.
    pub why: Why,
    /// How much is recorded from here on.
    pub detail: Detail,
    /// What spreads the probes.
    pub seed: u64,
    /// What a new process would have to know.
    pub memory: Memory,
    /// Since when each zone has its verdict.
    pub zones: Vec<(Arc<str>, Timestamp)>,
    /// Each component.
    pub components: Vec<Known>,
}

/// Why a recording begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The process has begun: nothing else is known.
    Start,
    /// A configuration came into force.
    Reload,
    /// A new file was begun, since the one before was full.
    Rotation,
    /// There is only the journal, and this was concluded from it.
    Journal,
}

/// What was known of a component.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Which.
    pub key: ComponentKey,
    /// Where it was checked.
    pub address: String,
    /// Its check's `interval`; zero if that is not known.
    pub interval: Duration,
    /// Its check's `timeout`; zero if that is not known.
    pub timeout: Duration,
    /// What the probes had said.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
    /// Consecutive outcomes against that.
    pub streak: u32,
    /// Whether it counted for its zone.
    pub joined: bool,
    /// Whether a probe was under way.
    pub probing: bool,
    /// The last outcome.
    pub last: Option<Outcome>,
}

/// A flip, as the journal tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFlip {
    /// The epoch that began with it.
    pub epoch: u64,
    /// The zone that was left.
    pub from: Arc<str>,
    /// The zone that was entered.
    pub to: Arc<str>,
    /// Why.
    pub cause: Cause,
}

/// A stretch of time that was recorded in one detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From.
    pub from: Moment,
    /// To.
    pub to: Moment,
    /// How much.
    pub detail: Detail,
}

/// A whole recording: all that a replay needs.
#[derive(Clone, Debug)]
pub struct Recording {
    /// In time; the first is a [`Begin`].
    pub records: Vec<Record>,
    /// What each component's probes have found, over time.
    pub tracks: BTreeMap<ComponentKey, Track>,
    /// In time, without overlap; between two of them no process was running, or nothing is known.
    pub spans: Vec<Span>,
}
