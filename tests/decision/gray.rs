//! Gray failures: passes its checks, fails live requests.

use super::*;

#[test]
fn a_gray_backend_leaves_picking_and_gets_another_chance() {
    let mut stage = running(two_zones());
    stage.tally(0, 1, 100, 0);
    stage.tally(0, 0, 5, 5);
    assert!(!stage.backend(0, 0).gray, "five requests say nothing");
    stage.tally(0, 0, 1, 1);
    assert!(stage.backend(0, 0).gray);
    assert_eq!(
        (stage.active().as_str(), stage.verdict(0)),
        ("fz-1", Verdict::Serving)
    );
    stage.pass(SECOND * 10);
    assert!(!stage.backend(0, 0).gray);
    // The second time in a row takes twice as long.
    stage.tally(0, 1, 100, 0);
    stage.tally(0, 0, 100, 90);
    stage.pass(SECOND * 19);
    assert!(stage.backend(0, 0).gray);
    stage.pass(SECOND * 2);
    assert!(!stage.backend(0, 0).gray);
    assert_eq!(
        stage.count(|what| matches!(what, What::Gray { gray: true, .. })),
        2
    );
    assert_eq!(
        stage.count(|what| matches!(what, What::Gray { gray: false, .. })),
        2
    );
}

#[test]
fn a_pool_that_cuts_every_answer_is_left_after_a_few_of_them_however_well_it_did_before() {
    let policy = Failover {
        gray: Gray::FailZone,
        ..failover()
    };
    let mut stage = running(build(&["fz-1", "fz-2"], &["app-1", "app-2"], policy));
    for _ in 0..30 {
        for slot in 0..2 {
            stage.tally(0, slot, 3, 0);
        }
        stage.pass(SECOND / 10);
    }
    let mut failed = 0;
    while stage.active() == "fz-1" {
        for slot in 0..2 {
            stage.tally(0, slot, 3, 3);
            failed += 3;
        }
        stage.pass(SECOND / 10);
        assert!(failed < 30, "{failed} failed, and the zone isn't left");
    }
}

#[test]
fn a_pool_whose_backends_turn_bad_one_after_the_other_is_left_too() {
    let policy = Failover {
        gray: Gray::FailZone,
        ..failover()
    };
    let mut stage = running(build(&["fz-1", "fz-2"], &["app-1", "app-2"], policy));
    for _ in 0..30 {
        for slot in 0..2 {
            stage.tally(0, slot, 3, 0);
        }
        stage.pass(SECOND / 10);
    }
    stage.tally(0, 0, 6, 6);
    assert!(
        !stage.backend(0, 0).gray,
        "nothing is known of its sibling meanwhile"
    );
    stage.tally(0, 1, 1, 0);
    stage.pass(SECOND / 10);
    stage.tally(0, 0, 1, 1);
    assert!(stage.backend(0, 0).gray);
    let mut failed = 0;
    while stage.active() == "fz-1" {
        stage.tally(0, 1, 6, 6);
        failed += 6;
        stage.pass(SECOND / 10);
        assert!(failed < 30, "{failed} failed, and the zone isn't left");
    }
}

#[test]
fn failures_that_the_whole_pool_shares_make_nobody_gray() {
    let mut stage = running(two_zones());
    for _ in 0..5 {
        for slot in 0..2 {
            stage.tally(0, slot, 100, 80);
        }
        stage.pass(SECOND);
    }
    assert_eq!(stage.count(|what| matches!(what, What::Gray { .. })), 0);
}

#[test]
fn the_last_backend_of_a_pool_is_never_ejected() {
    let mut stage = running(two_zones());
    stage.tally(0, 1, 100, 0);
    stage.tally(0, 0, 100, 100);
    assert!(stage.backend(0, 0).gray);
    stage.set("fz-1:app-2", Operator::Maintenance);
    assert!(!stage.backend(0, 0).gray, "now it is the last");
    stage.set("fz-1:app-2", Operator::Ready);
    assert!(stage.backend(0, 0).gray);
}

#[test]
fn a_gray_backend_is_only_reported_where_so_configured() {
    let policy = Failover {
        gray: Gray::Report,
        ..failover()
    };
    let mut stage = running(build(&["fz-1", "fz-2"], &["app-1", "app-2"], policy));
    stage.tally(0, 1, 100, 0);
    stage.tally(0, 0, 100, 100);
    assert!(!stage.backend(0, 0).gray);
    assert!(stage.checker.report(stage.now).zones[0].components[0].gray);
    assert_eq!(
        stage.count(|what| matches!(what, What::Gray { gray: true, .. })),
        1
    );
}

#[test]
fn a_pool_that_is_gray_as_a_whole_fails_its_zone_where_so_configured() {
    for (gray, expected) in [(Gray::Eject, "fz-1"), (Gray::FailZone, "fz-2")] {
        let policy = Failover { gray, ..failover() };
        let mut stage = running(build(&["fz-1", "fz-2"], &["app-1", "app-2"], policy));
        for requests in [0, 90] {
            for _ in 0..12 {
                for slot in 0..2 {
                    stage.tally(0, slot, 100, requests);
                }
                stage.pass(SECOND);
            }
        }
        assert_eq!(stage.active(), expected, "{gray:?}");
        if gray == Gray::FailZone {
            assert!(
                stage.flips()[0].reasons[0].contains("gray as a whole"),
                "{:?}",
                stage.flips()[0]
            );
            // The same trouble in the standby: it has no better past there, and nothing flips back and forth.
            for _ in 0..30 {
                for slot in 0..2 {
                    stage.tally(1, slot, 100, 90);
                }
                stage.pass(SECOND);
            }
            assert_eq!(stage.flips().len(), 1);
        }
    }
}
