//! The decision as its shell sees it: probes, observations, commands and time go in, flips come out.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

#[path = "decision/capacity.rs"]
mod capacity;
#[path = "decision/drill.rs"]
mod drill;
#[path = "simulation/example.rs"]
mod example;
#[path = "decision/gray.rs"]
mod gray;
#[path = "decision/homes.rs"]
mod homes;
#[path = "decision/in_sight.rs"]
mod in_sight;
#[path = "decision/operators.rs"]
mod operators;
#[path = "decision/promotion.rs"]
mod promotion;
#[path = "decision/reload.rs"]
mod reload;
#[path = "decision/silence.rs"]
mod silence;
#[path = "decision/slow_start.rs"]
mod slow_start;
#[path = "simulation/stage.rs"]
mod stage;
#[path = "decision/suspicion.rs"]
mod suspicion;
#[path = "decision/swings.rs"]
mod swings;
#[path = "decision/trial.rs"]
mod trial;

use std::time::Duration;

use example::{check, config, failover, zone};
use firedoor::config::{Config, Failback, Failover, Gray, MinHealthy};
use firedoor::health::checker::{Accepted, Command, Refusal};
use firedoor::health::report::{Cause, What};
use firedoor::memory::Memory;
use firedoor::outcome::{Observation, Sign, Trouble};
use firedoor::snapshot::Admission;
use firedoor::zone::{Operator, Status, Verdict};
use stage::Stage;

const SECOND: Duration = Duration::from_secs(1);
const ALL: MinHealthy = MinHealthy::Percent(100.0);

fn build(names: &[&str], apps: &[&str], failover: Failover) -> Config {
    let zones: Vec<_> = names
        .iter()
        .map(|name| zone(name, apps, &["postgres"]))
        .collect();
    config(&zones, &[ALL], &check(2, 3), failover)
}

fn two_zones() -> Config {
    build(&["fz-1", "fz-2"], &["app-1", "app-2"], failover())
}

fn running(config: Config) -> Stage {
    let mut stage = Stage::new(config);
    stage.settle();
    assert_eq!(stage.checker.routing().admission, Admission::Open);
    stage
}

#[test]
fn any_failed_component_of_the_active_zone_flips_to_the_standby() {
    for component in ["fz-1:app-1", "fz-1:app-2", "fz-1:postgres"] {
        let mut stage = running(two_zones());
        assert_eq!(stage.active(), "fz-1");
        stage.break_(component);
        stage.settle();
        assert_eq!(stage.active(), "fz-2", "{component}");
        let flips = stage.flips();
        assert_eq!(flips.len(), 1);
        assert_eq!(
            (flips[0].cause, flips[0].epoch, flips[0].degraded),
            (Cause::Failover, 2, false)
        );
        let name = component.split_once(':').unwrap().1;
        assert!(
            flips[0].reasons[0].contains(&format!("{name} is down since")),
            "{:?}",
            flips[0]
        );
        assert_eq!(
            flips[0].detected_in,
            Duration::from_millis(50),
            "fall 2, confirmed after 50 ms"
        );
    }
}

#[test]
fn a_failed_component_of_the_standby_flips_nothing_and_is_told() {
    let mut stage = running(two_zones());
    stage.break_("fz-2:postgres");
    stage.settle();
    assert_eq!(stage.active(), "fz-1");
    assert_eq!(
        stage.count(|what| matches!(what, What::Standby { ready: false, .. })),
        1
    );
    stage.heal("fz-2:postgres");
    stage.settle();
    assert_eq!(
        stage.count(|what| matches!(what, What::Standby { ready: true, .. })),
        1
    );
    assert!(stage.flips().is_empty());
}

