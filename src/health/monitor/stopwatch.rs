//! How long the parts of a flip take, by the clock, where they happen: see [`Phase`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ledger::{Ledger, Phase};
use crate::health::report::{Cause, Event, What};
use crate::telemetry::counters::Counters;
use crate::zone::Verdict;

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Stopwatch {
    ledger: Ledger,
    /// When what is being settled came in.
    input: Instant,
    /// Since when each zone has failed.
    failed: HashMap<Arc<str>, Instant>,
    /// Since when a planned flip has been under way.
    begun: Option<Instant>,
    /// Which epoch is about to begin, and when that was decided.
    decided: Option<(u64, Instant)>,
    /// Which epoch has begun without a response yet, and when.
    awaited: Option<(u64, Instant)>,
}

impl Stopwatch {
    pub(super) fn new(ledger: Ledger, now: Instant) -> Self {
        Self {
            ledger,
            input: now,
            failed: HashMap::new(),
            begun: None,
            decided: None,
            awaited: None,
        }
    }

    /// Something comes in that may decide.
    pub(super) fn input(&mut self, at: Instant) {
        self.input = at;
    }

    /// It has led to `event`, at `now`.
    pub(super) fn note(&mut self, event: &Event, now: Instant) {
        match &event.what {
            What::Verdict { zone, to, .. } if *to == Verdict::Failed => {
                self.failed.insert(Arc::clone(zone), self.input);
            }
            What::Verdict { zone, .. } => {
                self.failed.remove(zone);
            }
            What::FlipBegun { .. } => self.begun = Some(self.input),
            What::FlipAborted { .. } => self.begun = None,
            What::Flip(flip) => {
                self.ledger.flipped(flip);
                let begun = self.begun.take().unwrap_or(self.input);
                let failover = flip.cause == Cause::Failover;
                let failed = self.failed.get(&flip.from);
                if let Some(failed) = failed.filter(|_| failover) {
                    let took = now.saturating_duration_since(*failed);
                    self.ledger.took(Phase::Decide, took);
                }
                self.decided = Some((flip.epoch, if failover { now } else { begun }));
            }
            _ => {}
        }
    }

    /// The snapshot was published, between these two moments.
    pub(super) fn published(&mut self, before: Instant, after: Instant) {
        if let Some((epoch, decided)) = self.decided.take() {
            let took = after.saturating_duration_since(decided);
            self.ledger.took(Phase::Commit, took);
            self.awaited = Some((epoch, before));
        }
    }

    /// Looks whether a worker has had a response in the new zone; `started`: when the workers' clocks were at 0.
    pub(super) fn look(&mut self, counters: &Counters, started: Instant) {
        if let Some((epoch, begun)) = self.awaited
            && let Some(micros) = counters.first_response(epoch)
        {
            self.awaited = None;
            let at = started + Duration::from_micros(micros);
            let took = at.saturating_duration_since(begun);
            self.ledger.took(Phase::FirstResponse, took);
        }
    }
}
