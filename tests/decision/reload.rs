//! What a reload and a restart keep.

use super::*;

#[test]
fn a_remembered_zone_that_is_no_longer_configured_gives_way_to_the_preferred_one() {
    let memory = Memory {
        epoch: 7,
        active: Some("fz-0".into()),
        pinned: Some("fz-0".into()),
        ..Memory::default()
    };
    let mut stage = Stage::remembering(two_zones(), memory);
    stage.settle();
    assert_eq!(
        (stage.active().as_str(), stage.checker.routing().epoch),
        ("fz-1", 8)
    );
    assert_eq!(stage.flips()[0].cause, Cause::Reload);
    assert_eq!(stage.checker.report(stage.now).pinned, None);
}

#[test]
fn a_reload_keeps_what_is_known_and_a_new_backend_disturbs_nothing_even_if_it_is_down() {
    let mut stage = running(two_zones());
    let ids: Vec<_> = stage
        .checker
        .routing()
        .backends
        .concat()
        .iter()
        .map(|b| b.id)
        .collect();
    stage.break_("fz-1:app-3");
    stage.reload(build(
        &["fz-1", "fz-2"],
        &["app-1", "app-2", "app-3"],
        failover(),
    ));
    let routing = stage.checker.routing();
    assert_eq!(
        (routing.admission, routing.verdicts[0]),
        (Admission::Open, Verdict::Serving)
    );
    assert_eq!(routing.backends[0][0].id, ids[0]);
    assert_eq!(routing.backends[0][0].status, Status::Up);
    assert_eq!(routing.backends[0][2].status, Status::Unknown);
    stage.settle();
    assert_eq!(stage.backend(0, 2).status, Status::Down);
    assert_eq!(
        (stage.active().as_str(), stage.verdict(0)),
        ("fz-1", Verdict::Serving)
    );
    assert!(stage.reasons(0)[0].contains("counts from its first pass on"));
    // Once it has been up, it counts like any other.
    stage.heal("fz-1:app-3");
    stage.settle();
    assert_eq!(stage.backend(0, 2).status, Status::Up);
    stage.break_("fz-1:app-3");
    stage.settle();
    assert_eq!(stage.active(), "fz-2");
}

#[test]
fn an_outcome_of_a_removed_component_changes_nothing() {
    let mut stage = running(two_zones());
    stage.now = stage.now.after(SECOND * 2);
    stage.checker.handle_timeout(stage.now);
    let probes: Vec<_> = std::iter::from_fn(|| stage.checker.poll_probe()).collect();
    assert_eq!(probes.len(), 6);
    let one_app = build(&["fz-1", "fz-2"], &["app-1"], failover());
    stage
        .checker
        .handle_config(std::sync::Arc::new(one_app), stage.now);
    let before = stage.checker.report(stage.now);
    for probe in probes.iter().filter(|probe| &*probe.key.name == "app-2") {
        for _ in 0..5 {
            stage.checker.handle_outcome(
                probe.component,
                probe.round,
                example::refused(),
                stage.now,
            );
        }
    }
    assert_eq!(stage.checker.report(stage.now), before);
}

#[test]
fn removing_the_active_zone_flips_to_a_serving_one() {
    let mut stage = running(build(&["fz-1", "fz-2", "fz-3"], &["app"], failover()));
    stage.break_("fz-2:app");
    stage.settle();
    stage.reload(build(&["fz-2", "fz-3"], &["app"], failover()));
    assert_eq!(
        (stage.active().as_str(), stage.checker.routing().epoch),
        ("fz-3", 2)
    );
    assert_eq!(stage.flips()[0].cause, Cause::Reload);
    assert_eq!(stage.checker.routing().admission, Admission::Open);
}
