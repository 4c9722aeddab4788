//! What is recorded for a replay, and that neither flips nor the journal are any the worse for it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firedoor::health::checker::Command;
use firedoor::health::report::What;
use firedoor::snapshot::Admission;
use serde_json::Value;

use crate::house::{House, Running, in_time, somebody};

async fn recording(outcomes: &str) -> House<Running> {
    let mut house = House::of_two_zones().await;
    house.more = format!("[journal]\noutcomes = '{outcomes}'\n");
    house.start().await
}

/// Until a component has been probed `times` more often.
async fn probed(house: &House<Running>, times: usize) {
    let newest = || {
        let report = house.handle.report();
        report.zones[0].components[0].outcomes.last().unwrap().0
    };
    for _ in 0..times {
        let before = newest();
        house
            .until("a newer outcome in the report", |_| newest() > before)
            .await;
    }
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn count(lines: &[Value], kind: &str) -> usize {
    lines.iter().filter(|line| line["kind"] == kind).count()
}

#[tokio::test]
async fn with_all_recorded_nothing_is_told_before_it_is_durable_and_the_journal_has_no_line_more() {
    let mut house = recording("all").await;
    let (journal, outcomes) = (
        house.state_dir().join("journal.jsonl"),
        house.state_dir().join("outcomes.jsonl"),
    );
    let mut entries = house.handle.entries();
    probed(&house, 5).await;
    house.origin(0).stop().await;
    loop {
        let entry = in_time("an entry", entries.recv()).await.unwrap();
        assert!(lines(&journal).contains(&entry.json), "{}", entry.json);
        if let What::Flip(_) = &entry.event.as_ref().unwrap().what {
            break;
        }
    }
    probed(&house, 5).await;
    let told = house.handle.journal(0, usize::MAX).await;
    let told: Vec<&Value> = told.iter().map(|entry| &entry.json).collect();
    assert_eq!(lines(&journal).iter().collect::<Vec<_>>(), told);
    let house = house.stop().await;
    let recorded = lines(&outcomes);
    assert_eq!(count(&recorded, "begin"), 1);
    assert!(count(&recorded, "outcome") > 20, "{recorded:#?}");
    assert!(count(&recorded, "tick") > 20);
    // What a restart needs of the journal is read from its end: no outcome may stand there.
    assert!(lines(&journal).iter().all(|line| line["number"].is_u64()));
    drop(house);
}

#[tokio::test]
async fn by_default_there_is_no_file_of_outcomes_and_with_changes_there_is_a_short_one() {
    let house = House::of_two_zones().await.start().await;
    probed(&house, 10).await;
    let house = house.stop().await;
    assert!(!house.state_dir().join("outcomes.jsonl").exists());

    let mut house = recording("changes").await;
    probed(&house, 20).await;
    house.origin(0).stop().await;
    house
        .until("the flip", |snapshot| snapshot.active == 1)
        .await;
    probed(&house, 10).await;
    let house = house.stop().await;
    let recorded = lines(&house.state_dir().join("outcomes.jsonl"));
    // Two first ones, and those that made one go down: two, or three if a probe was cut off.
    assert!(
        (4..=5).contains(&count(&recorded, "outcome")),
        "{recorded:#?}"
    );
    let mut outcomes = recorded.iter().filter(|line| line["kind"] == "outcome");
    let failed = outcomes.find(|line| line["code"] != "L7OK").unwrap();
    assert!(failed["left_out"].as_u64().unwrap() >= 19, "{failed}");
}

#[tokio::test]
async fn a_reload_begins_and_ends_a_recording() {
    let mut house = House::of_two_zones().await.start().await;
    for outcomes in ["all", "transitions"] {
        house.more = format!("[journal]\noutcomes = '{outcomes}'\n");
        house.handle.reconfigure(Arc::new(house.config())).await;
        probed(&house, 5).await;
    }
    let house = house.stop().await;
    let recorded = lines(&house.state_dir().join("outcomes.jsonl"));
    let (first, last) = (&recorded[0], &recorded[recorded.len() - 1]);
    assert_eq!(
        (&first["kind"], &first["why"]),
        (&"begin".into(), &"reload".into())
    );
    assert_eq!(last["kind"], "end");
    assert!(count(&recorded, "outcome") >= 5);
}

#[tokio::test]
async fn what_operators_write_stands_in_the_journal_only() {
    let words = || Some("Mrs Example is ill".to_owned());
    let house = recording("all").await;
    let pin = Command::Pin {
        zone: "fz-2".into(),
        reason: words(),
    };
    house.handle.command(pin, somebody(), None).await.unwrap();
    // A new process remembers why its zone is active.
    let house = house.stop().await.build().run();
    house
        .until("the second start", |snapshot| {
            snapshot.admission == Admission::Open
        })
        .await;
    let house = house.stop().await;
    let text = |name| fs::read_to_string(house.state_dir().join(name)).unwrap();
    assert!(text("journal.jsonl").contains("Mrs Example"));
    assert!(text("outcomes.jsonl").contains("\"command\":\"pin\""));
    assert!(!text("outcomes.jsonl").contains("Mrs Example"));
}

#[tokio::test]
async fn a_file_of_outcomes_that_can_not_be_written_is_told_and_stops_nothing() {
    let house = House::of_two_zones().await;
    let file = house.state_dir().join("outcomes.jsonl");
    fs::create_dir_all(&file).unwrap();
    let mut house = house;
    house.more = "[journal]\noutcomes = 'all'\n".to_owned();
    let mut house = house.start().await;
    let handle = house.handle.clone();
    house
        .until("it is told", |_| {
            let troubles = handle.troubles();
            troubles
                .iter()
                .any(|trouble| trouble.contains("outcomes for a replay can't be written"))
        })
        .await;
    let began = Instant::now();
    house.origin(0).stop().await;
    house.until_told(|entry| entry.json["kind"] == "flip").await;
    assert!(began.elapsed() < Duration::from_secs(10));
    fs::remove_dir(&file).unwrap();
    house
        .until("it is written again", |_| handle.troubles().is_empty())
        .await;
    let house = house.stop().await;
    let recorded = lines(&house.state_dir().join("outcomes.jsonl"));
    assert_eq!(recorded[0]["kind"], "begin", "nothing is missing");
}
