//! What swings, what is lost by chance, and what all zones share must not make the door swing.

use super::*;

#[test]
fn a_failure_that_all_zones_share_flips_nothing_and_is_told_once() {
    for phase in 0..40 {
        let mut stage = running(two_zones());
        stage.pass(Duration::from_millis(phase * 33));
        stage.break_("fz-1:postgres");
        stage.break_("fz-2:postgres");
        stage.pass(SECOND * 60);
        assert!(stage.flips().is_empty(), "{:?}", stage.flips());
        let asked = |what: &What| {
            matches!(what, What::NowhereToGo { reasons, .. }
                if reasons.iter().any(|reason| reason.contains("our own network?")))
        };
        assert_eq!(stage.count(asked), 1);
        assert_eq!(
            stage.checker.routing().admission,
            Admission::Open,
            "what is up serves on"
        );
    }
}

#[test]
fn a_component_that_swings_flips_once_whatever_its_period() {
    for failback in [Failback::Manual, Failback::Auto] {
        for half_period in [100, 300, 1000, 3000, 10_000, 60_000] {
            let policy = Failover {
                failback: failback.clone(),
                ..failover()
            };
            let mut stage = running(build(&["fz-1", "fz-2"], &["app"], policy));
            for _ in 0..(600_000 / half_period) {
                stage.break_("fz-1:postgres");
                stage.pass(Duration::from_millis(half_period));
                stage.heal("fz-1:postgres");
                stage.pass(Duration::from_millis(half_period));
            }
            assert!(
                stage.flips().len() <= 1,
                "{failback:?} {half_period} ms: {} flips",
                stage.flips().len()
            );
        }
    }
}

#[test]
fn both_zones_swinging_in_turn_stay_within_the_budget() {
    let mut stage = running(build(&["fz-1", "fz-2"], &["app"], failover()));
    for _ in 0..60 {
        for (broken, well) in [("fz-1:app", "fz-2:app"), ("fz-2:app", "fz-1:app")] {
            stage.heal(well);
            stage.break_(broken);
            stage.pass(SECOND * 15);
        }
    }
    // Half an hour: the budget is 12 an hour.
    assert_eq!(stage.flips().len(), 12);
    let spent = |what: &What| {
        matches!(
            what,
            What::Withheld {
                rule: "max_flips_per_hour",
                ..
            }
        )
    };
    assert!(stage.count(spent) >= 1);
}

/// Random loss is not an outage. `fall` says how much of it is borne: at 5 % loss, and one look a second, a component goes
/// down by chance about every 7 minutes with 2, every 2 hours with 3, every 2 days with 4.
#[test]
fn five_percent_of_lost_probes_flip_nothing_for_an_hour_with_fall_5() {
    let zones = ["fz-1", "fz-2"].map(|name| zone(name, &["app-1"], &["postgres"]));
    let mut flips = 0;
    for seed in 0..3 {
        let mut stage = Stage::new(config(&zones, &[ALL], &check(5, 3), failover()));
        stage.settle();
        let mut rng = fastrand::Rng::with_seed(seed);
        let end = stage.now.instant + SECOND * 3600;
        while stage.now.instant < end {
            let next = stage.checker.poll_timeout().unwrap();
            stage.now = stage.now.after(next - stage.now.instant);
            stage.checker.handle_timeout(stage.now);
            while let Some(probe) = stage.checker.poll_probe() {
                let outcome = if rng.u32(0..20) == 0 {
                    example::refused()
                } else {
                    example::pass()
                };
                stage
                    .checker
                    .handle_outcome(probe.component, probe.round, outcome, stage.now);
            }
        }
        stage.answer();
        flips += stage.flips().len();
    }
    assert_eq!(flips, 0);
}
