//! Drills: how they begin, and each way in which they end.

use firedoor::health::report::{DrillOutcome, DrillReport};

use super::*;

const TEN_MINUTES: Duration = Duration::from_secs(600);

fn drill(stage: &mut Stage, zone: &str) -> Result<Accepted, Refusal> {
    stage.command(Command::Drill {
        zone: zone.to_owned(),
        length: TEN_MINUTES,
        reason: Some("the yearly one".to_owned()),
    })
}

/// A drill of fz-1 whose traffic is in fz-2.
fn away() -> Stage {
    let mut stage = running(two_zones());
    assert_eq!(drill(&mut stage, "fz-1"), Ok(Accepted::FlipBegun(1)));
    drained(&mut stage);
    assert_eq!(stage.active(), "fz-2");
    stage
}

fn drained(stage: &mut Stage) {
    stage.checker.handle_drained(stage.now);
    stage.answer();
}

fn reports(stage: &Stage) -> Vec<&DrillReport> {
    let reports = stage.events.iter().filter_map(|event| match &event.what {
        What::DrillEnded(report) => Some(report),
        _ => None,
    });
    reports.collect()
}

#[track_caller]
fn assert_ended(stage: &Stage, outcome: DrillOutcome, words: &str) {
    let reports = reports(stage);
    assert_eq!(reports.len(), 1, "{reports:#?}");
    assert_eq!(reports[0].outcome, outcome, "{}", reports[0]);
    assert!(reports[0].explanation.contains(words), "{}", reports[0]);
    assert_eq!(stage.checker.report(stage.now).drill, None);
    assert_eq!(stage.checker.memory().drill, None);
}

#[test]
fn a_drill_returns_by_itself_when_its_time_is_over() {
    let mut stage = away();
    stage.pass(TEN_MINUTES - SECOND);
    assert_eq!(stage.active(), "fz-2");
    assert_eq!(reports(&stage).len(), 0);
    stage.pass(SECOND);
    assert!(stage.checker.is_flipping(), "the way back is planned too");
    stage.pass(SECOND * 2);
    drained(&mut stage);
    assert_eq!(stage.active(), "fz-1");
    assert_ended(&stage, DrillOutcome::Returned, "600s");
    let report = reports(&stage)[0];
    assert_eq!(report.lasted, TEN_MINUTES + SECOND * 2);
    assert_eq!(report.held_for, (Duration::ZERO, SECOND * 2));
    let causes: Vec<Cause> = stage.flips().iter().map(|flip| flip.cause).collect();
    assert_eq!(causes, [Cause::Drill, Cause::Drill]);
    assert_eq!(
        stage.checker.report(stage.now).flips_left,
        12,
        "drills take nothing from the budget"
    );
}

#[test]
fn an_end_that_waits_for_another_flip_keeps_nobody_busy() {
    let mut stage = away();
    stage.pass(TEN_MINUTES - SECOND);
    assert_eq!(stage.activate("fz-1", true), Ok(Accepted::FlipBegun(0)));
    stage.now = stage.now.after(SECOND * 2);
    stage.checker.handle_timeout(stage.now);
    stage.answer();
    assert!(stage.checker.is_flipping());
    assert!(stage.checker.poll_timeout().unwrap() > stage.now.instant);
}

#[test]
fn a_drill_is_aborted_when_requests_fail_more_often_than_before() {
    let mut stage = running(two_zones());
    for _ in 0..30 {
        stage.tally(0, 0, 100, 2);
        stage.pass(SECOND);
    }
    drill(&mut stage, "fz-1").unwrap();
    drained(&mut stage);
    for _ in 0..20 {
        stage.tally(1, 0, 100, 5);
        stage.pass(SECOND);
    }
    assert!(!stage.checker.is_flipping(), "little more than before");
    for _ in 0..10 {
        stage.tally(1, 0, 100, 50);
        stage.pass(SECOND);
    }
    drained(&mut stage);
    assert_eq!(stage.active(), "fz-1");
    assert_ended(&stage, DrillOutcome::Aborted, "requests failed");
    let report = reports(&stage)[0];
    assert_eq!((report.before.requests, report.before.failures), (3000, 60));
    assert!(report.during.requests >= 2100, "{report}");
}

#[test]
fn a_drill_is_aborted_when_the_other_zone_fails() {
    let mut stage = away();
    stage.break_("fz-2:postgres");
    stage.pass(SECOND * 3);
    assert_eq!(stage.active(), "fz-1");
    assert_ended(&stage, DrillOutcome::Aborted, "fz-2 has failed");
    let flips = stage.flips();
    assert_eq!(flips.last().unwrap().cause, Cause::Drill, "{flips:#?}");
}

#[test]
fn an_operator_may_abort_a_drill_in_every_phase() {
    let abort = || Command::AbortDrill { reason: None };
    let mut stage = running(two_zones());
    assert!(matches!(stage.command(abort()), Err(Refusal::NoDrill(_))));
    drill(&mut stage, "fz-1").unwrap();
    assert_eq!(stage.command(abort()), Ok(Accepted::Now));
    assert_eq!(stage.active(), "fz-1");
    assert!(!stage.checker.is_flipping());
    assert_ended(&stage, DrillOutcome::NotBegun, "an operator aborted it");

    let mut stage = away();
    assert_eq!(stage.command(abort()), Ok(Accepted::FlipBegun(0)));
    assert_eq!(stage.command(abort()), Ok(Accepted::FlipBegun(0)), "twice");
    drained(&mut stage);
    assert_eq!(stage.active(), "fz-1");
    assert_ended(&stage, DrillOutcome::Aborted, "an operator aborted it");
}

