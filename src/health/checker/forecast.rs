//! What would be decided if some components went down, or came up: the checker itself, copied and put into a supposed future.
//!
//! There is deliberately no second implementation of anything here, only a clock that runs ahead and probes that answer as
//! supposed: whatever the decision learns, this knows too. Pure.

mod hypothesis;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::health::checker::{Checker, Probe};
use crate::health::failover::{self, Decision};
use crate::health::report::{Event, Flip, Report, What};
use crate::moment::Moment;
use crate::outcome::{CheckCode, Outcome};
use crate::zone::{ComponentId, Status};

pub use hypothesis::{Hypothesis, Misnomer};

/// How far ahead is looked: a failback window opens once a day.
const HORIZON: Duration = Duration::from_secs(25 * 3600);
/// Steps of a supposed future; each is one moment at which something happens. Ample, so that only a mistake reaches it.
const STEPS: usize = 100_000;

/// How a supposed fault shows itself to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// At once: the connection is refused.
    Refused,
    /// Not before the check's timeout: nobody answers.
    Hung,
}

/// A supposed future.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The first flip, and how long until then.
    pub flip: Option<(Duration, Flip)>,
    /// The rule that holds a flip back at first, or for good: its name, in words.
    pub withheld: Option<(&'static str, String)>,
    /// What is decided in the end, when nothing is left to happen.
    pub end: Decision,
    /// What is decided first, in words: the flip if there is one.
    pub decision: String,
    /// What is decided in the end, in words.
    pub afterwards: String,
    /// Everything that would be told, and how long until then.
    pub events: Vec<(Duration, Event)>,
    /// The state of everything once all components are judged as supposed.
    pub report: Report,
}

impl Checker {
    /// What would follow from `hypothesis`, if its faults began now and everything else stayed as it is: a component that isn't
    /// mentioned keeps its status, and one that isn't judged yet is taken for well unless its last probe failed.
    pub fn forecast(&self, hypothesis: &Hypothesis, fault: Fault, now: Moment) -> Forecast {
        let mut future = Future::new(self, hypothesis, fault, now);
        future.unfold();
        future.into_forecast()
    }
}

struct Future {
    checker: Checker,
    begin: Moment,
    now: Moment,
    fault: Fault,
    /// Whether each component's probes pass.
    well: BTreeMap<ComponentId, bool>,
    /// Probes under way, in the order in which they come back.
    flights: VecDeque<Flight>,
    flip: Option<(Duration, Flip)>,
    withheld: Option<(&'static str, String)>,
    events: Vec<(Duration, Event)>,
    report: Option<Report>,
}

struct Flight {
    component: ComponentId,
    round: u64,
    back: Instant,
}

impl Future {
    fn new(checker: &Checker, hypothesis: &Hypothesis, fault: Fault, now: Moment) -> Self {
        let mut checker = checker.clone();
        checker.events.clear();
        checker.probes.clear();
        // What was told before has to be told again here.
        checker.told = None;
        checker.outage_told = false;
        let well = checker.components().map(|component| {
            let last = component.outcomes().next_back();
            let well = match component.status {
                _ if hypothesis.down.contains(&component.key) => false,
                _ if hypothesis.up.contains(&component.key) => true,
                Status::Up => true,
                Status::Down => false,
                Status::Unknown => last.is_none_or(|last| last.1.passed()),
            };
            (component.id, well)
        });
        let mut future = Self {
            well: well.collect(),
            begin: now,
            now,
            fault,
            flights: VecDeque::new(),
            flip: None,
            withheld: None,
            events: Vec::new(),
            report: None,
            checker,
        };
        future.adopt_flights();
        future
    }

    /// Probes that are under way already; they come back in the order in which they were started.
    fn adopt_flights(&mut self) {
        let flying = self.checker.components().flat_map(|component| {
            let flights = component.schedule.flights().iter();
            let timeout = component.check.timeout;
            flights.map(move |flight| (flight.started, component.id, flight.round, timeout))
        });
        let mut flying: Vec<_> = flying.collect();
        flying.sort_unstable();
        for (started, component, round, timeout) in flying {
            let back = self.back(component, started, timeout);
            self.fly(component, round, back.max(self.now.instant));
        }
    }

    fn unfold(&mut self) {
        self.checker.handle_timeout(self.now);
        for _ in 0..STEPS {
            self.arrive();
            let Some(next) = self.next() else { return };
            self.now = self.now.after(next - self.now.instant);
            self.checker.handle_timeout(self.now);
        }
    }

