//! What live requests see at a backend hastens the probes of what it needs: an app server whose database is gone answers 500.

use super::*;

const TOLD_EVERY: Duration = Duration::from_millis(10);

fn probed_hourly() -> Stage {
    let zones = ["fz-1", "fz-2"].map(|name| zone(name, &["app-1"], &["postgres"]));
    let mut check = check(2, 3);
    check.interval = SECOND * 3600;
    running(config(&zones, &[ALL], &check, failover()))
}

fn tell(stage: &mut Stage, trouble: Trouble) {
    let observation = Observation {
        component: stage.backend(0, 0).id,
        sign: trouble.into(),
    };
    stage.checker.handle_observation(observation, stage.now);
}

/// Lets `time` pass while errors are told, if at all; how often each component was probed meanwhile.
fn probes_of(stage: &mut Stage, told: Option<Trouble>, time: Duration, key: &str) -> usize {
    let end = stage.now.instant + time;
    let mut probes = 0;
    while stage.now.instant < end {
        stage.now = stage.now.after(TOLD_EVERY);
        stage.checker.handle_timeout(stage.now);
        if let Some(trouble) = told {
            tell(stage, trouble);
        }
        while let Some(probe) = stage.checker.poll_probe() {
            probes += usize::from(probe.key.to_string() == key);
            stage
                .checker
                .handle_outcome(probe.component, probe.round, example::pass(), stage.now);
        }
    }
    probes
}

#[test]
fn errors_of_an_app_server_find_out_that_its_database_is_gone() {
    for trouble in [Trouble::ServerError, Trouble::ResponseTimeout] {
        let mut stage = probed_hourly();
        stage.break_("fz-1:postgres");
        tell(&mut stage, trouble);
        stage.pass(Duration::from_millis(50));
        assert_eq!(stage.active(), "fz-2", "{trouble:?}");
        let evidence = &stage.flips()[0].evidence[0];
        assert_eq!(evidence.key.to_string(), "fz-1:postgres");
        assert_eq!(evidence.hastened_by, Some(trouble.into()));
    }
}

#[test]
fn an_app_with_errors_of_its_own_has_its_database_soon_probed_no_more_than_others() {
    let mut stage = running(two_zones());
    let minute = SECOND * 60;
    let key = "fz-1:postgres";
    let usual = probes_of(&mut stage, None, minute, key);
    let at_first = probes_of(&mut stage, Some(Trouble::ServerError), minute, key);
    assert!(at_first > usual, "it hastens");
    assert!(at_first <= usual + 10, "{at_first} probes, usually {usual}");
    let later = probes_of(&mut stage, Some(Trouble::ServerError), minute, key);
    // Those that errors hasten come after an interval that isn't jittered.
    assert!(
        later.abs_diff(usual) <= 6,
        "{later} probes, usually {usual}"
    );
    assert_eq!(stage.active(), "fz-1");
}

#[test]
fn nobody_asks_the_other_zones_database() {
    let mut stage = probed_hourly();
    let other = probes_of(
        &mut stage,
        Some(Trouble::ServerError),
        SECOND,
        "fz-2:postgres",
    );
    assert_eq!(other, 0);
}
