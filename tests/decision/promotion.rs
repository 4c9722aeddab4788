//! Planned flips that have to promote the new zone first.

use super::example::promoted;
use super::*;

fn promoting() -> Failover {
    Failover {
        promote_command: vec!["promote".to_owned()],
        ..failover()
    }
}

/// In the middle of a planned flip to fz-2, with the number of its promotion.
fn promoting_stage() -> (Stage, u64) {
    let mut stage = running(build(&["fz-1", "fz-2"], &["app-1"], promoting()));
    stage.activate("fz-2", true).unwrap();
    assert_eq!(stage.checker.poll_promotion(), None, "not drained yet");
    stage.checker.handle_drained(stage.now);
    let promotion = stage.checker.poll_promotion().unwrap();
    assert_eq!(
        (&*promotion.from, &*promotion.to, promotion.epoch),
        ("fz-1", "fz-2", 2)
    );
    assert_eq!(stage.checker.poll_promotion(), None, "begun once");
    (stage, promotion.run)
}

fn end(stage: &mut Stage, run: u64, succeeded: bool) {
    stage
        .checker
        .handle_promoted(run, promoted(succeeded), stage.now);
    stage.answer();
}

#[test]
fn the_end_of_another_run_decides_nothing() {
    let (mut stage, run) = promoting_stage();
    end(&mut stage, run + 1, true);
    end(&mut stage, run - 1, false);
    assert_eq!(stage.active(), "fz-1");
    end(&mut stage, run, true);
    assert_eq!(stage.active(), "fz-2");
    end(&mut stage, run, false);
    assert_eq!(stage.active(), "fz-2");
}

#[test]
fn one_that_is_never_heard_of_again_is_given_up() {
    let (mut stage, _) = promoting_stage();
    stage.pass(SECOND * 10);
    assert!(stage.checker.is_flipping());
    stage.pass(SECOND * 4);
    assert!(!stage.checker.is_flipping());
    assert_eq!(stage.active(), "fz-1");
    assert_eq!(stage.checker.routing().admission, Admission::Open);
}

#[test]
fn the_new_zone_s_checks_have_the_rest_of_its_time_to_agree() {
    let (mut stage, run) = promoting_stage();
    stage.break_("fz-2:postgres");
    stage.pass(SECOND * 2);
    assert_eq!(stage.verdict(1), Verdict::Failed);
    end(&mut stage, run, true);
    assert_eq!(stage.active(), "fz-1");
    stage.heal("fz-2:postgres");
    stage.pass(SECOND * 5);
    assert_eq!(stage.active(), "fz-2");

    let (mut stage, run) = promoting_stage();
    stage.break_("fz-2:postgres");
    stage.pass(SECOND * 2);
    end(&mut stage, run, true);
    stage.pass(SECOND * 9);
    assert_eq!(stage.active(), "fz-1");
    assert!(!stage.checker.is_flipping());
}

#[test]
fn a_flip_without_a_hold_promotes_nothing() {
    let mut stage = running(build(&["fz-1", "fz-2"], &["app-1"], promoting()));
    stage.activate("fz-2", false).unwrap();
    assert_eq!(stage.active(), "fz-2");
    assert_eq!(stage.checker.poll_promotion(), None);
}

#[test]
fn an_automatic_failback_whose_promotion_failed_is_not_tried_again_at_once() {
    let policy = Failover {
        failback: Failback::Auto,
        failback_after: SECOND * 5,
        ..promoting()
    };
    let mut stage = running(build(&["fz-1", "fz-2"], &["app-1"], policy));
    stage.activate("fz-2", false).unwrap();
    let attempts = |stage: &mut Stage, seconds| {
        let mut attempts = 0;
        for _ in 0..seconds {
            stage.pass(SECOND);
            if let Some(promotion) = stage.checker.poll_promotion() {
                attempts += 1;
                end(stage, promotion.run, false);
            }
        }
        attempts
    };
    assert_eq!(attempts(&mut stage, 60), 1);
    assert_eq!(
        stage.count(
            |what| matches!(what, What::Withheld { rule, .. } if *rule == "promote_command")
        ),
        1
    );
    assert_eq!(attempts(&mut stage, 60), 1, "once more after a minute");
    assert_eq!(stage.active(), "fz-2");
}
