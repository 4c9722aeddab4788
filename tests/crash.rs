//! What is on disk survives a crash at any moment, and a disk that takes nothing stops neither traffic nor flips.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::load::Plan;
use support::pair::{
    EAGER, Pair, active, assert_none_failed, journal, journal_of, until_active, until_both_serve,
};
use support::wait::{PATIENCE, within};
use support::{Proxy, eventually};

/// Pairs that are killed at the same time, and how often each.
const PAIRS: u64 = 4;
const KILLS: u64 = 10;

/// Checks that find out within some 40 ms, so that a flip lies near every moment of a kill.
const HASTY: &str = "path = \"/health\"\ninterval = \"30ms\"\ntimeout = \"2s\"\nconfirm_interval = \"5ms\"\nrise = 1";

/// `FIREDOOR_SEED=N` repeats the moments of a run.
#[test]
fn killed_at_any_moment_of_a_flip_it_comes_back_with_one_active_zone_and_no_older_epoch() {
    let seed = std::env::var("FIREDOOR_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("FIREDOOR_SEED={seed}");
    let flips: u64 = thread::scope(|scope| {
        let pairs: Vec<_> = (0..PAIRS)
            .map(|pair| scope.spawn(move || kill_in_flips(fastrand::Rng::with_seed(seed ^ pair))))
            .collect();
        pairs.into_iter().map(|pair| pair.join().unwrap()).sum()
    });
    eprintln!("{} kills, {flips} flips", PAIRS * KILLS);
    assert!(flips >= PAIRS, "hardly a kill had a flip near: {flips}");
}

/// How many flips there were.
fn kill_in_flips(mut rng: fastrand::Rng) -> u64 {
    let mut pair = Pair::start();
    let mut proxy = pair.builder(EAGER).check(HASTY).start();
    until_both_serve(&proxy);
    let first = epoch(&proxy);
    let mut known = first;
    for kill in 0..KILLS {
        let zone = active(&proxy);
        let before = epoch_on_disk(&proxy);
        let database = match &*zone {
            "fz-1" => &mut pair.preferred.database,
            _ => &mut pair.standby.database,
        };
        database.refuse();
        // Half of the kills come at any time around the flip, the others when the first sign of it is on disk.
        if kill % 2 == 0 {
            within(Duration::from_micros(rng.u64(..80_000)), || false);
        } else {
            eventually(PATIENCE, "it flips", || epoch_on_disk(&proxy) > before);
            within(Duration::from_micros(rng.u64(..3_000)), || false);
        }
        known = known.max(announced(&proxy));
        proxy.crash_and_restart();
        known = examine(&proxy, known);
        let database = match &*zone {
            "fz-1" => &mut pair.preferred.database,
            _ => &mut pair.standby.database,
        };
        database.restart();
        until_both_serve(&proxy);
    }
    known - first
}

/// One active zone, an epoch no older than any that was announced, a journal that can be read; the epoch.
fn examine(proxy: &Proxy, known: u64) -> u64 {
    let status = proxy.status();
    let now = status["epoch"].as_u64().unwrap();
    assert!(now >= known, "epoch {now} after {known}");
    let zones = status["zones"].as_array().unwrap();
    let active: Vec<&Value> = zones.iter().filter(|zone| zone["active"] == true).collect();
    assert_eq!(active.len(), 1, "{status:#}");
    assert_eq!(active[0]["name"], status["active_zone"]);

    let lines = journal_on_disk(proxy);
    let numbers: Vec<u64> = lines
        .iter()
        .map(|line| line["number"].as_u64().unwrap())
        .collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    let flips: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "flip").collect();
    let epochs: Vec<u64> = flips
        .iter()
        .map(|flip| flip["epoch"].as_u64().unwrap())
        .collect();
    assert!(epochs.is_sorted_by(|one, next| one < next), "{epochs:?}");
    assert!(
        epochs.iter().all(|epoch| *epoch <= now),
        "{epochs:?}, now {now}"
    );
    if let Some(last) = flips.last().filter(|flip| flip["epoch"] == now) {
        assert_eq!(last["to"], status["active_zone"]);
    }
    now
}

fn epoch(proxy: &Proxy) -> u64 {
    proxy.status()["epoch"].as_u64().unwrap()
}