    /// All that happens at this moment.
    fn arrive(&mut self) {
        loop {
            while let Some(probe) = self.checker.poll_probe() {
                self.start(&probe);
            }
            if self
                .flights
                .front()
                .is_some_and(|f| f.back <= self.now.instant)
                && let Some(flight) = self.flights.pop_front()
            {
                let outcome = self.outcome(flight.component);
                self.checker
                    .handle_outcome(flight.component, flight.round, outcome, self.now);
            } else if self.checker.draining().is_some() {
                // How long requests take is not supposed: a drain takes no time here.
                self.checker.handle_drained(self.now);
            } else {
                break;
            }
            self.note();
        }
        self.note();
        self.park();
    }

    fn start(&mut self, probe: &Probe) {
        let back = self.back(probe.component, self.now.instant, probe.check.timeout);
        self.fly(probe.component, probe.round, back);
    }

    fn fly(&mut self, component: ComponentId, round: u64, back: Instant) {
        let behind = self.flights.partition_point(|flight| flight.back <= back);
        self.flights.insert(
            behind,
            Flight {
                component,
                round,
                back,
            },
        );
    }

    /// When a probe comes back. One that can change nothing comes back at once: else a hung component that is known to be
    /// down would be probed through the whole future.
    fn back(&self, component: ComponentId, started: Instant, timeout: Duration) -> Instant {
        let judged = self.checker.find(component).is_some_and(|(zone, slot)| {
            let component = &self.checker.zones[zone].components[slot];
            component.status == Status::Down && component.is_steady()
        });
        match self.fault {
            Fault::Hung if !self.is_well(component) && !judged => started + timeout,
            Fault::Hung | Fault::Refused => started,
        }
    }

    fn outcome(&self, component: ComponentId) -> Outcome {
        let code = match (self.is_well(component), self.fault) {
            (true, _) => CheckCode::L7Ok,
            (false, Fault::Refused) => CheckCode::L4Con,
            (false, Fault::Hung) => CheckCode::L7Timeout,
        };
        Outcome {
            code,
            detail: "supposed".to_owned(),
            took: Duration::ZERO,
            status: None,
        }
    }

    fn is_well(&self, component: ComponentId) -> bool {
        self.well.get(&component).copied().unwrap_or(true)
    }

    /// Keeps what is told, and what is decided.
    fn note(&mut self) {
        let after = self.now.instant - self.begin.instant;
        while let Some(event) = self.checker.poll_event() {
            if let (What::Flip(flip), None) = (&event.what, &self.flip) {
                self.flip = Some((after, flip.clone()));
            }
            self.events.push((after, event));
        }
        if self.flip.is_none()
            && self.withheld.is_none()
            && let Decision::Withheld {
                rule, explanation, ..
            } = failover::decide(&self.checker.situation(self.now))
        {
            self.withheld = Some((rule, explanation));
        }
    }

    /// Stops probing those whose probes can change nothing any more: looking a day ahead would mean to run all of its probes.
    fn park(&mut self) {
        let mut all_judged = true;
        let well = &self.well;
        for component in self
            .checker
            .zones
            .iter_mut()
            .flat_map(|zone| &mut zone.components)
        {
            let supposed = if well.get(&component.id).copied().unwrap_or(true) {
                Status::Up
            } else {
                Status::Down
            };
            if component.status == supposed && component.is_steady() {
                component.schedule.after(HORIZON * 2, self.now.instant);
            } else {
                all_judged = false;
            }
        }
        if all_judged && self.report.is_none() {
            self.report = Some(self.checker.report(self.now));
        }
    }

    /// When something happens next, if it does.
    fn next(&self) -> Option<Instant> {
        let flight = self.flights.front().map(|flight| flight.back);
        let next = flight
            .into_iter()
            .chain(self.checker.poll_timeout())
            .min()?;
        (next < self.begin.instant + HORIZON).then_some(next)
    }

    fn into_forecast(self) -> Forecast {
        let situation = self.checker.situation(self.now);
        let end = failover::decide(&situation);
        let afterwards = end.describe(&situation);
        let decision = match &self.flip {
            Some((_, flip)) => format!("flip to {}: {}", flip.to, flip.rule),
            None => afterwards.clone(),
        };
        drop(situation);
        let report = self.report.unwrap_or_else(|| self.checker.report(self.now));
        Forecast {
            flip: self.flip,
            withheld: self.withheld,
            end,
            decision,
            afterwards,
            events: self.events,
            report,
        }
    }
}
