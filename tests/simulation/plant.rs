//! Two zones as they are on most days: probes take some milliseconds, the process is a little late, and now and then something
//! breaks and is repaired.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use firedoor::config::{Config, Detail, Failback, Failover, MinHealthy};
use firedoor::health::checker::{Checker, Command, Input, Probe};
use firedoor::memory::Memory;
use firedoor::moment::Moment;
use firedoor::outcome::{Observation, Sign};

use crate::example::{self, pass, refused, zone};
use crate::tape::Tape;

pub(crate) struct Plant {
    rng: Rng,
    pub(crate) now: Moment,
    pub(crate) checker: Checker,
    pub(crate) tape: Tape,
    /// Probes under way, with what they find and when they come back.
    flights: Vec<(Instant, Probe, bool)>,
    /// When each component is broken, from and to.
    faults: Vec<(String, Instant, Instant)>,
}

/// Two zones with two app servers and a database each, probed each second, with a failback by itself.
pub(crate) fn config() -> Config {
    let failover = Failover {
        failback: Failback::Auto,
        failback_after: Duration::from_secs(20),
        max_flips_per_hour: 1000,
        ..example::failover()
    };
    let zones = ["fz-1", "fz-2"].map(|name| zone(name, &["app-1", "app-2"], &["database"]));
    let pools = [MinHealthy::Percent(100.0)];
    example::config(&zones, &pools, &example::check(2, 3), failover)
}

impl Plant {
    pub(crate) fn new(seed: u64, start: Moment, detail: Detail, faults: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let checker = Checker::new(Arc::new(config()), Memory::default(), seed, start);
        let tape = Tape::begin(&checker, detail, seed, start);
        let faults = (0..faults).map(|_| {
            let zone = if rng.u32(0..4) > 0 { "fz-1" } else { "fz-2" };
            let name = ["app-1", "app-2", "database"][rng.usize(..3)];
            let from = start.instant + Duration::from_millis(rng.u64(5_000..600_000));
            let to = from + Duration::from_millis(rng.u64(500..40_000));
            (format!("{zone}:{name}"), from, to)
        });
        let mut plant = Self {
            faults: faults.collect(),
            rng,
            now: start,
            checker,
            tape,
            flights: Vec::new(),
        };
        plant.look();
        plant
    }

    /// Lives for a while.
    pub(crate) fn live(&mut self, time: Duration) {
        let end = self.now.instant + time;
        loop {
            let flights = self.flights.iter().map(|(back, ..)| *back);
            let next = flights.chain(self.checker.poll_timeout()).min().unwrap();
            let late = Duration::from_micros(self.rng.u64(20..3_000));
            let next = next.max(self.now.instant) + late;
            if next > end {
                self.now = self.now.after(end - self.now.instant);
                return;
            }
            self.now = self.now.after(next - self.now.instant);
            let mut landed = false;
            while let Some(index) = self.flights.iter().position(|(back, ..)| *back <= next) {
                let (_, probe, broken) = self.flights.swap_remove(index);
                let mut outcome = if broken { refused() } else { pass() };
                outcome.took = Duration::from_millis(2);
                self.put(Input::Outcome(probe.component, probe.round, outcome));
                landed = true;
            }
            if !landed {
                self.put(Input::Timeout);
            }
            self.look();
        }
    }

    /// An operator wants something, and gets it.
    pub(crate) fn order(&mut self, command: Command) {
        self.put(Input::Command(command));
        self.look();
    }

    /// Another configuration comes into force, before anything of interest has happened.
    pub(crate) fn reload(&mut self, mut config: Config) {
        config.journal.outcomes = self.tape.detail;
        self.put(Input::Config(Arc::new(config)));
        self.look();
    }

    /// Live requests saw a sign of trouble at a backend of the first zone.
    pub(crate) fn see(&mut self, sign: Sign) {
        let component = self.checker.routing().backends[0][0].id;
        self.put(Input::Observation(Observation { component, sign }));
        self.look();
    }

    fn put(&mut self, input: Input) {
        self.tape.put(&mut self.checker, input, self.now).unwrap();
    }

    fn look(&mut self) {
        let events: Vec<_> = std::iter::from_fn(|| self.checker.poll_event()).collect();
        let probes: Vec<Probe> = std::iter::from_fn(|| self.checker.poll_probe()).collect();
        self.tape.conclude(&self.checker, &events, &probes);
        for probe in probes {
            let now = self.now.instant;
            let key = probe.key.to_string();
            let mut faults = self.faults.iter();
            let broken =
                faults.any(|(whose, from, to)| *whose == key && (*from..*to).contains(&now));
            let back = now + Duration::from_micros(self.rng.u64(300..30_000));
            self.flights.push((back, probe, broken));
        }
        if self.checker.draining().is_some() {
            self.put(Input::Drained);
            self.look();
        }
    }
}
