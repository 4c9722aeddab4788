//! The monitor with real sockets, a real disk and tiny origins: what it publishes, in which order, and what survives.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "monitor/house.rs"]
mod house;
#[path = "monitor/recording.rs"]
mod recording;

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firedoor::health::checker::{Command, Refusal};
use firedoor::health::monitor::Done;
use firedoor::health::report::{Report, What};
use firedoor::outcome::{CheckCode, Ending, Observation, Trouble};
use firedoor::snapshot::Admission;
use firedoor::zone::{Operator, Status, Verdict};
use house::{House, Origin, PATIENCE, activate, in_time, somebody};
use jiff::Timestamp;
use serde_json::Value;

#[tokio::test]
async fn a_stopped_backend_flips_its_zone_and_nothing_is_told_before_it_is_durable() {
    let mut house = House::of_two_zones().await.start().await;
    let state = house.state_dir().join("state.json");
    let journal = house.state_dir().join("journal.jsonl");
    let mut snapshots = house.snapshot.clone();
    let mut entries = house.handle.entries();
    let before = house.snapshot.current();
    assert_eq!((before.active, before.admission), (0, Admission::Open));

    // Memory before snapshot: looked at by a thread of its own, the moment that the new epoch is published.
    let stored = tokio::spawn(async move {
        loop {
            snapshots.changed().await.unwrap();
            let now = snapshots.current();
            if now.epoch > before.epoch {
                let state: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
                return (now, state);
            }
        }
    });
    house.origin(0).stop().await;
    let (flipped, state) = in_time("the flip", stored).await.unwrap();
    assert_eq!(flipped.active, 1);
    assert_eq!(state["epoch"], flipped.epoch);
    assert_eq!(state["active"], "fz-2");

    // Snapshot before announcement, journal before announcement.
    let mut kinds = Vec::new();
    loop {
        let entry = in_time("an entry", entries.recv()).await.unwrap();
        let text = fs::read_to_string(&journal).unwrap();
        let line = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert!(
            line.into_iter().any(|line| line == entry.json),
            "{}",
            entry.json
        );
        kinds.push(entry.json["kind"].as_str().unwrap().to_owned());
        if let What::Flip(flip) = &entry.event.as_ref().unwrap().what {
            assert_eq!((&*flip.from, &*flip.to), ("fz-1", "fz-2"));
            assert!(house.snapshot.current().epoch >= flip.epoch);
            break;
        }
    }
    assert!(
        kinds.ends_with(&["transition", "verdict", "flip"].map(String::from)),
        "{kinds:?}"
    );
    let told = house.handle.journal(0, usize::MAX).await;
    assert!(
        told.windows(2)
            .all(|pair| pair[0].number + 1 == pair[1].number)
    );
    assert_eq!(house.handle.journal(1, 1).await[0].number, 2);
}

#[tokio::test]
async fn nothing_changes_nothing_is_published_and_probes_go_on() {
    let house = House::of_two_zones().await.start().await;
    let generation = house.snapshot.current().generation;
    let newest = || {
        house.handle.report().zones[0].components[0]
            .outcomes
            .last()
            .unwrap()
            .0
    };
    for _ in 0..3 {
        let before = newest();
        house
            .until("a newer outcome in the report", |_| newest() > before)
            .await;
    }
    assert_eq!(house.snapshot.current().generation, generation);
}

#[tokio::test]
async fn live_trouble_hastens_the_probes() {
    let mut house = House::of_two_zones().await;
    house.check = "interval = '10m'\ntimeout = '5s'\nconfirm_interval = '20ms'\nfall = 2".into();
    let mut house = house.start().await;
    house.origin(0).stop().await;
    let component = house.snapshot.current().zones[0].backends[0].id;
    let sign = Trouble::Connect.into();
    let observation = Observation { component, sign };
    house.observations.send(observation).await.unwrap();
    house
        .until("the flip", |snapshot| snapshot.active == 1)
        .await;
    let down = house.until_told(|entry| entry.json["to"] == "down").await;
    assert_eq!(down.json["hastened_by"], "connection refused");
}

