//! Reads what `firedoor replay` is given: journal files and the outcomes beside them, of one process or of several.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::outcomes::{self, Names, Raw};
use super::retelling::retell;
use super::timeline;
use super::told::Told;
use crate::health::recording::{Recorded, Recording};

/// In the order in which they were written.
const FILES: [&str; 4] = [
    super::ROTATED,
    super::NAME,
    outcomes::ROTATED,
    outcomes::NAME,
];
/// Bytes of a line. The longest tell of hundreds of components.
const LINE: u64 = 4 * 1024 * 1024;
/// Bytes of all files: many times what firedoor itself keeps.
const MOST: u64 = 4 * 1024 * 1024 * 1024;

/// What was read.
#[derive(Debug)]
pub struct Reading {
    /// What it tells.
    pub recording: Recording,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// What could not be understood, in words.
    pub complaints: Vec<String>,
}

/// Why there is nothing to replay. `Display` names the remedy.
#[derive(Debug)]
pub enum Unreadable {
    /// A file can't be read.
    File(PathBuf, io::Error),
    /// The files are too large together.
    TooLarge,
    /// Not one line of them is a journal entry or a record.
    Foreign(Vec<PathBuf>),
    /// There are entries, but no outcome of any probe.
    NoOutcomes(Vec<PathBuf>),
    /// There are outcomes, but no journal that tells of the flips.
    NoJournal(Vec<PathBuf>),
}

/// Reads `paths`: files, or state directories. Of a file in a state directory, those that belong to it are read, too. `base`
/// is the moment that the first thing they tell of is taken for.
pub fn read(paths: &[PathBuf], base: Instant) -> Result<Reading, Unreadable> {
    let files = resolve(paths)?;
    let mut read = files
        .iter()
        .map(|file| Pages::read(file))
        .collect::<Result<Vec<_>, _>>()?;
    let files: Vec<PathBuf> = read.iter().map(|pages| pages.file.clone()).collect();
    // Stable: those without any line keep their place, and so does a file beside the one that was rotated before it.
    let rotated: BTreeMap<PathBuf, Option<Timestamp>> = read
        .iter()
        .filter(|pages| pages.file.ends_with(outcomes::ROTATED))
        .map(|pages| (pages.file.with_file_name(outcomes::NAME), pages.first))
        .collect();
    read.sort_by_key(|pages| *rotated.get(&pages.file).unwrap_or(&pages.first));
    let mut told: Vec<Told> = Vec::new();
    let mut raws: Vec<Vec<Raw>> = Vec::new();
    let mut complaints = Vec::new();
    for pages in read {
        complaints.extend(pages.complaint());
        told.extend(pages.told);
        raws.push(pages.raws);
    }
    if told.is_empty() && raws.iter().all(Vec::is_empty) {
        return Err(Unreadable::Foreign(files));
    }
    if told.is_empty() {
        return Err(Unreadable::NoJournal(files));
    }
    // By their numbers: a wall clock may be set back.
    told.sort_by_key(|told| (told.number, told.at));
    told.dedup();
    if told.windows(2).any(|two| two[0].number == two[1].number) {
        // Journals that know nothing of each other: only the clock tells which comes first.
        told.sort_by_key(|told| (told.at, told.number));
    }
    let recording = assemble(&told, raws, base);
    if !recording.has_outcomes() {
        return Err(Unreadable::NoOutcomes(files));
    }
    Ok(Reading {
        recording,
        files,
        complaints,
    })
}

fn resolve(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Unreadable> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    let mut size = 0;
    for path in paths {
        let unreadable = |error| Unreadable::File(path.clone(), error);
        let metadata = path.metadata().map_err(unreadable)?;
        let name = path.file_name().and_then(|name| name.to_str());
        let family = if metadata.is_dir() {
            Some(path.as_path())
        } else {
            name.filter(|name| FILES.contains(name))
                .and_then(|_| path.parent())
        };
        let relatives = family.into_iter().flat_map(|folder| {
            let all = FILES.iter().map(|name| folder.join(name));
            all.filter(|file| file.is_file())
        });
        let own = (!metadata.is_dir()).then(|| path.clone());
        let mut none = true;
        for file in relatives.chain(own) {
            none = false;
            // However it is spelled, it is read once.
            if seen.insert(file.canonicalize().map_err(unreadable)?) {
                size += file.metadata().map_or(0, |metadata| metadata.len());
                files.push(file);
            }
        }
        if none {
            let nothing = format!("there is neither {} nor {}", super::NAME, outcomes::NAME);
            return Err(unreadable(io::Error::new(io::ErrorKind::NotFound, nothing)));
        }
    }
    if size > MOST {
        return Err(Unreadable::TooLarge);
    }
    Ok(files)
}