/// The epoch in `state.json`; 0 while there is none.
fn epoch_on_disk(proxy: &Proxy) -> u64 {
    let text = std::fs::read(proxy.state_file("state.json")).unwrap_or_default();
    let state: Value = serde_json::from_slice(&text).unwrap_or_default();
    state["epoch"].as_u64().unwrap_or(0)
}

/// The last epoch that the log tells of: whatever an operator has read must still hold afterwards.
fn announced(proxy: &Proxy) -> u64 {
    let log = proxy.log();
    let epochs = log.split("(epoch ").skip(1);
    let epochs = epochs.filter_map(|rest| rest.split(')').next()?.parse().ok());
    epochs.max().unwrap_or(0)
}

/// Every complete line of the journal.
fn journal_on_disk(proxy: &Proxy) -> Vec<Value> {
    let text = std::fs::read_to_string(proxy.state_file("journal.jsonl")).unwrap();
    let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
    let lines = complete.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn a_full_disk_stops_neither_traffic_nor_flips_is_told_once_and_is_caught_up_with() {
    fill_and_clear(EAGER, "128k");
}

#[test]
fn nor_is_a_full_disk_any_worse_when_all_outcomes_are_recorded() {
    let sections = format!("{EAGER}[journal]\noutcomes = \"all\"\n");
    let proxy = fill_and_clear(&sections, "4m");
    let text = std::fs::read_to_string(proxy.state_file("outcomes.jsonl")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let kinds = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert!(
        kinds("outcome") > 50 && kinds("gap") == 0,
        "{} lines",
        lines.len()
    );
    let commands = lines.iter().filter(|line| line["command"] == "activate");
    assert_eq!(commands.count(), 3, "given while the disk was full");
}

/// What firedoor does while its disk is full, and once it isn't any more.
fn fill_and_clear(sections: &str, size: &'static str) -> Proxy {
    let mut pair = Pair::start();
    let proxy = pair.builder(sections).small_disk(size).start();
    until_both_serve(&proxy);
    eventually(PATIENCE, "nothing is wrong yet", || {
        proxy.admin_get("/health").json()["status"] == "pass"
    });
    let load = Plan {
        rate: 100,
        ..Plan::to(proxy.address)
    }
    .start();
    load.wait_for_more(20);

    fill(&proxy.state_file("ballast"));
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    pair.preferred.database.restart();
    until_both_serve(&proxy);
    for zone in ["fz-1", "fz-2", "fz-1"] {
        let answer = proxy.admin_post(&format!("/v1/zones/{zone}/activate"), "");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    load.wait_for_more(20);
    assert_none_failed(&load.finish());
    assert_eq!(active(&proxy), "fz-1");
    assert_eq!(journal_of(&proxy, "flip", 4).len(), 4);
    let health = proxy.admin_get("/health");
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &"warn".into())
    );
    for trouble in [
        "the journal can't be written",
        "maintenance can't be stored",
    ] {
        assert!(health.text().contains(trouble), "{}", health.text());
    }
    // It tries again each second; who has read it once has read it.
    assert!(epoch(&proxy) > epoch_on_disk(&proxy));
    for error in [
        "the journal can't be written",
        "maintenance can't be stored",
    ] {
        until_logged(&proxy, error);
        assert_eq!(proxy.log().matches(error).count(), 1, "{}", proxy.log());
    }

    std::fs::remove_file(proxy.state_file("ballast")).unwrap();
    eventually(PATIENCE, "it has caught up", || {
        proxy.admin_get("/health").json()["status"] == "pass"
    });
    assert_eq!(epoch_on_disk(&proxy), epoch(&proxy));
    let on_disk: Vec<Value> = journal_on_disk(&proxy)
        .into_iter()
        .filter(|line| line["kind"] == "flip")
        .collect();
    assert_eq!(on_disk, journal(&proxy, "flip"));
    assert_eq!(on_disk.len(), 4);
    until_logged(
        &proxy,
        "the journal is written again, and nothing is missing in it",
    );
    proxy
}

/// The log is written by a thread of its own, a moment after what it tells of.
#[track_caller]
fn until_logged(proxy: &Proxy, words: &str) {
    eventually(PATIENCE, words, || proxy.log().contains(words));
}

/// Takes all the room there is.
fn fill(file: &Path) {
    let mut file = File::create(file).unwrap();
    while file.write_all(&[0; 1024]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}
