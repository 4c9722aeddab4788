//! What the monitor has counted since the process started: probes, flips and how long their parts took, whether the last reload came into
//! force, what the disk refuses. For metrics; nothing is decided by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::health::report::{Cause, Flip};
use crate::journal;
use crate::outcome::Outcome;
use crate::telemetry::meter::Spread;
use crate::zone::ComponentKey;

/// Where it is written down. Cheap to clone. Locked by the control thread only, for a moment: the data path knows nothing of it.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Account>>);

/// All of it. Counts never go back; a component that leaves the configuration keeps its own, for when it comes again.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// What came of probes.
    pub checks: BTreeMap<ComponentKey, Checks>,
    /// Flips, by the zone that was left, the one that was entered, and the cause.
    pub flips: BTreeMap<(Arc<str>, Arc<str>, &'static str), u64>,
    /// How long each [`Phase`] took.
    pub phases: [Spread; Phase::ALL.len()],
    /// The last reload was refused.
    pub reload_failed: bool,
    /// What the disk refuses now.
    pub refused: Refused,
}

/// The probes of one component.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// How long each took to its conclusion.
    pub durations: Spread,
    /// Those that failed, by code.
    pub failures: BTreeMap<&'static str, u64>,
}

/// What can't be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The active zone, pins and operator states.
    pub memory: bool,
    /// Journal entries.
    pub journal: bool,
    /// Outcomes for a replay.
    pub outcomes: bool,
}

/// The parts of a flip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From the first contrary outcome to the zone's failure; failovers only.
    Detect,
    /// From the zone's failure to the decision: at once, unless a rule such as `min_stay` has it wait, or there is nowhere to go; failovers
    /// only.
    Decide,
    /// From the decision to the moment from which requests go to the new zone; of a planned flip, drain and promotion are a part of it.
    Commit,
    /// From then to the first response of a backend there.
    FirstResponse,
}

impl Phase {
    /// All, each where its number says.
    pub const ALL: [Self; 4] = [
        Self::Detect,
        Self::Decide,
        Self::Commit,
        Self::FirstResponse,
    ];

    /// As metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Decide => "decide",
            Self::Commit => "commit",
            Self::FirstResponse => "first_response",
        }
    }
}

impl Ledger {
    /// All that has been written down so far.
    pub fn account(&self) -> Account {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A reload has come into force, or was refused.
    pub fn reloaded(&self, in_force: bool) {
        self.write(|account| account.reload_failed = !in_force);
    }

    pub(super) fn probed(&self, component: &ComponentKey, outcome: &Outcome) {
        self.write(|account| {
            if !account.checks.contains_key(component) {
                account.checks.insert(component.clone(), Checks::default());
            }
            let Some(checks) = account.checks.get_mut(component) else {
                return;
            };
            checks.durations.record(outcome.took);
            if !outcome.passed() {
                *checks.failures.entry(outcome.code.as_str()).or_default() += 1;
            }
        });
    }

    pub(super) fn flipped(&self, flip: &Flip) {
        let (from, to) = (Arc::clone(&flip.from), Arc::clone(&flip.to));
        let cause = journal::cause(flip.cause);
        self.write(|account| *account.flips.entry((from, to, cause)).or_default() += 1);
        if flip.cause == Cause::Failover {
            self.took(Phase::Detect, flip.detected_in);
        }
    }

    pub(super) fn took(&self, phase: Phase, time: Duration) {
        self.write(|account| account.phases[phase as usize].record(time));
    }

    pub(super) fn refused(&self, refused: Refused) {
        self.write(|account| account.refused = refused);
    }

    fn write(&self, write: impl FnOnce(&mut Account)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
