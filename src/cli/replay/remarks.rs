//! What a replay does not know, and what it has assumed.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use crate::cli::status::clock;
use crate::config::{Check, Config, Detail};
use crate::health::checker::Command;
use crate::health::recording::{Known, Recorded};
use crate::zone::ComponentKey;

/// Names in one remark, and times.
const MOST: usize = 4;

/// Each in one line, safe to print only as plain text.
pub(super) fn remarks(findings: &Findings<'_>) -> Vec<String> {
    let mut remarks = Vec::new();
    details(findings, &mut remarks);
    components(findings, &mut remarks);
    assumptions(findings, &mut remarks);
    remarks.extend(findings.reading.complaints.iter().cloned());
    remarks
}

fn details(findings: &Findings<'_>, remarks: &mut Vec<String>) {
    let recording = &findings.reading.recording;
    for span in &recording.spans {
        let unknown = match span.detail {
            Detail::All => continue,
            Detail::Changes => {
                "only changes were recorded (outcomes = \"changes\"): how live requests went is not known, nor how long each \
                 probe took, and flips may come some tenths of a second earlier or later"
            }
            Detail::Transitions => {
                "only transitions were recorded (outcomes = \"transitions\"), or a crash took the rest: probes that failed without a \
                 transition and live requests are not known, and flips may come some tenths of a second earlier or later"
            }
        };
        let (from, to) = (at(span.from.wall), at(span.to.wall));
        remarks.push(format!("from {from} to {to} {unknown}"));
    }
    let mut epoch = recording
        .begin()
        .map_or(1, |begin| begin.memory.epoch.max(1));
    let (mut lost, mut missing) = (0, 0);
    let mut reloads = Vec::new();
    for record in &recording.records {
        match &record.what {
            Recorded::Gap { lost: lines } => lost += lines,
            Recorded::Flip(flip) => {
                missing += flip.epoch.saturating_sub(epoch.saturating_add(1));
                epoch = flip.epoch;
            }
            Recorded::Reloaded(_) => reloads.push(at(record.moment.wall)),
            _ => {}
        }
    }
    if missing > 0 {
        remarks.push(format!(
            "{missing} recorded flips are missing in the journal that was given, as their epochs tell"
        ));
    }
    if lost > 0 {
        remarks.push(format!(
            "{lost} recorded outcomes are missing: until the next one each component is what it was"
        ));
    }
    if !reloads.is_empty() {
        remarks.push(format!(
            "another configuration came into force at {}: what was recorded was not decided by one configuration",
            some(&reloads)
        ));
    }
}

fn components(findings: &Findings<'_>, remarks: &mut Vec<String>) {
    let tried = tried(findings.config);
    let recorded = recorded(findings);
    let tracks = &findings.reading.recording.tracks;
    let names =
        |keys: Vec<&ComponentKey>| some(&keys.iter().map(ToString::to_string).collect::<Vec<_>>());
    let file = findings.file;
    let has_samples = |key: &&ComponentKey| {
        tracks
            .get(key)
            .is_some_and(|track| !track.samples.is_empty() || track.before.is_some())
    };
    let unrecorded: Vec<_> = tried.keys().filter(|key| !has_samples(key)).collect();
    if !unrecorded.is_empty() {
        remarks.push(format!(
            "never recorded, and taken to be well all the time: {}",
            names(unrecorded)
        ));
    }
    let unknown: Vec<_> = tracks
        .keys()
        .filter(|key| !tried.contains_key(*key))
        .collect();
    if !unknown.is_empty() {
        remarks.push(format!(
            "recorded, but not in {file}, and passed over: {}",
            names(unknown)
        ));
    }
    let both = || {
        tried
            .iter()
            .filter_map(|(key, (address, check))| Some((key, address, check, recorded.get(key)?)))
    };
    let moved = both().filter(|(_, address, _, known)| known.address != **address);
    let moved: Vec<_> = moved.map(|(key, ..)| key).collect();
    if !moved.is_empty() {
        remarks.push(format!(
            "recorded at another address than in {file}, and taken to be the same: {}",
            names(moved)
        ));
    }
    let oftener = both().filter(|(_, _, check, known)| check.interval * 23 / 20 < known.interval);
    let oftener: Vec<_> = oftener.map(|(key, ..)| key).collect();
    if !oftener.is_empty() {
        remarks.push(format!(
            "probed more often in {file} than it was recorded, which finds nothing that was not recorded: {}",
            names(oftener)
        ));
    }
}

