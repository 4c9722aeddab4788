//! From event to announcement: numbered at once, announced (log, subscribers, those who asked for it) only when durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, oneshot};
use tracing::{error, info, warn};

use super::handle::Done;
use super::turns::{TurnKeeper, Turns};
use crate::health::checker::Refusal;
use crate::health::report::{Event, LastEnd, Start, What};
use crate::journal::{Entry, KEPT, Past};
use crate::zone::{Status, Verdict};

/// How long an announcement waits for the disk. Past that an operator must hear of it all the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Chronicle {
    last_number: u64,
    epoch: u64,
    /// Announced ones, oldest first, at most [`KEPT`].
    kept: VecDeque<Arc<Entry>>,
    /// Not durable yet, oldest first, with the time when each stops waiting.
    waiting: VecDeque<(Instant, Arc<Entry>)>,
    entries: broadcast::Sender<Arc<Entry>>,
    turns: TurnKeeper,
    /// Given once the entry of that number is announced.
    answers: Vec<(u64, Reply, Result<Done, Refusal>)>,
}

pub(super) type Reply = oneshot::Sender<Result<Done, Refusal>>;

impl Chronicle {
    pub(super) fn new(past: Past, epoch: u64) -> Self {
        let mut turns = TurnKeeper::default();
        turns.take(&past.entries);
        Self {
            last_number: past.last_number,
            epoch,
            turns,
            kept: past.entries.into(),
            waiting: VecDeque::new(),
            entries: broadcast::Sender::new(KEPT),
            answers: Vec::new(),
        }
    }

    pub(super) fn subscription(&self) -> broadcast::Sender<Arc<Entry>> {
        self.entries.clone()
    }

    pub(super) fn turns(&self) -> Arc<ArcSwap<Turns>> {
        self.turns.shown()
    }

    /// Numbers an event. It is announced by [`Self::announce`].
    pub(super) fn take(&mut self, event: Event, now: Instant) -> Arc<Entry> {
        if let What::Flip(flip) = &event.what {
            self.epoch = flip.epoch;
        }
        self.last_number += 1;
        let entry = Arc::new(Entry::new(self.last_number, self.epoch, event));
        self.waiting.push_back((now + PATIENCE, Arc::clone(&entry)));
        entry
    }

    /// Gives `answer` once all that has been taken so far is announced.
    pub(super) fn answer(&mut self, reply: Reply, answer: Result<Done, Refusal>) {
        self.answers.push((self.last_number, reply, answer));
        self.give_answers();
    }

    /// Announces everything up to `number`, which is durable now, or can't be made so.
    pub(super) fn announce(&mut self, number: u64) {
        let ripe = self
            .waiting
            .partition_point(|(_, entry)| entry.number <= number);
        let announced = self.waiting.iter().take(ripe).map(|(_, entry)| entry);
        self.turns.take(announced);
        for (_, entry) in self.waiting.drain(..ripe) {
            say(&entry);
            if self.kept.len() == KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(Arc::clone(&entry));
            // An error means that nobody listens.
            let _ = self.entries.send(entry);
        }
        self.give_answers();
    }

    /// When [`Self::announce_overdue`] wants to be called next.
    pub(super) fn overdue(&self) -> Option<Instant> {
        self.waiting.front().map(|(until, _)| *until)
    }

    /// Announces what has waited for the disk for too long.
    pub(super) fn announce_overdue(&mut self, now: Instant) {
        let overdue = self.waiting.iter().rfind(|(until, _)| *until <= now);
        if let Some(number) = overdue.map(|(_, entry)| entry.number) {
            error!(
                "the disk under the journal has not answered for {} ms: what follows is not durable yet",
                PATIENCE.as_millis()
            );
            self.announce(number);
        }
    }

    /// Announced entries with a number above `after`, oldest first, at most `limit`.
    pub(super) fn after(&self, after: u64, limit: usize) -> Vec<Arc<Entry>> {
        let begin = self.kept.partition_point(|entry| entry.number <= after);
        self.kept.iter().skip(begin).take(limit).cloned().collect()
    }

