//! Tells people of events: webhooks and commands, one after the other for each of them, and never at the expense of a decision.
//!
//! Events come as they are announced, so they are in the journal already; what isn't an event of the decision (a certificate that
//! ends, a journal that can't be written) is looked for once a second. Whoever can't be reached for long loses events, which are counted.

mod notice;
mod post;
mod target;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::health::monitor::MonitorHandle;
use crate::journal::Entry;
use crate::moment::Moment;
use crate::snapshot::Subscriber;

use notice::Notice;
use target::Target;
use watch::Watch;

pub use target::Progress;

/// Between two looks at what doesn't tell by itself.
const PERIOD: Duration = Duration::from_secs(1);
/// For what is under way when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How it stands with each target, for `/v1/status`. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Vec<Arc<Progress>>>>);

impl Board {
    /// Of each target, in the order of the configuration.
    pub fn targets(&self) -> Vec<Arc<Progress>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, targets: &[Target]) {
        let progress = targets.iter().map(|target| Arc::clone(target.progress()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress.collect();
    }
}

/// Tells the targets of the configuration in force until `stop` is ready. `entries` are the announced ones; who subscribed before the
/// monitor was started misses none. Must run within a `LocalSet`.
pub async fn run(
    monitor: MonitorHandle,
    mut entries: Receiver<Arc<Entry>>,
    snapshot: Subscriber,
    board: Board,
    stop: impl Future<Output = ()>,
) {
    let mut stop = std::pin::pin!(stop);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut desk = Desk {
        monitor,
        snapshot,
        board,
        targets: Vec::new(),
        watch: Watch::default(),
        last: 0,
    };
    loop {
        tokio::select! {
            () = &mut stop => break,
            entry = entries.recv() => {
                desk.renew();
                match entry {
                    Ok(entry) => desk.tell_entry(&entry),
                    Err(RecvError::Lagged(_)) => desk.catch_up().await,
                    Err(RecvError::Closed) => break,
                }
            }
            _ = ticks.tick() => {
                desk.renew();
                desk.look();
            }
        }
    }
    // What was announced last, before the monitor ended.
    while let Ok(entry) = entries.try_recv() {
        desk.tell_entry(&entry);
    }
    desk.targets.iter().for_each(Target::wind_up);
    let rest = async {
        for target in desk.targets {
            target.ended().await;
        }
    };
    // Commands that still run after that are killed.
    let _in_time = timeout(LAST_WORDS, rest).await;
}

struct Desk {
    monitor: MonitorHandle,
    snapshot: Subscriber,
    board: Board,
    targets: Vec<Target>,
    watch: Watch,
    /// The number of the last entry that was told.
    last: u64,
}

impl Desk {
    /// Takes over what a reload has changed. Targets that stay keep what they have to tell.
    fn renew(&mut self) {
        let config = &self.snapshot.current().config;
        let same = self.targets.iter().map(Target::terms).eq(&config.notify);
        if same {
            return;
        }
        let mut old = std::mem::take(&mut self.targets);
        for terms in &config.notify {
            let known = old.iter().position(|target| target.terms() == terms);
            self.targets.push(match known {
                Some(at) => old.swap_remove(at),
                None => Target::start(terms.clone()),
            });
        }
        self.board.set(&self.targets);
    }

    fn tell_entry(&mut self, entry: &Entry) {
        self.last = self.last.max(entry.number);
        if let Some(notice) = Notice::of(entry) {
            self.tell(&notice);
        }
    }

    /// More entries came at once than are kept for us: the monitor still has them.
    async fn catch_up(&mut self) {
        for entry in self.monitor.journal(self.last, usize::MAX).await {
            self.tell_entry(&entry);
        }
    }

    /// Looks for what is no event of the decision.
    fn look(&mut self) {
        if self.targets.is_empty() {
            return;
        }
        let config = &self.snapshot.current().config;
        let troubles = self.monitor.troubles();
        for notice in self.watch.look(config, &troubles, Moment::now()) {
            self.tell(&notice);
        }
    }

    fn tell(&self, notice: &Notice) {
        for target in &self.targets {
            target.tell(notice);
        }
    }
}
