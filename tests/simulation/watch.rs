//! Watches a checker from outside and holds it to every invariant of the design. It redoes the conclusions on its own, from
//! the statuses that the checker reports, so that a mistake would have to be made twice to stay unseen.

#[path = "flips.rs"]
mod flips;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firedoor::config::{Backend, Check, Config, Gray};
use firedoor::health::checker::{BackendState, Checker, Probe, Routing};
use firedoor::health::report::{Cause, Event, Report, What};
use firedoor::moment::Moment;
use firedoor::outcome::Outcome;
use firedoor::snapshot::Admission;
use firedoor::zone::{ComponentId, Operator, Status, Verdict};

use crate::oracle::{Oracle, identities};

/// Where all is silent, so many probes may look for confirmation at once, if `fall` is not more.
const TIMEOUTS: u32 = 5;

#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) config: Arc<Config>,
    pub(crate) report: Report,
    pub(crate) routing: Routing,
    /// How often what happened.
    pub(crate) seen: BTreeMap<&'static str, usize>,
    /// Automatic flips, ever.
    pub(crate) automatic: Vec<Instant>,
    pub(crate) flips: usize,
    last_flip: Option<Instant>,
    oracle: Oracle,
    serving_since: BTreeMap<Arc<str>, Instant>,
    /// Identities of the configured backends, zone by zone.
    backends: Vec<Vec<Arc<str>>>,
    identities: BTreeMap<ComponentId, Arc<str>>,
    in_flight: BTreeMap<ComponentId, Vec<Flight>>,
    last_probe: BTreeMap<ComponentId, Instant>,
    /// Requests have been let in: from then on they wait for planned flips only.
    opened: bool,
    /// A planned flip waits for its zone to drain: its conditions were checked when it began.
    pub(crate) begun: Option<Instant>,
    /// ... and the rules have been changed since.
    begun_under_other_rules: bool,
    /// A drill was begun, and its end was not told.
    drilling: bool,
    /// When a promotion failed last.
    pub(crate) promotion_failed: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Flight {
    round: u64,
    started: Instant,
    lost_at: Instant,
    identity: String,
}

impl Watch {
    pub(crate) fn new(checker: &Checker, config: Arc<Config>, now: Moment) -> Self {
        let report = checker.report(now);
        let routing = checker.routing();
        Self {
            report,
            routing,
            seen: BTreeMap::new(),
            automatic: Vec::new(),
            flips: 0,
            last_flip: None,
            oracle: Oracle::new(Arc::clone(&config)),
            serving_since: BTreeMap::new(),
            backends: backends(&config),
            identities: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            last_probe: BTreeMap::new(),
            opened: false,
            begun: None,
            begun_under_other_rules: false,
            promotion_failed: None,
            drilling: false,
            config,
        }
    }

    /// A new process: nothing is in flight, nobody is a newcomer, identities begin anew.
    pub(crate) fn restarted(&mut self, checker: &Checker, now: Moment) {
        let fresh = Self::new(checker, Arc::clone(&self.config), now);
        *self = Self {
            seen: std::mem::take(&mut self.seen),
            automatic: std::mem::take(&mut self.automatic),
            flips: self.flips,
            last_flip: self.last_flip,
            report: self.report.clone(),
            routing: self.routing.clone(),
            drilling: self.drilling,
            ..fresh
        };
    }

    /// A configuration is about to come into force.
    pub(crate) fn reconfigured(&mut self, config: &Arc<Config>) {
        let after = identities(config);
        for flights in self.in_flight.values_mut() {
            flights.retain(|flight| after.contains_key(&flight.identity));
        }
        self.oracle.reconfigured(config, &self.report);
        // Reconfigured checks may be run at once.
        self.last_probe.clear();
        self.begun_under_other_rules = self.begun.is_some();
        self.backends = backends(config);
        self.config = Arc::clone(config);
    }

    pub(crate) fn probe_started(&mut self, probe: &Probe, now: Moment) {
        let id = probe.component;
        let lost_after = probe.check.timeout * 2 + Duration::from_secs(1);
        let flight = Flight {
            round: probe.round,
            started: now.instant,
            lost_at: now.instant + lost_after,
            identity: format!("{}@{}", probe.key, probe.address),
        };
        let flights = self.in_flight.entry(id).or_default();
        flights.retain(|flight| flight.lost_at > now.instant);
        if let Some(before) = flights.last() {
            assert!(probe.round > before.round, "rounds count up");
        }
        flights.push(flight);
        let most = probe.check.fall.get().max(TIMEOUTS);
        assert!(
            flights.len() <= most as usize,
            "{} probes of one component in flight",
            flights.len()
        );
        if let Some(last) = self.last_probe.insert(id, now.instant) {
            assert!(
                now.instant - last >= probe.check.confirm_interval,
                "a probe storm: {:?}",
                now.instant - last
            );
        }
    }

