//! Slow start: who is fresh, and since when.

use std::time::Instant;

use super::*;

/// Two zones that serve with one of their two app servers.
fn tolerant(apps: &[&str]) -> Config {
    let zones = ["fz-1", "fz-2"].map(|name| zone(name, apps, &["postgres"]));
    config(&zones, &[MinHealthy::Count(1)], &check(2, 3), failover())
}

fn fresh(stage: &Stage, zone: usize) -> Vec<Option<Instant>> {
    let states = &stage.checker.routing().backends[zone];
    states.iter().map(|state| state.fresh_since).collect()
}

/// Down and up again.
fn bounce(stage: &mut Stage, component: &str) {
    stage.break_(component);
    stage.settle();
    stage.heal(component);
    stage.settle();
}

#[test]
fn nobody_is_fresh_at_the_start_of_a_process() {
    let mut stage = Stage::new(tolerant(&["app-1", "app-2"]));
    // The first one to pass makes its zone serve: the other one is not late.
    let probes: Vec<_> = std::iter::from_fn(|| stage.checker.poll_probe()).collect();
    for probe in probes {
        stage.now = stage.now.after(Duration::from_millis(20));
        stage
            .checker
            .handle_outcome(probe.component, probe.round, example::pass(), stage.now);
    }
    assert_eq!(stage.verdict(0), Verdict::Serving);
    assert_eq!(fresh(&stage, 0), [None, None]);
    stage.restart(tolerant(&["app-1", "app-2"]));
    stage.settle();
    assert_eq!(fresh(&stage, 0), [None, None]);
}

#[test]
fn who_comes_up_in_the_active_zone_is_fresh_from_then_on() {
    let mut stage = running(tolerant(&["app-1", "app-2"]));
    let before = stage.now.instant;
    bounce(&mut stage, "fz-1:app-2");
    let [None, Some(since)] = fresh(&stage, 0)[..] else {
        panic!("{:?}", fresh(&stage, 0));
    };
    assert!(since > before && since <= stage.now.instant);
    // Time alone changes nothing: there is nothing to publish.
    let routing = stage.checker.routing();
    stage.pass(SECOND * 600);
    assert_eq!(stage.checker.routing(), routing);
    // Gone again, and back: fresh again, later.
    bounce(&mut stage, "fz-1:app-2");
    assert!(fresh(&stage, 0)[1] > Some(since));
    assert_eq!(stage.flips().len(), 0);
}

#[test]
fn who_was_down_at_the_start_is_fresh_when_it_comes_up() {
    let mut stage = Stage::new(tolerant(&["app-1", "app-2"]));
    stage.break_("fz-1:app-2");
    stage.settle();
    stage.heal("fz-1:app-2");
    stage.settle();
    assert!(matches!(fresh(&stage, 0)[..], [None, Some(_)]));
}

#[test]
fn who_joins_by_a_reload_is_fresh_and_who_was_there_is_not() {
    let mut stage = running(tolerant(&["app-1"]));
    stage.reload(tolerant(&["app-1", "app-2"]));
    stage.settle();
    assert!(matches!(fresh(&stage, 0)[..], [None, Some(_)]));
    // A reload that changes nothing of it keeps that.
    let before = fresh(&stage, 0);
    stage.reload(tolerant(&["app-1", "app-2", "app-3"]));
    stage.settle();
    assert_eq!(fresh(&stage, 0)[..2], before);
    assert!(fresh(&stage, 0)[2] > before[1]);
}

#[test]
fn who_returns_from_drain_maintenance_or_a_gray_time_is_fresh() {
    for state in [Operator::Drain, Operator::Maintenance] {
        let mut stage = running(two_zones());
        stage.set("fz-1:app-1", state);
        stage.settle();
        assert_eq!(fresh(&stage, 0), [None, None], "{state}");
        stage.set("fz-1:app-1", Operator::Ready);
        assert_eq!(fresh(&stage, 0), [Some(stage.now.instant), None], "{state}");
    }
    // Also if an earlier process was told so.
    let mut stage = running(two_zones());
    stage.set("fz-1:app-1", Operator::Drain);
    stage.restart(two_zones());
    stage.settle();
    stage.set("fz-1:app-1", Operator::Ready);
    assert_eq!(fresh(&stage, 0), [Some(stage.now.instant), None]);

    let mut stage = running(two_zones());
    stage.tally(0, 1, 100, 0);
    stage.tally(0, 0, 100, 100);
    assert!(stage.backend(0, 0).gray);
    stage.pass(SECOND * 15);
    assert!(!stage.backend(0, 0).gray);
    assert!(matches!(fresh(&stage, 0)[..], [Some(_), None]));
}

#[test]
fn nobody_is_fresh_in_a_standby_nor_after_a_flip_into_it() {
    let mut stage = running(tolerant(&["app-1", "app-2"]));
    bounce(&mut stage, "fz-2:app-2");
    bounce(&mut stage, "fz-1:app-1");
    assert!(matches!(fresh(&stage, 0)[..], [Some(_), None]));
    assert_eq!(fresh(&stage, 1), [None, None]);
    stage.activate("fz-2", false).unwrap();
    assert_eq!(fresh(&stage, 0), [None, None]);
    assert_eq!(fresh(&stage, 1), [None, None]);
    stage.settle();
    stage.activate("fz-1", false).unwrap();
    assert_eq!(fresh(&stage, 0), [None, None]);
    bounce(&mut stage, "fz-1:app-1");
    assert!(matches!(fresh(&stage, 0)[..], [Some(_), None]));
}

#[test]
fn a_pool_that_comes_back_as_a_whole_is_equally_fresh() {
    let mut stage = running(build(&["fz-1"], &["app-1", "app-2"], failover()));
    for app in ["fz-1:app-1", "fz-1:app-2"] {
        stage.break_(app);
    }
    stage.settle();
    for app in ["fz-1:app-1", "fz-1:app-2"] {
        stage.heal(app);
    }
    stage.settle();
    let [Some(one), Some(two)] = fresh(&stage, 0)[..] else {
        panic!("{:?}", fresh(&stage, 0));
    };
    assert!(one.max(two) - one.min(two) < SECOND, "{one:?} {two:?}");
}