#[tokio::test]
async fn a_planned_flip_holds_new_requests_and_waits_for_the_running_ones() {
    let house = House::of_two_zones().await.start().await;
    let before = house.snapshot.current();
    let load = Arc::clone(&before.zones[0].backends[0].load);
    load.enter(1);
    let handle = house.handle.clone();
    let asked = tokio::spawn(async move {
        handle
            .command(activate("fz-2", true), somebody(), None)
            .await
    });
    let held = house
        .until("the hold", |snapshot| snapshot.admission == Admission::Hold)
        .await;
    assert_eq!((held.active, held.epoch), (0, before.epoch));
    // The drain has been looked at many times by now, if it is looked at.
    let mark = Instant::now();
    house
        .until("some time", |_| mark.elapsed() > Duration::from_millis(60))
        .await;
    assert!(!asked.is_finished());
    assert_eq!(house.snapshot.current().active, 0);

    load.leave(1);
    let done = in_time("the answer", asked).await.unwrap().unwrap();
    let after = house.snapshot.current();
    assert_eq!((after.active, after.admission), (1, Admission::Open));
    assert_eq!((done.epoch, &*done.active), (before.epoch + 1, "fz-2"));
    assert!(
        done.message.contains("FLIP fz-1 → fz-2"),
        "{}",
        done.message
    );
    // Answered means journaled.
    let last = house.handle.journal(0, usize::MAX).await.pop().unwrap();
    assert_eq!(last.json["epoch"], done.epoch);
}

#[tokio::test]
async fn a_planned_flip_is_given_up_when_its_target_fails_during_the_drain() {
    let mut house = House::of_two_zones().await.start().await;
    let before = house.snapshot.current();
    before.zones[0].backends[0].load.enter(0);
    let handle = house.handle.clone();
    let asked = tokio::spawn(async move {
        handle
            .command(activate("fz-2", true), somebody(), None)
            .await
    });
    house
        .until("the hold", |snapshot| snapshot.admission == Admission::Hold)
        .await;
    house.origin(1).stop().await;
    let refused = in_time("the answer", asked).await.unwrap().unwrap_err();
    let words = refused.to_string();
    assert!(matches!(refused, Refusal::GivenUp(zone, _) if zone == "fz-2"));
    assert!(words.contains("fz-2 has failed meanwhile"), "{words}");
    let after = house.snapshot.current();
    assert_eq!((after.active, after.epoch), (0, before.epoch));
    assert_eq!(after.admission, Admission::Open);
}

#[tokio::test]
async fn the_active_zone_the_epoch_and_a_pin_survive_a_restart() {
    let house = House::of_two_zones().await.start().await;
    let pin = Command::Pin {
        zone: "fz-2".into(),
        reason: Some("database work".into()),
    };
    let Done { epoch, .. } = house.handle.command(pin, somebody(), None).await.unwrap();
    let number = house
        .handle
        .journal(0, usize::MAX)
        .await
        .pop()
        .unwrap()
        .number;
    let house = house.stop().await.build();
    let first = house.snapshot.current();
    assert_eq!((first.active, first.epoch), (1, epoch));
    assert_eq!(
        first.admission,
        Admission::Hold,
        "nothing is known of the backends yet"
    );
    assert_eq!(house.handle.report().pinned.as_deref(), Some("fz-2"));
    let house = house.run();
    house
        .until("the second start", |snapshot| {
            snapshot.admission == Admission::Open
        })
        .await;
    house
        .until_told(|entry| entry.number > number && entry.event.is_some())
        .await;
    let numbers = house.handle.journal(0, usize::MAX).await;
    assert!(
        numbers
            .windows(2)
            .all(|pair| pair[0].number + 1 == pair[1].number)
    );
}