    /// Whether an outcome of this probe still means something.
    pub(crate) fn probe_ended(&mut self, probe: &Probe, started: Instant, now: Moment) -> bool {
        let lost_after = probe.check.timeout * 2 + Duration::from_secs(1);
        let of_this = |flight: &Flight| (flight.round, flight.started) == (probe.round, started);
        let flights = self.in_flight.entry(probe.component).or_default();
        let known = flights.iter().position(of_this);
        if let Some(index) = known {
            flights.remove(index);
        }
        known.is_some() && now.instant - started < lost_after
    }

    /// After each input: everything that must hold, and everything that must have held in between.
    pub(crate) fn check(&mut self, checker: &Checker, events: &[Event], now: Moment) {
        let before = std::mem::replace(&mut self.report, checker.report(now));
        let was = std::mem::replace(&mut self.routing, checker.routing());
        self.oracle.note(&self.report);
        self.check_shape(checker);
        self.check_verdicts();
        self.check_gray();
        self.check_fresh(now);
        self.check_events(&before, events, now);
        self.check_epoch(&before, &was, events);
        self.check_tenet_one(checker, now);
        self.check_admission(checker, events);
        let wake = checker
            .poll_timeout()
            .expect("there is always a next probe");
        assert!(wake > now.instant, "a busy loop: the next timeout is now");
    }

    /// Exactly one active zone; what is routed is what is configured, no more and no less; identities are never reused.
    fn check_shape(&mut self, checker: &Checker) {
        let Self {
            report,
            routing,
            identities,
            ..
        } = self;
        assert_eq!(routing.active, report.active);
        assert_eq!(routing.epoch, report.epoch);
        assert_eq!(routing.verdicts.len(), self.config.zones.len());
        assert!(routing.active < self.config.zones.len());
        let memory = checker.memory();
        let name = &report.zones[report.active].name;
        assert_eq!(memory.active.as_deref(), Some(&**name));
        assert_eq!(memory.epoch, routing.epoch);
        if let Some(pinned) = &report.pinned {
            assert_eq!(pinned, name, "a pinned zone is the active one");
        }
        let mut seen = BTreeSet::new();
        for (index, zone) in self.config.zones.iter().enumerate() {
            assert_eq!(zone.name, report.zones[index].name);
            assert_eq!(zone.backends.len(), routing.backends[index].len());
            for (identity, state) in self.backends[index].iter().zip(&routing.backends[index]) {
                let known = identities
                    .entry(state.id)
                    .or_insert_with(|| Arc::clone(identity));
                assert_eq!(known, identity, "an identity was reused");
                assert!(seen.insert(state.id), "two components share an identity");
            }
        }
    }

    /// Gray backends leave picking, but never the last one of a pool in its zone.
    fn check_gray(&self) {
        for (zone, states) in self.config.zones.iter().zip(&self.routing.backends) {
            let all = || zone.backends.iter().zip(states);
            for (backend, _) in all().filter(|(_, state)| state.gray) {
                assert_ne!(self.config.failover.gray, Gray::Report);
                let mut of_pool = all().filter(|(other, _)| other.pool == backend.pool);
                assert!(
                    of_pool.any(|(_, state)| is_pickable(state)),
                    "the last one was ejected"
                );
            }
        }
    }

    /// In a standby nobody is fresh, and nobody has come up in the future.
    fn check_fresh(&self, now: Moment) {
        for (index, states) in self.routing.backends.iter().enumerate() {
            for at in states.iter().filter_map(|state| state.fresh_since) {
                assert_eq!(index, self.routing.active);
                assert!(at <= now.instant);
            }
        }
    }

    fn check_verdicts(&self) {
        for (index, zone) in self.report.zones.iter().enumerate() {
            assert_eq!(zone.verdict, self.oracle.verdict_of(zone), "{zone:#?}");
            assert_eq!(zone.verdict, self.routing.verdicts[index]);
            if zone.verdict == Verdict::Failed {
                assert!(!zone.reasons.is_empty(), "a failed zone without a reason");
            }
        }
    }