fn assumptions(findings: &Findings<'_>, remarks: &mut Vec<String>) {
    let (replayed, file) = (findings.replayed, findings.file);
    if replayed.too_slow > 0 {
        remarks.push(format!(
            "probes that passed took longer than the timeout in {file}, and fail there ({})",
            replayed.too_slow
        ));
    }
    if replayed.unknown > 0 {
        remarks.push(format!(
            "probes ran into the recorded timeout; within the longer one in {file} they may have passed, and are taken to fail ({})",
            replayed.unknown
        ));
    }
    if replayed.stretched > 0 {
        remarks.push(format!(
            "probes that were asked for between a recorded one that failed and one that passed are taken to fail ({}): a fault may \
             have been shorter than it is here",
            replayed.stretched
        ));
    }
    if replayed.supposed > 0 {
        remarks.push(format!(
            "planned flips that were not recorded so ({}) found nothing in flight, and their promote_command succeeded",
            replayed.supposed
        ));
    }
    for refused in replayed.refused.iter().take(MOST) {
        remarks.push(format!(
            "{} of {} was not possible here: {}",
            in_words(&refused.command),
            at(refused.moment.wall),
            refused.refusal
        ));
    }
    let more = replayed.refused.len().saturating_sub(MOST);
    if more > 0 {
        remarks.push(format!(
            "{more} more commands of operators were not possible here"
        ));
    }
    if !replayed.apart.is_zero() {
        remarks.push(format!(
            "for {} another zone was active than is here: how live requests would have gone there is not known",
            super::span(replayed.apart)
        ));
    }
    if !replayed.outage.is_zero() || !replayed.recorded_outage.is_zero() {
        remarks.push(format!(
            "outage is how long probes of the active zone failed, by the min_healthy and required of {file}, from the first that \
             failed"
        ));
    }
}

/// Address and check of each component of a configuration.
fn tried(config: &Config) -> BTreeMap<ComponentKey, (String, &Check)> {
    let mut all = BTreeMap::new();
    for zone in &config.zones {
        for backend in &zone.backends {
            let check = &**config.check_of(backend);
            all.insert(backend.key.clone(), (backend.address.to_string(), check));
        }
        for dependency in &zone.dependencies {
            let known = (dependency.address.to_string(), &*dependency.check);
            all.insert(dependency.key.clone(), known);
        }
    }
    all
}

/// What was known of each component last, where its address is recorded.
fn recorded<'a>(findings: &Findings<'a>) -> BTreeMap<&'a ComponentKey, &'a Known> {
    let records = findings.reading.recording.records.iter();
    let begins = records.filter_map(|record| match &record.what {
        Recorded::Begin(begin) => Some(begin),
        _ => None,
    });
    let known = begins.flat_map(|begin| &begin.components);
    known
        .filter(|known| !known.address.is_empty())
        .map(|known| (&known.key, known))
        .collect()
}

fn in_words(command: &Command) -> String {
    match command {
        Command::Activate { zone, .. } => format!("`zone activate {zone}`"),
        Command::Failback { .. } => "`failback`".to_owned(),
        Command::Pin { zone, .. } => format!("`zone pin {zone}`"),
        Command::Unpin { zone, .. } => format!("`zone unpin {zone}`"),
        Command::Drill { zone, .. } => format!("`drill --zone {zone}`"),
        Command::AbortDrill { .. } => "`drill --abort`".to_owned(),
        Command::Operator {
            component, state, ..
        } => format!("`backend {state} {component}`"),
    }
}

fn some(all: &[String]) -> String {
    let unique: BTreeSet<&String> = all.iter().collect();
    let mut said: Vec<&str> = unique.iter().take(MOST).map(|name| name.as_str()).collect();
    let more = format!("{} more", unique.len().saturating_sub(MOST));
    if unique.len() > MOST {
        said.push(&more);
    }
    said.join(", ")
}

fn at(wall: jiff::Timestamp) -> String {
    clock(&wall.to_string().into())
}