#[tokio::test]
async fn the_epoch_never_goes_back_though_the_state_file_is_destroyed() {
    let house = House::of_two_zones().await.start().await;
    let done = house
        .handle
        .command(activate("fz-2", false), somebody(), None)
        .await
        .unwrap();
    let house = house.stop().await;
    fs::write(house.state_dir().join("state.json"), "{\"epoch\":").unwrap();
    let house = house.build();
    let first = house.snapshot.current();
    assert_eq!((first.active, first.epoch), (1, done.epoch));
    assert!(house.state_dir().join("state.json.broken").exists());
}

#[tokio::test]
async fn pins_and_operator_states_outlive_the_state_file() {
    let house = House::of_two_zones().await.start().await;
    let component = house.handle.report().zones[1].components[0].key.clone();
    let state = |state| Command::Operator {
        component: component.clone(),
        state,
        reason: None,
    };
    let pin = |zone: &str| Command::Pin {
        zone: zone.into(),
        reason: None,
    };
    let order = async |house: &House<house::Running>, command| {
        let done = house.handle.command(command, somebody(), None).await;
        done.unwrap();
    };
    let kept = |report: Arc<Report>| {
        let mut all = report.zones.iter().flat_map(|zone| &zone.components);
        let one = all.find(|one| one.key == component).unwrap();
        (report.pinned.clone(), one.operator)
    };
    order(&house, pin("fz-1")).await;
    order(&house, state(Operator::Maintenance)).await;
    let house = house.stop().await;
    fs::remove_file(house.state_dir().join("state.json")).unwrap();
    let house = house.build();
    let pinned = Some("fz-1".into());
    assert_eq!(kept(house.handle.report()), (pinned, Operator::Maintenance));
    let house = house.run();

    // What was taken back doesn't come back.
    let unpin = Command::Unpin {
        zone: "fz-1".into(),
        reason: None,
    };
    order(&house, unpin).await;
    order(&house, state(Operator::Ready)).await;
    let house = house.stop().await;
    fs::write(house.state_dir().join("state.json"), "nonsense").unwrap();
    let house = house.build();
    assert_eq!(kept(house.handle.report()), (None, Operator::Ready));
}

#[tokio::test]
async fn a_disk_that_hangs_delays_what_is_told_and_does_not_stop_a_flip() {
    let mut house = House::of_two_zones().await.start().await;
    let _disk = HangingDisk::under(&house.state_dir().join("state.json.new"));
    house.origin(0).stop().await;
    house
        .until("the flip", |snapshot| snapshot.active == 1)
        .await;
    let flip = house.until_told(|entry| entry.json["kind"] == "flip").await;
    let decided = flip.event.as_ref().unwrap().at;
    let told_after = Timestamp::now().duration_since(decided);
    assert!(
        told_after.as_secs() >= 1,
        "told after {told_after:?}, though nothing was durable"
    );
}

#[tokio::test]
async fn a_directory_that_can_not_be_used_does_not_keep_the_proxy_from_working() {
    let house = House::of_two_zones().await;
    fs::write(house.state_dir(), "a file where the directory should be").unwrap();
    let mut house = house.start().await;
    house.origin(0).stop().await;
    house
        .until("the flip", |snapshot| snapshot.active == 1)
        .await;
    house.until_told(|entry| entry.json["kind"] == "flip").await;
}

#[tokio::test]
async fn a_name_is_resolved_and_one_that_does_not_exist_blocks_nothing() {
    let mut house = House::of_two_zones().await;
    let by_name = Origin::start_at("localhost:0").await;
    let port = by_name.address().port();
    house.more = format!(
        "[[zone]]\nname = 'fz-3'\nbackend = [{{ address = 'localhost:{port}' }}]\n\
         [[zone]]\nname = 'fz-4'\nbackend = [{{ address = 'no-such-name.invalid:80' }}]\n"
    );
    house.origins.push(by_name);
    let before = Instant::now();
    let house = house.build();
    assert!(before.elapsed() < PATIENCE);
    let first = house.snapshot.current();
    assert_eq!(first.zones[2].backends[0].address, None);
    let house = house.run();
    let found = house
        .until("both names", |snapshot| {
            snapshot.zones[2].verdict == Verdict::Serving
                && snapshot.zones[3].verdict == Verdict::Failed
        })
        .await;
    let address = house.origins[2].address();
    assert_eq!(found.zones[2].backends[0].address, Some(address));
    assert_eq!(found.zones[2].backends[0].status, Status::Up);
    assert_eq!(found.zones[3].backends[0].address, None);
    let down = house.until_told(|entry| entry.json["to"] == "down").await;
    assert_eq!(down.json["evidence"][0]["code"], CheckCode::L4Con.as_str());
    let detail = down.json["evidence"][0]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("name \"no-such-name.invalid\" does not resolve: "),
        "{detail}"
    );
}

