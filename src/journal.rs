//! The journal: every flip and transition as one JSON line in `journal.jsonl`, durable before it is announced.

mod line;
mod past;
mod sentence;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::health::report::Event;

pub use line::{cause, kind};
pub use past::{KEPT, LastFlip, Past};

const NAME: &str = "journal.jsonl";
const ROTATED: &str = "journal.1.jsonl";
/// Past this many bytes a new file begins; the one before is kept.
const ROTATE_AT: u64 = 64 * 1024 * 1024;
/// How many bytes of lines wait for a disk that refuses them, before the oldest are lost.
const BACKLOG: usize = 1024 * 1024;

/// One journal line.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Counts up, across restarts.
    pub number: u64,
    /// The event itself; `None` for a line of an earlier process (its JSON is in `json`).
    pub event: Option<Event>,
    /// The line as it stands in the file.
    pub json: serde_json::Value,
}

impl Entry {
    /// Makes the line of `event`, which happened in `epoch` (a flip: in the epoch that begins with it).
    pub fn new(number: u64, epoch: u64, event: Event) -> Self {
        Self {
            number,
            json: line::json(number, epoch, &event),
            event: Some(event),
        }
    }
}

/// The file that entries are appended to. All of its methods wait for the disk.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: Option<File>,
    /// Lines that the disk has refused so far, oldest first.
    backlog: Vec<u8>,
    /// Entries that fell out of the backlog.
    lost: usize,
    rotate_at: u64,
}

impl Journal {
    /// Reads the tail of what earlier processes wrote, and cuts off a last line that a crash tore. A directory that can't be
    /// read or made is told by [`Past::problem`]; every later [`Self::append`] then tries again.
    pub fn open(directory: &Path) -> (Self, Past) {
        let past = Past::read(&directory.join(ROTATED), &directory.join(NAME));
        let mut journal = Self {
            directory: directory.to_owned(),
            file: None,
            backlog: Vec::new(),
            lost: 0,
            rotate_at: ROTATE_AT,
        };
        let opened = journal.file().map(drop);
        let past = Past {
            problem: past.problem.or(opened.err()),
            ..past
        };
        (journal, past)
    }

    /// Appends `entries`; on `Ok` they survive a power cut. On `Err` they wait in memory and go first the next time.
    pub fn append(&mut self, entries: &[Arc<Entry>]) -> io::Result<()> {
        for entry in entries {
            self.backlog.extend(entry.json.to_string().into_bytes());
            self.backlog.push(b'\n');
        }
        let written = self.write();
        match written {
            Ok(()) => self.backlog.clear(),
            Err(_) => self.forget_oldest(),
        }
        written
    }

    /// How many entries the disk has refused for so long that they are gone, once it accepts again.
    pub fn take_lost(&mut self) -> usize {
        if self.backlog.is_empty() {
            std::mem::take(&mut self.lost)
        } else {
            0
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let length = self.file()?.metadata()?.len();
        let grown = length + self.backlog.len() as u64;
        if length > 0 && grown > self.rotate_at {
            self.rotate()?;
            return self.write();
        }
        let lines = std::mem::take(&mut self.backlog);
        let file = self.file()?;
        let written = file.write_all(&lines).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half of a line may be in the file (no space left): what comes next must not be glued to it. If this fails
            // too, opening the file again will find the torn line.
            let _ = file.set_len(length);
            self.file = None;
        }
        self.backlog = lines;
        written
    }

