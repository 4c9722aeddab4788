//! A stage for one checker: a world of components that are well or not, and a clock that the test owns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use firedoor::config::Config;
use firedoor::health::checker::{Accepted, BackendState, Checker, Command, Refusal};
use firedoor::health::report::{Event, Flip, What};
use firedoor::memory::Memory;
use firedoor::moment::Moment;
use firedoor::outcome::Tally;
use firedoor::zone::{ComponentKey, Operator, Verdict};

use crate::example::{pass, refused};

/// A checker, a world of components that are well or not, and a clock that the test owns.
pub(crate) struct Stage {
    pub(crate) checker: Checker,
    pub(crate) now: Moment,
    pub(crate) broken: Vec<String>,
    pub(crate) events: Vec<Event>,
}

impl Stage {
    pub(crate) fn new(config: Config) -> Self {
        Self::remembering(config, Memory::default())
    }

    pub(crate) fn remembering(config: Config, memory: Memory) -> Self {
        let now = Moment {
            instant: Instant::now(),
            wall: "2026-01-15T03:12:07Z".parse().unwrap(),
        };
        Self {
            checker: Checker::new(Arc::new(config), memory, 1, now),
            now,
            broken: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Answers all probes that are due, without letting time pass.
    pub(crate) fn answer(&mut self) {
        while let Some(probe) = self.checker.poll_probe() {
            let broken = self.broken.contains(&probe.key.to_string());
            let outcome = if broken { refused() } else { pass() };
            self.checker
                .handle_outcome(probe.component, probe.round, outcome, self.now);
        }
        while let Some(event) = self.checker.poll_event() {
            self.events.push(event);
        }
    }

    /// Lets time pass, from one timeout to the next.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.answer();
        let end = self.now.instant + time;
        while let Some(next) = self.checker.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.after(next - self.now.instant);
            self.checker.handle_timeout(self.now);
            self.answer();
        }
        self.now = self.now.after(end - self.now.instant);
    }

    pub(crate) fn settle(&mut self) {
        self.pass(Duration::from_secs(5));
    }

    pub(crate) fn break_(&mut self, component: &str) {
        self.broken.push(component.to_owned());
    }

    pub(crate) fn heal(&mut self, component: &str) {
        self.broken.retain(|broken| broken != component);
    }

    pub(crate) fn active(&self) -> String {
        let report = self.checker.report(self.now);
        report.zones[report.active].name.to_string()
    }

    pub(crate) fn flips(&self) -> Vec<&Flip> {
        let flips = self.events.iter().filter_map(|event| match &event.what {
            What::Flip(flip) => Some(flip),
            _ => None,
        });
        flips.collect()
    }

    /// Answers once what an operator wants.
    pub(crate) fn command(&mut self, command: Command) -> Result<Accepted, Refusal> {
        let result = self.checker.handle_command(command, self.now);
        self.answer();
        result
    }

    pub(crate) fn activate(&mut self, zone: &str, hold: bool) -> Result<Accepted, Refusal> {
        self.command(Command::Activate {
            zone: zone.to_owned(),
            hold,
            reason: Some("a rehearsal".to_owned()),
        })
    }

    pub(crate) fn set(&mut self, component: &str, state: Operator) {
        let (zone, name) = component.split_once(':').unwrap();
        let component = ComponentKey {
            zone: zone.into(),
            name: name.into(),
        };
        let reason = None;
        let command = Command::Operator {
            component,
            state,
            reason,
        };
        assert_eq!(self.command(command), Ok(Accepted::Now));
    }

    pub(crate) fn reload(&mut self, config: Config) {
        self.checker.handle_config(Arc::new(config), self.now);
        self.answer();
    }

    /// A new process that knows what this one remembers.
    pub(crate) fn restart(&mut self, config: Config) {
        self.checker = Checker::new(Arc::new(config), self.checker.memory(), 2, self.now);
        self.answer();
    }

    pub(crate) fn backend(&self, zone: usize, slot: usize) -> BackendState {
        self.checker.routing().backends[zone][slot]
    }

    pub(crate) fn tally(&mut self, zone: usize, slot: usize, requests: u32, failures: u32) {
        let tally = Tally {
            requests,
            failures,
            ..Tally::default()
        };
        self.put_tally(zone, slot, tally);
    }

    pub(crate) fn put_tally(&mut self, zone: usize, slot: usize, tally: Tally) {
        let id = self.backend(zone, slot).id;
        self.checker.handle_tally(id, tally, self.now);
        self.answer();
    }

    pub(crate) fn verdict(&self, zone: usize) -> Verdict {
        self.checker.routing().verdicts[zone]
    }

    pub(crate) fn reasons(&self, zone: usize) -> Vec<String> {
        self.checker.report(self.now).zones[zone].reasons.clone()
    }

    /// How many events are like that.
    pub(crate) fn count(&self, like: impl Fn(&What) -> bool) -> usize {
        self.events.iter().filter(|event| like(&event.what)).count()
    }
}
