//! `outcomes.jsonl`: what the decision goes by, beside the journal, for `firedoor replay`.
//!
//! A file of its own, since it is all that the journal isn't: it may be large, so that in one file it would push the flips out;
//! nobody waits for it to be durable; nobody reads it but a replay; and if the disk has no room, it is what can be done without.

mod command;
mod line;
mod sign;

use std::io;
use std::path::Path;

use super::lines::{Done, Lines};

pub(super) use command::operator;
pub use line::line;
pub(super) use line::{Names, Raw, from_milliseconds, outcome, read, time};

pub(super) const NAME: &str = "outcomes.jsonl";
pub(super) const ROTATED: &str = "outcomes.1.jsonl";
/// How many bytes of lines wait for a disk that refuses them, before they are lost.
const BACKLOG: usize = 1024 * 1024;

/// The file that records are appended to. All of its methods wait for the disk.
#[derive(Debug)]
pub struct Outcomes {
    lines: Lines,
    /// Lines that the disk has refused so far.
    backlog: Vec<u8>,
    /// They belong into a new file.
    turn_over: bool,
    /// Lines that were lost since the last one that was written.
    lost: u64,
}

/// What an append has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The file's length.
    pub length: u64,
    /// How many lines before it are lost.
    pub lost: u64,
    /// Somebody has taken the file away, so that a new one has begun, in which what was known before is missing.
    pub begun_anew: bool,
}

impl Outcomes {
    /// In the state directory. Nothing is made before the first append.
    pub fn new(directory: &Path) -> Self {
        Self {
            lines: Lines::new(directory, NAME, ROTATED),
            backlog: Vec::new(),
            turn_over: false,
            lost: 0,
        }
    }

    /// Appends whole lines, to a new file if `turn_over`. On `Err` they wait in memory and go first the next time, as long as
    /// there is room; what is lost is told in the file.
    pub fn append(&mut self, lines: &[u8], turn_over: bool) -> io::Result<Appended> {
        self.backlog.extend_from_slice(lines);
        self.turn_over |= turn_over;
        let written = self.write();
        match &written {
            Ok(_) => self.backlog.clear(),
            Err(_) if self.backlog.len() > BACKLOG => {
                let lost = self.backlog.iter().filter(|&&byte| byte == b'\n').count();
                self.lost += lost as u64;
                self.backlog.clear();
            }
            Err(_) => {}
        }
        written
    }

    /// That many lines were lost before the next ones.
    pub fn lose(&mut self, lines: u64) {
        self.lost += lines;
    }

    fn write(&mut self) -> io::Result<Appended> {
        if self.turn_over && self.lines.open()? > 0 {
            self.lines.rotate()?;
        }
        self.turn_over = false;
        let lost = self.lost;
        if lost > 0 {
            let told = [&line::gap(lost)[..], &self.backlog].concat();
            self.lines.append(&told, Done::Handed)?;
            self.lost = 0;
        } else {
            self.lines.append(&self.backlog, Done::Handed)?;
        }
        let length = self.lines.open()?;
        Ok(Appended {
            length,
            lost,
            begun_anew: self.lines.was_taken_away(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_full_file_is_kept_beside_the_new_one_and_no_third() {
        let directory = tempfile::tempdir().unwrap();
        let mut outcomes = Outcomes::new(directory.path());
        for (line, turn_over) in [("a\n", false), ("b\n", true), ("c\n", false), ("d\n", true)] {
            outcomes.append(line.as_bytes(), turn_over).unwrap();
        }
        let text = |name| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!((text(ROTATED), text(NAME)), ("b\nc\n".into(), "d\n".into()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_a_disk_refuses_is_written_later_or_told_to_be_lost() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("state");
        fs::write(&place, "a file where the directory should be").unwrap();
        let mut outcomes = Outcomes::new(&place);
        assert!(outcomes.append(b"a\n", false).is_err());
        assert!(outcomes.append(b"b\n", true).is_err());
        fs::remove_file(&place).unwrap();
        assert_eq!(outcomes.append(b"c\n", false).unwrap().length, 6);
        let text = || fs::read_to_string(place.join(NAME)).unwrap();
        assert_eq!(text(), "a\nb\nc\n");

        fs::remove_dir_all(&place).unwrap();
        fs::write(&place, "").unwrap();
        let mut outcomes = Outcomes::new(&place);
        let many = b"123456789\n".repeat(BACKLOG / 10 + 1);
        assert!(outcomes.append(&many, false).is_err());
        assert!(outcomes.backlog.is_empty(), "the backlog is bounded");
        assert!(outcomes.append(b"a\n", false).is_err());
        fs::remove_file(&place).unwrap();
        outcomes.append(b"b\n", false).unwrap();
        let lost = BACKLOG / 10 + 1;
        assert_eq!(
            text(),
            format!("{{\"kind\":\"gap\",\"lost\":{lost}}}\na\nb\n")
        );
    }
}
