//! What operators may do, and what is refused.

use super::*;

#[test]
fn a_planned_flip_holds_requests_until_the_old_zone_has_drained() {
    let mut stage = running(two_zones());
    assert_eq!(stage.activate("fz-2", true), Ok(Accepted::FlipBegun(1)));
    assert_eq!(stage.checker.draining(), Some(0));
    let routing = stage.checker.routing();
    assert_eq!((routing.active, routing.admission), (0, Admission::Hold));
    stage.pass(SECOND * 2);
    assert_eq!(stage.active(), "fz-1");
    stage.checker.handle_drained(stage.now);
    let routing = stage.checker.routing();
    assert_eq!(
        (routing.active, routing.admission, routing.epoch),
        (1, Admission::Open, 2)
    );
    stage.answer();
    assert_eq!(stage.flips()[0].cause, Cause::Operator);
    assert!(stage.flips()[0].rule.contains("a rehearsal"));
    assert_eq!(stage.flips()[0].detected_in, Duration::ZERO);
}

#[test]
fn a_planned_flip_commits_before_those_that_are_held_lose_patience() {
    let mut stage = running(two_zones());
    stage.activate("fz-2", true).unwrap();
    // Four fifths of the hold time, 5 s; the drain timeout is longer.
    stage.pass(Duration::from_millis(3_999));
    assert_eq!(stage.active(), "fz-1");
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.active(), "fz-2");
}

#[test]
fn a_planned_flip_commits_at_once_when_the_old_zone_fails_meanwhile() {
    let mut stage = running(two_zones());
    stage.activate("fz-2", true).unwrap();
    stage.break_("fz-1:app-1");
    stage.pass(SECOND * 2);
    assert_eq!(stage.active(), "fz-2");
    assert_eq!(stage.flips().len(), 1);
}

#[test]
fn a_planned_flip_is_given_up_when_its_target_fails_meanwhile() {
    let mut stage = running(two_zones());
    stage.activate("fz-2", true).unwrap();
    stage.break_("fz-2:app-1");
    stage.pass(SECOND * 2);
    let routing = stage.checker.routing();
    assert_eq!(
        (routing.active, routing.admission, routing.epoch),
        (0, Admission::Open, 1)
    );
    assert_eq!(
        stage.count(|what| matches!(what, What::FlipAborted { .. })),
        1
    );
    assert_eq!(stage.checker.draining(), None);
}

#[test]
fn operators_get_no_zone_that_can_serve_nothing_and_are_told_the_remedy() {
    let mut stage = running(two_zones());
    stage.break_("fz-2:postgres");
    stage.settle();
    for command in [
        Command::Activate {
            zone: "fz-2".into(),
            hold: false,
            reason: None,
        },
        Command::Pin {
            zone: "fz-2".into(),
            reason: None,
        },
    ] {
        let Err(Refusal::CannotServe(zone, reasons, returning)) = stage.command(command) else {
            panic!("accepted");
        };
        assert_eq!(zone, "fz-2");
        assert!(reasons[0].contains("postgres is down"));
        assert!(returning.is_empty());
    }
    let refusal = stage.activate("fz-2", false).unwrap_err();
    assert!(refusal.to_string().ends_with("; bring it up first"));
    stage.heal("fz-2:postgres");
    let told = |stage: &mut Stage| {
        stage.pass(SECOND / 10);
        let refusal = stage.activate("fz-2", false).unwrap_err().to_string();
        refusal
            .split_once("; but ")
            .map(|(_, told)| told.to_owned())
    };
    assert_eq!(
        (0..20).find_map(|_| told(&mut stage)).as_deref(),
        Some("postgres has passed 1 of the 3 checks that bring it back: try again then")
    );
    let refusal = stage.activate("fz-9", false).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "there is no zone \"fz-9\": the zones are fz-1, fz-2"
    );
    assert_eq!(
        stage.activate("fz-1", false),
        Err(Refusal::AlreadyActive("fz-1".into()))
    );
    assert_eq!(stage.checker.routing().epoch, 1);
}

