//! Probes, from the moment that the checker wants one to its outcome.

use std::time::Instant;

use tokio::task::JoinError;
use tracing::error;

use super::{Monitor, OWN_FAULT_PAUSE, REPORT_PAUSE};
use crate::health::checker::{Input, Probe};
use crate::health::probe::Subject;
use crate::moment::Moment;
use crate::outcome::{CheckCode, Outcome};
use crate::zone::{ComponentId, ComponentKey};

impl Monitor {
    pub(super) fn start(&mut self, due: Probe) {
        let Probe {
            component,
            round,
            key,
            address,
            check,
        } = due;
        let prober = self.prober.clone();
        let target = self.resolver.target(&address);
        self.probes.spawn(async move {
            let began = Instant::now();
            let outcome = match target.address(check.timeout).await {
                Ok(found) => {
                    let subject = Subject {
                        component: &key,
                        address: found,
                        authority: &address.to_string(),
                    };
                    prober.probe(subject, &check).await
                }
                Err(problem) => Outcome {
                    code: CheckCode::L4Con,
                    detail: problem,
                    took: began.elapsed(),
                    status: None,
                },
            };
            (component, key, round, outcome)
        });
    }

    pub(super) fn handle_finished(
        &mut self,
        finished: Result<(ComponentId, ComponentKey, u64, Outcome), JoinError>,
    ) {
        let now = Moment::now();
        // As often as anything could be decided by it.
        self.checker.handle_load(&self.bridgehead.load(), now);
        let mut next = Some(finished);
        while let Some(finished) = next {
            match finished {
                Ok((component, key, round, outcome)) => {
                    self.ledger.probed(&key, &outcome);
                    self.note_own_fault(&outcome, now.instant);
                    self.put(Input::Outcome(component, round, outcome), now);
                }
                // The checker gives up on it in time, with an outcome of its own.
                Err(error) => error!("a probe ended badly: {error}"),
            }
            next = self.probes.try_join_next();
        }
        self.report_due.get_or_insert(now.instant + REPORT_PAUSE);
    }

    /// Says it loudly when probes fail because of ourselves, but not for each of them.
    fn note_own_fault(&mut self, outcome: &Outcome, now: Instant) {
        let quiet = |told: Instant| told + OWN_FAULT_PAUSE > now;
        if outcome.is_conclusive() || self.own_fault_told.is_some_and(quiet) {
            return;
        }
        self.own_fault_told = Some(now);
        error!(
            "firedoor itself can't make connections ({}): probes are blind, and as long as they are no component goes up or down",
            outcome.detail
        );
    }
}
