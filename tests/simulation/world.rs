//! A world around a checker: components that are well or not, probes under way, operators, reloads, crashes, and a clock.

#[path = "foresight.rs"]
mod foresight;
#[path = "upheaval.rs"]
mod upheaval;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use firedoor::config::{Check, Detail, Failover, MinHealthy};
use firedoor::health::checker::{Checker, Command, Input, Probe};
use firedoor::health::report::Event;
use firedoor::memory::Memory;
use firedoor::moment::Moment;
use firedoor::outcome::{Observation, Outcome, Sign, Silence, Tally, TrialTally, Trouble};
use firedoor::zone::{ComponentId, ComponentKey, Operator};

use crate::example::{self, ExampleZone, pass};
use crate::random;
use crate::tape::Tape;
use crate::watch::Watch;

pub(crate) struct World {
    rng: Rng,
    pub(crate) now: Moment,
    checker: Checker,
    /// Gets the same input and must give the same output.
    twin: Option<Checker>,
    pub(crate) watch: Watch,
    /// What is recorded of it; then the configuration stays the same.
    pub(crate) tape: Option<Tape>,
    zones: Vec<ExampleZone>,
    pools: Vec<MinHealthy>,
    check: Check,
    failover: Failover,
    /// Keys of components that fail their probes.
    broken: BTreeSet<String>,
    /// Probes that were started, with the moment.
    probes: Vec<(Probe, Instant)>,
    /// Those of them that won't come back.
    forgotten: Vec<(Probe, Instant)>,
    /// Outcomes that will be told a second time.
    stale: Vec<(ComponentId, u64)>,
}

impl World {
    pub(crate) fn new(seed: u64, start: Moment) -> Self {
        Self::recorded(seed, start, None)
    }

    /// As [`Self::new`], and what goes in is recorded.
    pub(crate) fn recorded(seed: u64, start: Moment, detail: Option<Detail>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let pools = random::pools(&mut rng);
        let zones = random::zones(&mut rng, pools.len());
        let check = random::check(&mut rng);
        let failover = random::failover(&mut rng);
        let mut config = random::build(&zones, &pools, &check, &failover, &mut rng);
        config.journal.outcomes = detail.unwrap_or_default();
        let config = Arc::new(config);
        let checker = Checker::new(Arc::clone(&config), Memory::default(), seed, start);
        let twin = seed
            .is_multiple_of(8)
            .then(|| Checker::new(Arc::clone(&config), Memory::default(), seed, start));
        let watch = Watch::new(&checker, config, start);
        let tape = detail.map(|detail| Tape::begin(&checker, detail, seed, start));
        let mut world = Self {
            rng,
            now: start,
            checker,
            twin,
            watch,
            tape,
            zones,
            pools,
            check,
            failover,
            broken: BTreeSet::new(),
            probes: Vec::new(),
            forgotten: Vec::new(),
            stale: Vec::new(),
        };
        world.look();
        world
    }

    pub(crate) fn step(&mut self) {
        match self.rng.u32(0..100) {
            0..30 => self.answer(),
            30..60 => self.round(),
            60..70 => self.change_health(),
            70..73 => self.observe(),
            73..75 => self.tally(),
            75..80 => self.command(),
            80..83 => self.forget_probe(),
            83..87 => self.repeat_outcome(),
            87..90 => self.dawdle(),
            90..94 => self.flip_on(),
            94..96 => self.reload(),
            96..97 => self.restart(),
            _ => self.nothing_new(),
        }
    }

    fn put(&mut self, input: Input) {
        let (checker, now) = (&mut self.checker, self.now);
        let result = match &mut self.tape {
            Some(tape) => tape.put(checker, input.clone(), now),
            None => checker.handle(input.clone(), now),
        };
        if let Some(twin) = &mut self.twin {
            assert_eq!(
                result,
                twin.handle(input, now),
                "equal inputs, unequal outputs"
            );
        }
        self.look();
    }

