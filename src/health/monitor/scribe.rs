//! The monitor's other hand on the disk: what goes into the checker, written down for a replay, each second or when something
//! was told.
//!
//! On a thread and in a file of its own, so that neither a flip nor its journal entry ever waits for it, whatever the disk does.
//! What a crash loses of it is a second at most.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Monitor;
use crate::config::Detail;
use crate::health::checker::{Accepted, Checker, Command, Input, Refusal};
use crate::health::recording::notes::Notes;
use crate::health::report::What;
use crate::journal::{self, Appended, Entry, Outcomes, ROTATE_AT};
use crate::memory::Memory;
use crate::moment::Moment;
use crate::zone::{ComponentId, ComponentKey};

/// How long lines wait to be written together.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes that don't wait for that.
const ENOUGH: usize = 64 * 1024;
/// Bytes that wait for a disk that hangs, before they are lost.
const MOST: usize = 1024 * 1024;
/// Past this many bytes a new file begins: what waits by then still goes into the old one.
const FULL: u64 = ROTATE_AT - 2 * MOST as u64;

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Scribe {
    notes: Notes,
    /// When the process began.
    origin: Instant,
    file: Arc<Mutex<Outcomes>>,
    running: Option<JoinHandle<io::Result<Appended>>>,
    /// Whole lines that wait.
    waiting: Vec<u8>,
    /// They belong into a new file.
    turn_over: bool,
    /// The file has got so long that a new one is to be begun.
    full: bool,
    full_at: u64,
    /// Lines that a hanging disk made us lose.
    lost: u64,
    /// Some are lost, or a file with them: what is known now has to be told again.
    gap: bool,
    /// When what waits is written.
    due: Option<Instant>,
}

impl Scribe {
    /// Begins with a checker that was just made by `seed`, from `memory`. Touches the disk only when there is something to write.
    pub(super) fn begin(
        directory: &Path,
        detail: Detail,
        (checker, seed): (&Checker, u64),
        memory: Memory,
        now: Moment,
    ) -> Self {
        Self {
            notes: Notes::begin(checker, detail, seed, memory, now),
            origin: now.instant,
            file: Arc::new(Mutex::new(Outcomes::new(directory))),
            running: None,
            waiting: Vec::new(),
            turn_over: false,
            full: false,
            full_at: FULL,
            lost: 0,
            gap: false,
            due: None,
        }
    }

    /// What came of the last input: what was told, and whose probes have begun.
    pub(super) fn conclude(
        &mut self,
        checker: &Checker,
        entries: &[Arc<Entry>],
        began: &[(ComponentId, ComponentKey)],
        now: Instant,
    ) {
        let told = entries.iter().filter_map(|entry| entry.event.as_ref());
        // A replay is told what was ordered by the command itself, and of the start by what is known then.
        let told = told.filter(|event| !matches!(event.what, What::Order(_) | What::Started(_)));
        self.notes.conclude(checker, told, began);
        self.write_down();
        if std::mem::take(&mut self.gap) {
            self.notes.begin_again(checker);
            self.write_down();
        }
        if self.waiting.is_empty() {
            return;
        }
        self.due.get_or_insert(now + PAUSE);
        if !entries.is_empty() || self.waiting.len() > ENOUGH {
            self.write(checker);
        }
    }

    /// When [`Self::write`] wants to be called.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.running.is_none())
    }

    /// Writes what waits, as soon as the write before has ended.
    pub(super) fn write(&mut self, checker: &Checker) {
        if self.running.is_some() {
            return;
        }
        self.due = None;
        self.write_down();
        let lines = std::mem::take(&mut self.waiting);
        let turn_over = std::mem::take(&mut self.turn_over);
        let lost = std::mem::take(&mut self.lost);
        if std::mem::take(&mut self.full) {
            // Nothing waits now: what follows, and what is known before it, belongs into the next file.
            self.notes.begin_again(checker);
            self.write_down();
            self.turn_over = true;
        }
        let file = Arc::clone(&self.file);
        self.running = Some(tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.lose(lost);
            file.append(&lines, turn_over)
        }));
    }

    /// Waits for the write under way. Never ready while there is none.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn written(&mut self) -> io::Result<()> {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        let written = running
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic.to_string())));
        self.running = None;
        match written {
            Ok(Appended {
                length,
                lost,
                begun_anew,
            }) => {
                self.full = length > self.full_at;
                self.gap |= lost > 0 || begun_anew;
                Ok(())
            }
            Err(problem) => {
                // The file keeps what was refused; it is tried again.
                self.due = Some(Instant::now() + PAUSE);
                Err(problem)
            }
        }
    }

    /// Whether everything is written that ever will be.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    fn write_down(&mut self) {
        for record in self.notes.take() {
            let line = journal::line(&record, self.origin);
            self.waiting.extend_from_slice(line.as_bytes());
        }
        if self.waiting.len() > MOST {
            let lines = self.waiting.iter().filter(|&&byte| byte == b'\n').count();
            self.lost += lines as u64;
            self.gap = true;
            self.waiting.clear();
        }
    }
}

impl Monitor {
    /// Hands an input to the checker.
    pub(super) fn put(&mut self, input: Input, now: Moment) {
        self.stopwatch.input(now.instant);
        let taken = self.scribe.notes.put(&mut self.checker, input, now);
        debug_assert!(taken.is_ok(), "only a command can be refused");
    }

