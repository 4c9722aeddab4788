//! Which zone a flip in sight would make active: where connections are opened ahead.

use super::*;

#[test]
fn the_standby_is_next_as_soon_as_a_check_of_the_active_zone_has_failed() {
    let mut stage = running(two_zones());
    assert_eq!(stage.checker.routing().next, None);
    stage.break_("fz-1:postgres");
    let flips = stage.flips().len();
    while stage.checker.routing().next.is_none() {
        let wait = stage.checker.poll_timeout().unwrap() - stage.now.instant;
        stage.pass(wait);
    }
    assert_eq!(stage.checker.routing().next, Some(1));
    assert_eq!(
        (stage.active().as_str(), stage.flips().len()),
        ("fz-1", flips),
        "ahead of the flip, not with it"
    );
    stage.settle();
    assert_eq!(stage.active(), "fz-2");
    assert_eq!(stage.checker.routing().next, None, "nothing ails fz-2");
}

#[test]
fn a_doubt_that_is_refuted_is_no_flip_in_sight_any_more() {
    let mut stage = running(two_zones());
    stage.break_("fz-1:app-1");
    while stage.checker.routing().next.is_none() {
        let wait = stage.checker.poll_timeout().unwrap() - stage.now.instant;
        stage.pass(wait);
    }
    stage.heal("fz-1:app-1");
    stage.settle();
    assert_eq!(stage.active(), "fz-1");
    assert_eq!(stage.checker.routing().next, None);
}

#[test]
fn a_planned_flip_says_where_it_goes_and_a_pin_where_it_does_not() {
    let config = build(&["fz-1", "fz-2", "fz-3"], &["app-1"], failover());
    let mut stage = running(config);
    stage.activate("fz-3", true).unwrap();
    assert_eq!(stage.checker.routing().next, Some(2));

    let mut stage = running(two_zones());
    let pin = Command::Pin {
        zone: "fz-1".to_owned(),
        reason: None,
    };
    stage.command(pin).unwrap();
    stage.break_("fz-1:postgres");
    stage.settle();
    assert_eq!(stage.verdict(0), Verdict::Failed);
    assert_eq!(stage.checker.routing().next, None);
}