    fn look(&mut self) {
        let events: Vec<Event> = std::iter::from_fn(|| self.checker.poll_event()).collect();
        let mut probes = Vec::new();
        while let Some(probe) = self.checker.poll_probe() {
            self.watch.probe_started(&probe, self.now);
            probes.push((probe, self.now.instant));
        }
        let promotion = self.checker.poll_promotion();
        if let Some(twin) = &mut self.twin {
            let same: Vec<Event> = std::iter::from_fn(|| twin.poll_event()).collect();
            assert_eq!(events, same, "equal inputs, unequal events");
            for (probe, _) in &probes {
                let same = twin.poll_probe().expect("as many probes");
                assert_eq!((probe.component, probe.round), (same.component, same.round));
            }
            assert_eq!(promotion, twin.poll_promotion());
            assert_eq!(self.checker.routing(), twin.routing());
            assert_eq!(self.checker.poll_timeout(), twin.poll_timeout());
        }
        if let Some(tape) = &mut self.tape {
            let began: Vec<Probe> = probes.iter().map(|(probe, _)| probe.clone()).collect();
            tape.conclude(&self.checker, &events, &began);
        }
        self.probes.extend(probes);
        self.watch.check(&self.checker, &events, self.now);
    }

    /// Time goes on until most probes are due, and most of them come back.
    fn round(&mut self) {
        self.now = self
            .now
            .after(Duration::from_millis(self.rng.u64(50..1500)));
        self.put(Input::Timeout);
        for _ in 0..self.probes.len() {
            if self.rng.u32(0..10) > 0 {
                self.answer();
            }
        }
    }

    /// Some probe comes back with what it found.
    fn answer(&mut self) {
        if self.probes.is_empty() {
            return self.advance();
        }
        let (probe, started) = self.probes.swap_remove(self.rng.usize(..self.probes.len()));
        let timely = self.watch.probe_ended(&probe, started, self.now);
        let broken = self.broken.contains(&probe.key.to_string()) != (self.rng.u32(0..30) == 0);
        let outcome = if broken { refused() } else { pass() };
        let before = (!timely).then(|| (self.checker.routing(), self.checker.report(self.now)));
        self.put(Input::Outcome(probe.component, probe.round, outcome));
        if let Some((routing, report)) = before {
            self.assert_unchanged(&routing, &report);
        }
        self.stale.push((probe.component, probe.round));
    }

    /// Outcomes of older rounds, of removed components, and such as never were asked for.
    fn repeat_outcome(&mut self) {
        let (id, round) = match self.rng.u32(0..3) {
            0 => (ComponentId(self.rng.u32(1000..)), 1),
            _ if self.stale.is_empty() => return,
            _ => self.stale[self.rng.usize(..self.stale.len())],
        };
        if self
            .probes
            .iter()
            .any(|(probe, _)| (probe.component, probe.round) == (id, round))
        {
            return;
        }
        let outcome = if self.rng.bool() { refused() } else { pass() };
        let before = (self.checker.routing(), self.checker.report(self.now));
        self.put(Input::Outcome(id, round, outcome));
        self.assert_unchanged(&before.0, &before.1);
    }

    /// The same moment once more: no change, no publish.
    fn nothing_new(&mut self) {
        let before = (self.checker.routing(), self.checker.report(self.now));
        self.put(Input::Timeout);
        self.assert_unchanged(&before.0, &before.1);
    }

    fn assert_unchanged(
        &self,
        routing: &firedoor::health::checker::Routing,
        report: &firedoor::health::report::Report,
    ) {
        assert_eq!(
            *routing,
            self.checker.routing(),
            "a stale input changed the routing"
        );
        assert_eq!(
            *report,
            self.checker.report(self.now),
            "a stale input changed the report"
        );
    }

    fn advance(&mut self) {
        let wake = self.checker.poll_timeout().expect("always a next probe");
        self.now = self.now.after(wake - self.now.instant);
        self.put(Input::Timeout);
    }

    /// The shell is late.
    fn dawdle(&mut self) {
        let time = match self.rng.u32(0..8) {
            0 => Duration::from_secs(self.rng.u64(1..4000)),
            1..3 => Duration::from_secs(self.rng.u64(1..60)),
            _ => Duration::from_millis(self.rng.u64(0..2000)),
        };
        self.now = self.now.after(time);
        self.put(Input::Timeout);
    }

    fn change_health(&mut self) {
        let keys: Vec<String> = self.keys().iter().map(ToString::to_string).collect();
        match self.rng.u32(0..12) {
            // A whole zone, or a dependency of the same name in every zone: the shared failure.
            0 => {
                let zone = self.zones[self.rng.usize(..self.zones.len())].name.clone() + ":";
                self.broken
                    .extend(keys.into_iter().filter(|key| key.starts_with(&zone)));
            }
            2 => self
                .broken
                .extend(keys.into_iter().filter(|key| key.ends_with(":dep-0"))),
            3..6 => self.broken.clear(),
            _ => {
                let key = keys[self.rng.usize(..keys.len())].clone();
                if !self.broken.remove(&key) {
                    self.broken.insert(key);
                }
            }
        }
    }