    fn check_events(&mut self, before: &Report, events: &[Event], now: Moment) {
        let mut active = Arc::clone(&before.zones[before.active].name);
        let mut epoch = before.epoch;
        for event in events {
            *self.seen.entry(name(&event.what)).or_default() += 1;
            match &event.what {
                What::Flip(flip) => {
                    epoch += 1;
                    assert_eq!(flip.epoch, epoch, "epochs count flips");
                    assert_eq!(flip.from, active);
                    assert_ne!(flip.from, flip.to);
                    assert!(!flip.reasons.is_empty() && !flip.rule.is_empty());
                    self.check_flip(flip, now);
                    active = Arc::clone(&flip.to);
                }
                What::DrillBegun { zone, away, .. } => {
                    let verdict = |name: &Arc<str>| {
                        let mut zones = self.report.zones.iter();
                        zones.find(|zone| zone.name == *name).map(|z| z.verdict)
                    };
                    assert_eq!(*zone, active, "a drill of a zone without traffic");
                    assert_eq!(verdict(zone), Some(Verdict::Serving), "no way back");
                    assert_eq!(verdict(away), Some(Verdict::Serving));
                    assert!(!std::mem::replace(&mut self.drilling, true), "two drills");
                }
                What::DrillEnded(_) => {
                    assert!(std::mem::take(&mut self.drilling), "no drill ended");
                }
                What::FlipBegun { to, reason, .. } => {
                    if reason.contains("failback_after") {
                        self.check_failback(to, now);
                    }
                    self.begun = Some(now.instant);
                }
                What::FlipAborted { explanation, .. } => {
                    self.begun = None;
                    if explanation.contains("promote_command") {
                        self.promotion_failed = Some(now.instant);
                    }
                }
                What::Transition {
                    from, to, evidence, ..
                } => check_evidence(*from, *to, evidence, &self.config.pools[0].check),
                _ => {}
            }
        }
        assert_eq!(
            active, self.report.zones[self.report.active].name,
            "a flip without an event"
        );
        assert_eq!(
            self.report.drill.is_some(),
            self.drilling,
            "a drill in secret"
        );
        for zone in &self.report.zones {
            if zone.verdict != Verdict::Serving {
                self.serving_since.remove(&zone.name);
            } else {
                self.serving_since
                    .entry(Arc::clone(&zone.name))
                    .or_insert(now.instant);
            }
        }
    }

    fn check_epoch(&self, before: &Report, was: &Routing, events: &[Event]) {
        let flips = events
            .iter()
            .filter(|e| matches!(e.what, What::Flip(_)))
            .count();
        assert_eq!(self.routing.epoch, was.epoch + flips as u64);
        assert!(self.report.epoch >= before.epoch);
    }

    fn check_admission(&mut self, checker: &Checker, events: &[Event]) {
        let reload = events
            .iter()
            .any(|e| matches!(&e.what, What::Flip(flip) if flip.cause == Cause::Reload));
        if reload {
            self.opened = false;
        }
        match self.routing.admission {
            Admission::Open => {
                self.opened = true;
                assert!(!checker.is_flipping());
            }
            Admission::Hold => {
                if !checker.is_flipping() {
                    assert!(!self.opened, "requests wait although they had been let in");
                    assert!(
                        self.routing.verdicts.contains(&Verdict::Unknown),
                        "requests wait although every zone is judged"
                    );
                }
            }
        }
    }
}

fn name(what: &What) -> &'static str {
    match what {
        What::Transition { .. } => "transition",
        What::OperatorState { .. } => "operator state",
        What::Verdict { .. } => "verdict",
        What::FlipBegun { .. } => "flip begun",
        What::FlipAborted { .. } => "flip aborted",
        What::Promotion { .. } => "promotion",
        What::Flip(flip) => match flip.cause {
            Cause::Failover if flip.degraded => "degraded failover",
            Cause::Failover => "failover",
            Cause::Failback => "failback",
            Cause::Operator => "operator flip",
            Cause::Drill => "drill flip",
            Cause::Reload => "reload flip",
        },
        What::NowhereToGo { .. } => "nowhere to go",
        What::Withheld { rule, .. } => rule,
        What::FailbackPossible { .. } => "failback possible",
        What::Gray { gray: true, .. } => "gray",
        What::Gray { gray: false, .. } => "another chance",
        What::DrillBegun { .. } => "drill begun",
        What::DrillEnded(_) => "drill ended",
        What::Pin { .. } => "pin",
        What::Standby { .. } => "standby",
        What::Started(_) => "started",
        What::Stopped { .. } => "stopped",
        What::Order(_) => "order",
        What::Reloaded { .. } => "reloaded",
    }
}

fn is_pickable(state: &BackendState) -> bool {
    state.status == Status::Up && state.operator == Operator::Ready && !state.gray
}

fn backends(config: &Config) -> Vec<Vec<Arc<str>>> {
    let identity = |backend: &Backend| Arc::from(format!("{}@{}", backend.key, backend.address));
    let zones = config.zones.iter();
    zones
        .map(|zone| zone.backends.iter().map(identity).collect())
        .collect()
}

fn check_evidence(
    from: Status,
    to: Status,
    evidence: &[(jiff::Timestamp, Outcome)],
    check: &Check,
) {
    let enough = match (from, to) {
        (Status::Unknown, Status::Up) => 1,
        (_, Status::Up) => check.rise.get(),
        _ => check.fall.get(),
    };
    assert!(
        evidence.len() >= enough as usize,
        "a transition without evidence"
    );
    for (_, outcome) in evidence {
        assert_eq!(
            outcome.passed(),
            to == Status::Up,
            "{from} to {to} by contrary evidence"
        );
    }
}
