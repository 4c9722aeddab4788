//! What others want of the monitor, and when they are answered: a command once what it did is journaled, a planned flip
//! once it is committed or given up, a reload once its snapshot is published.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Monitor;
use super::chronicle::Reply;
use super::handle::Done;
use crate::config::Config;
use crate::health::checker::{Accepted, Checker, Command, Input, Refusal};
use crate::health::report::What;
use crate::journal::Entry;
use crate::moment::Moment;

/// By way of the [`MonitorHandle`](super::MonitorHandle).
#[derive(Debug)]
pub(super) enum Request {
    Command(Command, Reply),
    Reconfigure(Arc<Config>, oneshot::Sender<u64>),
    Journal {
        after: u64,
        limit: usize,
        reply: oneshot::Sender<Vec<Arc<Entry>>>,
    },
    Checker(oneshot::Sender<Box<Checker>>),
}

/// Who waits for the input that is being settled.
#[derive(Debug)]
pub(super) enum Asker {
    Command(Reply),
    Reconfigure(oneshot::Sender<u64>),
}

impl Monitor {
    pub(super) fn handle_request(&mut self, request: Request) {
        let now = Moment::now();
        if matches!(request, Request::Command(Command::Drill { .. }, _)) {
            // A drill compares with what was before it, up to now.
            self.count(now);
        }
        match request {
            Request::Command(command, reply) => match self.order(command, now) {
                Ok(Accepted::Now) => self.asker = Some(Asker::Command(reply)),
                Ok(Accepted::FlipBegun(to)) => {
                    let zone = Arc::clone(&self.config.zones[to].name);
                    // The one before was given up by the very step that began this one.
                    if let Some((_, before)) = self.planned.replace((Arc::clone(&zone), reply)) {
                        let refusal = Refusal::FlipPending(zone.to_string());
                        self.chronicle.answer(before, Err(refusal));
                    }
                }
                Err(refusal) => self.chronicle.answer(reply, Err(refusal)),
            },
            Request::Reconfigure(config, reply) => {
                self.config = Arc::clone(&config);
                self.resolver.configure(&config, now.instant);
                self.put(Input::Config(config), now);
                self.asker = Some(Asker::Reconfigure(reply));
            }
            Request::Journal {
                after,
                limit,
                reply,
            } => {
                // An error means that the asker has left.
                let _ = reply.send(self.chronicle.after(after, limit));
            }
            Request::Checker(reply) => {
                // The same.
                let _ = reply.send(Box::new(self.checker.clone()));
            }
        }
    }

    /// Answers those who waited for what has just been settled.
    pub(super) fn answer(&mut self, entries: &[Arc<Entry>]) {
        match self.asker.take() {
            None => {}
            // An error means that the asker has left.
            Some(Asker::Reconfigure(reply)) => {
                let _ = reply.send(self.checker.config_generation());
            }
            Some(Asker::Command(reply)) => {
                let done = self.done(entries);
                self.chronicle.answer(reply, Ok(done));
            }
        }
        let Some((zone, reply)) = self.planned.take() else {
            return;
        };
        let done = self.done(entries);
        if done.active == zone {
            self.chronicle.answer(reply, Ok(done));
        } else if self.checker.is_flipping() {
            self.planned = Some((zone, reply));
        } else {
            let events = entries.iter().filter_map(|entry| entry.event.as_ref());
            let reasons = events.filter_map(|event| match &event.what {
                What::FlipAborted { explanation, .. } => Some(explanation.as_str()),
                _ => None,
            });
            let why = reasons.collect::<Vec<_>>().join("; ");
            let refusal = Refusal::GivenUp(zone.to_string(), why);
            self.chronicle.answer(reply, Err(refusal));
        }
    }

    fn done(&self, entries: &[Arc<Entry>]) -> Done {
        let routing = self.checker.routing();
        let said: Vec<String> = entries
            .iter()
            .filter_map(|entry| entry.event.as_ref())
            .map(ToString::to_string)
            .collect();
        Done {
            epoch: routing.epoch,
            active: Arc::clone(&self.config.zones[routing.active].name),
            message: if said.is_empty() {
                "nothing changed".into()
            } else {
                said.join("\n")
            },
        }
    }
}
