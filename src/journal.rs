//! The journal: every flip and transition as one JSON line in `journal.jsonl`, durable before it is announced.

mod line;
mod lines;
mod outcomes;
mod past;
mod reading;
mod retelling;
mod sentence;
mod timeline;
mod told;

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::health::report::Event;
use lines::{Done, Lines};

pub use line::{cause, kind};
pub(crate) use lines::ROTATE_AT;
pub use outcomes::{Appended, Outcomes, line};
pub use past::{KEPT, LastFlip, Past};
pub use reading::{Reading, Unreadable, read};

const NAME: &str = "journal.jsonl";
const ROTATED: &str = "journal.1.jsonl";
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
    lines: Lines,
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
            lines: Lines::new(directory, NAME, ROTATED),
            backlog: Vec::new(),
            lost: 0,
            rotate_at: ROTATE_AT,
        };
        let opened = journal.lines.open();
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
        let length = self.lines.open()?;
        if length > 0 && length + self.backlog.len() as u64 > self.rotate_at {
            self.lines.rotate()?;
        }
        self.lines.append(&self.backlog, Done::Durable)
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
    use std::fs;
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
    fn a_journal_that_somebody_takes_away_begins_anew_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let (mut journal, _) = Journal::open(&state);
        journal.append(&[entry(1)]).unwrap();
        fs::remove_file(state.join(NAME)).unwrap();
        journal.append(&[entry(2)]).unwrap();
        assert_eq!(numbers(&Journal::open(&state).1), [2]);

        let aside = directory.path().join("aside");
        fs::rename(state.join(NAME), &aside).unwrap();
        journal.append(&[entry(3)]).unwrap();
        assert_eq!(numbers(&Journal::open(&state).1), [3]);
        let moved = format!("{}\n", entry(2).json);
        assert_eq!(fs::read_to_string(&aside).unwrap(), moved);

        // Another one in its place, as logrotate's `create` makes it, and the whole directory.
        fs::rename(state.join(NAME), &aside).unwrap();
        fs::write(state.join(NAME), "").unwrap();
        journal.append(&[entry(4)]).unwrap();
        assert_eq!(numbers(&Journal::open(&state).1), [4]);
        fs::remove_dir_all(&state).unwrap();
        journal.append(&[entry(5)]).unwrap();
        assert_eq!(numbers(&Journal::open(&state).1), [5]);
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
    fn a_device_in_place_of_the_file_refuses_and_breaks_nothing() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", directory.path().join(NAME)).unwrap();
        let (mut journal, _) = Journal::open(directory.path());
        let refused = journal.append(&[entry(1)]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        fs::remove_file(directory.path().join(NAME)).unwrap();
        journal.append(&[entry(2)]).unwrap();
        assert_eq!(numbers(&Journal::open(directory.path()).1), [1, 2]);
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
