//! The monitor's hand on the disk: memory and journal, written on a thread of their own, one write at a time and in order.
//! A disk that hangs keeps that one thread, and nobody else.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use tracing::{error, warn};

use crate::health::report::Source;
use crate::journal::{Entry, Journal, Past};
use crate::memory::{Memory, StateFile};
use crate::zone::Operator;

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Recorder {
    disk: Arc<Mutex<Disk>>,
    /// To be stored next; only the newest matters.
    memory: Option<(u64, Memory)>,
    /// To be appended next, oldest first.
    entries: Vec<Arc<Entry>>,
    running: Option<Running>,
    /// Counts the memories given.
    memories: u64,
    /// The last entry's number.
    last: Option<u64>,
    /// The journal has refused entries, which it keeps: it is to be tried again.
    again: bool,
}

#[derive(Debug)]
struct Disk {
    state: StateFile,
    journal: Journal,
}

#[derive(Debug)]
struct Running {
    write: JoinHandle<Tried>,
    memory: Option<u64>,
    entry: Option<u64>,
}

/// What a write has done, as far as it was asked to.
#[derive(Debug)]
struct Tried {
    stored: Option<io::Result<()>>,
    appended: Option<io::Result<()>>,
    lost: usize,
}

/// What became of one write.
#[derive(Debug)]
pub(super) struct Written {
    /// The number that [`Recorder::remember`] gave, and whether it is durable.
    pub(super) memory: Option<(u64, io::Result<()>)>,
    /// The number of the last entry, and whether all up to it are durable.
    pub(super) entries: Option<(u64, io::Result<()>)>,
    /// Entries that the disk has refused for so long that they are gone.
    pub(super) lost: usize,
}

impl Recorder {
    /// Reads what an earlier process knew, and where its active zone was found. Whatever is wrong with the state directory is said loudly and never keeps the proxy
    /// from starting.
    pub(super) fn open(directory: &Path) -> (Self, (Memory, Option<Source>), Past) {
        let place = directory.display();
        let state = StateFile::new(directory);
        let memory = state.load().unwrap_or_else(|error| {
            error!("what an earlier process stored in {place} can't be used: {error}");
            None
        });
        let (journal, past) = Journal::open(directory);
        if let Some(problem) = &past.problem {
            error!("the journal in {place} can't be used: {problem}");
        }
        if past.unreadable > 0 {
            warn!(
                "{} lines of the journal in {place} are no entries",
                past.unreadable
            );
        }
        let recalled = recall(memory, &past);
        let last = Some(past.last_number);
        let disk = Disk { state, journal };
        let recorder = Self {
            disk: Arc::new(Mutex::new(disk)),
            memory: None,
            entries: Vec::new(),
            running: None,
            memories: 0,
            last,
            again: false,
        };
        (recorder, recalled, past)
    }

    /// Stores `memory` as soon as the disk is free. The number returns in [`Written::memory`], or a higher one.
    pub(super) fn remember(&mut self, memory: Memory) -> u64 {
        let memory = Memory {
            entry: self.last,
            ..memory
        };
        self.memories += 1;
        self.memory = Some((self.memories, memory));
        self.start();
        self.memories
    }

    /// Appends `entries` as soon as the disk is free, after any memory given before.
    pub(super) fn append(&mut self, entries: &[Arc<Entry>]) {
        self.entries.extend_from_slice(entries);
        self.last = entries.last().map(|entry| entry.number).or(self.last);
        self.start();
    }

    /// Appends what the journal has refused so far.
    pub(super) fn append_again(&mut self) {
        self.again = true;
        self.start();
    }

    /// Whether everything given has been tried.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Waits for the write under way. Never ready while there is none.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn written(&mut self) -> Written {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        let tried = (&mut running.write).await.unwrap_or_else(|panic| {
            let broken = || Some(Err(io::Error::other(panic.to_string())));
            Tried {
                stored: broken(),
                appended: broken(),
                lost: 0,
            }
        });
        let written = Written {
            memory: running.memory.zip(tried.stored),
            entries: running.entry.zip(tried.appended),
            lost: tried.lost,
        };
        self.running = None;
        self.start();
        written
    }

    fn start(&mut self) {
        let appends = self.again || !self.entries.is_empty();
        if self.running.is_some() || (self.memory.is_none() && !appends) {
            return;
        }
        self.again = false;
        let (number, memory) = self.memory.take().unzip();
        let entries = std::mem::take(&mut self.entries);
        let entry = self.last.filter(|_| appends);
        let disk = Arc::clone(&self.disk);
        let write = tokio::task::spawn_blocking(move || {
            let mut disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
            // Memory first: should the machine stop between the two, the epoch that the journal tells of is never ahead.
            Tried {
                stored: memory.map(|memory| disk.state.store(&memory)),
                appended: appends.then(|| disk.journal.append(&entries)),
                lost: disk.journal.take_lost(),
            }
        });
        self.running = Some(Running {
            write,
            memory: number,
            entry,
        });
    }
}

