//! An exhaustive walk: from the start of a small model, every sequence of inputs up to a depth. Two histories that have led to
//! the same state are one.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use firedoor::config::Config;
use firedoor::health::checker::{Checker, Command};
use firedoor::memory::Memory;
use firedoor::moment::Moment;
use firedoor::zone::{ComponentKey, Operator};

use crate::example::{self, pass, refused};
use crate::watch::Watch;

/// How much was walked.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) states: usize,
    #[expect(dead_code, reason = "printed")]
    pub(crate) steps: usize,
}

#[derive(Clone, Debug)]
enum Step {
    /// Breaks a component, or heals it.
    Toggle(ComponentKey),
    /// Time passes, every probe that becomes due meanwhile is answered at the end.
    Pass(Duration),
    Drained,
    Promoted(bool),
    Command(Command),
}

#[derive(Clone)]
struct Place {
    checker: Checker,
    watch: Watch,
    now: Moment,
    broken: BTreeSet<ComponentKey>,
}

/// Walks every sequence of at most `depth` steps.
pub(crate) fn walk(config: Config, start: Moment, depth: usize) -> Walked {
    let config = Arc::new(config);
    let checker = Checker::new(Arc::clone(&config), Memory::default(), 1, start);
    let watch = Watch::new(&checker, Arc::clone(&config), start);
    let mut first = Place {
        checker,
        watch,
        now: start,
        broken: BTreeSet::new(),
    };
    first.look();
    let steps = steps(&config);
    let mut seen: HashSet<String> = HashSet::from([first.key()]);
    let mut frontier = vec![first];
    let mut taken = 0;
    for _ in 0..depth {
        let mut next = Vec::new();
        for place in &frontier {
            for step in &steps {
                let mut place = place.clone();
                if !place.take(step) {
                    continue;
                }
                taken += 1;
                if seen.insert(place.key()) {
                    next.push(place);
                }
            }
        }
        frontier = next;
    }
    let walked = Walked {
        states: seen.len(),
        steps: taken,
    };
    eprintln!("{walked:?}");
    walked
}

fn steps(config: &Config) -> Vec<Step> {
    // More than an interval with its jitter: every component is probed. More than `min_stay`. More than the budget's hour.
    let times = [1200, 11_000, 3_700_000].map(Duration::from_millis);
    let mut steps: Vec<Step> = times.map(Step::Pass).into();
    steps.push(Step::Drained);
    if !config.failover.promote_command.is_empty() {
        steps.extend([true, false].map(Step::Promoted));
    }
    let (zone, reason) = (config.zones[0].name.to_string(), None);
    steps.push(Step::Command(Command::Drill {
        zone,
        length: Duration::from_secs(5),
        reason,
    }));
    let reason = None;
    steps.push(Step::Command(Command::AbortDrill { reason }));
    for zone in &config.zones {
        let backends = zone.backends.iter().map(|backend| &backend.key);
        let keys = backends.chain(zone.dependencies.iter().map(|dependency| &dependency.key));
        steps.extend(keys.cloned().map(Step::Toggle));
        let name = zone.name.to_string();
        let (zone, reason) = (name.clone(), None);
        steps.push(Step::Command(Command::Activate {
            zone,
            hold: true,
            reason,
        }));
        let (zone, reason) = (name.clone(), None);
        steps.push(Step::Command(Command::Pin { zone, reason }));
        let (zone, reason) = (name, None);
        steps.push(Step::Command(Command::Unpin { zone, reason }));
    }
    for state in [Operator::Maintenance, Operator::Ready] {
        steps.push(Step::Command(Command::Operator {
            component: config.zones[0].backends[0].key.clone(),
            state,
            reason: None,
        }));
    }
    steps
}

impl Place {
    /// Whether the step was possible.
    fn take(&mut self, step: &Step) -> bool {
        match step {
            Step::Toggle(key) => {
                if !self.broken.remove(key) {
                    self.broken.insert(key.clone());
                }
                return true;
            }
            Step::Pass(time) => {
                self.now = self.now.after(*time);
                self.checker.handle_timeout(self.now);
            }
            Step::Drained => {
                if self.checker.draining().is_none() {
                    return false;
                }
                self.checker.handle_drained(self.now);
            }
            Step::Promoted(succeeded) => {
                let Some(run) = self.checker.promoting() else {
                    return false;
                };
                let end = example::promoted(*succeeded);
                self.checker.handle_promoted(run, end, self.now);
            }
            Step::Command(command) => {
                if self
                    .checker
                    .handle_command(command.clone(), self.now)
                    .is_err()
                {
                    return false;
                }
            }
        }
        self.look();
        true
    }

    fn look(&mut self) {
        loop {
            let events: Vec<_> = std::iter::from_fn(|| self.checker.poll_event()).collect();
            self.watch.check(&self.checker, &events, self.now);
            let Some(probe) = self.checker.poll_probe() else {
                return;
            };
            self.watch.probe_started(&probe, self.now);
            self.watch.probe_ended(&probe, self.now.instant, self.now);
            let broken = self.broken.contains(&probe.key);
            let outcome = if broken { refused() } else { pass() };
            self.checker
                .handle_outcome(probe.component, probe.round, outcome, self.now);
        }
    }

    /// All that the future depends on. Ages count up to the longest time that any rule waits for.
    fn key(&self) -> String {
        let age = |wall: jiff::Timestamp, limit: i64| {
            let age = self.now.wall.duration_since(wall).as_millis();
            age.min(i128::from(limit))
        };
        let report = &self.watch.report;
        let memory = self.checker.memory();
        let components = report
            .zones
            .iter()
            .flat_map(|zone| &zone.components)
            .map(|component| {
                let last: Vec<bool> = component
                    .outcomes
                    .iter()
                    .rev()
                    .take(2)
                    .map(|o| o.1.passed())
                    .collect();
                (component.status, component.operator, last)
            });
        let zones = report
            .zones
            .iter()
            .map(|zone| (zone.verdict, age(zone.since, 6000)));
        let flips: Vec<_> = memory
            .flips
            .iter()
            .map(|flip| age(*flip, 3_600_000))
            .collect();
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            self.broken
                .iter()
                .map(|key| (&key.zone, &key.name))
                .collect::<Vec<_>>(),
            components.collect::<Vec<_>>(),
            zones.collect::<Vec<_>>(),
            flips,
            report.active,
            age(report.active_since, 10_000),
            report.epoch > 1,
            report.pinned,
            (
                report.drill.as_ref().map(|drill| age(drill.until, 0)),
                &report.flip_pending,
                self.checker.draining().is_some(),
                self.checker.promoting().is_some(),
                self.watch
                    .promotion_failed
                    .map(|at| (self.now.instant - at).min(Duration::from_secs(61))),
                self.watch.begun.map(|begun| self.now.instant - begun)
            ),
        )
    }
}
