//! What the disk refuses. It stops neither traffic nor flips: it is said once when it begins and once when it ends, `/health`
//! knows it meanwhile, and what was refused is tried again each second.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tracing::{error, info, warn};

use super::ledger::{Ledger, Refused};
use super::recorder::Written;
use super::{MEMORY_PATIENCE, Monitor};

/// What is told of outcomes that can't be written begins so: nothing else is amiss then.
pub const OUTCOMES_FAIL: &str = "outcomes for a replay can't be written";
/// Between two attempts to write what the disk refused.
const RETRY: Duration = Duration::from_secs(1);

/// What is wrong with the disk now, if anything is.
#[derive(Debug, Default)]
pub(super) struct Disk {
    memory: Option<String>,
    journal: Option<String>,
    outcomes: Option<String>,
    /// When what it refused is tried again.
    retry: Option<Instant>,
    told: Arc<ArcSwap<Vec<String>>>,
    ledger: Ledger,
}

impl Disk {
    /// A disk that has refused nothing; `ledger` is told what it refuses.
    pub(super) fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            ..Self::default()
        }
    }

    /// What others see of it, in words.
    pub(super) fn troubles(&self) -> Arc<ArcSwap<Vec<String>>> {
        Arc::clone(&self.told)
    }

    /// When to try again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.retry
    }

    fn note_memory(&mut self, result: io::Result<()>, now: Instant) {
        match result {
            Ok(()) if self.memory.take().is_some() => {
                info!("the active zone, pins and maintenance are stored again");
            }
            Ok(()) => return,
            Err(problem) => {
                self.retry = Some(now + RETRY);
                let first = self.memory.is_none();
                self.memory = Some(format!(
                    "the active zone, pins and maintenance can't be stored: {problem}"
                ));
                if first {
                    error!(
                        "the active zone, pins and maintenance can't be stored, a restart would forget what changes now: {problem}"
                    );
                }
            }
        }
        self.tell();
    }

    fn note_journal(&mut self, result: io::Result<()>, lost: usize, now: Instant) {
        match result {
            Ok(()) if self.journal.take().is_some() => match lost {
                0 => info!("the journal is written again, and nothing is missing in it"),
                lost => warn!("the journal is written again, but {lost} entries of it are lost"),
            },
            Ok(()) => return,
            Err(problem) => {
                self.retry = Some(now + RETRY);
                let first = self.journal.is_none();
                self.journal = Some(format!("the journal can't be written: {problem}"));
                if first {
                    error!(
                        "the journal can't be written, what follows is kept in memory until it can: {problem}"
                    );
                }
            }
        }
        self.tell();
    }

    /// The scribe tries again by itself.
    pub(super) fn note_outcomes(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) if self.outcomes.take().is_some() => {
                info!("outcomes for a replay are written again");
            }
            Ok(()) => return,
            Err(problem) => {
                let words = format!("{OUTCOMES_FAIL}: {problem}");
                if self.outcomes.is_none() {
                    warn!("{words}");
                }
                self.outcomes = Some(words);
            }
        }
        self.tell();
    }

    /// It has not answered in time, and the flip that waited for it goes on.
    fn note_silence(&mut self, place: &str) {
        let waited = MEMORY_PATIENCE.as_millis();
        if self.memory.is_none() {
            error!(
                "the disk under {place} has not answered for {waited} ms: going on without, a crash now would forget the active zone"
            );
        }
        self.memory = Some(format!(
            "the disk under {place} has not answered for {waited} ms"
        ));
        self.tell();
    }

    fn tell(&self) {
        let troubles = self
            .memory
            .iter()
            .chain(&self.journal)
            .chain(&self.outcomes);
        self.told.store(Arc::new(troubles.cloned().collect()));
        self.ledger.refused(Refused {
            memory: self.memory.is_some(),
            journal: self.journal.is_some(),
            outcomes: self.outcomes.is_some(),
        });
    }
}

impl Monitor {
    pub(super) fn handle_written(&mut self, written: Written) {
        let now = Instant::now();
        if let Some((_, result)) = written.memory {
            self.disk.note_memory(result, now);
        }
        if let Some((number, result)) = written.entries {
            self.disk.note_journal(result, written.lost, now);
            self.chronicle.announce(number);
        }
    }

    pub(super) fn handle_silence(&mut self) {
        let place = self.config.server.state_dir.display().to_string();
        self.disk.note_silence(&place);
    }

    /// Gives the disk once more what it has refused.
    pub(super) fn try_disk_again(&mut self) {
        self.disk.retry = None;
        if self.disk.memory.is_some() {
            // Forgotten here, so that it is stored at the next settling.
            self.memory = None;
        }
        if self.disk.journal.is_some() {
            self.recorder.append_again();
        }
    }
}
