//! Sticky sessions: a start lets requests in when it is known which of their homes are well.

use firedoor::config::Sticky;

use super::*;

fn stage(sticky: bool) -> Stage {
    let zones = ["fz-1", "fz-2"].map(|name| zone(name, &["app-1", "app-2"], &[]));
    let mut config = config(&zones, &[MinHealthy::Count(1)], &check(2, 3), failover());
    config.pools[0].sticky = sticky.then(|| Sticky {
        cookie: "FIREDOOR".into(),
        ttl: None,
    });
    Stage::new(config)
}

/// Lets the probes of these components pass, of the others in `failing` fail, and nothing else happen.
fn answer(stage: &mut Stage, passing: &[&str], failing: &[&str]) -> Admission {
    let probes: Vec<_> = std::iter::from_fn(|| stage.checker.poll_probe()).collect();
    for probe in probes {
        let key = probe.key.to_string();
        let outcome = match (passing.contains(&&*key), failing.contains(&&*key)) {
            (true, _) => example::pass(),
            (_, true) => example::refused(),
            _ => continue,
        };
        stage
            .checker
            .handle_outcome(probe.component, probe.round, outcome, stage.now);
    }
    stage.checker.routing().admission
}

#[test]
fn without_sticky_sessions_requests_are_let_in_as_soon_as_the_zone_serves() {
    let mut stage = stage(false);
    let admission = answer(&mut stage, &["fz-1:app-2"], &[]);
    assert_eq!(
        (stage.verdict(0), admission),
        (Verdict::Serving, Admission::Open)
    );
}

#[test]
fn with_them_each_backend_of_the_zone_has_to_be_probed_once_whatever_comes_of_it() {
    for passing in [
        vec!["fz-1:app-2"],
        vec!["fz-1:app-2", "fz-2:app-1", "fz-2:app-2"],
    ] {
        let mut stage = stage(true);
        let admission = answer(&mut stage, &passing, &[]);
        assert_eq!(
            (stage.verdict(0), admission),
            (Verdict::Serving, Admission::Hold),
            "{passing:?}"
        );
    }
    let mut passed = stage(true);
    let admission = answer(&mut passed, &["fz-1:app-1", "fz-1:app-2"], &[]);
    assert_eq!(admission, Admission::Open);
    let mut failed = stage(true);
    let admission = answer(&mut failed, &["fz-1:app-2"], &["fz-1:app-1"]);
    assert_eq!(admission, Admission::Open, "one fail is enough to know");
    assert_eq!(failed.backend(0, 0).status, Status::Unknown);
}

#[test]
fn a_home_whose_probe_never_comes_back_is_waited_for_no_longer_than_that_takes_to_see() {
    let mut stage = stage(true);
    answer(&mut stage, &["fz-1:app-2"], &[]);
    let began = stage.now.instant;
    // `check.timeout` twice and a second more is when a probe counts as lost.
    while stage.checker.routing().admission == Admission::Hold {
        let due = stage.checker.poll_timeout().unwrap();
        stage.now = stage.now.after(due - stage.now.instant);
        assert!(due - began <= SECOND * 3, "still waiting");
        stage.checker.handle_timeout(stage.now);
        answer(&mut stage, &["fz-1:app-2"], &[]);
    }
    assert_eq!(stage.active(), "fz-1");
}

#[test]
fn a_home_in_maintenance_is_not_waited_for() {
    let mut stage = stage(true);
    stage
        .checker
        .handle_command(
            Command::Operator {
                component: firedoor::zone::ComponentKey {
                    zone: "fz-1".into(),
                    name: "app-1".into(),
                },
                state: Operator::Maintenance,
                reason: None,
            },
            stage.now,
        )
        .unwrap();
    let admission = answer(&mut stage, &["fz-1:app-2"], &[]);
    assert_eq!(admission, Admission::Open);
}
