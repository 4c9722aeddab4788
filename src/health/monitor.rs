//! The checker's only shell: one task on the control thread that owns timers, probes, operator commands, reloads, the journal
//! and the publishing of snapshots.
//!
//! Everything that happens is one input to the [`Checker`], followed by one [`Monitor::settle`], which carries out what came of
//! it in an order that tests rely on: **memory durable → snapshot published → journal durable → announced**. A crash
//! between any two of them leaves no epoch that is used twice, and no announcement that the journal doesn't know.

mod bridgehead;
mod chronicle;
mod disk;
mod drain;
mod handle;
mod ledger;
mod probes;
mod process;
mod promotion;
mod recorder;
mod refusals;
mod request;
mod resolver;
mod scribe;
mod stopwatch;
mod turns;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use tracing::error;

use crate::config::Config;
use crate::health::checker::{Checker, Input};
use crate::health::probe::Prober;
use crate::health::report::{Event, Report};
use crate::journal::Entry;
use crate::memory::Memory;
use crate::moment::Moment;
use crate::outcome::{Observation, Outcome};
use crate::snapshot::Subscriber;
use crate::telemetry::counters::Counters;
use crate::zone::{ComponentId, ComponentKey};
use bridgehead::Bridgehead;
use chronicle::{Chronicle, Reply};
use disk::Disk;
use drain::Drain;
use promotion::Promoter;
use recorder::Recorder;
use refusals::Refusals;
use request::{Asker, Request};
use resolver::Resolver;
use scribe::Scribe;
use stopwatch::Stopwatch;

pub use disk::OUTCOMES_FAIL;
pub use handle::{Done, MonitorHandle};
pub use ledger::{Account, Checks, Ledger, Phase, Refused};
pub use turns::Turns;

/// How long a flip waits for its memory to become durable. Past that it is committed all the same: a disk must never stop
/// traffic.
const MEMORY_PATIENCE: Duration = Duration::from_millis(250);
/// How old a report may be. Making one for every single outcome would cost more than all of the probes.
const REPORT_PAUSE: Duration = Duration::from_millis(50);
/// Between two looks at what the workers have counted: a pool that cuts every answer is to be left after a few of them.
const TALLY_PAUSE: Duration = Duration::from_millis(100);
/// The same while zones are compared by what is counted.
const TRIAL_PAUSE: Duration = Duration::from_millis(20);
/// Between two complaints that probes fail because of ourselves.
const OWN_FAULT_PAUSE: Duration = Duration::from_secs(60);
/// Requests to the monitor that may wait at once.
const REQUESTS: usize = 64;
/// Observations taken in one go.
const OBSERVATIONS: usize = 256;
/// How long the end waits for the disk, and for commands to die.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// See the module's promise. Made by [`Monitor::build`], works in [`Monitor::run`].
#[derive(Debug)]
pub struct Monitor {
    checker: Checker,
    config: Arc<Config>,
    resolver: Resolver,
    bridgehead: Bridgehead,
    recorder: Recorder,
    scribe: Scribe,
    chronicle: Chronicle,
    prober: Prober,
    probes: JoinSet<(ComponentId, ComponentKey, u64, Outcome)>,
    drain: Drain,
    promoter: Promoter,
    /// With the moment at which the workers' clocks were at 0.
    counters: Option<(Counters, Instant)>,
    stopwatch: Stopwatch,
    ledger: Ledger,
    observations: mpsc::Receiver<Observation>,
    requests: mpsc::Receiver<Request>,
    /// The last one given to the recorder; `None` before the first.
    memory: Option<Memory>,
    disk: Disk,
    report: Arc<ArcSwap<Report>>,
    report_due: Option<Instant>,
    tally_due: Instant,
    own_fault_told: Option<Instant>,
    /// Who waits for the input that is being settled.
    asker: Option<Asker>,
    /// Orders that are to be told before what came of them, and the start.
    notes: Vec<Event>,
    refusals: Refusals,
    /// Who waits for a planned flip, and to which zone.
    planned: Option<(Arc<str>, Reply)>,
}

