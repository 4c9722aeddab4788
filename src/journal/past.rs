//! What earlier processes left in the journal.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::Entry;
use crate::health::report::LastEnd;
use crate::zone::{ComponentKey, Operator};

/// How many entries are kept in memory.
pub const KEPT: usize = 1000;
/// How much of a file's end is read. An entry has 300 to 3,000 bytes.
const TAIL: u64 = 4 * 1024 * 1024;

/// The end of the journal, as a new process finds it.
#[derive(Debug, Default)]
pub struct Past {
    /// Oldest first, at most [`KEPT`].
    pub entries: Vec<Arc<Entry>>,
    /// The highest number; 0 for an empty journal.
    pub last_number: u64,
    /// The last flip that the journal tells of.
    pub last_flip: Option<LastFlip>,
    /// The last pin or unpin that it tells of: the entry's number, and the zone that is pinned since.
    pub pinned: Option<(u64, Option<String>)>,
    /// The last change of each operator state that it tells of: the entry's number, and the state since.
    pub operators: BTreeMap<ComponentKey, (u64, Operator)>,
    /// The last start or stop of a process that it tells of: the entry's number, and whether it was a stop.
    pub process: Option<(u64, bool)>,
    /// Lines that are no entries.
    pub unreadable: usize,
    /// Why the journal can't be read or written.
    pub problem: Option<io::Error>,
}

/// Enough of a flip to go on where it led, should `state.json` be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFlip {
    /// The epoch that began with it.
    pub epoch: u64,
    /// The zone that was entered.
    pub to: String,
    /// When.
    pub at: Option<Timestamp>,
    /// In words.
    pub message: Option<String>,
}

impl Past {
    /// How the last process ended; `None`: the journal knows of none.
    pub fn last_end(&self) -> Option<LastEnd> {
        match self.process {
            Some((_, false)) => Some(LastEnd::NotInOrder),
            Some((number, true)) if number == self.last_number => Some(LastEnd::InOrder),
            None if self.last_number == 0 && self.problem.is_none() => None,
            // Whoever wrote what follows doesn't tell of its own start.
            Some((_, true)) | None => Some(LastEnd::Unknown),
        }
    }

    /// Reads the ends of both files, older first.
    pub(super) fn read(older: &Path, newer: &Path) -> Self {
        let mut past = Self::default();
        for path in [older, newer] {
            match tail(path) {
                Ok(text) => past.take(&text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => past.problem = Some(error),
            }
        }
        let surplus = past.entries.len().saturating_sub(KEPT);
        past.entries.drain(..surplus);
        past
    }

    fn take(&mut self, text: &[u8]) {
        for line in text.split(|&byte| byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let json = serde_json::from_slice::<Value>(line).ok();
            let Some((json, number)) = json.and_then(|json| {
                let number = json["number"].as_u64()?;
                Some((json, number))
            }) else {
                self.unreadable += 1;
                continue;
            };
            self.last_number = self.last_number.max(number);
            self.learn(number, &json);
            self.entries.push(Arc::new(Entry {
                number,
                event: None,
                json,
            }));
        }
    }

    /// What a line tells of that outlasts it.
    fn learn(&mut self, number: u64, json: &Value) -> Option<()> {
        match json["kind"].as_str()? {
            "flip" => self.last_flip = Some(LastFlip::of(json)?),
            kind @ ("started" | "stopped") => self.process = Some((number, kind == "stopped")),
            "pin" => {
                let zone = json["zone"].as_str()?;
                let pinned = json["pinned"].as_bool()?.then(|| zone.to_owned());
                self.pinned = Some((number, pinned));
            }
            "operator_state" => {
                let (zone, name) = json["component"].as_str()?.split_once(':')?;
                let key = ComponentKey {
                    zone: zone.into(),
                    name: name.into(),
                };
                let state = Operator::named(json["to"].as_str()?)?;
                self.operators.insert(key, (number, state));
            }
            _ => {}
        }
        Some(())
    }
}

impl LastFlip {
    fn of(json: &Value) -> Option<Self> {
        Some(Self {
            epoch: json["epoch"].as_u64()?,
            to: json["to"].as_str()?.to_owned(),
            at: json["at"].as_str().and_then(|at| at.parse().ok()),
            message: json["message"].as_str().map(str::to_owned),
        })
    }
}

/// The last [`TAIL`] bytes in whole lines; a torn last line isn't part of it.
fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    let end = text
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    text.truncate(end);
    if from > 0 {
        let begin = text
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(text.len(), |end| end + 1);
        text.drain(..begin);
    }
    Ok(text)
}

/// Cuts off what follows the last complete line: a crash in the middle of an append.
pub(super) fn cut_torn_line(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut text = Vec::new();
    // No more than its length says: a device of length 0 may be read without end.
    (&file).take(TAIL.min(length)).read_to_end(&mut text)?;
    let torn = text.iter().rev().take_while(|&&byte| byte != b'\n').count() as u64;
    if torn > 0 {
        file.set_len(length - torn)?;
        file.sync_data()?;
    }
    Ok(())
}
