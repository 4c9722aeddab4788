//! What all streams are fed with, made once for all of them: the cost of a stream is a socket that is written to.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::super::{Context, status, traffic};
use super::{ROOM, frame};
use crate::health::report::Report;
use crate::journal::{Entry, KEPT};

/// Between two statuses at least.
const PULSE: Duration = Duration::from_millis(100);
/// Between two statuses that differ in measurements only.
const CALM: Duration = Duration::from_secs(1);

/// See the module's promise.
#[derive(Debug)]
pub(in crate::admin) struct Feed {
    room: Arc<Semaphore>,
    journal: broadcast::Sender<Told>,
    status: watch::Sender<Bytes>,
    traffic: watch::Sender<Bytes>,
    /// What `status` holds. Never held while anything is waited for.
    shown: Mutex<Option<Shown>>,
    /// Somebody wants statuses or traffic.
    wanted: Notify,
}

/// An announced entry.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) number: u64,
    pub(super) frame: Bytes,
}

/// Which status was made last.
#[derive(Debug)]
struct Shown {
    at: Instant,
    signature: u64,
}

impl Feed {
    pub(in crate::admin) fn new() -> Self {
        Self {
            room: Arc::new(Semaphore::new(ROOM)),
            journal: broadcast::Sender::new(KEPT),
            status: watch::Sender::new(Bytes::new()),
            traffic: watch::Sender::new(Bytes::new()),
            shown: Mutex::new(None),
            wanted: Notify::new(),
        }
    }

    /// Room for one more stream, if there is any; it is given back when dropped.
    pub(super) fn seat(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Every entry from now on.
    pub(super) fn journal(&self) -> broadcast::Receiver<Told> {
        self.journal.subscribe()
    }

    /// The newest status, and those to come.
    pub(super) fn status(&self) -> watch::Receiver<Bytes> {
        let status = self.status.subscribe();
        self.wanted.notify_one();
        status
    }

    /// The traffic of each second to come.
    pub(super) fn traffic(&self) -> watch::Receiver<Bytes> {
        let traffic = self.traffic.subscribe();
        self.wanted.notify_one();
        traffic
    }

    /// Hands on what is announced and sampled, and makes statuses while somebody wants them, until `closing`.
    pub(in crate::admin) async fn keep(
        self: Arc<Self>,
        context: Arc<Context>,
        mut closing: watch::Receiver<bool>,
    ) {
        let mut entries = context.monitor.entries();
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut samples = context.traffic.clone();
        loop {
            let wanted = self.status.receiver_count() > 0;
            let traffic_wanted = self.traffic.receiver_count() > 0;
            tokio::select! {
                // An error means that the listener has ended.
                _ = closing.wait_for(|closing| *closing) => return,
                entry = entries.recv() => match entry {
                    Ok(entry) => {
                        self.tell(&entry);
                        // All that came of one cause, before the status that shows it.
                        while let Ok(entry) = entries.try_recv() {
                            self.tell(&entry);
                        }
                    }
                    // A stream that misses a number asks for what it has missed.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                Ok(()) = samples.changed(), if traffic_wanted => {
                    let sample = traffic::traffic(&samples.borrow_and_update());
                    self.traffic.send_replace(frame::event("traffic", &sample));
                }
                _ = pulse.tick(), if wanted => {}
                () = self.wanted.notified(), if !(wanted && traffic_wanted) => {}
            }
            if wanted {
                self.refresh(&context);
            }
        }
    }

    /// Makes a new status, unless the last one is too young or still true.
    pub(super) fn refresh(&self, context: &Context) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let age = shown.as_ref().map(|shown| now.duration_since(shown.at));
        if age.is_some_and(|age| age < PULSE) {
            return;
        }
        let signature = signature(context);
        let same = shown
            .as_ref()
            .is_some_and(|shown| shown.signature == signature);
        if same && age.is_some_and(|age| age < CALM) {
            return;
        }
        *shown = Some(Shown { at: now, signature });
        let status = frame::event("status", &status::status(context));
        self.status.send_replace(status);
    }

    fn tell(&self, entry: &Entry) {
        if self.journal.receiver_count() > 0 {
            let told = Told {
                number: entry.number,
                frame: frame::entry(entry),
            };
            // An error means that the last one has just left.
            let _ = self.journal.send(told);
        }
    }
}

/// A number for all that is news at once. What is only measured isn't in it, nor what changes by the second.
fn signature(context: &Context) -> u64 {
    let mut hasher = DefaultHasher::new();
    let snapshot = context.snapshot.current();
    (snapshot.generation, snapshot.config_generation).hash(&mut hasher);
    (context.readiness.phase() as u8).hash(&mut hasher);
    context.monitor.troubles().hash(&mut hasher);
    let standing = context.reload.standing();
    standing
        .last_reload
        .as_ref()
        .map(|(at, _)| at)
        .hash(&mut hasher);
    sign(&context.monitor.report(), &mut hasher);
    hasher.finish()
}

fn sign(report: &Report, to: &mut impl Hasher) {
    (report.epoch, report.active, report.flips_left).hash(to);
    (&report.active_because, &report.decision).hash(to);
    (&report.pinned, &report.flip_pending).hash(to);
    let drill = report.drill.as_ref();
    drill.map(|drill| (&drill.zone, drill.until)).hash(to);
    for zone in &report.zones {
        (&zone.name, discriminant(&zone.verdict), &zone.reasons).hash(to);
        for component in &zone.components {
            (&component.key, &component.address, component.gray).hash(to);
            discriminant(&component.status).hash(to);
            discriminant(&component.operator).hash(to);
            component.since.hash(to);
        }
    }
}
