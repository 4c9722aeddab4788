//! Journals and recorded outcomes, as a crash, an older version or an editor may have left them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use firedoor::config::Config;
use firedoor::config::parse::Environment;
use firedoor::health::checker::Checker;
use firedoor::journal;
use tempfile::TempDir;

use crate::mutator::drive;

struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "null",
    "true",
    "\"kind\":",
    "\"time\":",
    "\"epoch\":",
    "\"zone\":",
    "\"fz-1\"",
    "\"fz-2\"",
    "\"-009999-01-01T00:00:00Z\"",
    "\"9999-12-30T22:00:00Z\"",
    "\"flip\"",
    "\"transition\"",
    "\n",
    "\\ud800",
    "\u{1b}[31m",
];

/// One file is taken for both: lines of each stand in it.
#[test]
fn a_mutated_journal_is_replayed_or_refused() {
    let directory = TempDir::new().unwrap();
    let config = include_str!("../../config/minimal.toml");
    let config = Config::parse(config, Path::new("minimal.toml"), &Nothing).unwrap();
    let config = Arc::new(config);
    let mut replayed = 0;
    drive("journal", WORDS, 300, |input| {
        for name in ["journal.jsonl", "outcomes.jsonl"] {
            fs::write(directory.path().join(name), input).unwrap();
        }
        // What an operator is told, if it can't be read.
        match journal::read(&[directory.path().to_owned()], Instant::now()) {
            Ok(reading) => {
                replayed += 1;
                let _endless = Checker::replay(&reading.recording, Arc::clone(&config));
            }
            Err(unreadable) => assert!(!unreadable.to_string().is_empty()),
        }
        // And what a start finds.
        let (_journal, past) = journal::Journal::open(directory.path());
        assert!(past.entries.len() <= journal::KEPT);
    });
    assert!(replayed > 20, "{replayed} could be replayed");
}
