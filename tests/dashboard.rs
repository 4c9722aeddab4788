//! The dashboard in a real browser: Chromium without a screen, driven by `tests/dashboard/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use support::wait::within;

/// For one scenario, browser included; each of its steps has a deadline of its own. The longest takes half a minute, and several times
/// that where twenty others want the machine.
const LIMIT: Duration = Duration::from_secs(400);

/// What measures must be alone; the others may play beside each other.
static STAGE: RwLock<()> = RwLock::new(());

#[track_caller]
fn plays_alone(scenario: &str) {
    let _alone = STAGE.write().unwrap_or_else(PoisonError::into_inner);
    play(scenario);
}

#[track_caller]
fn plays(scenario: &str) {
    let _beside = STAGE.read().unwrap_or_else(PoisonError::into_inner);
    play(scenario);
}

#[track_caller]
fn play(scenario: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `tests/run needs`",
        python.display()
    );
    let said = tempfile::NamedTempFile::new().unwrap();
    let writer = || Stdio::from(File::options().append(true).open(said.path()).unwrap());
    let mut child = Command::new(python)
        .arg(root.join("tests/dashboard"))
        .args([scenario, env!("CARGO_BIN_EXE_firedoor")])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::null())
        .stdout(writer())
        .stderr(writer())
        .process_group(0)
        .spawn()
        .unwrap();
    let ended = within(LIMIT, || child.try_wait().unwrap().is_some());
    if !ended {
        kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
    }
    let status = child.wait().unwrap();
    let said = fs::read_to_string(said.path()).unwrap();
    assert!(status.success(), "{scenario}: {status}\n{said}");
    println!("{scenario}: {}", said.trim_end());
}

#[test]
fn the_page_is_there_at_once_and_within_its_budget() {
    plays_alone("load");
}

#[test]
fn a_flip_is_on_the_page_by_itself_with_its_reasons() {
    plays_alone("flip");
}

#[test]
fn three_zones_have_two_doors() {
    plays("zones");
}

#[test]
fn what_says_the_same_is_not_drawn_anew_but_ages_grow() {
    plays("still");
}

#[test]
fn traffic_is_on_the_page_as_it_flows() {
    plays("traffic");
}

#[test]
fn what_would_happen_is_answered_and_changes_nothing() {
    plays("plan");
}

#[test]
fn a_planned_flip_is_looked_at_confirmed_and_told() {
    plays("activate");
}

#[test]
fn a_flip_that_waits_says_so() {
    plays("planned");
}

#[test]
fn every_order_can_be_given_and_taken_back() {
    plays("orders");
}

#[test]
fn an_order_that_was_overtaken_is_not_carried_out() {
    plays("overtaken");
}

#[test]
fn a_reload_tells_its_generation_or_every_mistake() {
    plays("reload");
}

#[test]
fn the_demo_is_broken_and_healed_from_the_page() {
    plays("demo");
}

#[test]
fn the_page_outlives_firedoor_and_goes_on_when_it_is_back() {
    plays("restart");
}

/// One of the last by its name: it takes 15 seconds, and whoever must be alone would wait for it, with everybody else behind.
#[test]
fn the_silence_of_a_firedoor_that_hangs_is_noticed() {
    plays("silence");
}

#[test]
fn a_token_is_asked_for_and_kept_for_one_tab() {
    plays("token");
}

#[test]
fn axe_finds_nothing_serious_in_either_theme() {
    plays("accessible");
}

#[test]
fn no_width_scrolls_sideways() {
    plays("widths");
}

#[test]
fn the_theme_can_be_switched() {
    plays("themes");
}