#[test]
fn all_first_probes_are_due_at_once_and_requests_wait_for_the_first_verdict() {
    let mut stage = Stage::new(two_zones());
    assert_eq!(stage.checker.routing().admission, Admission::Hold);
    assert_eq!(stage.checker.routing().epoch, 1);
    let probes = std::iter::from_fn(|| stage.checker.poll_probe()).count();
    assert_eq!(probes, 6);
    let mut stage = Stage::new(two_zones());
    stage.answer();
    assert_eq!(
        stage.checker.routing().admission,
        Admission::Open,
        "without any time passing"
    );
    assert!(stage.flips().is_empty());
}

#[test]
fn a_preferred_zone_that_is_down_at_the_start_is_left_without_min_stay() {
    let mut stage = Stage::new(two_zones());
    stage.break_("fz-1:app-1");
    stage.pass(SECOND);
    assert_eq!(stage.active(), "fz-2");
    assert_eq!(stage.checker.routing().admission, Admission::Open);
    assert_eq!(
        stage.count(|what| matches!(what, What::NowhereToGo { .. })),
        0
    );
}

#[test]
fn live_trouble_makes_the_flip_come_within_a_confirm_interval() {
    let mut stage = running(two_zones());
    stage.pass(Duration::from_millis(300));
    stage.break_("fz-1:app-1");
    let observation = Observation {
        component: stage.backend(0, 0).id,
        sign: Trouble::Connect.into(),
    };
    stage.checker.handle_observation(observation, stage.now);
    stage.pass(Duration::from_millis(50));
    assert_eq!(stage.active(), "fz-2");
    let hastened = |what: &What| {
        matches!(
            what,
            What::Transition {
                hastened_by: Some(Sign::Trouble(Trouble::Connect)),
                ..
            }
        )
    };
    assert_eq!(stage.count(hastened), 1);
}

#[test]
fn live_trouble_judges_nothing_itself() {
    let mut stage = running(two_zones());
    for _ in 0..1000 {
        let observation = Observation {
            component: stage.backend(0, 0).id,
            sign: Trouble::ResponseTimeout.into(),
        };
        stage.checker.handle_observation(observation, stage.now);
        stage.pass(Duration::from_millis(1));
    }
    assert_eq!(stage.active(), "fz-1");
    assert_eq!(stage.backend(0, 0).status, Status::Up);
}

#[test]
fn a_probe_that_never_comes_back_counts_as_a_fail_and_is_followed_by_another() {
    let mut stage = running(two_zones());
    let hung = stage.backend(0, 0).id;
    let end = stage.now.instant + SECOND * 20;
    while stage.now.instant < end {
        let next = stage.checker.poll_timeout().unwrap();
        stage.now = stage.now.after(next - stage.now.instant);
        stage.checker.handle_timeout(stage.now);
        while let Some(probe) = stage.checker.poll_probe() {
            if probe.component != hung {
                let (id, round) = (probe.component, probe.round);
                stage
                    .checker
                    .handle_outcome(id, round, example::pass(), stage.now);
            }
        }
    }
    assert_eq!(stage.active(), "fz-2");
    assert!(
        stage.reasons(0)[0].contains("never came back"),
        "{:?}",
        stage.reasons(0)
    );
}

#[test]
fn the_preferred_zone_gets_its_traffic_back_as_configured() {
    for (failback, expected) in [(Failback::Manual, "fz-2"), (Failback::Auto, "fz-1")] {
        let policy = Failover {
            failback,
            ..failover()
        };
        let mut stage = running(build(&["fz-1", "fz-2"], &["app"], policy));
        stage.break_("fz-1:app");
        stage.settle();
        stage.heal("fz-1:app");
        stage.pass(SECOND * 290);
        assert_eq!(stage.active(), "fz-2");
        // failback_after is 300 s, and the drain may take 30 s.
        stage.pass(SECOND * 60);
        assert_eq!(stage.active(), expected);
        let possible = stage.count(|what| matches!(what, What::FailbackPossible { .. }));
        assert_eq!(possible, usize::from(expected == "fz-2"));
        let begun = stage.count(|what| matches!(what, What::FlipBegun { .. }));
        assert_eq!(
            begun,
            usize::from(expected == "fz-1"),
            "a failback is planned"
        );
    }
}