#[test]
fn a_drill_that_cannot_return_ends_where_it_is() {
    let mut stage = away();
    stage.break_("fz-1:postgres");
    stage.pass(TEN_MINUTES);
    assert_eq!(stage.active(), "fz-2");
    assert_ended(&stage, DrillOutcome::CutShort, "can't return");
    stage.heal("fz-1:postgres");
    stage.pass(TEN_MINUTES);
    assert_eq!(stage.active(), "fz-2", "failback is manual");
}

#[test]
fn whatever_else_moves_the_traffic_ends_the_drill() {
    let mut stage = away();
    stage.activate("fz-1", false).unwrap();
    assert_ended(&stage, DrillOutcome::CutShort, "another flip");
    stage.pass(TEN_MINUTES);
    assert_eq!(stage.flips().len(), 2);

    let mut stage = away();
    let zone = "fz-2".to_owned();
    let reason = None;
    stage.command(Command::Pin { zone, reason }).unwrap();
    assert_ended(&stage, DrillOutcome::CutShort, "pinned");
    stage.pass(TEN_MINUTES * 2);
    assert_eq!(stage.active(), "fz-2");

    let mut stage = away();
    stage.reload(build(&["fz-2", "fz-3"], &["app-1", "app-2"], failover()));
    stage.pass(TEN_MINUTES);
    assert_eq!(stage.active(), "fz-2");
    assert_ended(&stage, DrillOutcome::CutShort, "no longer configured");
}

#[test]
fn a_drill_is_refused_where_it_would_prove_nothing_or_have_no_way_back() {
    let refused = |stage: &mut Stage, zone: &str| drill(stage, zone).unwrap_err().to_string();
    let mut stage = running(two_zones());
    let why = refused(&mut stage, "fz-2");
    assert!(why.contains("isn't active"), "{why}");
    assert!(matches!(
        drill(&mut stage, "fz-9"),
        Err(Refusal::UnknownZone(..))
    ));

    stage.activate("fz-2", true).unwrap();
    assert!(matches!(
        drill(&mut stage, "fz-1"),
        Err(Refusal::FlipPending(_))
    ));

    let mut stage = away();
    let why = refused(&mut stage, "fz-2");
    assert!(why.contains("under way"), "{why}");

    let mut stage = running(two_zones());
    stage.break_("fz-2:postgres");
    stage.settle();
    let why = refused(&mut stage, "fz-1");
    assert!(why.contains("fz-2 has failed"), "{why}");

    let mut stage = running(two_zones());
    let zone = "fz-1".to_owned();
    let reason = None;
    stage.command(Command::Pin { zone, reason }).unwrap();
    assert!(matches!(
        drill(&mut stage, "fz-1"),
        Err(Refusal::PinnedElsewhere(_))
    ));

    let mut stage = running(two_zones());
    for component in ["fz-1:postgres", "fz-2:postgres"] {
        stage.break_(component);
    }
    stage.settle();
    let why = refused(&mut stage, "fz-1");
    assert!(why.contains("could not return"), "{why}");
    assert_eq!(reports(&stage).len(), 0);
}

#[test]
fn a_drill_goes_on_after_a_restart_and_returns_in_time() {
    let mut stage = away();
    stage.tally(1, 0, 100, 1);
    stage.pass(TEN_MINUTES / 2);
    stage.restart(two_zones());
    stage.pass(TEN_MINUTES / 2 - SECOND);
    assert_eq!(stage.active(), "fz-2");
    stage.pass(SECOND);
    drained(&mut stage);
    assert_eq!(stage.active(), "fz-1");
    assert_ended(&stage, DrillOutcome::Returned, "600s");
    assert_eq!(reports(&stage)[0].during.requests, 100);
}

#[test]
fn a_drill_whose_time_was_over_during_a_restart_returns_as_soon_as_home_is_judged() {
    let stage = away();
    let memory = stage.checker.memory();
    let mut stage = Stage::remembering(two_zones(), memory);
    // The stage's clock begins anew; this one is as late as it gets.
    stage.pass(TEN_MINUTES * 2);
    drained(&mut stage);
    assert_eq!(stage.active(), "fz-1");
    assert_ended(&stage, DrillOutcome::Returned, "600s");
}

#[test]
fn a_restart_on_the_way_out_ends_the_drill() {
    let mut stage = running(two_zones());
    drill(&mut stage, "fz-1").unwrap();
    stage.restart(two_zones());
    assert_eq!(stage.active(), "fz-1");
    assert_ended(&stage, DrillOutcome::NotBegun, "restarted");
}

#[test]
fn automatic_failback_leaves_the_return_to_the_drill() {
    let auto = Failover {
        failback: Failback::Auto,
        failback_after: SECOND * 5,
        ..failover()
    };
    let mut stage = running(build(&["fz-1", "fz-2"], &["app-1"], auto));
    drill(&mut stage, "fz-1").unwrap();
    drained(&mut stage);
    stage.pass(TEN_MINUTES - SECOND);
    assert_eq!(stage.active(), "fz-2");
    assert_eq!(stage.flips().len(), 1);
}
