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
fn nowhere_to_go_is_told_once_in_an_outage_whatever_comes_and_goes_meanwhile() {
    let nowhere = |what: &What| matches!(what, What::NowhereToGo { .. });
    let mut stage = running(two_zones());
    // Of the second, each zone can serve something, so that the other one is entered at times though it has failed as well.
    let outages = [
        ("postgres", ["fz-1:app-1", "fz-2:app-1", "fz-2:app-2"]),
        ("app-1", ["fz-1:app-2", "fz-2:postgres", "fz-2:app-2"]),
    ];
    for (count, (shared, others)) in (1..).zip(outages) {
        let both = ["fz-1", "fz-2"].map(|zone| format!("{zone}:{shared}"));
        both.iter().for_each(|component| stage.break_(component));
        stage.settle();
        assert_eq!(stage.count(nowhere), count);
        for component in others {
            stage.break_(component);
            stage.pass(SECOND * 15);
            stage.heal(component);
            stage.pass(SECOND * 15);
        }
        stage.reload(two_zones());
        stage.settle();
        assert_eq!(stage.count(nowhere), count, "{:?}", stage.events);
        let degraded = stage.flips().iter().any(|flip| flip.degraded);
        assert_eq!(degraded, shared == "app-1");
        // One that can serve ends it, though it fails again.
        both.iter().for_each(|component| stage.heal(component));
        stage.settle();
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

/// Random loss is not an outage, with the defaults: a lost probe is a timeout, and timeouts alone take five in a row. What else
/// fails one time in twenty is for `fall` to bear.
#[test]
fn five_percent_of_lost_probes_flip_nothing_for_an_hour() {
    let zones = ["fz-1", "fz-2"].map(|name| zone(name, &["app-1", "app-2"], &["postgres"]));
    for (fall, seeds) in [(2, 20), (1, 3), (5, 3)] {
        let mut lost = 0;
        for seed in 0..seeds {
            let mut stage = Stage::new(config(&zones, &[ALL], &check(fall, 3), failover()));
            lost += lose(&mut stage, seed, SECOND * 3600);
            assert_eq!(stage.flips().len(), 0, "fall {fall}, seed {seed}");
            let downs = |what: &What| {
                matches!(
                    what,
                    What::Transition {
                        to: Status::Down,
                        ..
                    }
                )
            };
            assert_eq!(stage.count(downs), 0, "fall {fall}, seed {seed}");
        }
        assert!(lost > 900 * seeds, "{lost} in {seeds} hours");
    }
}

/// Lets `time` pass, in which one probe of twenty is lost. How many that were.
fn lose(stage: &mut Stage, seed: u64, time: Duration) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut flights: Vec<(Duration, firedoor::health::checker::Probe)> = Vec::new();
    let begin = stage.now.instant;
    let mut lost = 0;
    loop {
        while let Some(probe) = stage.checker.poll_probe() {
            if rng.u32(0..20) == 0 {
                lost += 1;
                let back = stage.now.instant - begin + probe.check.timeout;
                flights.push((back, probe));
            } else {
                let (id, round) = (probe.component, probe.round);
                stage
                    .checker
                    .handle_outcome(id, round, example::pass(), stage.now);
            }
        }
        stage.answer();
        flights.sort_by_key(|(back, _)| *back);
        let back = flights.first().map(|(back, _)| begin + *back);
        let next = back.into_iter().chain(stage.checker.poll_timeout()).min();
        let next = next.unwrap();
        if next > begin + time {
            return lost;
        }
        stage.now = stage
            .now
            .after(next.saturating_duration_since(stage.now.instant));
        if back == Some(next) {
            let (_, probe) = flights.remove(0);
            let (id, round) = (probe.component, probe.round);
            stage
                .checker
                .handle_outcome(id, round, timeout(), stage.now);
        } else {
            stage.checker.handle_timeout(stage.now);
        }
    }
}

/// What hangs is found all the same: live requests are silent for 100 ms, and then five probes go out one after the other.
#[test]
fn a_hung_zone_is_left_within_300_ms_with_fast_settings() {
    let ms = Duration::from_millis;
    for seed in 0..50 {
        let fast = firedoor::config::Check {
            interval: ms(200),
            timeout: ms(100),
            confirm_interval: ms(10),
            ..check(2, 3)
        };
        let zones = ["fz-1", "fz-2"].map(|name| zone(name, &["app-1"], &["postgres"]));
        let mut stage = Stage::new(config(&zones, &[ALL], &fast, failover()));
        stage.pass(SECOND + ms(seed * 7));
        let begin = stage.now.instant;
        let app = stage.backend(0, 0).id;
        let mut flights = Vec::new();
        let mut told = false;
        while stage.active() == "fz-1" {
            stage.now = stage.now.after(ms(1));
            let passed = stage.now.instant - begin;
            assert!(passed < ms(300), "{passed:?}");
            if passed >= ms(100) && !told {
                told = true;
                let sign = Sign::Silence(firedoor::outcome::Silence {
                    lasted: ms(100),
                    usual: None,
                });
                let observation = Observation {
                    component: app,
                    sign,
                };
                stage.checker.handle_observation(observation, stage.now);
            }
            stage.checker.handle_timeout(stage.now);
            while let Some(probe) = stage.checker.poll_probe() {
                if probe.component == app {
                    flights.push((stage.now.instant + probe.check.timeout, probe.round));
                } else {
                    let (id, round) = (probe.component, probe.round);
                    stage
                        .checker
                        .handle_outcome(id, round, example::pass(), stage.now);
                }
            }
            let now = stage.now;
            flights.retain(|(back, round)| {
                if *back <= now.instant {
                    stage.checker.handle_outcome(app, *round, timeout(), now);
                }
                *back > now.instant
            });
        }
    }
}

fn timeout() -> firedoor::outcome::Outcome {
    firedoor::outcome::Outcome {
        code: firedoor::outcome::CheckCode::L7Timeout,
        detail: "no answer".to_owned(),
        took: Duration::from_millis(500),
        status: None,
    }
}