#[test]
fn a_pinned_zone_stays_active_whatever_happens_until_it_is_unpinned() {
    let mut stage = running(two_zones());
    let pin = |zone: &str| Command::Pin {
        zone: zone.into(),
        reason: None,
    };
    let unpin = |zone: &str| Command::Unpin {
        zone: zone.into(),
        reason: None,
    };
    assert_eq!(
        stage.command(unpin("fz-1")),
        Err(Refusal::NotPinned("fz-1".into()))
    );
    stage.command(pin("fz-2")).unwrap();
    assert_eq!(stage.active(), "fz-2", "it is flipped to first");
    assert_eq!(
        stage.command(pin("fz-1")),
        Err(Refusal::PinnedElsewhere("fz-2".into()))
    );
    stage.break_("fz-2:postgres");
    stage.pass(SECOND * 60);
    assert_eq!(stage.active(), "fz-2");
    assert_eq!(
        stage.count(|what| matches!(what, What::Withheld { rule: "pinned", .. })),
        1
    );
    stage.restart(two_zones());
    stage.settle();
    assert_eq!(stage.active(), "fz-2", "pins survive");
    stage.command(unpin("fz-2")).unwrap();
    assert_eq!(stage.active(), "fz-1");
}

#[test]
fn a_second_planned_flip_has_to_wait_for_the_first() {
    let mut stage = running(build(&["fz-1", "fz-2", "fz-3"], &["app"], failover()));
    stage.activate("fz-2", true).unwrap();
    assert_eq!(
        stage.activate("fz-3", true),
        Err(Refusal::FlipPending("fz-2".into()))
    );
    assert_eq!(
        stage.activate("fz-2", false),
        Ok(Accepted::Now),
        "but it may be hurried"
    );
    assert_eq!(stage.active(), "fz-2");
}

#[test]
fn maintenance_of_one_backend_fails_no_zone_and_of_all_flips() {
    let mut stage = running(two_zones());
    stage.set("fz-1:app-1", Operator::Maintenance);
    stage.break_("fz-1:app-1");
    stage.settle();
    assert_eq!(
        (stage.active().as_str(), stage.verdict(0)),
        ("fz-1", Verdict::Serving)
    );
    stage.set("fz-1:app-2", Operator::Drain);
    assert_eq!(stage.active(), "fz-2");
    assert!(
        stage.reasons(0)[0].contains("2 in drain or maintenance"),
        "{:?}",
        stage.reasons(0)
    );
}

#[test]
fn a_restart_keeps_the_active_zone_and_all_that_operators_said() {
    let mut stage = running(two_zones());
    stage.break_("fz-1:postgres");
    stage.set("fz-2:app-1", Operator::Maintenance);
    stage.settle();
    let before = stage.checker.report(stage.now);
    assert_eq!(before.epoch, 2);
    stage.broken.clear();
    stage.restart(two_zones());
    stage.settle();
    let after = stage.checker.report(stage.now);
    assert_eq!(stage.active(), "fz-2");
    assert_eq!(after.epoch, 2);
    assert_eq!(after.active_since, before.active_since);
    assert_eq!(after.active_because, before.active_because);
    assert_eq!(after.flips_left, before.flips_left);
    assert_eq!(stage.backend(1, 0).operator, Operator::Maintenance);
}

#[test]
fn only_a_zone_that_has_failed_is_called_degraded_when_an_operator_enters_it() {
    let degraded = |stage: &mut Stage| {
        assert_eq!(stage.activate("fz-2", false), Ok(Accepted::Now));
        stage.flips()[0].degraded
    };
    // Right after a start, while one check is slow to answer, nobody has judged it yet.
    let mut unjudged = Stage::new(two_zones());
    while let Some(probe) = unjudged.checker.poll_probe() {
        if probe.key.to_string() != "fz-2:postgres" {
            let (id, round) = (probe.component, probe.round);
            let outcome = example::pass();
            unjudged
                .checker
                .handle_outcome(id, round, outcome, unjudged.now);
        }
    }
    assert_eq!(unjudged.verdict(1), Verdict::Unknown);
    assert!(!degraded(&mut unjudged));

    let mut in_part = running(two_zones());
    in_part.break_("fz-2:app-1");
    in_part.settle();
    assert_eq!(in_part.verdict(1), Verdict::Failed);
    assert!(degraded(&mut in_part));
    assert!(!degraded(&mut running(two_zones())));
}