impl Monitor {
    /// Recalls what an earlier process knew, and builds the bridge with a first snapshot on it, which holds all requests until
    /// the first verdict. Reads the state directory, but waits for nothing else; whatever is wrong with the directory is
    /// logged and doesn't keep the proxy from starting.
    ///
    /// `workers` is how many worker threads there will be; `observations` is what they report.
    pub fn build(
        config: Arc<Config>,
        workers: usize,
        observations: mpsc::Receiver<Observation>,
    ) -> (Self, MonitorHandle, Subscriber) {
        let now = Moment::now();
        let (recorder, (memory, source), past) = Recorder::open(&config.server.state_dir);
        let seed = fastrand::u64(..);
        let checker = Checker::new(Arc::clone(&config), memory.clone(), seed, now);
        let started = process::started(&checker, (&memory, source), &past, now);
        // The start is told in the epoch that was recalled, whatever the configuration has made of that.
        let chronicle = Chronicle::new(past, memory.epoch.max(1));
        let (place, detail) = (&config.server.state_dir, config.journal.outcomes);
        let scribe = Scribe::begin(place, detail, (&checker, seed), memory, now);
        let mut resolver = Resolver::default();
        resolver.configure(&config, now.instant);
        let generation = checker.config_generation();
        let routing = checker.routing();
        let (bridgehead, subscriber) =
            Bridgehead::build(&config, generation, routing, &resolver, workers);
        let report = Arc::new(ArcSwap::from_pointee(checker.report(now)));
        let (sender, requests) = mpsc::channel(REQUESTS);
        let ledger = Ledger::default();
        let disk = Disk::new(ledger.clone());
        let handle = MonitorHandle {
            troubles: disk.troubles(),
            ledger: ledger.clone(),
            requests: sender,
            report: Arc::clone(&report),
            entries: chronicle.subscription(),
            turns: chronicle.turns(),
            snapshot: subscriber.clone(),
        };
        let monitor = Self {
            checker,
            config,
            resolver,
            bridgehead,
            recorder,
            scribe,
            chronicle,
            prober: Prober::default(),
            probes: JoinSet::new(),
            drain: Drain::default(),
            promoter: Promoter::default(),
            counters: None,
            stopwatch: Stopwatch::new(ledger.clone(), now.instant),
            ledger,
            observations,
            requests,
            memory: None,
            disk,
            report,
            report_due: None,
            tally_due: now.instant,
            own_fault_told: None,
            asker: None,
            notes: vec![started],
            refusals: Refusals::default(),
            planned: None,
        };
        (monitor, handle, subscriber)
    }

    /// Lets drills say how many requests they have held, and flips, how long the first response took. `started`: when the workers'
    /// clocks were at 0.
    #[must_use]
    pub fn with_counters(mut self, counters: Counters, started: Instant) -> Self {
        self.counters = Some((counters, started));
        self
    }

