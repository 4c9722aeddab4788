//! What a plan predicts, held against what the running decision does when those components then fail.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firedoor::health::checker::{Checker, Fault, Forecast, Hypothesis, Probe};
use firedoor::health::failover::Decision;
use firedoor::health::report::{Event, Flip, What};
use firedoor::moment::Moment;
use firedoor::outcome::{CheckCode, Outcome};
use firedoor::zone::{ComponentKey, Status};

use super::World;

/// Past every `min_stay` and `failback_after` of a random configuration: who has not flipped by then waits for the budget or
/// for the failback window.
const SOON: Duration = Duration::from_secs(25);
/// Longer futures are followed to their end only now and then: each of their seconds has all of its probes.
const LONG: Duration = Duration::from_secs(300);

impl World {
    /// Supposes something, asks for the plan, lets it come true and compares. What kind of plan it was.
    pub(crate) fn foresee(&mut self) -> &'static str {
        let (down, up) = self.suppose();
        let hypothesis = self.checker.suppose(&down, &up).unwrap();
        let fault = if self.rng.bool() {
            Fault::Refused
        } else {
            Fault::Hung
        };
        let before = (
            self.checker.routing(),
            self.checker.report(self.now),
            self.checker.memory(),
            self.checker.poll_timeout(),
        );
        let forecast = self.checker.forecast(&hypothesis, fault, self.now);
        let after = (
            self.checker.routing(),
            self.checker.report(self.now),
            self.checker.memory(),
            self.checker.poll_timeout(),
        );
        assert_eq!(before, after, "a plan changed something");
        assert_eq!(self.checker.poll_event(), None);

        let flip_after = forecast.flip.as_ref().map(|(after, _)| *after);
        let long = flip_after.filter(|after| *after < LONG || self.rng.u32(0..50) == 0);
        let follow = long
            .map_or(SOON, |after| after + Duration::from_millis(1))
            .max(SOON);
        let mut running = Running::begin(self, &hypothesis, fault);
        let came = running.until_flip(self.now.instant + follow);
        match (&forecast.flip, came) {
            (Some((after, flip)), Some((at, came))) => {
                assert_eq!(
                    *after,
                    at - self.now.instant,
                    "at another time: {hypothesis:?}"
                );
                assert_eq!(essence(flip), essence(&came), "{hypothesis:?}");
                kind_of(&forecast, flip)
            }
            (Some((after, _)), None) => {
                assert!(
                    *after >= follow,
                    "a flip that was planned did not come: {forecast:#?}"
                );
                "later flip"
            }
            (None, Some((_, flip))) => {
                panic!("a flip that was not planned: {flip:#?}\n{forecast:#?}")
            }
            (None, None) => {
                let settled = forecast.events.iter().all(|(after, _)| *after < follow);
                let decision = running.checker.report(running.now).decision;
                assert!(
                    !settled || decision == forecast.decision,
                    "{decision}\nwas planned as {}",
                    forecast.decision
                );
                match forecast.end {
                    Decision::NowhereToGo { .. } => "nowhere to go",
                    Decision::Withheld { .. } => "withheld",
                    Decision::FailbackPossible => "failback possible",
                    Decision::Stay { .. } | Decision::Flip(_) => "stay",
                }
            }
        }
    }

    /// Some components, or all of a zone; now and then some that come back.
    fn suppose(&mut self) -> (Vec<String>, Vec<String>) {
        let keys = self.keys();
        let active = self.watch.report.zones[self.watch.report.active]
            .name
            .clone();
        let mut some = |among: &[ComponentKey]| -> Vec<String> {
            let count = 1 + self.rng.usize(..3);
            let names = (0..count).map(|_| among[self.rng.usize(..among.len())].to_string());
            names.collect::<BTreeSet<_>>().into_iter().collect()
        };
        let of_active: Vec<ComponentKey> = keys
            .iter()
            .filter(|key| key.zone == active)
            .cloned()
            .collect();
        let mut down = some(&of_active);
        let up = some(&keys);
        match self.rng.u32(0..10) {
            0..5 => {}
            5 => down = vec![active.to_string()],
            6 => down = keys.iter().map(ToString::to_string).collect(),
            7 => down = up.clone(),
            8 => return (Vec::new(), up),
            _ => {
                let up: Vec<String> = up.into_iter().filter(|name| !down.contains(name)).collect();
                return (down, up);
            }
        }
        (down, Vec::new())
    }
}

