//! Gray failures: passes its checks, fails live requests.

use firedoor::outcome::Tally;

use super::*;

fn failed(requests: u32, server_errors: bool) -> Tally {
    Tally {
        requests,
        failures: requests,
        server_errors: if server_errors { requests } else { 0 },
        ..Tally::default()
    }
}

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
fn one_bad_url_on_a_quiet_site_makes_nobody_gray() {
    for server_errors in [true, false] {
        let mut stage = running(two_zones());
        // One request every three seconds, at either backend in turn, and all is well.
        for turn in 0..40 {
            stage.tally(0, turn % 2, 1, 0);
            stage.pass(SECOND * 3);
        }
        // A bot asks for the same bad page again and again.
        for _ in 0..6 {
            let tally = failed(1, server_errors);
            stage.put_tally(0, 0, tally);
            stage.pass(SECOND / 2);
        }
        assert_eq!(
            stage.backend(0, 0).gray,
            !server_errors,
            "what breaks off is another matter"
        );
    }
}

#[test]
fn a_backend_that_alone_answers_errors_is_gray_at_once() {
    let mut stage = running(two_zones());
    for _ in 0..20 {
        for slot in 0..2 {
            stage.tally(0, slot, 3, 0);
        }
        stage.pass(SECOND / 10);
    }
    for _ in 0..2 {
        stage.put_tally(0, 0, failed(3, true));
        stage.tally(0, 1, 3, 0);
        stage.pass(SECOND / 10);
    }
    assert!(stage.backend(0, 0).gray);
    assert!(!stage.backend(0, 1).gray);
}