/// `memory`, and what the journal tells beyond it, because `state.json` is lost, or could not be stored for a while: an epoch never
/// goes back, the zone that was entered last is where the traffic stays, and what was pinned, drained or put into maintenance
/// since is so still.
fn recall(memory: Option<Memory>, past: &Past) -> (Memory, Option<Source>) {
    // A file of an older version doesn't say, and is believed.
    let known = memory
        .as_ref()
        .map_or(0, |memory| memory.entry.unwrap_or(u64::MAX));
    let mut memory = memory.unwrap_or_default();
    let mut source = memory.active.is_some().then_some(Source::State);
    if let Some(flip) = past
        .last_flip
        .as_ref()
        .filter(|flip| flip.epoch > memory.epoch)
    {
        warn!(
            "the journal knows of epoch {} with {} active, which was not stored: going on from there",
            flip.epoch, flip.to
        );
        source = Some(Source::Journal);
        memory.epoch = flip.epoch;
        memory.active = Some(flip.to.clone());
        memory.active_since = flip.at;
        memory.active_because.clone_from(&flip.message);
    }
    if let Some((number, pinned)) = &past.pinned
        && *number > known
        && *pinned != memory.pinned
    {
        match pinned {
            Some(zone) => {
                warn!("by the journal {zone} is pinned, which was not stored: it is pinned still");
                // Without a flip it is the one that was active from the beginning.
                memory.active.get_or_insert_with(|| zone.clone());
                source.get_or_insert(Source::Journal);
            }
            None => warn!("by the journal no zone is pinned, which was not stored: it is so still"),
        }
        memory.pinned.clone_from(pinned);
    }
    for (component, &(number, state)) in &past.operators {
        let stored = memory.operators.get(component).copied();
        if number > known && state != stored.unwrap_or(Operator::Ready) {
            warn!(
                "by the journal {component} is set to {state}, which was not stored: it is so still"
            );
            match state {
                Operator::Ready => memory.operators.remove(component),
                _ => memory.operators.insert(component.clone(), state),
            };
        }
    }
    (memory, source)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::journal::LastFlip;
    use crate::zone::ComponentKey;

    #[test]
    fn an_epoch_never_goes_back_though_the_state_file_is_lost() {
        let past = Past {
            last_flip: Some(LastFlip {
                epoch: 7,
                to: "fz-2".into(),
                at: None,
                message: None,
            }),
            ..Past::default()
        };
        let (lost, source) = recall(None, &past);
        assert_eq!((lost.epoch, lost.active.as_deref()), (7, Some("fz-2")));
        assert_eq!(source, Some(Source::Journal));
        let newer = Memory {
            epoch: 8,
            active: Some("fz-1".into()),
            ..Memory::default()
        };
        let stored = (newer.clone(), Some(Source::State));
        assert_eq!(recall(Some(newer), &past), stored);
        assert_eq!(recall(None, &Past::default()), (Memory::default(), None));
    }

    #[test]
    fn what_operators_did_after_the_state_was_stored_is_not_forgotten() {
        let component = |name: &str| ComponentKey {
            zone: "fz-1".into(),
            name: name.into(),
        };
        let past = Past {
            pinned: Some((5, Some("fz-1".into()))),
            operators: BTreeMap::from([
                (component("a"), (6, Operator::Maintenance)),
                (component("b"), (7, Operator::Ready)),
            ]),
            ..Past::default()
        };
        let stored = |entry| Memory {
            active: Some("fz-1".into()),
            operators: BTreeMap::from([(component("b"), Operator::Drain)]),
            entry,
            ..Memory::default()
        };
        let (stale, _) = recall(Some(stored(Some(4))), &past);
        assert_eq!(stale.pinned.as_deref(), Some("fz-1"));
        let since = BTreeMap::from([(component("a"), Operator::Maintenance)]);
        assert_eq!(stale.operators, since);
        for entry in [Some(7), None] {
            assert_eq!(recall(Some(stored(entry)), &past).0, stored(entry));
        }
    }
}