    fn give_answers(&mut self) {
        let announced = match self.waiting.front() {
            Some((_, entry)) => entry.number - 1,
            None => self.last_number,
        };
        for (_, reply, answer) in self
            .answers
            .extract_if(.., |(number, _, _)| *number <= announced)
        {
            // An error means that the asker has left.
            let _ = reply.send(answer);
        }
    }
}

/// The log line, as loud as what it says.
fn say(entry: &Entry) {
    let Some(event) = &entry.event else {
        return;
    };
    let number = entry.number;
    match &event.what {
        What::NowhereToGo { .. } | What::Standby { ready: false, .. } => {
            error!(number, "{event}");
        }
        What::Flip(_)
        | What::FlipBegun { .. }
        | What::DrillBegun { .. }
        | What::DrillEnded(_)
        | What::FlipAborted { .. }
        | What::Promotion {
            succeeded: false, ..
        }
        | What::Withheld { .. }
        | What::Started(Start {
            last_end: Some(LastEnd::NotInOrder),
            ..
        })
        | What::Gray { gray: true, .. }
        | What::Transition {
            to: Status::Down, ..
        }
        | What::Verdict {
            to: Verdict::Failed,
            ..
        } => warn!(number, "{event}"),
        What::Transition { .. }
        | What::Verdict { .. }
        | What::OperatorState { .. }
        | What::FailbackPossible { .. }
        | What::Pin { .. }
        | What::Promotion { .. }
        | What::Gray { .. }
        | What::Standby { .. }
        | What::Started(_)
        | What::Stopped { .. }
        | What::Order(_)
        | What::Reloaded { .. } => info!(number, "{event}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn event() -> Event {
        Event {
            at: Timestamp::UNIX_EPOCH,
            what: What::FailbackPossible {
                zone: "fz-1".into(),
            },
        }
    }

    fn numbers(entries: &[Arc<Entry>]) -> Vec<u64> {
        entries.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn nothing_is_announced_or_answered_before_it_is_durable() {
        let now = Instant::now();
        let mut chronicle = Chronicle::new(Past::default(), 1);
        let mut entries = chronicle.subscription().subscribe();
        chronicle.take(event(), now);
        chronicle.take(event(), now);
        let (reply, mut answer) = oneshot::channel();
        chronicle.answer(reply, Err(Refusal::Stopping));
        assert!(entries.try_recv().is_err());
        assert!(answer.try_recv().is_err());

        chronicle.announce(1);
        assert_eq!(entries.try_recv().unwrap().number, 1);
        assert!(answer.try_recv().is_err());
        assert_eq!(numbers(&chronicle.after(0, 10)), [1]);

        chronicle.announce(2);
        assert_eq!(answer.try_recv().unwrap(), Err(Refusal::Stopping));
        assert_eq!(numbers(&chronicle.after(0, 10)), [1, 2]);
        assert_eq!(numbers(&chronicle.after(0, 1)), [1]);
        assert_eq!(numbers(&chronicle.after(1, 10)), [2]);
    }

    #[test]
    fn a_disk_that_hangs_delays_an_announcement_and_does_not_swallow_it() {
        let now = Instant::now();
        let mut chronicle = Chronicle::new(Past::default(), 1);
        chronicle.take(event(), now);
        let overdue = chronicle.overdue().unwrap();
        chronicle.announce_overdue(overdue - Duration::from_millis(1));
        assert!(chronicle.after(0, 10).is_empty());
        chronicle.announce_overdue(overdue);
        assert_eq!(numbers(&chronicle.after(0, 10)), [1]);
        // The disk comes back later: nothing is said twice.
        chronicle.announce(1);
        assert_eq!(numbers(&chronicle.after(0, 10)), [1]);
    }

    #[test]
    fn only_the_last_thousand_are_kept() {
        let mut chronicle = Chronicle::new(Past::default(), 1);
        for _ in 0..KEPT + 5 {
            chronicle.take(event(), Instant::now());
        }
        chronicle.announce(u64::MAX);
        let kept = chronicle.after(0, usize::MAX);
        assert_eq!((kept.len(), kept[0].number), (KEPT, 6));
    }
}