    /// Hands an operator's command to the checker.
    pub(super) fn order(&mut self, command: Command, now: Moment) -> Result<Accepted, Refusal> {
        self.stopwatch.input(now.instant);
        let input = Input::Command(command);
        self.scribe.notes.put(&mut self.checker, input, now)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Config;
    use crate::config::parse::Environment;
    use crate::outcome::{CheckCode, Outcome};

    struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &Path) -> Result<String, String> {
            Err("no file".to_owned())
        }
    }

    /// A checker with a scribe beside it, and the time that both believe in.
    struct Office {
        checker: Checker,
        scribe: Scribe,
        now: Moment,
        directory: tempfile::TempDir,
    }

    impl Office {
        fn new(full_at: u64) -> Self {
            let text = "[[listener]]\nbind = \"127.0.0.1:1\"\n[[zone]]\nname = \"fz-1\"\nbackend = [{ address = \"127.0.0.1:9001\" }]\n\
                        [[zone]]\nname = \"fz-2\"\nbackend = [{ address = \"127.0.0.1:9101\" }]\n";
            let config = Config::parse(text, Path::new("firedoor.toml"), &Nothing).unwrap();
            let directory = tempfile::tempdir().unwrap();
            let now = Moment::some();
            let checker = Checker::new(Arc::new(config), Memory::default(), 1, now);
            let place = directory.path();
            let mut scribe =
                Scribe::begin(place, Detail::All, (&checker, 1), Memory::default(), now);
            scribe.full_at = full_at;
            Self {
                checker,
                scribe,
                now,
                directory,
            }
        }

        /// All probes that are due pass, `times` times.
        fn work(&mut self, times: usize) {
            for _ in 0..times {
                let mut began = Vec::new();
                while let Some(probe) = self.checker.poll_probe() {
                    began.push((probe.component, probe.round, probe.key));
                }
                let keys: Vec<_> = began
                    .iter()
                    .map(|(id, _, key)| (*id, key.clone()))
                    .collect();
                let instant = self.now.instant;
                self.scribe.conclude(&self.checker, &[], &keys, instant);
                for (id, round, _) in began {
                    let outcome = Outcome {
                        code: CheckCode::L7Ok,
                        detail: String::new(),
                        took: Duration::from_millis(1),
                        status: Some(200),
                    };
                    self.put(Input::Outcome(id, round, outcome));
                }
                let wait = self.checker.poll_timeout().unwrap() - self.now.instant;
                self.now = self.now.after(wait);
                self.put(Input::Timeout);
            }
        }

        fn put(&mut self, input: Input) {
            let notes = &mut self.scribe.notes;
            notes.put(&mut self.checker, input, self.now).unwrap();
        }

        async fn finish(&mut self) {
            while !self.scribe.is_idle() {
                self.scribe.write(&self.checker);
                self.scribe.written().await.unwrap();
            }
        }

        fn lines(&self, name: &str) -> Vec<serde_json::Value> {
            let text = fs::read_to_string(self.directory.path().join(name)).unwrap();
            let lines = text.lines();
            lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        }
    }

    #[tokio::test]
    async fn however_much_is_recorded_two_files_of_bounded_length_are_kept_and_each_begins_with_what_was_known()
     {
        let mut office = Office::new(50_000);
        for _ in 0..50 {
            office.work(100);
            office.finish().await;
        }
        let mut lengths = Vec::new();
        for entry in fs::read_dir(office.directory.path()).unwrap() {
            lengths.push(entry.unwrap().metadata().unwrap().len());
        }
        assert_eq!(lengths.len(), 2);
        // A write of 100 rounds has some 50 KB.
        assert!(
            lengths.iter().all(|length| *length < 150_000),
            "{lengths:?}"
        );
        for name in ["outcomes.1.jsonl", "outcomes.jsonl"] {
            let first = &office.lines(name)[0];
            assert_eq!(
                (&first["kind"], &first["why"]),
                (&"begin".into(), &"rotation".into())
            );
            assert_eq!(first["components"][0]["status"], "up");
        }
    }

    #[tokio::test]
    async fn a_file_that_somebody_takes_away_begins_anew_with_what_is_known() {
        let mut office = Office::new(FULL);
        office.work(10);
        office.finish().await;
        fs::remove_file(office.directory.path().join("outcomes.jsonl")).unwrap();
        for _ in 0..2 {
            office.work(10);
            office.finish().await;
        }
        let lines = office.lines("outcomes.jsonl");
        let begins = lines.iter().filter(|line| line["kind"] == "begin");
        let begins: Vec<_> = begins
            .map(|line| &line["components"][0]["status"])
            .collect();
        assert_eq!(begins, ["up"]);
    }

    #[tokio::test]
    async fn a_disk_that_hangs_is_not_waited_for_and_what_it_does_not_take_is_told_to_be_lost() {
        let mut office = Office::new(FULL);
        office.work(1);
        office.finish().await;
        let file = Arc::clone(&office.scribe.file);
        {
            let _hangs = file.lock().unwrap();
            for _ in 0..100 {
                office.work(100);
                assert!(office.scribe.waiting.len() <= MOST);
                office.scribe.write(&office.checker);
                assert_eq!(office.scribe.due(), None, "nothing to do but wait");
            }
            assert!(office.scribe.lost > 0);
        }
        office.finish().await;
        let lines = office.lines("outcomes.jsonl");
        let lost: u64 = lines.iter().filter_map(|line| line["lost"].as_u64()).sum();
        assert!(lost > 1000, "{lost}");
        let gap = lines.iter().position(|line| line["kind"] == "gap").unwrap();
        assert!(
            lines[gap..].iter().any(|line| line["kind"] == "begin"),
            "what is known is told again"
        );
    }
}