    fn file(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&self.directory)?;
                let path = self.directory.join(NAME);
                past::cut_torn_line(&path)?;
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(&path)?
            }
        };
        Ok(self.file.insert(file))
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        fs::rename(self.directory.join(NAME), self.directory.join(ROTATED))?;
        self.file()?;
        File::open(&self.directory)?.sync_all()
    }

    /// Keeps the backlog within its bound, in whole lines.
    fn forget_oldest(&mut self) {
        let Some(surplus) = self.backlog.len().checked_sub(BACKLOG) else {
            return;
        };
        let line_end = self.backlog[surplus..]
            .iter()
            .position(|&byte| byte == b'\n');
        let cut = line_end.map_or(self.backlog.len(), |end| surplus + end + 1);
        let lost = self.backlog.drain(..cut);
        self.lost += lost.filter(|&byte| byte == b'\n').count();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::health::report::What;

    fn entry(number: u64) -> Arc<Entry> {
        let what = What::FailbackPossible {
            zone: "fz-1".into(),
        };
        let at = "2025-03-01T02:03:04Z".parse().unwrap();
        Arc::new(Entry::new(number, 3, Event { at, what }))
    }

    fn numbers(past: &Past) -> Vec<u64> {
        past.entries.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn entries_come_back_after_a_restart_and_numbering_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("made");
        let (mut journal, past) = Journal::open(&inner);
        assert!(past.problem.is_none());
        assert_eq!((past.last_number, numbers(&past)), (0, vec![]));
        journal.append(&[entry(1), entry(2)]).unwrap();
        journal.append(&[entry(3)]).unwrap();

        let (_, past) = Journal::open(&inner);
        assert_eq!((past.last_number, numbers(&past)), (3, vec![1, 2, 3]));
        assert_eq!(past.entries[2].json, entry(3).json);
        let mode = fs::metadata(inner.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_next_entry_stands_on_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let (mut journal, _) = Journal::open(directory.path());
        journal.append(&[entry(1)]).unwrap();
        let whole = fs::read(&path).unwrap();
        let torn = [&whole[..], &whole[..whole.len() / 2]].concat();
        fs::write(&path, torn).unwrap();

        let (mut journal, past) = Journal::open(directory.path());
        assert_eq!(numbers(&past), [1]);
        assert_eq!(fs::read(&path).unwrap(), whole);
        journal.append(&[entry(2)]).unwrap();
        assert_eq!(numbers(&Journal::open(directory.path()).1), [1, 2]);
    }

    #[test]
    fn a_line_that_is_not_json_is_counted_and_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(directory.path());
        journal.append(&[entry(1)]).unwrap();
        let path = directory.path().join(NAME);
        let text = fs::read_to_string(&path).unwrap() + "### what is this\n";
        fs::write(&path, text).unwrap();
        journal.append(&[entry(2)]).unwrap();
        let (_, past) = Journal::open(directory.path());
        assert_eq!((numbers(&past), past.unreadable), (vec![1, 2], 1));
    }

    #[test]
    fn a_full_file_is_rotated_and_nothing_of_the_tail_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(directory.path());
        journal.rotate_at = 500;
        for number in 1..=6 {
            journal.append(&[entry(number)]).unwrap();
        }
        let size = |name| fs::metadata(directory.path().join(name)).unwrap().len();
        assert!(size(NAME) <= 500 && size(ROTATED) <= 500);
        let (_, past) = Journal::open(directory.path());
        assert_eq!(past.last_number, 6);
        assert!(numbers(&past).ends_with(&[4, 5, 6]), "{past:?}");
    }

    #[test]
    fn what_the_disk_refused_is_written_once_it_accepts_again() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("state");
        fs::write(&place, "a file where the directory should be").unwrap();
        let (mut journal, past) = Journal::open(&place);
        assert!(past.problem.is_some());
        assert!(journal.append(&[entry(1)]).is_err());
        fs::remove_file(&place).unwrap();
        journal.append(&[entry(2)]).unwrap();
        assert_eq!(numbers(&Journal::open(&place).1), [1, 2]);
    }

    #[test]
    fn the_backlog_is_bounded_and_holds_whole_lines() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("state");
        fs::write(&place, "").unwrap();
        let (mut journal, _) = Journal::open(&place);
        let many: Vec<_> = (1..=20_000).map(entry).collect();
        assert!(journal.append(&many).is_err());
        assert!(journal.backlog.len() <= BACKLOG);
        assert!(journal.backlog.starts_with(b"{") && journal.backlog.ends_with(b"}\n"));
        assert_eq!(journal.take_lost(), 0, "not before the rest is written");
        let kept = journal
            .backlog
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count();
        fs::remove_file(&place).unwrap();
        journal.append(&[]).unwrap();
        assert_eq!(journal.take_lost(), 20_000 - kept);
        assert_eq!(journal.take_lost(), 0);
    }
}
