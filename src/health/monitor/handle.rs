//! How the rest of the process talks to the monitor.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::ledger::Ledger;
use super::request::Request;
use super::turns::Turns;
use crate::config::Config;
use crate::health::checker::{Checker, Command, Refusal};
use crate::health::report::{Condition, Giver, Order, Report, Stamp};
use crate::journal::Entry;
use crate::snapshot::Subscriber;

/// How the rest of the process talks to the monitor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MonitorHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) report: Arc<ArcSwap<Report>>,
    pub(super) entries: broadcast::Sender<Arc<Entry>>,
    pub(super) snapshot: Subscriber,
    pub(super) troubles: Arc<ArcSwap<Vec<String>>>,
    pub(super) turns: Arc<ArcSwap<Turns>>,
    pub(super) ledger: Ledger,
}

/// What a command has done by the time it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The epoch now.
    pub epoch: u64,
    /// The active zone now.
    pub active: Arc<str>,
    /// In words.
    pub message: String,
}

impl MonitorHandle {
    /// Carries out `command` as ordered by `by`, if `condition` holds; answers when it is committed and journaled (a planned flip: after drain and promotion). A planned
    /// flip whose target fails meanwhile, or whose promotion does, is answered with [`Refusal::GivenUp`].
    pub async fn command(
        &self,
        command: Command,
        by: Giver,
        condition: Option<Condition>,
    ) -> Result<Done, Refusal> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Command {
            command,
            by,
            condition,
            reply,
        };
        // Both fail only when the monitor has ended.
        let _ = self.requests.send(request).await;
        answer.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Puts an order that isn't the monitor's to carry out into the journal, and returns when it is there.
    pub async fn note(&self, order: Order) {
        let (reply, noted) = oneshot::channel();
        // Both fail only when the monitor has ended.
        let _ = self.requests.send(Request::Note(order, reply)).await;
        let _ = noted.await;
    }

    /// All that orders change, as it is now.
    pub fn stamp(&self) -> Stamp {
        Stamp::of(&self.report(), self.snapshot.current().config_generation)
    }

    /// Puts a configuration in force and returns its generation, once the snapshot with it is published. When the monitor has
    /// ended, the old one stays in force and its generation is returned.
    pub async fn reconfigure(&self, config: Arc<Config>) -> u64 {
        let (reply, answer) = oneshot::channel();
        let _ = self
            .requests
            .send(Request::Reconfigure(config, reply))
            .await;
        match answer.await {
            Ok(generation) => generation,
            Err(_) => self.snapshot.current().config_generation,
        }
    }

    /// The state of everything, at most a twentieth of a second old.
    pub fn report(&self) -> Arc<Report> {
        self.report.load_full()
    }

    /// What the disk refuses now, in words: journal and memory are behind, traffic and flips are not.
    pub fn troubles(&self) -> Arc<Vec<String>> {
        self.troubles.load_full()
    }

    /// The last transitions of each component, as the journal has announced them.
    pub fn turns(&self) -> Arc<Turns> {
        self.turns.load_full()
    }

    /// What the monitor has counted.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Journal entries with a number above `after`, oldest first, at most `limit`. The last
    /// [`KEPT`](crate::journal::KEPT) are here; older ones are in the file only.
    pub async fn journal(&self, after: u64, limit: usize) -> Vec<Arc<Entry>> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Journal {
            after,
            limit,
            reply,
        };
        let _ = self.requests.send(request).await;
        answer.await.unwrap_or_default()
    }

    /// A copy of the checker as it is now, to be asked what it would do. `None` when the monitor has ended.
    pub async fn checker(&self) -> Option<Box<Checker>> {
        let (reply, answer) = oneshot::channel();
        let _ = self.requests.send(Request::Checker(reply)).await;
        answer.await.ok()
    }

    /// Every entry from now on, each once it is durable. A receiver that falls more than [`KEPT`](crate::journal::KEPT)
    /// behind is told so, and finds the missed ones by [`Self::journal`].
    pub fn entries(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.entries.subscribe()
    }
}