/// The decision as it runs, with a driver that shares nothing with the plan's.
struct Running {
    checker: Checker,
    now: Moment,
    broken: BTreeSet<ComponentKey>,
    fault: Fault,
    flying: Vec<(Instant, Probe)>,
}

impl Running {
    fn begin(world: &World, hypothesis: &Hypothesis, fault: Fault) -> Self {
        let report = world.checker.report(world.now);
        let components = report.zones.iter().flat_map(|zone| &zone.components);
        let failing = components.filter(|component| match component.status {
            Status::Up => false,
            Status::Down => true,
            Status::Unknown => component
                .outcomes
                .last()
                .is_some_and(|last| !last.1.passed()),
        });
        let mut broken: BTreeSet<_> = failing.map(|component| component.key.clone()).collect();
        broken.retain(|key| !hypothesis.up.contains(key));
        broken.extend(hypothesis.down.iter().cloned());
        let mut running = Self {
            checker: world.checker.clone(),
            now: world.now,
            broken,
            fault,
            flying: Vec::new(),
        };
        // Those that seemed lost are late only: if they are still waited for, they come back now.
        let mut flying: Vec<_> = world
            .probes
            .iter()
            .chain(&world.forgotten)
            .cloned()
            .collect();
        flying.sort_by_key(|(probe, started)| (*started, probe.component));
        for (mut probe, started) in flying {
            // A plan doesn't know of an older configuration how long its probes may take.
            probe.check = Arc::new(world.check.clone());
            let back = running.back(&probe, started).max(running.now.instant);
            running.flying.push((back, probe));
        }
        running
    }

    /// The first flip until `end`.
    fn until_flip(&mut self, end: Instant) -> Option<(Instant, Flip)> {
        loop {
            self.checker.handle_timeout(self.now);
            while self.happens() {
                if let Some(flip) = self.flip() {
                    return Some((self.now.instant, flip));
                }
            }
            if let Some(flip) = self.flip() {
                return Some((self.now.instant, flip));
            }
            let probes = self.flying.iter().map(|(back, _)| *back);
            let next = probes.chain(self.checker.poll_timeout()).min().unwrap();
            if next > end {
                return None;
            }
            self.now = self.now.after(next - self.now.instant);
        }
    }

    /// Whether something happened: a probe came back, or a drain ended.
    fn happens(&mut self) -> bool {
        while let Some(probe) = self.checker.poll_probe() {
            let back = self.back(&probe, self.now.instant);
            self.flying.push((back, probe));
        }
        self.flying.sort_by_key(|(back, _)| *back);
        if self
            .flying
            .first()
            .is_some_and(|(back, _)| *back <= self.now.instant)
        {
            let (_, probe) = self.flying.remove(0);
            let outcome = self.outcome(&probe);
            self.checker
                .handle_outcome(probe.component, probe.round, outcome, self.now);
            return true;
        }
        if self.checker.draining().is_some() {
            self.checker.handle_drained(self.now);
            return true;
        }
        false
    }

    fn back(&self, probe: &Probe, started: Instant) -> Instant {
        if self.fault == Fault::Hung && self.broken.contains(&probe.key) {
            started + probe.check.timeout
        } else {
            started
        }
    }

    fn outcome(&self, probe: &Probe) -> Outcome {
        let code = match (self.broken.contains(&probe.key), self.fault) {
            (false, _) => CheckCode::L7Ok,
            (true, Fault::Refused) => CheckCode::L4Con,
            (true, Fault::Hung) => CheckCode::L7Timeout,
        };
        Outcome {
            code,
            detail: "supposed".to_owned(),
            took: Duration::ZERO,
            status: None,
        }
    }

    fn flip(&mut self) -> Option<Flip> {
        let events: Vec<Event> = std::iter::from_fn(|| self.checker.poll_event()).collect();
        events.into_iter().find_map(|event| match event.what {
            What::Flip(flip) => Some(flip),
            _ => None,
        })
    }
}

/// All of a flip but the outcomes of probes that nobody doubts: a plan doesn't run these.
fn essence(flip: &Flip) -> Flip {
    let mut flip = flip.clone();
    for component in &mut flip.evidence {
        component.outcomes.clear();
    }
    flip
}

fn kind_of(forecast: &Forecast, flip: &Flip) -> &'static str {
    use firedoor::health::report::Cause;
    match (flip.cause, &forecast.withheld) {
        (Cause::Failback, _) => "failback",
        (_, Some(_)) => "flip after a rule held it back",
        _ if flip.degraded => "degraded flip",
        _ => "flip",
    }
}
