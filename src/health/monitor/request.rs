//! What others want of the monitor, and when they are answered: a command once what it did is journaled, a planned flip
//! once it is committed or given up, a reload once its snapshot is published.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::info;

use super::Monitor;
use super::chronicle::Reply;
use super::handle::Done;
use crate::config::Config;
use crate::health::checker::{Accepted, Checker, Command, Input, Refusal};
use crate::health::report::{Cause, Condition, Event, Flip, Giver, Order, OrderEnd, Stamp, What};
use crate::journal::Entry;
use crate::moment::Moment;

/// By way of the [`MonitorHandle`](super::MonitorHandle).
#[derive(Debug)]
pub(super) enum Request {
    Command {
        command: Command,
        by: Giver,
        condition: Option<Condition>,
        reply: Reply,
    },
    Note(Order, Reply),
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
    Refused(Reply, Refusal),
    Reconfigure(oneshot::Sender<u64>),
}

impl Monitor {
    pub(super) fn handle_request(&mut self, request: Request) {
        let now = Moment::now();
        let command = match &request {
            Request::Command { command, .. } => Some(command),
            _ => None,
        };
        if matches!(command, Some(Command::Drill { .. })) {
            // A drill compares with what was before it, up to now.
            self.count(now);
        }
        match request {
            Request::Command {
                command,
                by,
                condition,
                reply,
            } => {
                let mut order = Order {
                    by,
                    what: command.to_string(),
                    reason: command.reason().map(str::to_owned),
                    end: OrderEnd::Done,
                    left_out: 0,
                };
                let taken = self.check(condition, now);
                match taken.and_then(|()| self.order(command, now)) {
                    Ok(Accepted::Now) => self.asker = Some(Asker::Command(reply)),
                    Ok(Accepted::FlipBegun(to)) => {
                        order.end = OrderEnd::Begun;
                        self.wait_for_flip(to, reply);
                    }
                    Err(refusal) => {
                        order.end = OrderEnd::Refused(refusal.to_string());
                        self.asker = Some(Asker::Refused(reply, refusal));
                    }
                }
                self.note(order, now);
            }
            Request::Note(order, reply) => {
                self.asker = Some(Asker::Command(reply));
                self.note(order, now);
            }
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

    /// An order that was meant for another state of affairs is refused.
    fn check(&self, condition: Option<Condition>, now: Moment) -> Result<(), Refusal> {
        let Some(condition) = condition else {
            return Ok(());
        };
        let report = self.checker.report(now);
        let stamp = Stamp::of(&report, self.checker.config_generation());
        condition.check(&stamp).map_err(Refusal::Overtaken)
    }

    fn note(&mut self, order: Order, now: Moment) {
        if let Some(order) = self.refusals.admit(order, now.instant) {
            let (at, what) = (now.wall, What::Order(order));
            self.notes.push(Event { at, what });
        }
    }

    fn wait_for_flip(&mut self, to: usize, reply: Reply) {
        let zone = Arc::clone(&self.config.zones[to].name);
        // The one before was given up by the very step that began this one.
        if let Some((_, before)) = self.planned.replace((Arc::clone(&zone), reply)) {
            let refusal = Refusal::FlipPending(zone.to_string());
            self.chronicle.answer(before, Err(refusal));
        }
    }

    /// Answers those who waited for what has just been settled.
    pub(super) fn answer(&mut self, entries: &[Arc<Entry>], now: Moment) {
        match self.asker.take() {
            None => {}
            // An error means that the asker has left.
            Some(Asker::Reconfigure(reply)) => {
                let _ = reply.send(self.checker.config_generation());
            }
            Some(Asker::Command(reply)) => {
                let done = self.done(entries, now);
                self.chronicle.answer(reply, Ok(done));
            }
            Some(Asker::Refused(reply, refusal)) => self.chronicle.answer(reply, Err(refusal)),
        }
        let Some((zone, reply)) = self.planned.take() else {
            return;
        };
        let done = self.done(entries, now);
        if done.active == zone || is_entered(&zone, entries) {
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

    fn done(&self, entries: &[Arc<Entry>], now: Moment) -> Done {
        let routing = self.checker.routing();
        let mut said: Vec<String> = entries
            .iter()
            .filter_map(|entry| entry.event.as_ref())
            // Whoever gave the order knows it.
            .filter(|event| !matches!(event.what, What::Order(_)))
            .map(ToString::to_string)
            .collect();
        let left = flips(entries).any(|flip| flip.cause == Cause::Operator);
        if let Some(back) = self.checker.way_back(now).filter(|_| left) {
            info!("{back}");
            said.push(back);
        }
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

/// Whether a flip to `zone` is among what has just been settled. It may have been left again in the same step: the order was carried out all
/// the same, and what came of it is in the answer.
fn is_entered(zone: &str, entries: &[Arc<Entry>]) -> bool {
    flips(entries).any(|flip| *flip.to == *zone)
}

fn flips(entries: &[Arc<Entry>]) -> impl Iterator<Item = &Flip> {
    let events = entries.iter().filter_map(|entry| entry.event.as_ref());
    events.filter_map(|event| match &event.what {
        What::Flip(flip) => Some(flip),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn an_order_whose_flip_is_undone_at_once_was_carried_out() {
        let flip = |epoch, from: &str, to: &str, cause| {
            let what = What::Flip(Flip {
                epoch,
                from: from.into(),
                to: to.into(),
                cause,
                rule: String::new(),
                reasons: Vec::new(),
                evidence: Vec::new(),
                alternatives: Vec::new(),
                degraded: false,
                shedding: Vec::new(),
                detected_in: Duration::ZERO,
            });
            let at = Timestamp::UNIX_EPOCH;
            Arc::new(Entry::new(epoch, epoch, Event { at, what }))
        };
        let there = flip(10, "fz-1", "fz-2", Cause::Operator);
        let back = flip(11, "fz-2", "fz-1", Cause::Failover);
        assert!(is_entered("fz-2", &[there, Arc::clone(&back)]));
        assert!(!is_entered("fz-2", &[back]));
    }
}