/// One file.
struct Pages {
    file: PathBuf,
    /// When its first line was written.
    first: Option<Timestamp>,
    told: Vec<Told>,
    raws: Vec<Raw>,
    /// The numbers of lines that are neither, up to three, and how many there are.
    foreign: (Vec<usize>, usize),
    torn: bool,
}

impl Pages {
    fn read(file: &Path) -> Result<Self, Unreadable> {
        let unreadable = |error| Unreadable::File(file.to_owned(), error);
        let mut reader = BufReader::new(File::open(file).map_err(unreadable)?);
        let mut names = Names::default();
        let mut pages = Self {
            file: file.to_owned(),
            first: None,
            told: Vec::new(),
            raws: Vec::new(),
            foreign: (Vec::new(), 0),
            torn: false,
        };
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = (&mut reader).take(LINE).read_until(b'\n', &mut line);
            if read.map_err(unreadable)? == 0 {
                break;
            }
            let whole = line.ends_with(b"\n");
            if pages.take(&line, &mut names) || line.trim_ascii().is_empty() {
                continue;
            }
            if !whole && line.len() as u64 == LINE {
                reader.skip_until(b'\n').map_err(unreadable)?;
            } else if !whole {
                pages.torn = true;
                break;
            }
            pages.foreign.1 += 1;
            if pages.foreign.0.len() < 3 {
                pages.foreign.0.push(number);
            }
            // Whatever it was, it may have been the end of a probe.
            pages.raws.extend(pages.raws.last().is_some().then(gap));
        }
        Ok(pages)
    }

    fn take(&mut self, line: &[u8], names: &mut Names) -> bool {
        let Ok(line) = serde_json::from_slice::<Value>(line) else {
            return false;
        };
        if let Some(told) = Told::read(&line, names) {
            self.first.get_or_insert(told.at);
            self.told.push(told);
        } else if let Some(raw) = outcomes::read(&line, names) {
            if !matches!(raw.what, Recorded::Gap { .. }) {
                self.first.get_or_insert(raw.at);
            }
            self.raws.push(raw);
        } else {
            return false;
        }
        true
    }

    fn complaint(&self) -> Option<String> {
        let file = self.file.display();
        let torn = "its last line is torn";
        match (&self.foreign, self.torn) {
            ((_, 0), false) => None,
            ((_, 0), true) => Some(format!("{file}: {torn}, and passed over")),
            ((numbers, count), is_torn) => {
                let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
                let more = if *count > numbers.len() { ", …" } else { "" };
                let torn = if is_torn {
                    format!("; {torn}")
                } else {
                    String::new()
                };
                Some(format!(
                    "{file}: {count} lines are no entries and passed over (line {}{more}){torn}",
                    numbers.join(", ")
                ))
            }
        }
    }
}

fn gap() -> Raw {
    Raw {
        at: Timestamp::UNIX_EPOCH,
        elapsed: Duration::ZERO,
        overdue: Duration::ZERO,
        what: Recorded::Gap { lost: 1 },
    }
}

/// Fits the times of all processes together, and lets the journal tell what nothing else does.
fn assemble(told: &[Told], raws: Vec<Vec<Raw>>, base: Instant) -> Recording {
    let (mut records, places) = timeline::lay_out(told, raws, base);
    let mut lived = records
        .iter()
        .filter(|record| !matches!(record.what, Recorded::Gap { .. }));
    let begin = lived.next().map(|record| record.moment.instant);
    let is_first = places.first().is_some_and(|place| {
        !place.covered && begin.is_none_or(|begin| place.moment.instant < begin)
    });
    // What is read from the journal comes last where both tell of the same moment: a flip is told after what led to it.
    records.extend(retell(told, places, is_first));
    Recording::assemble(records)
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |files: &[PathBuf]| {
            let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
            files.join(", ")
        };
        match self {
            Self::File(file, error) => write!(f, "{}: can't be read: {error}", file.display()),
            Self::TooLarge => write!(
                f,
                "more than {} GiB: give the files of the time in question only",
                MOST >> 30
            ),
            Self::Foreign(files) => write!(
                f,
                "{}: not one line is a journal entry: give a state directory, or the journal.jsonl in it",
                list(files)
            ),
            Self::NoJournal(files) => write!(
                f,
                "{}: which flips were recorded stands in the journal: give journal.jsonl, too",
                list(files)
            ),
            Self::NoOutcomes(files) => write!(
                f,
                "{}: no outcome of any probe is recorded, so there is nothing to decide by: \
                 outcomes.jsonl belongs beside the journal; it is written from [journal] outcomes = \"changes\" or \"all\" on",
                list(files)
            ),
        }
    }
}

impl std::error::Error for Unreadable {}