#[tokio::test]
async fn a_reload_publishes_the_new_backends_and_keeps_what_is_known_of_the_old_ones() {
    let mut house = House::of_two_zones().await.start().await;
    let before = house.snapshot.current();
    before.zones[0].backends[0].load.enter(0);
    let added = Origin::start().await;
    house.more = format!(
        "[[zone]]\nname = 'fz-3'\nbackend = [{{ address = '{}' }}]\n",
        added.address()
    );
    house.origins.push(added);
    let generation = house.handle.reconfigure(Arc::new(house.config())).await;
    let after = house.snapshot.current();
    assert_eq!(generation, before.config_generation + 1);
    assert_eq!(after.config_generation, generation);
    assert_eq!(after.zones.len(), 3);
    let (old, new) = (&before.zones[0].backends[0], &after.zones[0].backends[0]);
    assert_eq!((new.id, new.status), (old.id, Status::Up));
    assert!(Arc::ptr_eq(&new.load, &old.load));
    house
        .until("the new backend", |snapshot| {
            snapshot
                .zones
                .get(2)
                .is_some_and(|zone| zone.verdict == Verdict::Serving)
        })
        .await;
}

#[tokio::test]
async fn what_the_workers_count_takes_a_gray_backend_out_of_picking() {
    let mut house = House::of_two_zones().await;
    let pair = [Origin::start().await, Origin::start().await];
    let [good, bad] = [&pair[0], &pair[1]].map(Origin::address);
    house.more = format!(
        "[[zone]]\nname = 'fz-3'\nbackend = [{{ address = '{good}' }}, {{ address = '{bad}' }}]\n"
    );
    house.origins.extend(pair);
    let house = house.start().await;
    let before = house.snapshot.current();
    for _ in 0..50 {
        before.zones[2].backends[0]
            .load
            .count(0, Ending::Well, false);
        before.zones[2].backends[1]
            .load
            .count(1, Ending::Broken, false);
    }
    let after = house
        .until("the gray backend", |snapshot| {
            snapshot.zones[2].backends[1].gray
        })
        .await;
    assert!(!after.zones[2].backends[0].gray);
    assert_eq!(after.zones[2].backends[1].status, Status::Up);
    let told = house.until_told(|entry| entry.json["kind"] == "gray").await;
    assert_eq!(told.json["component"], format!("fz-3:{bad}"));
}

#[tokio::test]
async fn who_asks_a_monitor_that_has_ended_is_told_so() {
    let house = House::of_two_zones().await.start().await;
    let handle = house.handle.clone();
    let house = house.stop().await;
    let refused = handle
        .command(activate("fz-2", false), somebody(), None)
        .await;
    assert_eq!(refused, Err(Refusal::Stopping));
    assert_eq!(handle.reconfigure(Arc::new(house.config())).await, 1);
    assert!(handle.journal(0, 1).await.is_empty());
}

/// A FIFO in a file's place: opening it for writing waits until somebody reads.
struct HangingDisk(PathBuf);

impl HangingDisk {
    fn under(file: &Path) -> Self {
        let _ = fs::remove_file(file);
        let made = Program::new("mkfifo").arg(file).status().unwrap();
        assert!(made.success());
        Self(file.to_owned())
    }
}

impl Drop for HangingDisk {
    /// Lets the writer go on, which would otherwise keep the test's runtime from ending.
    fn drop(&mut self) {
        let _ = OpenOptions::new().read(true).write(true).open(&self.0);
        let _ = fs::remove_file(&self.0);
    }
}