    /// Works until `shutdown` is ready, then writes down what is left. Must run in a tokio runtime with IO and time.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut observed = Vec::with_capacity(OBSERVATIONS);
        self.settle().await;
        loop {
            let wake = sleep_until(self.wake().into());
            tokio::select! {
                () = &mut shutdown => break,
                Some(finished) = self.probes.join_next() => self.handle_finished(finished),
                seen = self.observations.recv_many(&mut observed, OBSERVATIONS), if !self.observations.is_closed() => {
                    debug_assert_eq!(seen, observed.len());
                    let now = Moment::now();
                    for observation in observed.drain(..) {
                        self.put(Input::Observation(observation), now);
                    }
                }
                Some(request) = self.requests.recv() => self.handle_request(request),
                (run, end) = self.promoter.ended() => self.put(Input::Promoted(run, end), Moment::now()),
                () = self.resolver.answered() => {}
                written = self.recorder.written() => self.handle_written(written),
                written = self.scribe.written() => self.disk.note_outcomes(written),
                () = wake => self.handle_time(),
            }
            self.settle().await;
        }
        self.end().await;
    }

    /// When time alone will be an input.
    fn wake(&self) -> Instant {
        [
            self.checker.poll_timeout(),
            self.drain.due(),
            self.resolver.due(),
            self.chronicle.overdue(),
            self.disk.due(),
            self.scribe.due(),
            self.report_due,
        ]
        .into_iter()
        .flatten()
        .fold(self.tally_due, Instant::min)
    }

    fn handle_time(&mut self) {
        let now = Moment::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now.instant);
        if due(self.drain.due()) {
            // In this order: what a worker had counted when it came to the hold is part of what is in flight.
            let in_force = self.bridgehead.is_in_force();
            let zone = self.checker.draining();
            let is_empty = zone.is_some_and(|zone| self.bridgehead.in_flight(zone) == 0);
            self.drain.look(now.instant);
            if in_force && is_empty {
                // The flip ends the account of the zone that is left.
                self.count(now);
                self.put(Input::Drained, now);
            }
        }
        if due(Some(self.tally_due)) {
            self.count(now);
            let pause = match self.checker.is_on_trial() {
                true => TRIAL_PAUSE,
                false => TALLY_PAUSE,
            };
            self.tally_due = now.instant + pause;
        }
        if due(self.disk.due()) {
            self.try_disk_again();
        }
        if due(self.scribe.due()) {
            self.scribe.write(&self.checker);
        }
        if due(self.report_due) {
            self.publish_report(now);
        }
        self.chronicle.announce_overdue(now.instant);
        if due(self.checker.poll_timeout()) {
            self.put(Input::Timeout, now);
        }
    }

    /// Hands on what the workers have counted since the last time.
    fn count(&mut self, now: Moment) {
        if let Some((counters, started)) = &self.counters {
            self.checker.handle_held(counters.totals().holds);
            self.stopwatch.look(counters, *started);
        }
        for (component, tally) in self.bridgehead.tallies() {
            self.put(Input::Tally(component, tally), now);
        }
    }

    /// Carries out all that came of the last input, in the order that the module promises.
    async fn settle(&mut self) {
        let now = Moment::now();
        let mut entries: Vec<Arc<Entry>> = Vec::new();
        for order in self.notes.drain(..) {
            entries.push(self.chronicle.take(order, now.instant));
        }
        while let Some(event) = self.checker.poll_event() {
            self.stopwatch.note(&event, now.instant);
            entries.push(self.chronicle.take(event, now.instant));
        }
        // What must be remembered changes only together with an event.
        if !entries.is_empty() || self.memory.is_none() {
            self.remember().await;
        }
        let generation = self.checker.config_generation();
        let routing = self.checker.routing();
        let before = Instant::now();
        self.bridgehead
            .publish(&self.config, generation, routing, &self.resolver);
        self.stopwatch.published(before, Instant::now());
        self.recorder.append(&entries);
        match self.checker.draining() {
            Some(_) => self.drain.begin(now.instant),
            None => self.drain.end(),
        }
        if self.checker.promoting().is_none() {
            self.promoter.end();
        }
        // After the journal was given what it is for: the command may take this very machine down.
        if let Some(promotion) = self.checker.poll_promotion() {
            self.promoter.begin(promotion);
        }
        self.resolver.look_up(now.instant);
        let mut began = Vec::new();
        while let Some(probe) = self.checker.poll_probe() {
            began.push((probe.component, probe.key.clone()));
            self.start(probe);
        }
        self.scribe
            .conclude(&self.checker, &entries, &began, now.instant);
        if !entries.is_empty() || self.asker.is_some() {
            self.publish_report(now);
        }
        self.answer(&entries, now);
    }

    /// Stores what has changed, and waits for it to be durable, within bounds.
    async fn remember(&mut self) {
        let memory = self.checker.memory();
        if self.memory.as_ref() == Some(&memory) {
            return;
        }
        self.memory = Some(memory.clone());
        let number = self.recorder.remember(memory);
        let waited = timeout(MEMORY_PATIENCE, async {
            loop {
                let written = self.recorder.written().await;
                let done = matches!(written.memory, Some((stored, _)) if stored >= number);
                self.handle_written(written);
                if done {
                    return;
                }
            }
        });
        if waited.await.is_err() {
            self.handle_silence();
        }
    }

    fn publish_report(&mut self, now: Moment) {
        self.report_due = None;
        self.report.store(Arc::new(self.checker.report(now)));
    }

    /// Ends the probes, says so, and lets the disk finish, within bounds. Whoever still waits for an answer is told that we are stopping.
    async fn end(mut self) {
        self.probes.shutdown().await;
        self.tell_stop();
        let prober = self.prober.clone();
        let commands = timeout(LAST_WORDS, prober.rest());
        let rest = timeout(LAST_WORDS, async {
            while !self.recorder.is_idle() {
                let written = self.recorder.written().await;
                self.handle_written(written);
            }
            while !self.scribe.is_idle() {
                self.scribe.write(&self.checker);
                self.disk.note_outcomes(self.scribe.written().await);
            }
        });
        let (commands, rest) = tokio::join!(commands, rest);
        if commands.is_err() {
            error!("a command of a check can't be killed: it may outlast firedoor");
        }
        if rest.is_err() {
            error!("the disk has not answered: the last journal entries may be missing");
            self.chronicle.announce(u64::MAX);
        }
    }
}