    fn observe(&mut self) {
        let ids: Vec<ComponentId> = self
            .watch
            .routing
            .backends
            .iter()
            .flatten()
            .map(|state| state.id)
            .collect();
        let component = if ids.is_empty() || self.rng.u32(0..10) == 0 {
            ComponentId(self.rng.u32(..))
        } else {
            ids[self.rng.usize(..ids.len())]
        };
        let silence = Sign::Silence(Silence {
            lasted: Duration::from_millis(104),
            usual: None,
        });
        let all = [
            Trouble::Connect.into(),
            Trouble::Reset.into(),
            Trouble::ResponseTimeout.into(),
            silence,
        ];
        let sign = all[self.rng.usize(..all.len())];
        self.put(Input::Observation(Observation { component, sign }));
    }

    /// Live requests go well in some places, and badly in others.
    fn tally(&mut self) {
        let ids: Vec<ComponentId> = self
            .watch
            .routing
            .backends
            .iter()
            .flatten()
            .map(|state| state.id)
            .collect();
        let all_bad = self.rng.u32(0..4) == 0;
        for id in ids {
            let requests = self.rng.u32(0..100);
            let bad = all_bad || self.rng.u32(0..4) == 0;
            let failures = if bad { requests } else { requests / 20 };
            let dealt_out = if self.watch.routing.trial.is_some() {
                requests / 4
            } else {
                0
            };
            let tally = Tally {
                requests,
                failures,
                server_errors: if self.rng.bool() { failures } else { 0 },
                trial: TrialTally {
                    requests: dealt_out,
                    failures: if bad { dealt_out } else { 0 },
                },
            };
            self.put(Input::Tally(id, tally));
        }
    }

    fn command(&mut self) {
        let zone = match self.rng.u32(0..12) {
            0 => "nowhere".to_owned(),
            _ => self.zones[self.rng.usize(..self.zones.len())].name.clone(),
        };
        let reason = self.rng.bool().then(|| "because".to_owned());
        let hold = self.rng.bool();
        let length = Duration::from_secs(self.rng.u64(1..30));
        let command = match self.rng.u32(0..13) {
            10 | 11 => Command::Drill {
                zone,
                length,
                reason,
            },
            12 => Command::AbortDrill { reason },
            0..2 => Command::Activate { zone, hold, reason },
            2 => Command::Failback { hold, reason },
            3 => Command::Pin { zone, reason },
            4..6 => Command::Unpin { zone, reason },
            _ => {
                let keys = self.keys();
                let component = keys[self.rng.usize(..keys.len())].clone();
                let states = [
                    Operator::Ready,
                    Operator::Ready,
                    Operator::Drain,
                    Operator::Maintenance,
                ];
                let state = states[self.rng.usize(..states.len())];
                Command::Operator {
                    component,
                    state,
                    reason,
                }
            }
        };
        self.put(Input::Command(command));
    }

    /// A probe that never comes back.
    fn forget_probe(&mut self) {
        if !self.probes.is_empty() {
            let probe = self.probes.swap_remove(self.rng.usize(..self.probes.len()));
            self.forgotten.push(probe);
        }
    }

    /// What a planned flip waits for has come about, or never will.
    fn flip_on(&mut self) {
        if self.checker.draining().is_some() {
            self.put(Input::Drained);
        } else if let Some(run) = self.checker.promoting() {
            // Now and then, the end of an earlier run.
            let late = u64::from(self.rng.u32(0..8) == 0);
            let succeeded = self.rng.u32(0..3) > 0;
            self.put(Input::Promoted(run - late, example::promoted(succeeded)));
        }
    }

    fn keys(&self) -> Vec<ComponentKey> {
        let zones = self.watch.report.zones.iter();
        zones
            .flat_map(|zone| &zone.components)
            .map(|component| component.key.clone())
            .collect()
    }
}

/// Without words: a hundred million of them would be copied.
fn refused() -> Outcome {
    Outcome {
        detail: String::new(),
        ..example::refused()
    }
}
